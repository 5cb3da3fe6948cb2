"""SemuNet and what it is compared with: LOUPE, LOUPE-Seg, Baseline, Liu et al.; the sampling patterns."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from segnets.blocks.fourier import to_image
from segnets.blocks.sampling_pattern import FixedPattern, SampNet
from segnets.models import build_model
from tests.segnets.models.small import count, noise_batch, run_stage, sampled, small


@pytest.mark.parametrize(
    ("name", "part", "options", "expected"),
    [
        ("semunet", "sampling", {}, 57_600),
        ("semunet", "recon", {}, 31_042_945),
        ("semunet", "segmenter", {"n_classes": 8}, 31_042_824),
        ("semunet", "recon", {"width": 32}, 7_765_697),
        ("semunet", "segmenter", {"n_classes": 8, "width": 32}, 7_765_640),
        ("loupe", "sampling", {}, 57_600),
        ("loupe", "recon", {}, 31_390_145),
        ("loupe", "recon", {"width": 32}, 7_852_257),
        ("loupe", "recon", {"recon": "semunet"}, 31_042_945),
        ("loupe-seg", "segmenter", {"n_classes": 8}, 31_042_824),
        ("baseline", "sampling", {}, 0),
        ("baseline", "recon", {}, 31_042_945),
        ("liu", "segmenter", {"n_classes": 8}, 31_042_824),
    ],
)
def test_published_number_of_weights(name, part, options, expected):
    assert count(name, part, **options) == expected


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.2, 0.7])
@pytest.mark.parametrize("shift", [-2.0, 0.0, 1.0])
def test_mean_probability_is_the_rate(rate, shift):
    net = SampNet((40, 30), rate)
    with torch.no_grad():
        net.parameter += shift
    p = net.probability()
    assert p.double().mean().item() == pytest.approx(rate, abs=1e-6)
    assert 0 <= p.min() and p.max() <= 1


def test_a_pattern_is_drawn_for_each_sample_as_often_as_its_probability_says():
    torch.manual_seed(0)
    net = SampNet((16, 12), 0.3)
    m = net.draw(4000)
    assert not torch.equal(m[0], m[1])
    # E sigmoid(12 (p - U)) = (log(1 + e^(12 p)) - log(1 + e^(12 (p - 1)))) / 12; five standard errors of 0.5
    p = net.probability()[0, 0]
    expected = (functional.softplus(12 * p) - functional.softplus(12 * (p - 1))) / 12
    torch.testing.assert_close(m.mean(dim=0)[0], expected, atol=5 * 0.5 / 4000**0.5, rtol=0)


def test_every_location_learns_where_the_pattern_is_not_saturated():
    torch.manual_seed(0)
    net = SampNet((16, 12), 0.3)
    net.draw(8).square().sum().backward()
    assert (net.parameter.grad != 0).all()


@pytest.mark.parametrize(("rate", "n"), [(0.2, 11_520), (0.1, 5_760), (0.05, 2_880)])
def test_binary_pattern_has_exactly_the_most_probable_locations(rate, n):
    net = SampNet((240, 240), rate)
    t = net.pattern()
    assert t.sum() == n and set(t.unique().tolist()) == {0.0, 1.0}
    p = net.probability()
    assert p[t == 1].min() >= p[t == 0].max()
    with torch.no_grad():
        net.parameter.zero_()  # all alike: the first ones
    assert torch.equal(net.pattern().flatten().nonzero().flatten(), torch.arange(n))


def test_a_frozen_sampnet_samples_the_binary_pattern():
    model, batch = small("semunet"), noise_batch()
    joint, fine = type(model).stages
    model.begin(joint)
    drawn = model.sampling(batch.kspace).mask
    assert drawn.shape == (2, 1, 32, 40) and 0 < ((drawn > 0.1) & (drawn < 0.9)).float().mean()
    model.begin(fine)
    assert model.recon.training
    k, fixed, scale = model.sampling(batch.kspace)
    assert torch.equal(fixed, model.sampling.pattern())
    torch.testing.assert_close(k * scale, batch.kspace * fixed)
    assert to_image(k).square().sum(dim=1).amax(dim=(1, 2)).sqrt() == pytest.approx([1, 1], rel=1e-5)
    model.eval()
    assert torch.equal(model.sampling(batch.kspace).mask, fixed)


@pytest.mark.parametrize("name", ["semunet", "loupe", "loupe-seg", "baseline", "liu", "md-recon-net"])
def test_a_network_that_samples_by_itself_knows_nothing_of_what_it_did_not_sample(name):
    options = {"pattern": "radial", "rate": 0.3} if name == "md-recon-net" else {}
    model, batch = small(name, **options).eval(), noise_batch()
    pattern = model.pattern()
    assert 0.2 < pattern.mean() < 0.4
    other = torch.where(pattern.bool(), batch.kspace, 100 * torch.randn_like(batch.kspace))
    with torch.no_grad():
        a, b = (model(k, batch.mask) for k in (batch.kspace, other))
        double = model(2 * batch.kspace, batch.mask)
    assert all(torch.equal(x, y) for x, y in zip(a.logits + a.images, b.logits + b.images, strict=True))
    torch.testing.assert_close(double.image, 2 * a.image)  # and it does not matter in which units that is
    assert all(torch.equal(x, y) for x, y in zip(a.logits, double.logits, strict=True))


@pytest.mark.parametrize("name", ["baseline", "liu"])
def test_a_given_mask_does_what_the_same_pattern_of_its_own_does(name):
    own, given = small(name).eval(), small(name, pattern="given").eval()
    assert given.pattern() is None and not given.config.samples_itself
    given.load_state_dict(own.state_dict(), strict=False)
    batch = noise_batch()
    a, b = own(batch.kspace, batch.mask), given(batch.kspace, own.pattern())
    assert torch.equal(a.segmentation, b.segmentation) and torch.equal(a.image, b.image)


@pytest.mark.parametrize("pattern", ["radial", "random"])
def test_fixed_pattern_stays_with_its_seed_and_in_the_checkpoint(pattern):
    a, b, other = (FixedPattern((48, 40), 0.25, pattern, seed) for seed in (0, 0, 1))
    assert a.mask.sum() == 480 and torch.equal(a.mask, b.mask) and not torch.equal(a.mask, other.mask)
    assert a.mask[0, 0, 24, 20] == 1
    other.load_state_dict(a.state_dict())
    assert torch.equal(a.pattern(), other.pattern())


@pytest.mark.parametrize("name", ["semunet", "loupe", "baseline", "liu", "loupe-seg"])
def test_another_size_is_refused_in_a_sentence(name):
    batch = noise_batch((32, 48))
    with pytest.raises(ValueError, match=r"image must be 32 x 40, got \(32, 48\)"):
        small(name, (32, 40))(batch.kspace, batch.mask)


@pytest.mark.parametrize("divide", [True, False])
def test_loss_is_equation_7(divide):
    model = small("semunet", divide_by_classes=divide).eval()
    batch = sampled(model, noise_batch())
    output, loss = run_stage(model, type(model).stages[0], batch)
    l1 = (output.image[:, 0] - batch.image.square().sum(dim=1).sqrt()).abs().mean().item()
    log_p = output.segmentation.log_softmax(dim=1).detach().numpy()
    truth = np.take_along_axis(log_p, batch.labels.numpy()[:, None], axis=1)  # t_c,n ln p_c,n
    per_pixel = truth.sum() / truth.size
    assert loss.item() == pytest.approx(l1 - 0.1 * per_pixel / (4 if divide else 1), rel=1e-5)


def test_network_corrects_the_zero_filled_magnitude_or_makes_the_image():
    for residual in (True, False):
        model, batch = small("baseline", residual=residual).eval(), noise_batch()
        torch.nn.init.zeros_(model.recon.unet.head.weight)
        image = model(batch.kspace, batch.mask).image
        k = torch.complex(batch.kspace[:, 0], batch.kspace[:, 1]) * model.sampling.mask[:, 0]
        x = torch.fft.ifft2(torch.fft.ifftshift(k, dim=(-2, -1)), norm="ortho")
        expected = torch.fft.fftshift(x, dim=(-2, -1)).abs() if residual else torch.zeros(2, 32, 40)
        torch.testing.assert_close(image[:, 0], expected, atol=1e-6, rtol=0)
        assert not image[:, 1].any()


def test_liu_learns_through_a_segmenter_that_stands_still():
    model = small("liu")
    batch = sampled(model, noise_batch())
    model.begin(type(model).stages[1])
    before = {k: v.clone() for k, v in model.segmenter.state_dict().items()}
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(3):
        run_stage(model, type(model).stages[1], batch)[1].backward()
        optimiser.step()
    assert all(torch.equal(before[k], v) for k, v in model.segmenter.state_dict().items())
    # the cross-entropy alone moves the reconstruction
    optimiser.zero_grad()
    output = model(batch.kspace, batch.mask)
    functional.cross_entropy(output.segmentation, batch.labels).backward()
    assert model.recon.unet.head.weight.grad.abs().max() > 0


def test_mask_may_learn_faster():
    model = build_model("semunet", {"width": 1, "ny": 16, "nx": 16, "mask_lr": 10.0})
    factors = {name: model.lr_factor(name) for name, _ in model.named_parameters()}
    assert factors.pop("sampling.parameter") == 10 and set(factors.values()) == {1.0}
