"""Syn-net and LI-net, for images and for series of frames."""

import pytest
import torch
from torch.nn import functional

from segnets.blocks.fourier import to_image
from segnets.data import undersample
from tests.segnets.models.small import as_kspace, count, noise_batch, run_stage, small


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 7_702_596),
        ({"dims": 3}, 5_431_460),
        ({"dims": 3, "width": 16}, 1_359_444),
        ({"dims": 3, "width": 64}, 21_713_220),
    ],
)
def test_syn_net_has_the_published_number_of_weights(options, expected):
    assert count("syn-net", **options) == expected


@pytest.mark.parametrize(
    ("options", "predictor", "label_encoder", "decoder"),
    [
        ({"dims": 3, "ny": 208, "nx": 168}, 57_195_024, 57_196_752, 55_065_700),
        ({"dims": 3, "ny": 80, "nx": 80}, 13_351_440, 13_353_168, 11_179_300),
        ({"ny": 180, "nx": 216}, 14_872_336, 14_873_488, 12_432_916),
    ],
)
def test_li_net_has_the_published_number_of_weights(options, predictor, label_encoder, decoder):
    assert count("li-net", "predictor", **options) == predictor
    assert count("li-net", "label_encoder", **options) == label_encoder
    assert count("li-net", "decoder", **options) == decoder


def test_syn_net_of_images_is_the_u_net_of_one_step():
    syn, one = small("syn-net", aux_recon=False).eval(), small("one-step").eval()
    names = zip(syn.state_dict(), one.state_dict(), strict=True)  # both in the order of the layers
    one.load_state_dict({theirs: syn.state_dict()[ours] for ours, theirs in names})
    batch = noise_batch((30, 37))
    with torch.no_grad():
        ours, theirs = (m(batch.kspace, batch.mask).segmentation for m in (syn, one))
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("name", ["syn-net", "li-net"])
@pytest.mark.parametrize("n_frames", [1, 2, 7])
def test_series_of_any_number_of_frames(name, n_frames):
    options = {"aux_recon": False} if name == "syn-net" else {}
    model = small(name, (24, 20), dims=3, width=2, **options).eval()
    kspace = torch.randn(1, 2, n_frames, 24, 20)
    with torch.no_grad():
        output = model(kspace, torch.ones(1, 1, n_frames, 24, 1))
    assert output.segmentation.shape == (1, 4, n_frames, 24, 20)


def test_frames_are_transformed_one_by_one_and_pooled_in_space_only():
    model = small("syn-net", dims=3, width=2, aux_recon=False).eval()
    kspace = torch.randn(1, 2, 5, 16, 24)
    with torch.no_grad():
        whole = model(kspace, kspace[:, :1])
        assert model.latent(kspace).shape == (1, 16, 5, 2, 3)
    k = torch.complex(kspace[:, 0], kspace[:, 1])[:, 3]
    x = torch.fft.fftshift(torch.fft.ifft2(torch.fft.ifftshift(k, dim=(-2, -1)), norm="ortho"), dim=(-2, -1))
    torch.testing.assert_close(whole.image[:, 0, 3], x.real)


@pytest.mark.parametrize("circular", [True, False])
def test_circular_syn_net_knows_no_first_frame(circular):
    """A beat that begins with another frame has the same classes, beginning with that frame."""
    model = small("syn-net", dims=3, width=2, aux_recon=False, circular=circular).eval()
    kspace = torch.randn(1, 2, 7, 16, 24)
    with torch.no_grad():
        there, here = (model(k, k[:, :1]).segmentation for k in (kspace, kspace.roll(3, dims=2)))
    assert torch.allclose(here, there.roll(3, dims=2), atol=1e-5) == circular
    assert count("syn-net", dims=3, circular=circular) == 5_431_460


def test_syn_net_may_also_learn_the_image():
    model, batch = small("syn-net", aux_recon=True), noise_batch()
    output, loss = run_stage(model, type(model).stages[0], batch)
    ce = functional.cross_entropy(output.segmentation, batch.labels).item()
    l2 = ((output.image - batch.image) ** 2).mean().item()
    assert loss.item() == pytest.approx(ce + l2, rel=1e-5)
    assert not torch.equal(output.image, model.eval()(batch.kspace, batch.mask).image)


def test_li_net_refuses_another_size_in_a_sentence():
    batch = noise_batch((32, 48))
    with pytest.raises(ValueError, match=r"image must be 32 x 40, got \(32, 48\)"):
        small("li-net", (32, 40))(batch.kspace, batch.mask)


@pytest.mark.parametrize("squared", [False, True])
def test_li_net_loss_is_equation_2(squared):
    model, batch = small("li-net", squared=squared).eval(), noise_batch()
    output, loss = run_stage(model, type(model).stages[1], batch)
    with torch.no_grad():
        onehot = functional.one_hot(batch.labels, 4).permute(0, 3, 1, 2).float()
        h, u, x = (
            model.label_encoder(onehot),
            model.predictor(to_image(batch.kspace)),
            model.predictor(batch.image / batch.image.norm(dim=1).amax(dim=(1, 2))[:, None, None, None]),
        )

        def norm(a):
            squares = a.square().sum(dim=1)
            return (squares if squared else squares.sqrt()).mean().item()

        ce = functional.cross_entropy(model.decoder(u, 1), batch.labels).item()
    assert loss.item() == pytest.approx(norm(h - u) + norm(h - x) + 1e-4 * norm(x - u) + 10 * ce, rel=1e-5)
    answer = model(batch.kspace, batch.mask).segmentation
    torch.testing.assert_close(output.segmentation, answer, atol=1e-5, rtol=0)


@torch.no_grad()
def test_li_net_code_of_the_full_image_does_not_hang_on_the_mask():
    """Equation 2 compares with Pi(x): what the network says of x when nothing else is known of the scan."""
    model, batch = small("li-net").eval(), noise_batch()
    full = undersample(as_kspace(batch.image), torch.ones_like(batch.mask), batch.labels, batch.index)
    codes = model.match(batch.kspace, batch.image, batch.labels).codes
    torch.testing.assert_close(codes[2], model.latent(full.kspace), atol=1e-5, rtol=1e-4)


def test_li_net_has_a_gradient_where_the_data_are_fully_sampled():
    """Its curriculum begins there, and the distance |Pi(x) - Pi(u)| of equal codes has a corner."""
    model, batch = small("li-net"), noise_batch()
    model.begin(type(model).stages[1])
    full = undersample(as_kspace(batch.image), torch.ones_like(batch.mask), batch.labels, batch.index)
    output, loss = run_stage(model, type(model).stages[1], full)
    loss.backward()
    assert all(p.grad.isfinite().all() for p in model.predictor.parameters())
    code = output.codes[1].detach().requires_grad_()
    model.distance(code, code).backward()
    assert not code.grad.any()
