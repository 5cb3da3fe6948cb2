"""Fields of a heart in its thorax, with the slices oblique to B0: susceptibility, and receive coils."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mrsim.constants import GAMMA_BAR
from mrsim.fields import COILS, CoilMaps, FieldMap, smooth_b0
from mrsim.fields.b0 import coarse_grid, shimmed
from mrsim.fields.dipole import dipole_field
from phantoms.phantom import OracleClasses, Phantom

if TYPE_CHECKING:
    from phantoms.cardiac.heart import Heart
    from phantoms.tissues import TissueTable

CELL = 4e-3  # [m]
REACH = (0.172, 0.220, 0.120)  # [m] of the body around the middle of the field of view, x y z
COIL_CELL, COIL_REACH = 8e-3, 0.240  # [m] of the lattice that finds the sides of the chest
MIDDLE = 0.2  # phase at which the body is looked at for its fields: between the ends of the motion
CHEST = 0.120  # [m] above and below the heart that the coils stand around


def thorax(heart: Heart, tissues: TissueTable, oracle: OracleClasses, phase: float) -> Phantom:
    """Return the body around the heart on cells of 4 mm, at one moment."""
    x, y, z = (np.arange(-reach, reach + CELL / 2, CELL) for reach in REACH)
    affine = np.diag([CELL, CELL, CELL, 1.0])
    affine[:3, 3] = x[0], y[0], z[0]
    return Phantom(
        name="cardiac",
        subject=str(heart.case.index),
        labels=heart.labels(phase, x, y, z),
        affine=affine,
        tissues=tissues,
        oracle=oracle,
    )


def heart_b0(
    body: Phantom, heart: Heart, kind: str, *, strength: float, rng: np.random.Generator
) -> FieldMap | None:
    """Off-resonance [Hz] over the body: "off", "susceptibility" or "smooth".

    Susceptibility: dipole field for B0 along `heart.b0_direction`, shimmed to second order over the heart.
    """
    if kind == "off":
        return None
    if kind == "smooth":
        return smooth_b0(body, rng, strength=strength)
    grid = coarse_grid(body)
    relative = dipole_field(grid.chi, grid.spacing, tuple(heart.b0_direction.tolist()))
    hz = GAMMA_BAR * body.tissues.field_strength * strength
    return FieldMap(values=np.float32(hz) * shimmed(relative, grid), affine=grid.affine)


def chest_coils(heart: Heart, kind: str, n_coils: int) -> CoilMaps:
    """Coils of `mrsim.fields.COILS` around the chest, in the slice frame; the rings lie across B0."""
    side = np.arange(-COIL_REACH, COIL_REACH + COIL_CELL / 2, COIL_CELL)
    found = np.argwhere(heart.labels(MIDDLE, side, side, side))[:, ::-1]  # x y z
    patient = np.einsum("ji,nj->in", heart.axes, side[found])
    right, front = patient[:2, np.abs(patient[2]) <= CHEST]
    extent = ((right.min(), right.max()), (front.min(), front.max()), (-CHEST, CHEST))
    return COILS[kind](n_coils, extent).turned(heart.axes)
