from dataclasses import replace

import numpy as np
import pytest

from mrsim.fields import b0, smooth_b0, susceptibility_b0
from mrsim.fields.dipole import dipole_field
from mrsim.fields.harmonics import degree_of, solid_harmonics
from phantoms.brainweb import BrainWeb
from phantoms.phantom import BRAIN_ORACLE, Phantom
from phantoms.tissues import tissue_table

PPM = 1e-6


def grid_of(n, *steps):
    """Coordinates z, y, x about the middle of an n^3 grid."""
    return np.meshgrid(*((np.arange(n) - n // 2) * step for step in steps), indexing="ij")


def ball(n, radius, *steps):
    """Share of each cell inside a sphere, from 4^3 points per cell as in physics.md 11."""
    share = np.zeros((n, n, n), dtype=np.float32)
    offsets = (np.arange(4) - 1.5) / 4
    for dz, dy, dx in np.array(np.meshgrid(offsets, offsets, offsets)).reshape(3, -1).T:
        z, y, x = (c + d * s for c, d, s in zip(grid_of(n, *steps), (dz, dy, dx), steps, strict=True))
        share += (x**2 + y**2 + z**2 < radius**2) / np.float32(64)
    return share


def sphere_field(z, rho2, radius, chi):
    """Closed form outside of a sphere: (chi/3)(a/r)^3 (3 cos^2 - 1)."""
    r2 = z**2 + rho2
    return chi / 3 * radius**3 / r2**1.5 * (3 * z**2 / r2 - 1)


def test_field_of_a_sphere():
    field = dipole_field(9.4 * PPM * ball(64, 10, 1, 1, 1), (1, 1, 1)) / PPM  # padded to 128^3
    assert field[32 + 20, 32, 32] == pytest.approx(0.783333, rel=3e-3)
    assert field[32, 32, 32 + 20] == pytest.approx(-0.391667, rel=3e-3)
    assert field[32, 32, 32] == pytest.approx(0, abs=1e-5)


def test_field_of_a_sphere_on_cells_that_are_not_cubes():
    steps = (2.0, 1.0, 0.75)  # z, y, x
    field = dipole_field(ball(56, 10, *steps), steps)
    z, y, x = grid_of(56, *steps)
    distance = np.sqrt(x**2 + y**2 + z**2)
    ring = (distance > 14) & (distance < 20)
    exact = sphere_field(z[ring], (x**2 + y**2)[ring], 10, 1.0)
    assert np.abs(field[ring] - exact).max() < 0.015 * np.abs(exact).max()


def test_harmonics_have_no_laplacian_and_schmidts_norm():
    z, y, x = grid_of(9, 0.3, 0.2, 0.25)
    harmonics = solid_harmonics(x, y, z, 3)
    degrees = degree_of(len(harmonics))
    assert degrees == [1] * 3 + [2] * 5 + [3] * 7
    middle = (slice(1, -1),) * 3
    for harmonic in harmonics:  # second differences of a cubic polynomial are its derivatives exactly
        laplacian = sum(
            np.diff(harmonic, 2, axis=axis)[tuple(slice(None) if a == axis else middle[a] for a in range(3))]
            / h**2
            for axis, h in enumerate((0.3, 0.2, 0.25))
        )
        assert np.abs(laplacian).max() < 1e-12
    r2 = x**2 + y**2 + z**2
    for degree in (1, 2, 3):
        squares = sum(h**2 for h, d in zip(harmonics, degrees, strict=True) if d == degree)
        assert squares == pytest.approx(r2**degree, abs=1e-12)
    rows = np.stack([h.ravel() for h in harmonics])
    assert np.linalg.matrix_rank(rows) == 15


def phantom(labels, spacing=1e-3, table="brainweb-1.5T", name="test"):
    affine = np.diag((spacing, spacing, spacing, 1.0))
    affine[:3, 3] = -(np.array(labels.shape[::-1]) - 1) / 2 * spacing
    return Phantom(
        name=name, subject="0", labels=labels, affine=affine, tissues=tissue_table(table), oracle=BRAIN_ORACLE
    )


@pytest.fixture(scope="module")
def bubble():
    """A ball of grey matter, radius 34 mm, with a bubble of air, radius 8 mm, in it."""
    z, y, x = grid_of(77, 1, 1, 1)
    labels = np.where(x**2 + y**2 + z**2 < 34.5**2, 2, 0).astype(np.uint8)
    labels[(x - 10) ** 2 + y**2 + (z + 8) ** 2 < 8.02**2] = 0
    return phantom(labels)


def test_bubble_in_a_ball_has_the_field_of_the_bubble_alone(bubble):
    """Inside a sphere its own field vanishes (Lorentz); the shim adds harmonics to degree 2, no more."""
    x, y, z = b0.coarse_grid(bubble).coordinates()
    air = bubble.tissues.tissues[0].susceptibility - bubble.tissues.tissues[2].susceptibility
    n_air = np.count_nonzero((bubble.labels == 0) & (sum(c**2 for c in grid_of(77, 1, 1, 1)) < 33**2))
    radius = (3 * n_air / 4 / np.pi) ** (1 / 3) * 1e-3
    exact = sphere_field(z + 8e-3, (x - 10e-3) ** 2 + y**2, radius, air) * 42.577478518e6 * 1.5
    distance = np.sqrt((x - 10e-3) ** 2 + y**2 + (z + 8e-3) ** 2)
    clear = (distance > 14e-3) & (np.sqrt(x**2 + y**2 + z**2) < 28e-3)
    difference = (susceptibility_b0(bubble).values - exact)[clear]
    shim = [np.ones_like(exact), *solid_harmonics(x / 0.03, y / 0.03, z / 0.03, 2)]
    basis = np.stack([np.broadcast_to(h, clear.shape)[clear] for h in shim], axis=1)
    residual = difference - basis @ np.linalg.lstsq(basis, difference)[0]
    assert np.abs(exact[clear]).max() > 60  # Hz
    assert np.abs(residual).max() < 5 and np.abs(residual).mean() < 0.6  # staircase of 1 mm voxels


def test_shim_leaves_nothing_that_it_could_remove(bubble):
    field, cells = susceptibility_b0(bubble).values.astype(float), b0.coarse_grid(bubble)
    inside = cells.mask()
    x, y, z = cells.coordinates()
    scale = np.abs(field[inside]).mean() * inside.sum()
    for harmonic in (np.ones_like(x), *solid_harmonics(x / 0.034, y / 0.034, z / 0.034, 2)):
        assert abs((np.broadcast_to(harmonic, field.shape) * field)[inside].sum()) < 1e-4 * scale
    disturbed = (field + 300 * x / 0.034 - 40 * (x * y) / 0.034**2 + 25).astype(np.float32)
    assert np.allclose(b0.shimmed(disturbed, cells), field, atol=1e-3)


def test_field_scales_with_strength_and_main_field(bubble):
    field = susceptibility_b0(bubble).values
    assert np.allclose(susceptibility_b0(bubble, strength=0.5).values, 0.5 * field, rtol=1e-5, atol=1e-4)
    stronger = susceptibility_b0(bubble.with_tissues(replace(bubble.tissues, field_strength=3.0))).values
    assert np.allclose(stronger, 2 * field, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("shape", [(8, 12, 16), (7, 9, 13)])
def test_coarse_cells_conserve_susceptibility(shape):
    fine = phantom(np.random.default_rng(0).integers(0, 12, shape, dtype=np.uint8), 0.5e-3)
    cells = b0.coarse_grid(fine)
    assert cells.spacing == pytest.approx((2e-3,) * 3)
    chi = np.array([t.susceptibility for t in fine.tissues.tissues])
    assert cells.chi.sum() * 64 == pytest.approx((chi[fine.labels] - chi[0]).sum(), rel=1e-5)
    assert cells.target.sum() * 64 == pytest.approx(np.isin(fine.labels, (1, 2, 3)).sum(), rel=1e-5)


def test_coarse_cells_lie_where_their_voxels_do():
    coarse = phantom(np.random.default_rng(0).integers(0, 12, (3, 4, 5), dtype=np.uint8), 2e-3)
    fine = phantom(np.kron(coarse.labels, np.ones((4, 4, 4), dtype=np.uint8)), 0.5e-3)
    assert b0.coarse_grid(fine).affine == pytest.approx(coarse.affine)
    assert b0.coarse_grid(fine).chi == pytest.approx(b0.coarse_grid(coarse).chi, rel=1e-5)


def test_sinuses_have_the_volume_of_their_ellipsoids():
    grid = b0.CoarseGrid(
        chi=np.ones((91, 109, 91), np.float32),
        target=np.zeros((91, 109, 91), np.float32),
        affine=np.array(
            [[2e-3, 0, 0, -89.5e-3], [0, 2e-3, 0, -125.5e-3], [0, 0, 2e-3, -71.5e-3], [0, 0, 0, 1]]
        ),
    )
    volume = sum(4 / 3 * np.pi * np.prod(radii) for _, radii in b0.SINUSES)
    lens = 2e-7  # the two frontal ones overlap by a little
    assert b0.sinus_air(grid).sum() * 8e-9 == pytest.approx(volume, abs=0.02 * volume + lens)


def test_sinuses_are_for_brainweb_and_spare_the_brain():
    labels = np.full((44, 96, 70), 2, dtype=np.uint8)
    solid = phantom(labels, 2e-3, name="brainweb")
    assert np.array_equal(susceptibility_b0(solid).values, susceptibility_b0(solid, sinuses=False).values)
    muscle = replace(solid, labels=np.where(np.arange(44)[:, None, None] < 10, 5, labels).astype(np.uint8))
    with_air, without = susceptibility_b0(muscle), susceptibility_b0(muscle, sinuses=False)
    assert np.abs(with_air.values - without.values).max() > 10
    other = replace(muscle, name="synthetic")
    assert np.array_equal(susceptibility_b0(other).values, without.values)


def test_a_cut_neck_is_continued_downwards():
    """Replicating the lowest layer by hand must give what the function does by itself."""
    z, y, x = grid_of(40, 2, 2, 2)
    labels = np.where((x**2 + y**2 < 30**2) & (z < 20), 5, 0).astype(np.uint8)
    labels[x**2 + y**2 + (z - 5) ** 2 < 12**2] = 2
    cut = phantom(labels, 2e-3)
    grown = phantom(np.concatenate([np.repeat(labels[:1], 30, axis=0), labels]), 2e-3)
    grown_grid, grid = b0.coarse_grid(grown), b0.coarse_grid(cut)
    relative = dipole_field(grown_grid.chi, grown_grid.spacing)[30:]
    expected = b0.shimmed(relative, grid) * np.float32(42.577478518e6 * 1.5)
    assert np.allclose(susceptibility_b0(cut).values, expected, atol=0.01)


def test_smooth_field_keeps_its_limits_and_its_seed(bubble):
    inside = b0.coarse_grid(bubble).mask()
    f0 = 42.577478518e6 * 1.5
    for seed in range(8):
        values = smooth_b0(bubble, np.random.default_rng(seed)).values[inside] / f0 / PPM
        assert values.mean() == pytest.approx(0, abs=1e-4)
        assert np.abs(values).max() <= 1 + 1e-4 and 0.1 < values.std() <= 0.3 + 1e-4
    again = [smooth_b0(bubble, np.random.default_rng(s)).values for s in (0, 0, 1)]
    assert np.array_equal(again[0], again[1]) and not np.allclose(again[0], again[2])
    double = smooth_b0(bubble, np.random.default_rng(0), strength=2).values
    assert np.allclose(double, 2 * again[0], rtol=1e-5)


def test_brainweb_head_has_the_spread_of_a_shimmed_brain(brainweb_dir):
    """phantoms.md 3.1: after the shim 8 to 15 Hz in the brain at 1.5 T, +100 to +150 Hz above the sinuses."""
    head = BrainWeb(directory=brainweb_dir).load(4)
    inside = b0.coarse_grid(head).mask()
    values = susceptibility_b0(head).values[inside]
    assert 8 < values.std() < 15
    assert values.max() > 100 and np.percentile(np.abs(values), 95) < 40
