"""Fourier transforms of solids against quadrature, against each other, and against physics.md section 9."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import j0, spherical_jn

from phantoms.objects.parts import transform
from phantoms.objects.shapes import Box, Cylinder, Ellipsoid
from phantoms.objects.sphere import Sphere
from phantoms.objects.vials import Vials

CENTRE = (0.01, -0.02, 0.03)
SHAPES = (
    Ellipsoid(half=(0.03, 0.02, 0.04), centre=CENTRE),
    Cylinder(radius=0.03, length=0.05, centre=CENTRE),
    Box(size=(0.03, 0.05, 0.07), centre=CENTRE),
)
K = np.random.default_rng(4).normal(size=(3, 50)) * 20  # [1/m]


def midpoint_sum(shape, k, n=160):
    """Midpoint sum over the bounding box, cells counted by their centre."""
    axes = [c + h * (2 * (np.arange(n) + 0.5) / n - 1) for c, h in zip(shape.centre, shape.half, strict=True)]
    inside = shape.inside(axes[0], axes[1][:, None], axes[2][:, None, None])  # (z, y, x)
    phase = [np.exp(-2j * np.pi * k_i * axis) for k_i, axis in zip(k, axes, strict=True)]
    cell = math.prod(2 * h / n for h in shape.half)
    return cell * np.einsum("zyx,x,y,z->", inside, *phase)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: type(s).__name__)
def test_the_transform_is_the_integral_over_the_inside(shape):
    volume = abs(shape.transform(np.zeros(3)))
    for k in K.T[:4]:
        assert abs(shape.transform(k) - midpoint_sum(shape, k)) < 2e-3 * volume  # staircase of 160 cells


def test_volumes_are_exact():
    a, b, c = SHAPES[0].half
    volumes = [4 / 3 * math.pi * a * b * c, math.pi * 0.03**2 * 0.05, 0.03 * 0.05 * 0.07]
    for shape, volume in zip(SHAPES, volumes, strict=True):
        assert shape.transform(np.zeros(3)) == pytest.approx(volume)
        assert shape.transform(np.zeros((3, 2, 4))).shape == (2, 4)


def test_a_ball_is_a_spherical_bessel_function_where_its_formula_cancels_too():
    q = np.logspace(-4, 1, 300)
    k = np.zeros((3, q.size))
    k[1] = q / (2 * math.pi * 0.05)
    ratio = Ellipsoid(half=(0.05,) * 3).transform(k) / (4 / 3 * math.pi * 0.05**3)
    assert ratio == pytest.approx(3 * spherical_jn(1, q) / q, rel=1e-12, abs=1e-13)


def test_a_disk_is_the_hankel_transform_and_the_number_of_the_specification():
    disk = Cylinder(radius=20.0, length=1.0)
    assert disk.transform((1 / 64, 0, 0)).real == pytest.approx(740.877958, abs=1e-6)  # physics.md section 9
    hankel = quad(lambda r: 2 * math.pi * r * j0(2 * math.pi * r * 0.1), 0, 20)[0]
    assert disk.transform((0.06, 0.08, 0)).real == pytest.approx(hankel, abs=1e-9)


def test_a_rectangle_has_the_numbers_of_the_specification():
    line = Box(size=(40.0, 1.0, 1.0))
    k = np.zeros((3, 3))
    k[0] = np.array([0, 1, 3]) / 64
    assert line.transform(k).real == pytest.approx([40, 18.821119, -2.598654], abs=1e-6)


def test_a_ball_is_a_stack_of_disks():
    radius, k = 0.05, (17.0, -5.0, 11.0)

    def disk(z):
        return Cylinder(radius=math.sqrt(radius**2 - z * z), length=1.0).transform((k[0], k[1], 0)).real

    stacked = quad(lambda z: disk(z) * math.cos(2 * math.pi * k[2] * z), -radius, radius)[0]
    ball = Ellipsoid(half=(radius,) * 3).transform(k)
    assert ball.real == pytest.approx(stacked, rel=1e-9)


def painted_transform(phantom, values, k):
    """Sum over the voxels of a phantom, each a box of its size."""
    density = np.asarray(values)[phantom.labels]  # (z, y, x)
    axes = [
        phantom.affine[i, 3] + phantom.affine[i, i] * np.arange(phantom.labels.shape[2 - i]) for i in range(3)
    ]
    phases = [np.exp(-2j * np.pi * np.outer(k[i], axes[i])) for i in range(3)]
    total = np.einsum("zyx,kx->kzy", density, phases[0])
    total = np.einsum("kzy,ky,kz->k", total, phases[1], phases[2])
    box = np.prod([np.sinc(k[i] * phantom.affine[i, i]) for i in range(3)], axis=0)
    return total * box * np.prod(phantom.spacing)


def test_a_painted_sphere_converges_to_its_closed_form():
    k = np.random.default_rng(8).normal(size=(3, 12)) * 15
    errors = []
    for spacing in (4e-3, 2e-3, 1e-3):
        source = Sphere(radius=20.3e-3, spacing=spacing)
        exact = transform(source.parts(), (0, 1), k)
        painted = painted_transform(source.load(1), (0, 1.0), k)
        errors.append(np.abs(painted - exact).max() / abs(transform(source.parts(), (0, 1), np.zeros(3))))
    assert errors[2] < 3e-3 and errors[2] < errors[0] / 4  # at least first order in the voxel


def test_the_painted_vials_have_the_closed_form_with_every_part_in_its_place():
    source = Vials(spacing=0.5e-3)
    values = np.random.default_rng(1).uniform(0.2, 1, 11)
    values[0] = 0
    k = np.random.default_rng(2).normal(size=(3, 6)) * np.array([[12], [12], [3]])
    exact = transform(source.parts(), values, k)
    painted = painted_transform(source.load(1), values, k)
    body = math.pi * 0.09**2 * 0.1
    assert np.abs(painted - exact).max() / body < 5e-4
    swapped = transform(source.parts(), values[[0, 1, *range(9, 1, -1), 10]], k)  # vials the other way round
    assert np.abs(painted - swapped).max() / body > 5e-3  # the figure above sees where the vials are


def test_impossible_shapes_are_refused():
    with pytest.raises(ValueError, match="half must be positive lengths"):
        Ellipsoid(half=(0.1, 0.0, 0.1))
    with pytest.raises(ValueError, match="radius and length must be positive lengths"):
        Cylinder(radius=math.nan, length=1)
    with pytest.raises(ValueError, match="size must be positive lengths"):
        Box(size=(1, 1, math.inf))
