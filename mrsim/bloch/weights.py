"""How much signal a spin stands for, and where across its cell the slice profile is sampled."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from mrsim.events import Events

if TYPE_CHECKING:
    from phantoms.phantom import Spins

SUB_POSITIONS = 4  # Gauss-Legendre nodes across the cell of a spin in z
Real = NDArray[np.float64]
Scalar = TypeVar("Scalar", bound=np.generic)


def amplitudes(spins: Spins, events: Events) -> Real:
    """(tissue,) k-space amplitude of a spin with M+ = 1: PD * cell volume / pixel volume, orthonormal
    transform.

    A pixel filled with PD 1 then has the magnitude of the closed form in the image.
    """
    share = math.prod(spins.cell) / events.pixel_volume
    return spins.pd * (share / math.sqrt(math.prod(events.matrix)))


def sub_positions(events: Events, height: float, n_sub: int) -> tuple[Real, Real]:
    """Offsets [m] from the centre of a cell of `height` [m] and their shares, each (sub,).

    One for perfect slices, whose magnetisation does not depend on z.
    """
    if math.isfinite(events.box):
        return np.zeros(1), np.ones(1)
    at, share = np.polynomial.legendre.leggauss(n_sub)
    return at * height / 2, share / 2


def contiguous(array: NDArray[Scalar]) -> NDArray[Scalar]:
    """Make it what the kernels are compiled for, C-contiguous and read-only; copied only if it is not."""
    plain = np.ascontiguousarray(array).view()
    plain.flags.writeable = False
    return plain


def box_share(z: Real, height: float, box: float) -> Real:
    """Part of each cell that lies within |z| <= box / 2; all of it where there is no box."""
    if not math.isfinite(box):
        return np.ones_like(z)
    top, bottom = np.minimum(z + height / 2, box / 2), np.maximum(z - height / 2, -box / 2)
    return np.asarray(np.maximum(top - bottom, 0.0) / height)
