"""A second pool of bound protons: magnetisation transfer.

The bound pool has no transverse magnetisation that lasts; RF saturates it at the rate W = pi w1^2 G(offset),
and it exchanges longitudinal magnetisation with the free pool (Henkelman et al., Magn Reson Med 1993;29:759;
in imaging, Gloor et al., Magn Reson Med 2008;60:691). Both are counted as shares of their own equilibrium.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

NEAREST = 1e3  # [Hz] the super-Lorentzian grows without bound on resonance: it is held at its value here
ANGLES = 2000  # nodes of the powder average

Real = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class BoundPool:
    """Bound protons of each tissue; arrays (tissue,).

    fraction : bound over free protons at equilibrium; 0 where there are none
    exchange : [1/s] from free to bound
    r1 : [1/s]
    t2 : [s] of the super-Lorentzian line
    """

    fraction: Real
    exchange: Real
    r1: Real
    t2: Real

    def __post_init__(self) -> None:
        for name in ("fraction", "exchange", "r1"):
            value = np.asarray(getattr(self, name), np.float64)
            if not (np.isfinite(value).all() and (value >= 0).all()):
                raise ValueError(
                    f"{name} of the bound pool must be finite and not negative, got {value.min()}"
                )
        if not (np.asarray(self.t2) > 0).all():
            raise ValueError(f"t2 of the bound pool must be positive, got {np.min(self.t2)} s")

    def of(self, tissue: NDArray[np.unsignedinteger]) -> BoundPool:
        """Pool of each of these spins."""
        return replace(
            self,
            **{
                name: np.asarray(getattr(self, name), float)[tissue]
                for name in ("fraction", "exchange", "r1", "t2")
            },
        )

    def saturation(self, nutation_rate: Real, offset: float) -> Real:
        """W [1/s] of RF of `nutation_rate` (spin,) [rad/s] at `offset` [Hz]."""
        t2, which = np.unique(self.t2, return_inverse=True)
        line = np.array([super_lorentzian(offset, float(t)) for t in t2])
        return np.asarray(np.pi * nutation_rate**2 * line[which])


def super_lorentzian(offset: float, t2: float) -> float:
    """G [s] of the super-Lorentzian line at `offset` [Hz], at most that at 1 kHz; it integrates to 1 / 2 pi.

    G = sqrt(2 / pi) * integral over u from 0 to 1 of T2 / |3 u^2 - 1| exp(-2 (2 pi offset T2 / (3 u^2 -
    1))^2) (Morrison and Henkelman, Magn Reson Med 1995;33:475).
    """
    distance = max(abs(offset), NEAREST)
    u = (np.arange(ANGLES) + 0.5) / ANGLES
    width = np.abs(3 * u**2 - 1)
    values = t2 / width * np.exp(-2 * (2 * math.pi * distance * t2 / width) ** 2)
    return float(math.sqrt(2 / math.pi) * values.mean())


def exchange(
    pool: BoundPool, r1: Real, free: Real, bound: Real, duration: float, saturation: Real | None
) -> tuple[Real, Real]:
    """Longitudinal magnetisation of both pools (member, spin) after `duration` [s], as shares of equilibrium.

    d/dt free = R1 (1 - free) + k (bound - free),  d/dt bound = R1b (1 - bound) + k / F (free - bound) - W
    bound, with detailed balance between the pools, solved in closed form.
    """
    k = np.where(pool.fraction > 0, pool.exchange, 0.0)
    back = k / np.where(pool.fraction > 0, pool.fraction, 1.0)
    w = np.zeros_like(k) if saturation is None else saturation
    a, b, c, d = -(r1 + k), k, back, -(pool.r1 + back + w)
    determinant = a * d - b * c  # positive: both pools relax
    determinant = np.where(determinant > 0, determinant, 1.0)
    steady_free = (-d * r1 + b * pool.r1) / determinant
    steady_bound = (c * r1 - a * pool.r1) / determinant
    middle, spread = (a + d) / 2, np.sqrt(((a - d) / 2) ** 2 + b * c)
    grow, fall = np.exp((middle + spread) * duration), np.exp((middle - spread) * duration)
    even = (grow + fall) / 2
    odd = np.where(spread > 0, (grow - fall) / (2 * np.where(spread > 0, spread, 1.0)), duration * grow)
    u, v = free - steady_free, bound - steady_bound
    free_after = steady_free + (even + odd * (a - d) / 2) * u + odd * b * v
    bound_after = steady_bound + odd * c * u + (even - odd * (a - d) / 2) * v
    return free_after, bound_after
