import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from mrsim.fields import FieldMap
from mrsim.slices.plane import AXES, SlicePlane


@pytest.fixture(scope="module")
def field():
    affine = np.diag((2e-3, 3e-3, 4e-3, 1.0))
    affine[:3, 3] = (-9e-3, -8e-3, -7e-3)
    values = np.random.default_rng(0).normal(size=(5, 6, 7)).astype(np.float32)
    return FieldMap(values=values, affine=affine)


def scipy_at(field, points):
    """Trilinear by another library; points (3, ...) clamped to the grid."""
    nodes = [field.affine[i, 3] + field.affine[i, i] * np.arange(field.values.shape[2 - i]) for i in range(3)]
    clamped = [np.clip(p, n[0], n[-1]) for p, n in zip(points, nodes, strict=True)]
    return RegularGridInterpolator(nodes[::-1], field.values)(np.stack(clamped[::-1], axis=-1))


def test_lattice_is_trilinear_and_clamped_at_the_edges(field):
    x, y, z = np.linspace(-15e-3, 9e-3, 11), np.linspace(-8e-3, 12e-3, 9), np.linspace(-11e-3, 13e-3, 8)
    z3, y3, x3 = np.meshgrid(z, y, x, indexing="ij")
    assert field.on_lattice(x, y, z) == pytest.approx(scipy_at(field, (x3, y3, z3)), abs=1e-6)


@pytest.mark.parametrize("orientation", AXES)
def test_image_shows_the_field_at_the_pixel_centres(field, orientation):
    plane = SlicePlane(
        orientation=orientation,
        centre=(-3e-3, 1e-3, 2e-3),
        fov=(14e-3, 12e-3),
        matrix=(9, 13),
        thickness=1e-3,
    )
    y, x = np.meshgrid(plane.pixel_centres("y"), plane.pixel_centres("x"), indexing="ij")
    expected = scipy_at(field, plane.to_ras((x, y, 0 * x)))
    assert field.on_image(plane) == pytest.approx(expected, abs=1e-6)


def test_one_cell_is_the_same_everywhere():
    single = FieldMap(values=np.full((1, 1, 1), 7.0, dtype=np.float32), affine=np.eye(4))
    assert (single.on_lattice(np.array((-5.0, 0.0, 5.0)), np.zeros(1), np.zeros(1)) == 7).all()


def test_bad_maps_are_refused():
    with pytest.raises(ValueError, match="values must be a finite"):
        FieldMap(values=np.full((2, 2, 2), np.nan, dtype=np.float32), affine=np.eye(4))
    with pytest.raises(ValueError, match="affine must be axis-aligned with positive steps"):
        FieldMap(values=np.zeros((2, 2, 2), dtype=np.float32), affine=np.diag((1.0, -1.0, 1.0, 1.0)))
