"""CRDN: published numbers of weights, odd sizes, and the equations of its three cells."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from segnets.models.crdn import CrdnConfig, GruCell, LstmCell, RnnCell
from tests.segnets.models.small import count, noise_batch, small

CELLS = ("rnn", "gru", "lstm")
COUNTS = {
    "unet": (1_230_704, 1_231_288, 1_231_580),
    "vgg16": (14_870_688, 14_871_272, 14_871_564),
    "resnet50": (23_648_928, 23_649_512, 23_649_804),
}


@pytest.mark.parametrize("backbone", COUNTS)
@pytest.mark.parametrize("cell", CELLS)
def test_published_number_of_weights(backbone, cell):
    expected = COUNTS[backbone][CELLS.index(cell)]
    assert count("crdn", backbone=backbone, cell=cell, contrasts=3) == expected


@pytest.mark.parametrize(
    ("backbone", "n"), [("unet", 1_180_752), ("vgg16", 14_723_136), ("resnet50", 23_508_032)]
)
def test_backbones_have_their_published_number_of_weights(backbone, n):
    assert count("crdn", "backbone", backbone=backbone, contrasts=3) == n


def test_unet_backbone_of_one_contrast():
    assert count("crdn", "backbone") == 1_180_464


@pytest.mark.parametrize(("n_classes", "expected"), [(4, (292, 876, 1_168)), (3, (165, 495, 660))])
def test_only_the_chosen_cell_exists_and_its_weights_count_once(n_classes, expected):
    assert tuple(count("crdn", "cell", cell=c, n_classes=n_classes) for c in CELLS) == expected
    model = small("crdn", cell="lstm")
    weights = [id(p) for p in model.parameters()]
    assert weights.count(id(model.cell.conv.weight)) == 1 and len(weights) == len(set(weights))


@pytest.mark.parametrize("shape", [(217, 181), (181, 181), (181, 217), (240, 240), (32, 57)])
@pytest.mark.parametrize("upsample", ["bilinear", "transposed"])
def test_sizes_of_the_papers_data(shape, upsample):
    model = small("crdn", cell="lstm", width=2, upsample=upsample).eval()
    batch = noise_batch(shape, n=1)
    with torch.no_grad():
        assert model(batch.kspace, batch.mask).segmentation.shape == (1, 4, *shape)


@pytest.mark.parametrize("backbone", ["vgg16", "resnet50"])
def test_larger_backbones_halve_the_size_four_times(backbone):
    model = small("crdn", backbone=backbone, width=2, cell="gru").eval()
    batch = noise_batch((48, 33), n=1)
    with torch.no_grad():
        levels = model.backbone(batch.image[:, :1])
        assert model(batch.kspace, batch.mask).segmentation.shape == (1, 4, 48, 33)
    assert [f.shape[2] for f in levels] == [48, 24, 12, 6, 3]


def test_three_contrasts_enter_as_three_magnitudes():
    batches = [noise_batch(seed=seed) for seed in range(3)]
    kspace = torch.cat([b.kspace for b in batches], dim=1)
    image, zero_filled = CrdnConfig(contrasts=3).read(kspace)
    for i, b in enumerate(batches):
        k = torch.complex(b.kspace[:, 0], b.kspace[:, 1]).numpy()
        axes = (-2, -1)
        x = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(k, axes=axes), norm="ortho"), axes=axes)
        assert image[:, i].numpy() == pytest.approx(np.abs(x), abs=1e-6)
        assert zero_filled[:, 2 * i].numpy() == pytest.approx(x.real, abs=1e-6)
    with pytest.raises(ValueError, match="contrasts must be 3, as in the data, got 1"):
        small("crdn")(kspace, batches[0].mask)


def split_conv(conv, a, b):
    """The paper's form: one convolution for each input, their biases together."""
    of_a, of_b = conv.weight.chunk(2, dim=1)
    return functional.conv2d(a, of_a, padding=1) + functional.conv2d(b, of_b, conv.bias, padding=1)


def test_cells_compute_the_papers_equations():
    torch.manual_seed(0)
    x, s, c = (torch.randn(2, 3, 6, 5) for _ in range(3))
    rnn, lstm, gru = RnnCell(3), LstmCell(3, "sigmoid"), GruCell(3, "sigmoid", "before")
    torch.testing.assert_close(rnn(x, s, c)[0], split_conv(rnn.conv, s, x).relu(), atol=1e-5, rtol=0)
    i, f, o, g = split_conv(lstm.conv, s, x).chunk(4, dim=1)
    memory = f.sigmoid() * c + i.sigmoid() * g.tanh()
    state, new_memory = lstm(x, s, c)
    torch.testing.assert_close(new_memory, memory, atol=1e-5, rtol=0)
    torch.testing.assert_close(state, o.sigmoid() * memory.tanh(), atol=1e-5, rtol=0)
    r, z = split_conv(gru.gates, s, x).sigmoid().chunk(2, dim=1)
    new = split_conv(gru.new, x, r * s).tanh()
    torch.testing.assert_close(gru(x, s, c)[0], z * s + (1 - z) * new, atol=1e-5, rtol=0)
    late = GruCell(3, "sigmoid", "after")
    late.load_state_dict(gru.state_dict())
    of_x, of_s = gru.new.weight.chunk(2, dim=1)
    new = functional.conv2d(x, of_x, gru.new.bias, padding=1) + r * functional.conv2d(s, of_s, padding=1)
    torch.testing.assert_close(late(x, s, c)[0], z * s + (1 - z) * new.tanh(), atol=1e-5, rtol=0)


def test_cross_entropy_of_lstm_and_gru_cannot_fall_below_its_bound():
    """The logits lie in (-1, 1): at best e / (e + 3 / e), that is 0.341 (models.md 10.5)."""
    batch = noise_batch()
    for cell in ("lstm", "gru"):
        logits = small("crdn", cell=cell)(batch.kspace, batch.mask).segmentation
        assert logits.abs().max() < 1
    best = 2 * functional.one_hot(batch.labels, 4).movedim(-1, 1).float() - 1
    assert functional.cross_entropy(best, batch.labels).item() == pytest.approx(0.341, abs=5e-4)
    assert small("crdn", cell="rnn")(batch.kspace, batch.mask).segmentation.min() >= 0
