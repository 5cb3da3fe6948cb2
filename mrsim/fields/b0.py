"""B0 maps: the field that the tissues' own susceptibility makes after shimming, and random smooth fields.

Both live on a grid of about 2 mm over the phantom and are in Hz at the field strength of its tissue table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrsim.constants import GAMMA_BAR
from mrsim.fields.dipole import dipole_field
from mrsim.fields.field_map import FieldMap
from mrsim.fields.harmonics import degree_of, solid_harmonics
from phantoms.phantom import Phantom

Real = NDArray[np.float64]
Volume = NDArray[np.float32]

CELL = 2e-3  # [m] nominal grid step
NECK = 60e-3  # [m] how far a head that the phantom cuts is continued downwards
SHIM_DEGREE = 2
LIMIT = 1e-6  # largest relative shift of a smooth field

# Air that BrainWeb labels as bone and soft tissue: centre and radii [m] RAS, origin: anterior commissure
SINUSES = (
    *(((side * 8e-3, 78e-3, -8e-3), (9e-3, 5e-3, 8e-3)) for side in (-1, 1)),  # frontal
    ((0.0, 14e-3, -32e-3), (11e-3, 10e-3, 9e-3)),  # sphenoid
    *(((side * 5.5e-3, 52e-3, -42e-3), (3.5e-3, 26e-3, 20e-3)) for side in (-1, 1)),  # nasal cavity
    *(((side * 55e-3, -38e-3, -42e-3), (6e-3, 9e-3, 10e-3)) for side in (-1, 1)),  # ear and mastoid
)

# Where smooth fields have their bumps, in half widths of the brain from its middle: above nose and ears
BUMPS = ((0.0, 0.6, -0.5), (-0.8, -0.1, -0.5), (0.8, -0.1, -0.5))


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class CoarseGrid:
    """A phantom on cells of about 2 mm.

    chi : (z, y, x) susceptibility less that of air
    target : (z, y, x) share of oracle classes other than background
    affine : (4, 4) [m] index (x, y, z) -> RAS
    """

    chi: Volume
    target: Volume
    affine: Real

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Cell size z, y, x [m]."""
        return self.affine[2, 2], self.affine[1, 1], self.affine[0, 0]

    def coordinates(self) -> tuple[Volume, Volume, Volume]:
        """Coordinates along R (1, 1, x), A (1, y, 1) and S (z, 1, 1) [m], float32."""
        nz, ny, nx = self.chi.shape
        x, y, z = (
            (self.affine[i, 3] + self.affine[i, i] * np.arange(n)).astype(np.float32)
            for i, n in enumerate((nx, ny, nz))
        )
        return x[None, None, :], y[None, :, None], z[:, None, None]

    def mask(self) -> NDArray[np.bool_]:
        """Where the field matters: the brain (or heart), else the whole object."""
        inside = self.target > 0.5
        return inside if inside.any() else self.chi != 0


def susceptibility_b0(phantom: Phantom, *, strength: float = 1.0, sinuses: bool | None = None) -> FieldMap:
    """Field of the phantom's susceptibilities [Hz], shimmed to second order inside the brain.

    Dipole convolution of chi - chi_air on about 2 mm cells; where the phantom cuts through the neck, its
    lowest layer is continued 60 mm down. The mean and the eight harmonics of degree 1 and 2 are then removed
    by least squares over the cells that are mostly oracle tissue. BrainWeb calls the air in the head bone and
    soft tissue: `sinuses` (default: for BrainWeb only) puts air cavities into the susceptibility map, and
    there only, outside of the brain.

    strength : factor on the whole field
    """
    grid = coarse_grid(phantom)
    chi = grid.chi
    if phantom.name == "brainweb" if sinuses is None else sinuses:
        chi = chi * (1 - sinus_air(grid) * (1 - grid.target))
    neck = math.ceil(NECK / grid.spacing[0]) if chi[0].any() else 0
    relative = dipole_field(np.pad(chi, ((neck, 0), (0, 0), (0, 0)), mode="edge"), grid.spacing)[neck:]
    hz = GAMMA_BAR * phantom.tissues.field_strength * strength
    return FieldMap(values=np.float32(hz) * shimmed(relative, grid), affine=grid.affine)


def smooth_b0(phantom: Phantom, rng: np.random.Generator, *, strength: float = 1.0) -> FieldMap:
    """Random smooth field [Hz]: solid harmonics of degree 1 to 3 and Gaussian bumps above nose and ears.

    Coefficients are N(0, 1/l) on the radius of the brain; two of the three bumps, 20 to 40 mm wide (FWHM) and
    of height U(1, 3), join them. The mean over the brain is removed; the SD there is drawn from 0.15 to 0.3
    ppm and lowered where the shift would pass 1 ppm anywhere in the brain.

    strength : factor on the whole field
    """
    degrees = degree_of(15)
    coefficients = rng.standard_normal(len(degrees)) / degrees
    sites = rng.choice(len(BUMPS), size=2, replace=False)
    heights, widths = rng.uniform(1, 3, size=2), rng.uniform(20e-3, 40e-3, size=2)
    sd = rng.uniform(0.15e-6, 0.3e-6)

    grid = coarse_grid(phantom)
    inside = grid.mask()
    (x, y, z), half = _centred(grid, inside)
    field = np.zeros(grid.chi.shape, dtype=np.float32)
    radius = np.float32(half.max())
    harmonics = solid_harmonics(x / radius, y / radius, z / radius, 3)
    for coefficient, harmonic in zip(coefficients, harmonics, strict=True):
        field += np.float32(coefficient) * harmonic
    for site, height, width in zip(sites, heights, widths, strict=True):
        cx, cy, cz = (half * BUMPS[site]).astype(np.float32)
        decay = np.float32(4 * math.log(2) / width**2)
        bump = (
            np.exp(-decay * (x - cx) ** 2) * np.exp(-decay * (y - cy) ** 2) * np.exp(-decay * (z - cz) ** 2)
        )
        field += np.float32(height) * bump
    values = field[inside].astype(np.float64)
    values -= values.mean()
    scale = min(sd / values.std(), LIMIT / np.abs(values).max())
    hz = GAMMA_BAR * phantom.tissues.field_strength * strength * scale
    field -= np.float32(field[inside].mean(dtype=np.float64))
    return FieldMap(values=np.float32(hz) * field, affine=grid.affine)


