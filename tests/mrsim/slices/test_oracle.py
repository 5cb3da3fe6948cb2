from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrsim.slices.oracle import class_fractions, oracle_labels, tissue_labels, to_bytes
from mrsim.slices.plane import AXES, SlicePlane, centred_plane
from phantoms.phantom import BRAIN_ORACLE
from tests.mrsim.phantoms import phantom_of


def phantom(labels, spacing=0.5e-3, start=(-90.25e-3, -126.25e-3, -72.25e-3)):
    return phantom_of(labels, spacing, start)


@pytest.fixture(scope="module")
def layers():
    """Two layers of the BrainWeb grid, 0.5 mm, of random tissue: z from -72.5 to -71.5 mm."""
    return phantom(np.random.default_rng(0).integers(0, 12, (2, 434, 362), dtype=np.uint8))


def test_brainweb_pixels_are_the_2x2x2_blocks(layers):
    plane = centred_plane(layers, "axial", -72e-3, (0.180, 0.216), (180, 216), 1e-3)
    fractions = class_fractions(layers, plane)
    blocks = layers.labels[:, :432, :360].reshape(2, 216, 2, 180, 2)
    for label in range(12):
        assert np.array_equal(fractions[label], (blocks == label).sum(axis=(0, 2, 4)).T / 8)


@pytest.mark.parametrize("orientation", AXES)
def test_fractions_are_exact_overlaps_on_any_grid(orientation):
    """Rational arithmetic over all voxels: pixels of 7/10 and 13/10, a slice of 8/5, partly off it."""
    labels = np.random.default_rng(1).integers(0, 12, (5, 6, 7), dtype=np.uint8)
    tissue = phantom(labels, spacing=1.0, start=(0.5, 0.5, 0.5))  # faces at whole numbers
    plane = SlicePlane(
        orientation=orientation, centre=(3.1, 3.1, 2.2), fov=(7 * 0.7, 6 * 1.3), matrix=(7, 6), thickness=1.6
    )
    fractions = class_fractions(tissue, plane)
    size = (Fraction(13, 10), Fraction(7, 10), Fraction(8, 5))
    centre = [(Fraction(31, 10), Fraction(31, 10), Fraction(22, 10))[axis] for axis in plane.axes]
    for iy, ix in ((0, 0), (3, 2), (6, 5), (1, 4)):
        middle = (centre[0] + (ix - 3) * size[0], centre[1] + (iy - 3) * size[1], centre[2])
        share = [Fraction(0)] * 12
        for voxel in np.ndindex(labels.shape):
            volume = Fraction(1)
            for i, axis in enumerate(plane.axes):
                v = voxel[2 - axis]
                volume *= max(0, min(v + 1, middle[i] + size[i] / 2) - max(v, middle[i] - size[i] / 2))
            share[labels[voxel]] += volume / (size[0] * size[1] * size[2])
        share[0] += 1 - sum(share)
        assert fractions[:, iy, ix] == pytest.approx([float(s) for s in share], abs=1e-6)


def test_what_lies_beyond_the_phantom_is_air(layers):
    plane = SlicePlane(centre=(0, 0, -71.5e-3), fov=(0.4, 0.4), matrix=(100, 100), thickness=2e-3)
    fractions = class_fractions(layers, plane)
    assert fractions.sum(axis=0) == pytest.approx(1, abs=1e-6)
    assert (fractions[0, 0] == 1).all() and fractions[
        0, 50, 50
    ] >= 0.5  # half of the slice is above the layers


@pytest.mark.parametrize("ratio", [2, 3, 6])
def test_labels_are_the_majority_with_ties_to_white_matter_first(ratio):
    rng = np.random.default_rng(ratio)
    labels = rng.integers(0, 5, (ratio, 12 * ratio, 10 * ratio), dtype=np.uint8)
    tissue = phantom(labels, spacing=1e-3, start=(0, 0, 0))
    plane = centred_plane(
        tissue, "axial", (ratio - 1) / 2 * 1e-3, (10e-3 * ratio, 12e-3 * ratio), (10, 12), 1e-3 * ratio
    )
    fractions = class_fractions(tissue, plane)
    found, soft = oracle_labels(fractions, BRAIN_ORACLE)
    tissues = tissue_labels(fractions, BRAIN_ORACLE)
    ties = 0
    for y, x in np.ndindex(10, 12):
        block = labels[:, x * ratio : (x + 1) * ratio, y * ratio : (y + 1) * ratio]
        count = np.bincount(block.ravel(), minlength=12)
        merged = {3: count[3], 2: count[2], 1: count[1], 0: count[0] + count[4:].sum()}  # priority order
        ties += sorted(merged.values())[-1] == sorted(merged.values())[-2]
        assert found[y, x] == max(merged, key=merged.get)  # the first of equals
        assert tissues[y, x] == max((3, 2, 1, 0, 4), key=lambda c: count[c])
        assert abs(soft[:, y, x] / 255 - [merged[c] / ratio**3 for c in range(4)]).max() < 1 / 255
    assert ties > 0 or ratio == 6


def test_rounding_of_many_small_shares_does_not_break_a_tie():
    fractions = np.zeros((12, 1, 1), dtype=np.float32)
    fractions[3], fractions[4:9] = 0.5, 0.1  # five float32 tenths add up to a little more than a half
    labels, soft = oracle_labels(fractions, BRAIN_ORACLE)
    assert labels[0, 0] == 3 and sorted(soft[:, 0, 0]) == [0, 0, 127, 128]


@settings(max_examples=50)
@given(st.lists(st.integers(0, 1000), min_size=2, max_size=12).filter(any))
def test_soft_labels_sum_to_255_and_keep_every_share(counts):
    shares = np.array(counts, dtype=float)[:, None, None] / sum(counts)
    soft = to_bytes(shares)
    assert soft.sum() == 255
    assert abs(soft / 255.0 - shares).max() < 1 / 255 + 1e-6
    assert to_bytes(np.eye(4)[:, :, None]).tolist() == (255 * np.eye(4)[:, :, None]).tolist()
