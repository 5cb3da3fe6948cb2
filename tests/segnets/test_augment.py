"""Moving slices: against whole-pixel moves, closed-form Gaussians, and the rules of the Fourier transform."""

import math

import numpy as np
import pytest
import torch

from segnets.augment import Affine, resample
from segnets.blocks.fourier import centred_fft2, centred_ifft2
from segnets.data import Cases, levels_to_read, undersample
from segnets.masks import Lines
from segnets.undersampling import Undersampling

SHAPE = (48, 56)


class Fixed(Affine):
    """A movement that is not drawn."""

    def __new__(cls, *_, **__):
        return object.__new__(cls)

    def draw(self, n, generator):  # noqa: ARG002
        angle, size, (y, x) = FIXED["angle"], FIXED["size"], FIXED["shift"]
        cos, sin = math.cos(angle) / size, math.sin(angle) / size
        back = torch.tensor([[cos, sin], [-sin, cos]])
        return torch.cat((back, -back @ torch.tensor([[y], [x]])), dim=1).expand(n, 2, 3)


FIXED = {}


def moved(kspace, labels, *, angle=0.0, size=1.0, shift=(0.0, 0.0)):
    FIXED.update(angle=angle, size=size, shift=shift)
    return Fixed().move(kspace, labels, torch.Generator())


def ellipse(shape, *, angle=0.0, size=1.0, centre=(0.0, 0.0), sigma=(4.0, 7.0)):
    """(y, x) a Gaussian with its axes turned by `angle`, counted from n // 2."""
    y, x = (torch.arange(n, dtype=torch.float64) - n // 2 for n in shape)
    y, x = torch.meshgrid(y - centre[0], x - centre[1], indexing="ij")
    cos, sin = math.cos(angle), math.sin(angle)
    u, v = (cos * y + sin * x) / size, (-sin * y + cos * x) / size
    return torch.exp(-(u**2) / (2 * sigma[0] ** 2) - v**2 / (2 * sigma[1] ** 2)).to(torch.complex64)


def test_moves_by_whole_pixels_and_right_angles_are_exact():
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.standard_normal((1, 33, 33)) + 1j * rng.standard_normal((1, 33, 33)))
    image, labels = (
        image.to(torch.complex64),
        torch.from_numpy(rng.integers(4, size=(1, 33, 33), dtype=np.uint8)),
    )
    kspace, turned = moved(centred_fft2(image), labels, angle=math.pi / 2)
    torch.testing.assert_close(centred_ifft2(kspace), torch.rot90(image, 1, (1, 2)), atol=1e-4, rtol=0)
    assert torch.equal(turned, torch.rot90(labels, 1, (1, 2)))
    kspace, shifted = moved(centred_fft2(image), labels, shift=(3.0, -5.0))
    inside = (slice(None), slice(3, None), slice(None, -5))
    was = (slice(None), slice(None, -3), slice(5, None))
    torch.testing.assert_close(centred_ifft2(kspace)[inside], image[was], atol=1e-4, rtol=0)
    assert torch.equal(shifted[inside], labels[was])
    assert not shifted[:, :3].any() and not shifted[:, :, -5:].any()  # from outside comes background


