from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrsim.sampling import (
    MASKS,
    fixed_mask,
    frame_lines,
    gaussian_lines,
    ktfocuss_lines,
    line_mask,
    radial2d,
    random2d,
)


def rng(seed=0):
    return np.random.default_rng(seed)


def is_mask(mask):
    return mask.dtype == np.float32 and np.isin(mask, (0, 1)).all()


@given(n=st.integers(1, 300), data=st.data())
def test_gaussian_lines_are_exact_in_number_and_hold_the_centre(n, data):
    n_lines = data.draw(st.integers(1, n))
    n_center = data.draw(st.integers(0, n_lines))
    sigma = data.draw(st.floats(0.05, 1000))
    mask = gaussian_lines(n, n_lines, n_center, sigma, rng(1))
    first = n // 2 - n_center // 2
    assert is_mask(mask) and mask.shape == (n,)
    assert mask.sum() == n_lines and mask[first : first + n_center].all()


@given(n=st.integers(20, 300), acceleration=st.floats(1, 20), n_center=st.integers(0, 10))
def test_ktfocuss_lines_keep_one_in_acceleration(n, acceleration, n_center):
    n_lines = int(n / acceleration + 1e-9)
    if n_center > n_lines:
        with pytest.raises(ValueError, match="n_center must lie"):
            ktfocuss_lines(n, acceleration, n_center, rng())
    else:
        assert ktfocuss_lines(n, acceleration, n_center, rng()).sum() == n_lines


def test_ktfocuss_number_of_lines_survives_the_rounding_of_the_acceleration():
    for n_lines in range(1, 169):
        assert ktfocuss_lines(168, 168 / n_lines, 0, rng()).sum() == n_lines


@settings(max_examples=40)
@given(ny=st.integers(3, 70), nx=st.integers(3, 70), share=st.floats(0, 1))
def test_radial_and_random_masks_have_exactly_the_points_asked_for(ny, nx, share):
    n_points = 1 + int(share * (ny * nx - 1))
    spokes = radial2d((ny, nx), n_points, rng())
    points = random2d((ny, nx), n_points, rng(), radius=0)
    for mask in (spokes, points):
        assert is_mask(mask) and mask.sum() == n_points
    assert points[ny // 2, nx // 2] == 1


def test_radial_mask_is_made_of_straight_spokes_through_dc():
    mask = radial2d((65, 65), 300, rng())
    ky, kx = np.nonzero(mask)
    radius = np.hypot(ky - 32, kx - 32)
    # k spokes are k angles: every sample lies within half a raster step (in each axis) of one of them
    n_spokes = next(
        n
        for n in range(1, 40)
        if all(
            np.abs(r * np.sin(np.arctan2(y - 32, x - 32) - np.pi * np.arange(n) / n)).min() <= np.sqrt(0.5)
            for y, x, r in zip(ky, kx, radius, strict=True)
        )
    )
    assert n_spokes == 5  # a full spoke holds 65 samples or a few more: five are needed for 300
    assert mask[32].sum() >= 65 and mask[32, 32] == 1


def test_random_mask_holds_the_disc_and_refuses_fewer_points():
    mask = random2d((240, 240), 2880, rng())
    ky, kx = np.mgrid[-120:120, -120:120]
    assert mask[np.hypot(ky, kx) <= 8].all()
    with pytest.raises(ValueError, match="n_points must be at least 197"):
        random2d((240, 240), 196, rng())


def test_draw_without_replacement_follows_the_weights():
    """Two of three lines; P(pair) of sequential draws in closed form, against 20 000 masks."""
    n, sigma, draws = 3, 1.0, 20_000
    w = np.exp(-((np.arange(n) - 1.5) ** 2) / 2)
    w /= w.sum()
    generator = rng(3)
    counts = sum(gaussian_lines(n, 2, 0, sigma, generator) for _ in range(draws)) / draws
    for k in range(n):
        missing = sum(
            w[i] * w[j] / (1 - w[i]) for i in range(n) for j in range(n) if k not in (i, j) and i != j
        )
        assert counts[k] == pytest.approx(1 - missing, abs=4 * np.sqrt(0.25 / draws))  # 4 SD of a proportion


@pytest.mark.parametrize("name", MASKS)
def test_density_falls_from_the_centre_outwards(name):
    generator = rng(4)
    density = sum(MASKS[name]((96, 96), 0.25, rng=generator) for _ in range(60)) / 60
    ky, kx = np.mgrid[-48:48, -48:48]
    radius = np.abs(ky) if name in ("lines", "ktfocuss") else np.hypot(ky, kx)
    rings = [density[(radius >= r) & (radius < r + 12)].mean() for r in (0, 12, 24, 36)]
    assert all(a > b for a, b in pairwise(rings)), rings


@pytest.mark.parametrize("name", MASKS)
def test_a_mask_depends_on_its_generator_alone(name):
    first, again, other = (MASKS[name]((64, 48), 0.4, rng=rng(s)) for s in (5, 5, 6))
    assert is_mask(first) and first.shape == (64, 48)
    assert np.array_equal(first, again) and not np.array_equal(first, other)


@pytest.mark.parametrize(("shape", "lines"), [((180, 216), 54), ((216, 180), 65)])
def test_line_mask_is_seranets(shape, lines):
    mask = line_mask(shape, 0.3, rng=rng())
    ny = shape[0]
    assert mask.shape == shape and np.array_equal(mask, np.repeat(mask[:, :1], shape[1], axis=1))
    assert mask[:, 0].sum() == lines and mask[ny // 2 - 8 : ny // 2 + 8].all()


def test_frames_are_drawn_afresh():
    mask = frame_lines(50, 80, 5, rng())
    assert mask.shape == (50, 80) and (mask.sum(axis=1) == 5).all()
    assert len({frame.tobytes() for frame in mask}) > 45
    positions = np.nonzero(mask)[1]
    assert positions.mean() == pytest.approx(40, abs=4 * (80 / 6) / np.sqrt(250))


def test_fixed_mask_is_pinned_to_subject_slice_and_rate():
    mask = fixed_mask((180, 216), 0.3, subject=52, slice_index=17)
    # stored results name their masks by (subject, slice, rate): these lines may never change
    assert np.flatnonzero(mask[:, 0])[:6].tolist() == [18, 34, 37, 51, 55, 59]
    others = [
        fixed_mask((180, 216), rate, subject=s, slice_index=i)
        for s, i, rate in ((53, 17, 0.3), (52, 18, 0.3), (52, 17, 0.31))
    ]
    assert not any(np.array_equal(mask, other) for other in others)
    assert fixed_mask((180, 216), 0.3, subject=52, slice_index=17, n_center=8)[:, 0].sum() == 54


def test_bad_masks_are_refused_by_name():
    with pytest.raises(ValueError, match=r"rate must lie in \(0, 1\], got 1.5"):
        line_mask((180, 216), 1.5, rng=rng())
    with pytest.raises(ValueError, match=r"n_lines must lie in 1 to 180.*got 181"):
        gaussian_lines(180, 181, 16, 30, rng())
    with pytest.raises(ValueError, match="sigma must be positive"):
        gaussian_lines(180, 54, 16, 0, rng())
    with pytest.raises(ValueError, match="did you mean 'radial'"):
        fixed_mask((64, 64), 0.3, subject=1, slice_index=1, pattern="radail")
