"""Solids: which points lie inside, and the Fourier transform of the solid in closed form.

transform(k) = integral over the solid of exp(-i 2 pi k.r) d3r  [m3],  k : (3, ...) [1/m]

The transforms are those of Bracewell, The Fourier Transform and Its Applications (box, disk), and of Koay,
Sarlls, Ozarslan, Magn Reson Med 58:430, 2007 (ellipsoid).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
Point = tuple[float, float, float]
SMALL = 0.1  # below this a quotient of differences that cancel is taken from its series


class Shape(Protocol):
    """A solid with a centre."""

    @property
    def centre(self) -> Point:
        """[m] RAS."""
        ...

    @property
    def half(self) -> Point:
        """[m] Half the size of the bounding box."""
        ...

    def inside(self, x: Real, y: Real, z: Real) -> NDArray[np.bool_]:
        """Whether the points x, y, z [m], which broadcast, lie inside or on the surface."""
        ...

    def transform(self, k: ArrayLike) -> Complex:
        """Fourier transform at k (3, ...) [1/m], as said above."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Ellipsoid:
    """Ellipsoid whose axes are x, y and z; `half` are its radii."""

    half: Point
    centre: Point = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        _check_lengths("half", self.half)

    def inside(self, x: Real, y: Real, z: Real) -> NDArray[np.bool_]:
        """Whether the points lie inside or on the surface."""
        u, v, w = ((p - c) / h for p, c, h in zip((x, y, z), self.centre, self.half, strict=True))
        return np.asarray(u * u + v * v + w * w <= 1)

    def transform(self, k: ArrayLike) -> Complex:
        """3 V (sin q - q cos q) / q^3 with q = 2 pi |(k_x a, k_y b, k_z c)|, moved to the centre."""
        k = np.asarray(k, np.float64)
        q = 2 * math.pi * np.sqrt(sum((k[i] * self.half[i]) ** 2 for i in range(3)))
        safe = np.where(q < SMALL, 1.0, q)
        series = 1 - q**2 / 10 + q**4 / 280 - q**6 / 15120
        ratio = np.where(q < SMALL, series, 3 * (np.sin(safe) - safe * np.cos(safe)) / safe**3)
        return np.asarray(4 / 3 * math.pi * math.prod(self.half) * ratio * _shift(k, self.centre))


@dataclass(frozen=True, kw_only=True, slots=True)
class Cylinder:
    """Straight circular cylinder along z."""

    radius: float  # [m]
    length: float  # [m]
    centre: Point = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        _check_lengths("radius and length", (self.radius, self.length))

    @property
    def half(self) -> Point:
        """Half the size of the bounding box [m]."""
        return self.radius, self.radius, self.length / 2

    def inside(self, x: Real, y: Real, z: Real) -> NDArray[np.bool_]:
        """Whether the points lie inside or on the surface."""
        disk = (x - self.centre[0]) ** 2 + (y - self.centre[1]) ** 2 <= self.radius**2
        return np.asarray(disk & (np.abs(z - self.centre[2]) <= self.length / 2))

    def transform(self, k: ArrayLike) -> Complex:
        """R J1(2 pi R kappa) / kappa * L sinc(k_z L), kappa = |(k_x, k_y)|, moved to the centre."""
        from scipy.special import j1  # heavy, and only here

        k = np.asarray(k, np.float64)
        q = 2 * math.pi * self.radius * np.hypot(k[0], k[1])
        ratio = np.divide(2 * j1(q), q, out=np.ones_like(q), where=q > 0)
        volume = math.pi * self.radius**2 * self.length
        return np.asarray(volume * ratio * np.sinc(k[2] * self.length) * _shift(k, self.centre))


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """Box along x, y and z."""

    size: Point  # [m]
    centre: Point = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        _check_lengths("size", self.size)

    @property
    def half(self) -> Point:
        """Half the size [m]."""
        x, y, z = self.size
        return x / 2, y / 2, z / 2

    def inside(self, x: Real, y: Real, z: Real) -> NDArray[np.bool_]:
        """Whether the points lie inside or on the surface."""
        u, v, w = (np.abs(p - c) <= h for p, c, h in zip((x, y, z), self.centre, self.half, strict=True))
        return np.asarray(u & v & w)

    def transform(self, k: ArrayLike) -> Complex:
        """Product of L sinc(k L) over the axes, moved to the centre."""
        k = np.asarray(k, np.float64)
        x, y, z = (length * np.sinc(k[i] * length) for i, length in enumerate(self.size))
        return np.asarray(x * y * z * _shift(k, self.centre))


def _shift(k: Real, centre: Point) -> Complex:
    """Shift theorem: a solid at `centre` has exp(-i 2 pi k.centre) times the transform of one at 0."""
    return np.asarray(np.exp(-2j * math.pi * sum(k[i] * centre[i] for i in range(3))))


def _check_lengths(name: str, values: tuple[float, ...]) -> None:
    if not all(0 < v < math.inf for v in values):
        raise ValueError(f"{name} must be positive lengths, got {', '.join(map(str, values))} m")
