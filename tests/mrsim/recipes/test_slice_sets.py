"""Named sets of slices: they lie on the planes of BrainWeb's 2x2x2 reduction, and each shows the brain."""

import numpy as np
import pytest

from mrsim.recipes.slice_sets import SLICE_SETS, slice_set
from phantoms.brainweb import BrainWeb

VOXELS = -72.25e-3 + 0.5e-3 * np.arange(362)  # [m] centres along z


def covered(position):
    """The two 0.5 mm layers that a 1 mm slice at `position` covers."""
    return np.flatnonzero(np.abs(VOXELS - position) < 0.5e-3)


@pytest.mark.parametrize(
    ("name", "first", "last"), [("seranet", -45e-3, 67e-3), ("contiguous", -10e-3, 46e-3)]
)
def test_axial_slices_lie_between_the_voxels_they_cover(name, first, last):
    positions = slice_set(name, "axial")
    assert len(positions) == 57
    assert (positions[0], positions[-1]) == pytest.approx((first, last))
    for position in positions:
        layers = covered(position)
        assert layers.size == 2 and layers[0] % 2 == 0
        assert VOXELS[layers].mean() == pytest.approx(position)


@pytest.mark.parametrize("name", ["seranet", "contiguous"])
@pytest.mark.parametrize("subject", [4, 53])
def test_each_axial_slice_of_a_real_brain_shows_grey_and_white_matter(brainweb_dir, name, subject):
    """GM above 20 cm2 and WM above 10 cm2; phantoms.md 1.5."""
    labels = BrainWeb(directory=brainweb_dir).load(subject).labels
    for position in slice_set(name, "axial"):
        layers = labels[covered(position)]
        grey, white = ((layers == label).mean(axis=0).sum() * 0.25e-6 for label in (2, 3))  # [m2]
        assert grey > 20e-4 and white > 10e-4


@pytest.mark.parametrize("name", SLICE_SETS)
def test_each_axial_slice_of_a_real_brain_shows_grey_matter(brainweb_dir, name):
    """The sets that span the whole brain, too, hold no empty slice."""
    labels = BrainWeb(directory=brainweb_dir).load(4).labels
    for position in slice_set(name, "axial"):
        assert (labels[covered(position)] == 2).mean(axis=0).sum() * 0.25e-6 > 1e-4  # [m2]
