import numpy as np
import pytest

from mrsim.fields import COILS, FieldMap, loop_array
from mrsim.fields.coils import loop_field
from mrsim.slices.plane import AXES, SlicePlane
from mrsim.slices.slab import slab_spins
from phantoms.phantom import Spins
from tests.mrsim.phantoms import phantom_of

HEAD = ((-0.0905, 0.0905), (-0.1265, 0.0905), (-0.0725, 0.102))


def in_head(n, seed=0):
    """Random points (3, n) [m] of the ellipsoid that fills HEAD."""
    low, high = np.array(HEAD).T
    points = np.random.default_rng(seed).normal(size=(3, n))
    points *= np.random.default_rng(seed + 1).uniform(size=n) ** (1 / 3) / np.linalg.norm(points, axis=0)
    return (low + high)[:, None] / 2 + points * (high - low)[:, None] / 2


def test_loop_on_its_axis_is_the_textbook_field():
    h = np.linspace(-0.2, 0.2, 9)
    normal = np.array((2.0, -1.0, 2.0)) / 3
    centre, a = np.array((0.01, 0.02, -0.03)), 0.05
    field = loop_field(centre[:, None] + normal[:, None] * h, centre, normal, a)
    # mu0 I a^2 / (2 (a^2 + h^2)^(3/2)) in units of mu0 I / pi
    assert field == pytest.approx(
        normal[:, None] * np.pi / 2 * a**2 / (a**2 + h**2) ** 1.5, rel=1e-9, abs=1e-9
    )


def test_loop_off_its_axis_is_the_sum_of_biot_and_savart():
    """mu0 I/4pi sum dl x R / R^3 over 512 straight segments; the polygon is a (pi/512)^2 smaller circle."""
    rng = np.random.default_rng(0)
    centre, a, n = np.array((0.1, 0.0, 0.02)), 0.045, 512
    normal = rng.normal(size=3)
    normal /= np.linalg.norm(normal)
    u = np.cross(normal, (0, 0, 1.0))
    u /= np.linalg.norm(u)
    v = np.cross(normal, u)
    angle = 2 * np.pi * np.arange(n + 1) / n
    corners = centre + a * (np.cos(angle)[:, None] * u + np.sin(angle)[:, None] * v)
    middle, dl = (corners[1:] + corners[:-1]) / 2, np.diff(corners, axis=0)
    points = rng.uniform(-0.1, 0.06, (3, 40))
    gap = points.T[:, None] - middle
    segments = (np.cross(dl, gap) / np.linalg.norm(gap, axis=2)[..., None] ** 3).sum(
        axis=1
    ).T / 4  # units mu0 I / pi
    field = loop_field(points, centre, normal, a)
    assert np.abs(field - segments).max() < 1e-4 * np.abs(segments).max()


@pytest.mark.parametrize("kind", COILS)
@pytest.mark.parametrize("n_coils", [1, 2, 8, 12, 32])
def test_root_sum_of_squares_is_one_in_the_middle(kind, n_coils):
    maps = COILS[kind](n_coils, HEAD)
    middle = np.mean(HEAD, axis=1)
    assert maps.n_coils == n_coils
    assert np.linalg.norm(maps.sensitivity(*middle)) == pytest.approx(1, rel=1e-6)
    sensitivity = maps.sensitivity(*in_head(200))
    assert sensitivity.shape == (n_coils, 200) and sensitivity.dtype == np.complex64
    assert np.isfinite(sensitivity).all()
    unit = sensitivity / np.linalg.norm(sensitivity, axis=1, keepdims=True)
    assert np.abs(np.triu(unit @ unit.conj().T, 1)).max() < 0.9999  # no two coils are one


def test_one_coil_hears_every_spin_alike():
    for build in COILS.values():
        assert (build(1, HEAD).sensitivity(*in_head(10)) == 1).all()


@pytest.mark.parametrize("kind", COILS)
def test_a_ring_turned_by_one_element_is_itself(kind):
    """About an object that is round in the axial plane: S_(j+1)(R r) = exp(-i angle) S_j(r)."""
    maps = COILS[kind](6, ((-0.08, 0.08), (-0.08, 0.08), (-0.1, 0.1)))
    points = np.random.default_rng(0).uniform(-0.05, 0.05, (3, 30))
    turn = np.pi / 3
    turned = np.array(((np.cos(turn), -np.sin(turn), 0), (np.sin(turn), np.cos(turn), 0), (0, 0, 1))) @ points
    first, second = maps.sensitivity(*points), maps.sensitivity(*turned)
    # the birdcage formula is unchanged: azimuth of the rung and of the field turn together
    phase = np.exp(-1j * turn) if kind == "loops" else 1.0
    assert np.roll(first, 1, axis=0) * phase == pytest.approx(second, rel=1e-4, abs=1e-6)


