"""How much signal a spin stands for, and where across its cell the slice profile is sampled."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from mrsim.events import Events
from phantoms.phantom import POINT

if TYPE_CHECKING:
    from phantoms.phantom import Spins

SUB_POSITIONS = 4  # Gauss-Legendre nodes across the cell of a spin in z
SubPositions = int | tuple[int, int, int]  # across the cell of a spin: in z, or in x, y and z
Real = NDArray[np.float64]
Scalar = TypeVar("Scalar", bound=np.generic)


def amplitudes(spins: Spins, events: Events) -> Real:
    """(tissue,) k-space amplitude of a spin with M+ = 1: PD * cell volume / pixel volume.

    The transform is orthonormal. A pixel filled with PD 1 then has the magnitude of the closed form in the
    image. Points have the amplitude PD of a pixel each.
    """
    share = 1.0 if spins.cell == POINT else math.prod(spins.cell) / events.pixel_volume
    return spins.pd * (share / math.sqrt(math.prod(events.matrix)))


def sub_positions(events: Events, height: float, n_sub: int) -> tuple[Real, Real]:
    """Offsets [m] from the centre of a cell of `height` [m] and their shares, each (sub,).

    One for points, and for perfect slices without a gradient along z, such as a spoiler: their magnetisation
    does not depend on z.
    """
    if height == 0 or (math.isfinite(events.box) and not events.gradient[:, :, 2].any()):
        return np.zeros(1), np.ones(1)
    at, share = np.polynomial.legendre.leggauss(n_sub)
    return at * height / 2, share / 2


def sub_lattice(events: Events, cell: tuple[float, float, float], n_sub: SubPositions) -> tuple[Real, Real]:
    """Offsets (3, sub) [m] from a cell's centre and their shares (sub,): Gauss-Legendre nodes in x, y, z."""
    nx, ny, nz = n_sub if isinstance(n_sub, tuple) else (1, 1, n_sub)
    axes = [np.polynomial.legendre.leggauss(n) for n in (nx, ny)]
    (x, wx), (y, wy) = ((at * side / 2, share / 2) for (at, share), side in zip(axes, cell[:2], strict=True))
    z, wz = sub_positions(events, cell[2], nz)
    grid = np.meshgrid(x, y, z, indexing="ij")
    share = wx[:, None, None] * wy[:, None] * wz
    return np.stack([axis.ravel() for axis in grid]), share.ravel()


def contiguous(array: NDArray[Scalar]) -> NDArray[Scalar]:
    """Make it what the kernels are compiled for, C-contiguous and read-only; copied only if it is not."""
    plain = np.ascontiguousarray(array).view()
    plain.flags.writeable = False
    return plain


def box_share(z: Real, height: float, box: float) -> Real:
    """Part of each cell that lies within |z| <= box / 2; all of it where there is no box."""
    if not math.isfinite(box):
        return np.ones_like(z)
    if height == 0:
        return np.asarray(np.abs(z) <= box / 2, np.float64)
    top, bottom = np.minimum(z + height / 2, box / 2), np.maximum(z - height / 2, -box / 2)
    return np.asarray(np.maximum(top - bottom, 0.0) / height)
