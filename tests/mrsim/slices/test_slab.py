from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrsim.fields import FieldMap
from mrsim.slices.plane import AXES, SlicePlane
from mrsim.slices.slab import slab_spins
from tests.mrsim.phantoms import phantom_of

SPACING = np.array((1.0e-3, 1.5e-3, 2.0e-3))  # x, y, z
START = np.array((-5e-3, 3e-3, -7e-3))


@pytest.fixture(scope="module")
def block():
    """Random tissues on an anisotropic grid off the origin, with an off-resonance of its own."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 12, (9, 11, 13), dtype=np.uint8)
    freq = rng.normal(size=labels.shape).astype(np.float32)
    return phantom_of(labels, SPACING, START, freq)


def plane_of(orientation, centre=(0.5e-3, 8e-3, 1.1e-3), **change):
    size = {
        "fov": (0.12, 0.12),
        "matrix": (20, 20),
        "thickness": 8e-3,
        **change,
    }  # pixels of 6 mm: whole voxels
    return SlicePlane(orientation=orientation, centre=centre, **size)


def brute_force(phantom, plane, reach):
    """Every voxel on its own: (x, y, z, tissue, freq) of those with signal inside the slab."""
    spins = []
    for z, y, x in np.ndindex(phantom.labels.shape):
        label = phantom.labels[z, y, x]
        tissue = phantom.tissues.tissues[label]
        where = plane.coordinates(START + SPACING * (x, y, z))
        if tissue.pd > 0 and abs(where[2]) <= reach * plane.thickness:
            freq = phantom.freq[z, y, x] + tissue.chemical_shift * 42.577478518e6 * 1.5
            spins.append((*where, label, freq))
    return np.array(sorted(spins))


@pytest.mark.parametrize("orientation", AXES)
def test_slab_holds_the_voxels_that_a_loop_finds(block, orientation):
    plane = plane_of(orientation)
    spins = slab_spins(block, plane, reach=0.4)
    rows = np.column_stack((*spins.position, spins.tissue, spins.freq))
    expected = brute_force(block, plane, 0.4)
    assert 0 < len(expected) < np.count_nonzero(block.labels)
    assert rows[np.lexsort(rows.T[::-1])] == pytest.approx(expected, rel=1e-5, abs=1e-9)
    assert spins.cell == tuple(SPACING[list(plane.axes)])


def test_fat_precesses_slower_than_water_by_217_hz(block):
    spins = slab_spins(replace(block, freq=None), plane_of("axial"))
    assert np.unique(spins.freq[spins.tissue == 4]) == pytest.approx(-217.145, abs=5e-4)  # physics.md 9
    assert (spins.freq[np.isin(spins.tissue, (1, 2, 3))] == 0).all()


@given(
    orientation=st.sampled_from(sorted(AXES)),
    pixels=st.integers(20, 90),
    thickness=st.floats(1e-3, 30e-3),
)
@settings(max_examples=30, deadline=None)
def test_volume_is_conserved_however_voxels_are_cut(block, orientation, pixels, thickness):
    plane = plane_of(orientation, matrix=(pixels, 2 * pixels), thickness=thickness)
    spins = slab_spins(block, plane, reach=60)
    with_signal = np.array([t.pd > 0 for t in block.tissues.tissues])[block.labels]
    assert spins.tissue.size * np.prod(spins.cell) == pytest.approx(with_signal.sum() * SPACING.prod())
    voxel = SPACING[list(plane.axes)]
    limit = (plane.pixel[1] / 2, plane.pixel[0] / 2, plane.thickness / 2)
    for cell, size, largest in zip(spins.cell, voxel, limit, strict=True):
        cuts = size / cell
        assert cuts == pytest.approx(round(cuts)) and cell <= largest * (1 + 1e-5)
        assert cuts < 1.5 or size / (cuts - 1) > largest * (1 - 1e-5)  # not finer than it must be
    counts, whole = (np.bincount(t, minlength=12) for t in (spins.tissue, block.labels[with_signal]))
    assert np.array_equal(counts, whole * round(np.prod(voxel) / np.prod(spins.cell)))


def test_cut_voxels_keep_their_centre_of_mass(block):
    whole = slab_spins(block, plane_of("axial"), reach=60)
    cut = slab_spins(block, plane_of("axial", matrix=(300, 300), thickness=1e-3), reach=60)
    assert cut.tissue.size == 3 * 6 * 4 * whole.tissue.size or cut.tissue.size > whole.tissue.size
    for tissue in (1, 2, 3):
        centres = [s.position[:, s.tissue == tissue].mean(axis=1) for s in (whole, cut)]
        assert centres[0] == pytest.approx(centres[1], abs=1e-12)


@pytest.mark.parametrize("orientation", AXES)
def test_field_map_is_sampled_where_the_spins_are(block, orientation):
    plane = plane_of(orientation, matrix=(200, 190))
    affine = np.diag((4e-3, 5e-3, 6e-3, 1.0))
    affine[:3, 3] = (-0.02, -0.02, -0.02)
    z, y, x = np.indices((12, 12, 12))
    r, a, s = (affine[i, i] * n + affine[i, 3] for i, n in enumerate((x, y, z)))
    b0 = FieldMap(values=(900 * r - 400 * a + 300 * s + 7).astype(np.float32), affine=affine)
    bare, spins = slab_spins(block, plane), slab_spins(block, plane, b0=b0)
    r, a, s = plane.to_ras(spins.position)
    assert spins.freq - bare.freq == pytest.approx(
        900 * r - 400 * a + 300 * s + 7, abs=1e-4
    )  # trilinear is exact here


def test_a_slab_beyond_the_phantom_is_empty(block):
    spins = slab_spins(block, plane_of("axial", centre=(0, 0, 0.5)), b0=None)
    assert spins.tissue.size == 0 and spins.position.shape == (3, 0)


def test_reach_must_be_positive(block):
    with pytest.raises(ValueError, match="reach must be positive, got 0 slice thicknesses"):
        slab_spins(block, plane_of("axial"), reach=0)
