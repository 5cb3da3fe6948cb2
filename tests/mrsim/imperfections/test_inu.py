"""Intensity non-uniformity: a cubic of position, 0.9 to 1.1 over the brain at 20 %, before noise."""

import numpy as np
import pytest

from mrsim.imperfections.inu import EXPONENTS, brain_field, draw_coefficients, field_at, field_of_image
from mrsim.imperfections.noise import noise_sigma
from mrsim.store import StoreError, open_store
from tests.stores import write_test_store


def brain(origin=(0.0, 0.0, 0.0)):
    """An ellipsoid of 2 mm voxels, and the affine that puts it around `origin` [m]."""
    shape = (20, 36, 30)  # z, y, x
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    affine = np.diag([2e-3, 2e-3, 2e-3, 1.0])
    affine[:3, 3] = np.array(origin) - 1e-3 * (np.array(shape[::-1]) - 1)
    return x**2 + y**2 + z**2 < 0.9, affine


def points(inside, affine):
    z, y, x = np.nonzero(inside)
    return affine[:3, :3] @ np.stack([x, y, z]) + affine[:3, 3:]


@pytest.mark.parametrize("seed", range(4))
def test_the_range_over_the_brain_is_that_of_the_level(seed):
    inside, affine = brain()
    terms = brain_field(draw_coefficients(np.random.default_rng(seed), 1)[0], inside, affine)
    g = field_at(terms, points(inside, affine))
    assert (g.min(), g.max()) == (pytest.approx(-1, abs=1e-12), pytest.approx(1, abs=1e-12))


def test_the_field_is_a_cubic_in_every_direction():
    """The fourth difference of a cubic vanishes, its third does not."""
    inside, affine = brain()
    terms = brain_field(draw_coefficients(np.random.default_rng(1), 1)[0], inside, affine)
    assert len(EXPONENTS) == 20
    along = np.random.default_rng(2).standard_normal((3, 1)) * 0.01 * np.arange(5.0)
    values = field_at(terms, along)
    assert abs(np.diff(values, 4)[0]) < 1e-10 < 1e-4 < abs(np.diff(values, 3)[0])


def test_the_field_moves_with_the_head():
    inside, here = brain()
    _, there = brain(origin=(0.4, -0.7, 1.1))
    coefficients = draw_coefficients(np.random.default_rng(3), 1)[0]
    np.testing.assert_allclose(
        field_at(brain_field(coefficients, inside, here), points(inside, here)),
        field_at(brain_field(coefficients, inside, there), points(inside, there)),
        atol=1e-9,
    )


def test_levels_scale_and_impossible_ones_are_refused():
    inside, affine = brain()
    terms = brain_field(draw_coefficients(np.random.default_rng(4), 1)[0], inside, affine)
    fields = [
        field_of_image(terms, np.diag([1e-3, 1e-3, 1e-3, 1]), (8, 10), level) - 1 for level in (0.2, 0.4)
    ]
    np.testing.assert_allclose(2 * fields[0], fields[1])
    for level in (-0.1, 2.0):
        with pytest.raises(ValueError, match=r"level of the INU must lie in \[0, 2\)"):
            field_of_image(terms, np.eye(4), (8, 10), level)
    with pytest.raises(ValueError, match="voxels of the brain, got none"):
        brain_field(terms[4:], np.zeros((4, 4, 4), bool), affine)


def test_a_case_is_multiplied_in_each_contrast_by_its_own_field_and_noise_comes_after(tmp_path):
    store = open_store(write_test_store(tmp_path / "a.zarr", contrasts=("T1", "PD"), n_coils=2, inu=True))
    case = store.case(4)
    biased = case.biased(0.4)
    brain = case.labels > 0
    ratio = (np.abs(biased.image) / np.maximum(np.abs(case.image), 1e-9))[:, brain]
    y, x = np.indices(store.shape)
    ras = np.einsum("ij,j...->i...", case.affine[:3], np.stack([x, y, 0 * x, 0 * x + 1]))
    for i in range(2):
        np.testing.assert_allclose(ratio[i], 1 + 0.2 * field_at(case.inu[i], ras)[brain], atol=2e-5)
    assert np.abs(ratio[0] - ratio[1]).max() > 1e-3
    np.testing.assert_array_equal(case.contrast("PD").biased(0.4).kspace, biased.kspace[1])
    noise = biased.noisy(0.1, reference="max") - biased.kspace
    sigma = noise_sigma(biased.kspace[0], 0.1, reference="max")
    assert noise[0].real.std() == pytest.approx(sigma, rel=0.06)  # 2560 samples: 1.4 %
    assert case.biased(0) is case


def test_what_cannot_be_biased_says_so(tmp_path):
    case = open_store(write_test_store(tmp_path / "a.zarr")).case(0)
    with pytest.raises(StoreError, match="case 0 has no non-uniformity fields; generate the data set again"):
        case.biased(0.2)
