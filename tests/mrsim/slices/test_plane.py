import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrsim.slices.plane import AXES, SlicePlane, centred_plane, check_fov, upright
from tests.mrsim.phantoms import phantom_of


def phantom(labels, spacing=1e-3, start=(0.0, 0.0, 0.0)):
    return phantom_of(labels, spacing, start)


@pytest.fixture(scope="module", params=[0.5e-3, 1e-3], ids=["brainweb", "synthetic"])
def head(request):
    """The BrainWeb grid, whose head touches x = 0, x = 361, y = 433 and is cut at the bottom."""
    ratio = round(1e-3 / request.param)
    labels = np.zeros((181 * ratio, 217 * ratio, 181 * ratio), dtype=np.uint8)
    labels[: 170 * ratio, 10 * ratio :] = 6
    start = np.array((-90.5, -126.5, -72.5)) * 1e-3 + request.param / 2
    return phantom(labels, request.param, start)


planes = st.builds(
    SlicePlane,
    orientation=st.sampled_from(sorted(AXES)),
    centre=st.tuples(*[st.floats(-0.2, 0.2)] * 3),
    fov=st.tuples(*[st.floats(0.01, 0.5)] * 2),
    matrix=st.tuples(*[st.integers(1, 300)] * 2),
    thickness=st.floats(1e-4, 0.02),
)