@pytest.mark.parametrize(
    "how",
    [
        {"angle": 0.3},
        {"size": 1.1},
        {"shift": (3.3, -2.6)},
        {"angle": -0.25, "size": 0.9, "shift": (-4.2, 1.7)},
    ],
)
def test_image_and_kspace_move_as_the_gaussian_that_they_are(how):
    """torch's cubic convolution (a = -0.75) is good to 0.8 % of a Gaussian of 4 pixels."""
    image, labels = ellipse(SHAPE)[None], torch.zeros(1, *SHAPE, dtype=torch.uint8)
    kspace, _ = moved(centred_fft2(image), labels, **how)
    there = {"angle": how.get("angle", 0.0), "size": how.get("size", 1.0), "centre": how.get("shift", (0, 0))}
    expected = ellipse(SHAPE, **there)
    assert (centred_ifft2(kspace)[0] - expected).abs().max() < 1e-2
    # the same in k-space, in closed form: turned with the image, shrunk as it grows, with a phase ramp
    ky, kx = (torch.arange(n, dtype=torch.float64) - n // 2 for n in SHAPE)
    ky, kx = torch.meshgrid(ky / SHAPE[0], kx / SHAPE[1], indexing="ij")
    cos, sin, size, (y, x) = (
        math.cos(there["angle"]),
        math.sin(there["angle"]),
        there["size"],
        there["centre"],
    )
    u, v = size * (cos * ky + sin * kx), size * (-sin * ky + cos * kx)
    area = size**2 * 2 * math.pi * 4 * 7 / math.sqrt(SHAPE[0] * SHAPE[1])
    bell = area * torch.exp(-2 * math.pi**2 * ((4 * u) ** 2 + (7 * v) ** 2))
    expected = bell * torch.exp(-2j * math.pi * (ky * y + kx * x))
    assert (kspace[0] - expected).abs().max() < 1e-2 * area


def test_labels_move_with_the_image():
    """Where the image is a smooth function of place, the class that it defines is where the labels are."""
    image = torch.stack([ellipse(SHAPE), 2 * ellipse(SHAPE)])  # two contrasts of one slice
    labels = (image[0].abs() > 0.4).to(torch.uint8)
    how = {"angle": 0.2, "size": 1.05, "shift": (2.5, 3.5)}
    kspace, turned = moved(centred_fft2(image[None]), labels[None], **how)
    both = centred_ifft2(kspace)[0].abs()
    torch.testing.assert_close(both[1], 2 * both[0], atol=1e-5, rtol=0)
    sure = (both[0] - 0.4).abs() > 0.08  # more than the gradient times half a pixel's diagonal
    assert torch.equal((both[0] > 0.4)[sure], turned[0][sure] == 1)
    area = math.pi * 4 * 7 * 2 * math.log(1 / 0.4) * 1.05**2  # of the ellipse where a Gaussian is above 0.4
    assert turned.sum() == pytest.approx(area, rel=0.03)  # a pixel here and there on the rim


def test_draws_fill_their_ranges_and_repeat_with_the_seed():
    widest = Affine(rotation=0.26, zoom=0.1, shift=10.0)
    draw = lambda seed: widest.draw(4000, torch.Generator().manual_seed(seed))  # noqa: E731
    back = draw(0)
    assert torch.equal(back, draw(0)) and not torch.equal(back, draw(1))
    size = torch.linalg.det(back[:, :, :2]).rsqrt()
    angle = torch.atan2(back[:, 0, 1], back[:, 0, 0])
    shift = -torch.linalg.solve(back[:, :, :2], back[:, :, 2])
    for values, middle, half in (
        (size, 1, 0.1),
        (angle, 0, 0.26),
        (shift[:, 0], 0, 10),
        (shift[:, 1], 0, 10),
    ):
        assert (values - middle).abs().max() <= half * 1.0001
        # an even distribution has a standard deviation of half / sqrt 3, known here to 2 %
        assert values.std() == pytest.approx(half / math.sqrt(3), rel=0.05)
        assert values.mean() == pytest.approx(middle, abs=0.05 * half)
    assert abs(np.corrcoef(angle, size)[0, 1]) < 0.06


def test_noise_is_added_after_the_move_and_stays_white():
    """A moved image of noise would be correlated from pixel to pixel, and weaker than that of the test."""
    generator = torch.Generator().manual_seed(0)
    clean = centred_fft2(ellipse(SHAPE))[None].expand(8, -1, -1)
    noise = 0.3 * torch.randn(8, *SHAPE, dtype=torch.complex64, generator=generator)
    cases = Cases(
        torch.stack((clean, clean + noise)), torch.zeros(8, *SHAPE, dtype=torch.uint8), torch.arange(8)
    )
    widest = Affine(rotation=0.3, zoom=0.1, shift=5.0)
    assert levels_to_read((0.1,), widest) == (0.0, 0.1) and levels_to_read((0.1,), None) == (0.1,)
    assert levels_to_read((0.0,), widest) == (0.0,)
    all_lines = {"rate": (1.0,), "lines": Lines(n_ky=SHAPE[0], n_center=0), "affine": widest}
    batch = Undersampling(**all_lines, clean=True).draw(cases, torch.Generator().manual_seed(1))
    still = Undersampling(**all_lines).draw(
        Cases(cases.kspace[:1], cases.labels, cases.index), torch.Generator().manual_seed(1)
    )
    added = (batch.kspace * batch.scale[..., None, None]) - (still.kspace * still.scale[..., None, None])
    torch.testing.assert_close(torch.complex(added[:, 0], added[:, 1]), noise, atol=1e-4, rtol=0)
    plain = undersample(clean, batch.mask, batch.labels, batch.index)
    assert (still.image - plain.image).abs().amax(dim=(1, 2, 3)).min() > 0.05  # every slice has moved


def test_resampling_by_nothing_changes_nothing():
    image = torch.randn(2, 3, *SHAPE, generator=torch.Generator().manual_seed(0))
    stay = torch.eye(2, 3).expand(2, 2, 3)
    for mode in ("bicubic", "nearest"):
        torch.testing.assert_close(resample(image, stay, mode), image, atol=1e-4, rtol=0)
