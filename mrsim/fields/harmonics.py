"""Solid harmonics: the fields that a shim, or sources far outside of the object, can make."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def solid_harmonics(x: Array, y: Array, z: Array, degree: int) -> list[Array]:
    """2 l + 1 real solid harmonics of each degree l = 1 .. `degree` (at most 3), lowest first.

    Schmidt semi-normalised: the squares of one degree add up to r^(2 l). All have zero Laplacian. x, y, z
    broadcast.
    """
    if not 1 <= degree <= 3:
        raise ValueError(f"degree must lie in 1 to 3, got {degree}")
    harmonics = [x, y, z]
    if degree >= 2:
        r3 = math.sqrt(3)
        harmonics += [r3 * x * y, r3 * y * z, r3 * x * z, z**2 - (x**2 + y**2) / 2, r3 / 2 * (x**2 - y**2)]
    if degree == 3:
        r6, r10, r15 = math.sqrt(6) / 4, math.sqrt(10) / 4, math.sqrt(15)
        around = 4 * z**2 - x**2 - y**2
        harmonics += [
            z * (z**2 - 1.5 * (x**2 + y**2)),
            r6 * x * around,
            r6 * y * around,
            r15 * x * y * z,
            r15 / 2 * z * (x**2 - y**2),
            r10 * x * (x**2 - 3 * y**2),
            r10 * y * (3 * x**2 - y**2),
        ]
    return harmonics


def degree_of(count: int) -> list[int]:
    """Degree of each of the first `count` solid harmonics: 1, 1, 1, 2, 2, 2, 2, 2, 3, ..."""
    return [math.isqrt(i + 1) for i in range(count)]