@given(planes)
def test_frames_are_inverse_and_the_affine_finds_every_pixel(plane):
    points = np.random.default_rng(0).uniform(-0.3, 0.3, (3, 20))
    assert plane.to_ras(plane.coordinates(points)) == pytest.approx(points, abs=1e-15)
    x, y = plane.pixel_centres("x"), plane.pixel_centres("y")
    for i, j in ((0, 0), (x.size - 1, 0), (x.size // 2, y.size // 2), (0, y.size - 1)):
        ras = plane.affine @ (i, j, 0, 1)
        assert plane.coordinates(ras[:3]) == pytest.approx((x[i], y[j], 0), abs=1e-12)
    assert plane.affine @ (x.size // 2, y.size // 2, 0, 1) == pytest.approx((*plane.centre, 1), abs=1e-12)
    assert abs(np.linalg.det(plane.affine)) == pytest.approx(np.prod(plane.pixel) * plane.thickness)


@given(planes)
def test_pixels_fill_the_field_of_view(plane):
    for name, fov in (("y", plane.fov[0]), ("x", plane.fov[1])):
        faces = plane.pixel_faces(name)
        assert faces[-1] - faces[0] == pytest.approx(fov)
        assert plane.pixel_centres(name) == pytest.approx((faces[1:] + faces[:-1]) / 2)


@pytest.mark.parametrize(
    ("orientation", "x", "y", "z"),
    [("axial", "A", "R", "S"), ("coronal", "S", "R", "A"), ("sagittal", "S", "A", "R")],
)
def test_image_axes_are_those_of_the_architecture(orientation, x, y, z):
    unit = dict(zip("RAS", np.eye(3), strict=True))
    plane = SlicePlane(orientation=orientation, fov=(0.1, 0.1), matrix=(10, 10), thickness=1e-3)
    for name, direction in zip((x, y, z), np.eye(3), strict=True):
        assert np.array_equal(plane.coordinates(unit[name]), direction)


@pytest.mark.parametrize("orientation", AXES)
def test_volumes_and_lattices_turn_together(orientation):
    plane = SlicePlane(orientation=orientation, centre=(1, 2, 3), fov=(1, 1), matrix=(4, 4), thickness=1)
    x, y, z = np.arange(2.0), np.arange(3.0), np.arange(4.0)
    r, a, s = plane.ras_lattice(x, y, z)
    volume = np.stack(np.meshgrid(s, a, r, indexing="ij"))[
        ::-1
    ]  # (RAS, s, a, r): every point knows where it is
    turned = plane.in_image_axes(volume)  # (RAS, z, y, x)
    assert plane.coordinates(turned)[::-1] == pytest.approx(np.stack(np.meshgrid(z, y, x, indexing="ij")))


@pytest.mark.parametrize(
    ("orientation", "top", "left"), [("axial", "A", "R"), ("coronal", "S", "R"), ("sagittal", "S", "A")]
)
def test_upright_is_radiological(orientation, top, left):
    plane = SlicePlane(orientation=orientation, fov=(0.3, 0.4), matrix=(30, 40), thickness=1e-3)
    y, x = np.meshgrid(plane.pixel_centres("y"), plane.pixel_centres("x"), indexing="ij")
    ras = dict(zip("RAS", plane.to_ras((x, y, 0 * x)), strict=True))  # each (y, x)
    rows, columns = upright(ras[top], orientation), upright(ras[left], orientation)
    assert rows.shape == (40, 30)
    assert (np.diff(rows, axis=0) < 0).all() and (np.diff(columns, axis=1) < 0).all()


def test_brainweb_planes_are_the_2x2x2_reduction_without_its_last_row_and_column(head):
    plane = centred_plane(head, "axial", -45e-3, (0.180, 0.216), (180, 216), 1e-3)
    assert plane.centre == pytest.approx((0, -18e-3, -45e-3), abs=1e-12)
    assert plane.affine[:3, 3] == pytest.approx((-90e-3, -126e-3, -45e-3), abs=1e-12)
    assert plane.pixel_centres("y")[90] == plane.pixel_centres("x")[108] == 0
    check_fov(head, plane)  # loses a 1 mm column of skin, as published
    coronal = centred_plane(head, "coronal", 0.0, (0.180, 0.180), (180, 180), 1e-3)
    assert coronal.affine[:3, 3] == pytest.approx((-90e-3, 0, -72e-3), abs=1e-12)


@given(
    pixels=st.integers(1, 400),
    size=st.sampled_from((0.5e-3, 1e-3, 1.5e-3, 2e-3)),
    orientation=st.sampled_from(sorted(AXES)),
)
def test_pixel_faces_fall_on_voxel_faces_and_the_grid_is_centred(pixels, size, orientation):
    small = phantom(np.ones((7, 8, 9), dtype=np.uint8), 1e-3 if size > 1e-3 else 2e-3, (0.05, -0.02, 0.01))
    plane = centred_plane(small, orientation, 0.0, (pixels * size,) * 2, (pixels,) * 2, 1e-3)
    for name, axis in (("y", plane.axes[1]), ("x", plane.axes[0])):
        near, far = small.extent[axis]
        faces = plane.pixel_faces(name) + plane.centre[axis]
        offset = (faces[0] - near) / small.spacing[axis]
        ratio = size / small.spacing[axis]
        if ratio in (1, 2, 0.5, 0.25):
            step = min(1, ratio)
            assert offset / step == pytest.approx(round(offset / step), abs=1e-6)
        assert (faces[0] + faces[-1]) / 2 == pytest.approx((near + far) / 2, abs=size)  # less than a pixel


def test_object_off_the_middle_of_its_grid_is_shifted_in():
    labels = np.zeros((4, 100, 100), dtype=np.uint8)
    labels[:, 40:60, 60:99] = 1
    off = phantom(labels)
    plane = centred_plane(off, "axial", 0.0, (0.040, 0.040), (40, 40), 1e-3)
    near, far = plane.pixel_faces("y")[[0, -1]] + plane.centre[0]
    assert near <= off.extent[0][0] + 1e-9 and far >= off.extent[0][1] - 1e-9
    assert plane.centre[1] == pytest.approx(0.050)  # along A the middle of the grid serves
    check_fov(off, plane)


def test_field_of_view_smaller_than_the_object_is_refused(head):
    plane = centred_plane(head, "axial", 0.0, (0.160, 0.216), (160, 216), 1e-3)
    with pytest.raises(
        ValueError, match=r"fov must cover the object along y \(right\).*181.0 mm.*got 160.0 mm"
    ):
        check_fov(head, plane)
    plane = centred_plane(head, "axial", 0.0, (0.180, 0.190), (180, 190), 1e-3)
    with pytest.raises(ValueError, match=r"along x \(anterior\).*207.0 mm.*got 190.0 mm"):
        check_fov(head, plane)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"orientation": "axail"},
            "orientation must be one of axial, coronal, sagittal.*did you mean 'axial'",
        ),
        ({"centre": (0, np.nan, 0)}, "centre must be three finite coordinates"),
        ({"fov": (0.1, 0)}, "fov must be two positive lengths"),
        ({"matrix": (64, 0)}, "matrix must be two positive integers"),
        ({"matrix": (64.5, 64)}, "matrix must be two positive integers"),
        ({"thickness": -1e-3}, "thickness must be positive, got -0.001 m"),
    ],
)
def test_impossible_planes_cannot_exist(change, message):
    with pytest.raises(ValueError, match=message):
        SlicePlane(**{"fov": (0.1, 0.1), "matrix": (64, 64), "thickness": 1e-3, **change})