def test_loops_hear_best_what_is_near_and_stay_finite_on_the_wire():
    maps = loop_array(8, HEAD)
    loops = maps.elements
    near = loops.centres + 0.03 * loops.normals
    heard = np.abs(maps.sensitivity(*near.T))  # (coil, place)
    assert (heard.argmax(axis=0) == np.arange(8)).all()
    across = np.cross(loops.normals[0], (0, 0, 1.0))
    wire = loops.centres[0] + loops.radius * across / np.linalg.norm(across)
    assert np.isfinite(maps.sensitivity(*wire)).all()


def test_lattice_and_image_agree_with_the_exact_sensitivity():
    maps = loop_array(8, HEAD)
    x, y, z = np.linspace(-0.06, 0.06, 37), np.linspace(-0.1, 0.07, 41), np.linspace(-0.03, 0.05, 7)
    z3, y3, x3 = np.meshgrid(z, y, x, indexing="ij")
    exact = maps.sensitivity(x3, y3, z3)
    (x0, x1), (y0, y1), (z0, z1) = HEAD
    in_ellipsoid = (2 * x3 / (x1 - x0)) ** 2 + ((2 * y3 - y0 - y1) / (y1 - y0)) ** 2 + (
        (2 * z3 - z0 - z1) / (z1 - z0)
    ) ** 2 < 1
    error = np.abs(maps.on_lattice(x, y, z) - exact)[:, in_ellipsoid]
    assert 1e-6 < error.max() < 5e-4 * np.abs(exact[:, in_ellipsoid]).max()
    for orientation in AXES:
        plane = SlicePlane(
            orientation=orientation,
            centre=(5e-3, -20e-3, 8e-3),
            fov=(0.09, 0.1),
            matrix=(30, 25),
            thickness=1e-3,
        )
        y2, x2 = np.meshgrid(plane.pixel_centres("y"), plane.pixel_centres("x"), indexing="ij")
        exact = maps.sensitivity(*plane.to_ras((x2, y2, 0 * x2)))
        assert np.abs(maps.on_image(plane) - exact).max() < 5e-4 * np.abs(exact).max()


@pytest.mark.parametrize("orientation", AXES)
def test_spins_are_heard_where_they_are(orientation):
    labels = np.random.default_rng(0).integers(0, 12, (20, 22, 24), dtype=np.uint8)
    block = phantom_of(labels, 2e-3, (0.01, -0.05, 0.02))
    plane = SlicePlane(
        orientation=orientation, centre=(0.03, -0.03, 0.04), fov=(0.06, 0.06), matrix=(20, 20), thickness=4e-3
    )
    spins = slab_spins(block, plane)
    maps = loop_array(4, HEAD)
    exact = maps.sensitivity(*plane.to_ras(spins.position))
    assert np.abs(maps.on_spins(spins, plane) - exact).max() < 5e-4 * np.abs(exact).max()


def test_scattered_and_absent_spins_are_heard_too():
    rng = np.random.default_rng(0)
    position = rng.uniform(-0.05, 0.05, (3, 50))
    position[1].sort()
    one = np.ones(1)
    plane = SlicePlane(fov=(0.2, 0.2), matrix=(20, 20), thickness=0.1)
    maps = loop_array(4, HEAD)
    for n in (50, 0):
        spins = Spins(
            position=position[:, :n],
            tissue=np.zeros(n, np.uint8),
            freq=np.zeros(n, np.float32),
            cell=(1e-3, 1e-3, 1e-3),
            pd=one,
            t1=one,
            t2=one,
            t2prime=one,
        )
        heard = maps.on_spins(spins, plane)
        assert heard.shape == (4, n)
        assert np.array_equal(heard, maps.sensitivity(*plane.to_ras(spins.position)))


@pytest.mark.parametrize("n_coils", [0, -1, 2.5])
def test_a_number_of_coils_that_cannot_be_is_refused(n_coils):
    with pytest.raises(ValueError, match=f"n_coils must be a positive integer, got {n_coils}"):
        loop_array(n_coils, HEAD)


def test_relative_maps_may_be_field_maps_too():
    """A receive map as FieldMap: what `on_image` of both return lies on the same pixels."""
    maps = loop_array(2, HEAD)
    x, y, z = (np.arange(-0.06, 0.061, 4e-3) for _ in range(3))
    affine = np.diag((4e-3, 4e-3, 4e-3, 1.0))
    affine[:3, 3] = (x[0], y[0], z[0])
    magnitude = np.abs(maps.on_lattice(x, y, z)[0])
    plane = SlicePlane(orientation="coronal", fov=(0.06, 0.08), matrix=(12, 16), thickness=1e-3)
    smooth = FieldMap(values=magnitude, affine=affine).on_image(plane)
    assert smooth == pytest.approx(np.abs(maps.on_image(plane)[0]), rel=0.02)
