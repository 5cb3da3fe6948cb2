"""Blocks against NumPy, closed forms and the weight counts of the papers."""

import numpy as np
import pytest
import torch

from segnets.blocks.conv_lstm import ConvLstmCell
from segnets.blocks.data_consistency import DataConsistency
from segnets.blocks.fourier import as_channels, as_complex, to_image, to_kspace
from segnets.blocks.padding import crop_to, pad_to_multiple
from segnets.blocks.regularisers import AutoEncoder, CascadeCnn
from segnets.blocks.unet import UNet
from segnets.models.seranet import attend

SHAPES = ((8, 10), (9, 10), (9, 7))


def measurement(shape, batch=2, seed=0):
    """An image of noise, its k-space, and half of the lines measured: (image, kspace, mask)."""
    torch.manual_seed(seed)
    image = torch.randn(batch, 2, *shape)
    mask = (torch.rand(batch, 1, shape[0], 1) < 0.5).float()
    return image, to_kspace(torch.randn(batch, 2, *shape)) * mask, mask


@pytest.mark.parametrize("shape", SHAPES)
def test_fourier_transform_is_numpys_centred_orthonormal_one(shape):
    image = torch.randn(2, 2, *shape)
    z, axes = as_complex(image).numpy(), (-2, -1)
    expected = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(z, axes=axes), norm="ortho"), axes=axes)
    assert as_complex(to_kspace(image)).numpy() == pytest.approx(expected, abs=1e-5)
    assert to_image(to_kspace(image)).numpy() == pytest.approx(image.numpy(), abs=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_inverse_transform_is_the_adjoint(shape):
    x, k = torch.randn(2, 1, 2, *shape)
    forward, backward = as_complex(to_kspace(x)), as_complex(to_image(k))
    left = torch.vdot(forward.flatten(), as_complex(k).flatten())
    right = torch.vdot(as_complex(x).flatten(), backward.flatten())
    assert left.item() == pytest.approx(right.item(), abs=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_hard_data_consistency_keeps_the_samples_and_the_rest(shape):
    image, kspace, mask = measurement(shape)
    result = to_kspace(DataConsistency("hard")(image, kspace, mask))
    assert (result * mask).numpy() == pytest.approx(kspace.numpy(), abs=1e-5)
    assert (result * (1 - mask)).numpy() == pytest.approx((to_kspace(image) * (1 - mask)).numpy(), abs=1e-5)


def test_soft_data_consistency_weighs_and_has_both_limits():
    image, kspace, mask = measurement((8, 10))
    k = to_kspace(image)
    expected = (1 - mask) * k + mask * (k + 3.0 * kspace) / (1 + 3.0)
    got = to_kspace(DataConsistency("fixed", 3.0)(image, kspace, mask))
    assert got.numpy() == pytest.approx(expected.numpy(), abs=1e-5)
    off, on = (DataConsistency("fixed", w)(image, kspace, mask) for w in (0.0, 1e9))
    assert off.numpy() == pytest.approx(image.numpy(), abs=1e-5)
    assert on.numpy() == pytest.approx(DataConsistency("hard")(image, kspace, mask).numpy(), abs=1e-5)


@pytest.mark.parametrize("weight", [0.01, 10.0, 500.0])
def test_learnt_weight_starts_where_it_is_told_and_learns(weight):
    image, kspace, mask = measurement((8, 10))
    layer = DataConsistency("learnable", weight)
    result = layer(image, kspace, mask)
    assert result.detach().numpy() == pytest.approx(
        DataConsistency("fixed", weight)(image, kspace, mask).numpy(), abs=1e-5
    )
    result.square().sum().backward()
    assert [p.numel() for p in layer.parameters()] == [1] and layer.raw_weight.grad.abs() > 0


def test_data_consistency_stays_in_float32_under_autocast():
    image, kspace, mask = measurement((8, 10))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = DataConsistency("hard")(image, kspace, mask)
    assert torch.equal(result, DataConsistency("hard")(image, kspace, mask))


def test_attention_splits_the_image_by_class():
    image, logits = torch.randn(2, 2, 8, 10), torch.randn(2, 4, 8, 10) * 5
    quarters = attend(torch.zeros(2, 4, 8, 10), image).unflatten(1, (4, 2))
    assert all(torch.allclose(quarters[:, k], image / 4) for k in range(4))
    copies = attend(logits, image).unflatten(1, (4, 2))
    assert torch.allclose(copies.sum(dim=1), image, atol=1e-5)
    weight = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(axis=1, keepdims=True)
    assert copies[:, 3, 1].numpy() == pytest.approx(weight[:, 3] * image[:, 1].numpy(), abs=1e-5)


def test_memory_of_a_cell_without_inputs_is_a_geometric_series():
    cell = ConvLstmCell(3, 2)
    torch.nn.init.zeros_(cell.gates.weight)
    torch.nn.init.normal_(cell.gates.bias)
    i, f, o, g = cell.gates.bias.detach().double().numpy().reshape(4, 2)
    state, t = None, 3
    for _ in range(t):
        state = cell(torch.randn(1, 3, 4, 5), state)
    sigmoid = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
    c = sigmoid(i) * np.tanh(g) * (1 - sigmoid(f) ** t) / (1 - sigmoid(f))
    h, memory = (s.detach().numpy() for s in state)
    assert memory[0, :, 1, 2] == pytest.approx(c, abs=1e-6)
    assert h[0, :, 1, 2] == pytest.approx(sigmoid(o) * np.tanh(c), abs=1e-6)


def test_open_forget_gate_keeps_most_of_the_memory():
    cell = ConvLstmCell(3, 2)
    torch.nn.init.zeros_(cell.gates.weight)
    torch.nn.init.zeros_(cell.gates.bias)
    cell.open_forget_gate()
    _, c = cell(torch.zeros(1, 3, 4, 5), (torch.zeros(1, 2, 4, 5), torch.ones(1, 2, 4, 5)))
    assert c.detach().numpy() == pytest.approx(1 / (1 + np.exp(-1)), abs=1e-6)


@pytest.mark.parametrize(
    ("size", "padded"), [((180, 216), (184, 216)), ((33, 38), (40, 40)), ((8, 16), (8, 16))]
)
def test_padding_adds_zeros_all_round_and_cropping_takes_them_away(size, padded):
    image = torch.rand(1, 2, *size) + 1
    big = pad_to_multiple(image, 8)
    assert big.shape[-2:] == padded
    assert big.sum().item() == pytest.approx(image.sum().item(), rel=1e-6)
    assert torch.equal(crop_to(big, size), image)


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_weight_counts_are_the_papers():
    assert [count(CascadeCnn(n)) for n in (2, 8)] == [113_154, 116_610]
    assert [count(AutoEncoder(n)) for n in (2, 8)] == [1_862_338, 1_865_794]
    assert count(AutoEncoder(2, skip=False)) == 1_678_018
    assert count(UNet(2, 2, (64, 128, 256), norm=True)) == 1_864_898  # Type B with normalisation
    assert [count(UNet(2, 4, norm=norm)) for norm in (True, False)] == [7_702_596, 7_696_964]


def test_reg_blocks_without_weights_return_the_image():
    image, features = torch.randn(1, 2, 10, 14), torch.randn(1, 8, 10, 14)
    for block in (CascadeCnn(8, 4), AutoEncoder(8, 4), AutoEncoder(8, 4, skip=False)):
        for p in block.parameters():
            torch.nn.init.zeros_(p)
        assert torch.equal(block(features, image), image)


def test_complex_and_channels_are_inverse():
    x = torch.randn(2, 2, 4, 6)
    assert torch.equal(as_channels(as_complex(x)), x)