def coarse_grid(phantom: Phantom) -> CoarseGrid:
    """Susceptibility and target share averaged over whole blocks of voxels, the number nearest to 2 mm."""
    spacing = phantom.spacing
    block = np.maximum(1, np.rint(CELL / spacing)).astype(int)
    chi = np.array([t.susceptibility for t in phantom.tissues.tissues])
    target = np.array(phantom.oracle.of_tissue) != 0
    affine = np.diag((*(block * spacing), 1.0))
    affine[:3, 3] = phantom.affine[:3, 3] + (block - 1) / 2 * spacing
    return CoarseGrid(
        chi=_block_mean(phantom.labels, chi - chi[0], block),
        target=_block_mean(phantom.labels, target.astype(float), block),
        affine=affine,
    )


def _block_mean(labels: NDArray[np.uint8], value: Real, block: NDArray[np.int_]) -> Volume:
    """Mean of value[label] over blocks of voxels (x, y, z); what a last block lacks is air, value 0."""
    bx, by, bz = (int(b) for b in block)
    lookup = (value / block.prod()).astype(np.float32)
    rows, columns = np.arange(0, labels.shape[1], by), np.arange(0, labels.shape[2], bx)
    out = np.empty((-(-labels.shape[0] // bz), rows.size, columns.size), dtype=np.float32)
    for k in range(out.shape[0]):  # layer by layer: a float copy of 0.5 mm BrainWeb would take 230 MB
        layer = lookup.take(labels[k * bz : (k + 1) * bz]).sum(axis=0)
        out[k] = np.add.reduceat(np.add.reduceat(layer, rows, axis=0), columns, axis=1)
    return out


def sinus_air(grid: CoarseGrid) -> Volume:
    """Share (z, y, x) of each cell that lies in one of `SINUSES`, from 4 x 4 x 4 points."""
    nz, ny, nx = grid.chi.shape
    offsets = (np.arange(4) - 1.5) / 4
    x, y, z = (
        grid.affine[i, 3] + grid.affine[i, i] * (np.arange(n)[:, None] + offsets).ravel()
        for i, n in enumerate((nx, ny, nz))
    )
    air = np.zeros(grid.chi.shape, dtype=np.float32)
    for (cx, cy, cz), (rx, ry, rz) in SINUSES:
        u, v, w = ((x - cx) / rx) ** 2, ((y - cy) / ry) ** 2, ((z - cz) / rz) ** 2
        near = tuple(np.unique(np.flatnonzero(q <= 1) // 4) for q in (w, v, u))  # cells that it can reach
        if not all(n.size for n in near):
            continue
        box = tuple(slice(int(n[0]), int(n[-1]) + 1) for n in near)
        fine = [q[4 * b.start : 4 * b.stop] for q, b in zip((w, v, u), box, strict=True)]
        inside = fine[0][:, None, None] + fine[1][:, None] + fine[2] <= 1
        cells = [b.stop - b.start for b in box]
        share = inside.reshape(cells[0], 4, cells[1], 4, cells[2], 4).mean(axis=(1, 3, 5))
        air[box] = np.maximum(air[box], share)
    return air


def shimmed(field: Volume, grid: CoarseGrid) -> Volume:
    """`field` less the constant and the harmonics of degree 1 and 2 that fit it best inside `grid.mask()`."""
    inside = grid.mask()
    (x, y, z), half = _centred(grid, inside)
    radius = np.float32(half.max())
    basis = [np.ones_like(x), *solid_harmonics(x / radius, y / radius, z / radius, SHIM_DEGREE)]
    rows = np.stack([np.broadcast_to(b, field.shape)[inside] for b in basis]).astype(np.float64)
    # einsum sums in one order on any number of threads; BLAS does not, and stores must have the same bytes
    gram, right = (
        np.einsum("in,jn->ij", rows, rows),
        np.einsum("in,n->i", rows, field[inside].astype(np.float64)),
    )
    shimmed = field.copy()
    for coefficient, harmonic in zip(np.linalg.solve(gram, right), basis, strict=True):
        shimmed -= np.float32(coefficient) * harmonic
    return shimmed


def _centred(grid: CoarseGrid, inside: NDArray[np.bool_]) -> tuple[tuple[Volume, Volume, Volume], Real]:
    """Coordinates about the middle of the box around `inside`, and its half widths x, y, z [m]."""
    middle, half = np.empty(3), np.empty(3)
    for axis, along in enumerate(grid.coordinates()):
        occupied = along.ravel()[inside.any(axis=tuple(i for i in range(3) if i != 2 - axis))]
        middle[axis], half[axis] = (occupied[0] + occupied[-1]) / 2, (occupied[-1] - occupied[0]) / 2
    x, y, z = (c - np.float32(m) for c, m in zip(grid.coordinates(), middle, strict=True))
    return (x, y, z), np.maximum(half, max(grid.spacing))
