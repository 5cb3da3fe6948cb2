"""Motion: where each spin is at each time, in the image frame.

A motion answers `positions(spins, position, time)` for some of the spins and, where spins flow in and out,
`renewed`. Rigid motion, periodic deformation, flow and tables of paths are here; anything with the same methods
will do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
Some = slice | NDArray[np.intp]


class Motion(Protocol):
    """What the simulator asks of a motion.

    resolution : [s] longest time over which positions are smooth: drawn well by a polynomial of degree 4
    """

    @property
    def resolution(self) -> float: ...

    def positions(self, spins: Some, position: Real, time: float) -> Real:
        """Where the `spins` (indices) that start at `position` (3, spin) [m] are at `time` [s], (3, spin)."""
        ...

    def renewed(self, spins: Some, position: Real, begin: float, end: float) -> NDArray[np.bool_] | None:
        """Which of the spins are replaced by fresh ones, in equilibrium, between two times [s]; None: none ever."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class RigidMotion:
    """A trajectory of the whole object, linear between the times at which it is given.

    times : (time,) [s] ascending; before and after, the object rests
    translation : (time, 3) [m] along x, y, z of the image frame
    rotation : (time, 3) [rad] about x, then y, then z, around `centre`
    """

    times: Real
    translation: Real
    rotation: Real
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        n = np.size(self.times)
        if n < 1 or (np.diff(self.times) <= 0).any():
            raise ValueError("times must be one or more ascending numbers [s]")
        for name in ("translation", "rotation"):
            if np.shape(getattr(self, name)) != (n, 3):
                raise ValueError(f"{name} must have shape ({n}, 3), got {np.shape(getattr(self, name))}")

    @property
    def resolution(self) -> float:
        """Shortest time between two entries [s]."""
        return float(np.diff(self.times).min(initial=math.inf))

    def positions(self, spins: Some, position: Real, time: float) -> Real:  # noqa: ARG002 - all move alike
        """See `Motion`."""
        shift = np.array([np.interp(time, self.times, self.translation[:, i]) for i in range(3)])
        angles = [float(np.interp(time, self.times, self.rotation[:, i])) for i in range(3)]
        centre = np.array(self.centre)[:, None]
        return np.asarray(_rotation(*angles) @ (position - centre) + centre + shift[:, None])

    def renewed(self, spins: Some, position: Real, begin: float, end: float) -> None:
        """See `Motion`."""


def _rotation(about_x: float, about_y: float, about_z: float) -> Real:
    matrix = np.eye(3)
    for axis, angle in enumerate((about_x, about_y, about_z)):
        c, s = math.cos(angle), math.sin(angle)
        turn = np.eye(3)
        i, j = (axis + 1) % 3, (axis + 2) % 3
        turn[i, i], turn[i, j], turn[j, i], turn[j, j] = c, -s, s, c
        matrix = turn @ matrix
    return matrix


@dataclass(frozen=True, kw_only=True, slots=True)
class PeriodicDeformation:
    """An object that is stretched along each axis, and back, in every period, as by breath or heartbeat.

    stretch : (3,) largest relative change of length along x, y, z, reached after half a period
    period : [s]
    centre : [m] what stays in place
    """

    stretch: tuple[float, float, float]
    period: float
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        if not 0 < self.period < math.inf:
            raise ValueError(f"period must be positive, got {self.period} s")
        if min(self.stretch) <= -1:
            raise ValueError(f"stretch must be above -1, got {self.stretch}")

    @property
    def resolution(self) -> float:
        """An eighth of the period [s]: the polynomial is then within 1e-5 of the stretch."""
        return self.period / 8

    def positions(self, spins: Some, position: Real, time: float) -> Real:  # noqa: ARG002 - a field
        """See `Motion`."""
        centre = np.array(self.centre)[:, None]
        share = (1 - math.cos(2 * math.pi * time / self.period)) / 2
        return np.asarray(centre + (position - centre) * (1 + share * np.array(self.stretch))[:, None])

    def renewed(self, spins: Some, position: Real, begin: float, end: float) -> None:
        """See `Motion`."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Flow:
    """Spins that flow straight on at a constant velocity through a stretch of vessel, and come in fresh behind.

    moves : (all spins,) bool which spins flow; the others rest
    velocity : (3,) [m/s]
    length : [m] of the vessel along the velocity, centred on `middle` (the projection of positions on the
        direction of flow); a spin that leaves it starts again at its entry, in equilibrium
    """

    moves: NDArray[np.bool_]
    velocity: tuple[float, float, float]
    length: float
    middle: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.length < math.inf:
            raise ValueError(f"length must be positive, got {self.length} m")
        if not 0 < float(np.linalg.norm(self.velocity)) < math.inf:
            raise ValueError(f"velocity must be finite and not 0, got {self.velocity} m/s")

    @property
    def resolution(self) -> float:
        """Motion is linear but for the jump back, which is handled by itself [s]."""
        return self.length / float(np.linalg.norm(self.velocity)) / 8

    def positions(self, spins: Some, position: Real, time: float) -> Real:
        """See `Motion`."""
        direction, way = self._way(position, time)
        back = self.length * self._rounds(way) * self.moves[spins]
        ahead = float(np.linalg.norm(self.velocity)) * time * self.moves[spins]
        return np.asarray(position + direction[:, None] * (ahead - back))

    def renewed(self, spins: Some, position: Real, begin: float, end: float) -> NDArray[np.bool_]:
        """See `Motion`."""
        rounds = [self._rounds(self._way(position, t)[1]) for t in (begin, end)]
        return np.asarray((rounds[1] > rounds[0]) & self.moves[spins])

    def _way(self, position: Real, time: float) -> tuple[Real, Real]:
        speed = float(np.linalg.norm(self.velocity))
        direction = np.array(self.velocity) / speed
        return direction, direction @ position - self.middle + speed * time

    def _rounds(self, way: Real) -> Real:
        return np.asarray(np.floor(way / self.length + 0.5))


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Paths:
    """A table of displacements, linear in time between its entries, the same again after each period.

    times : (time,) [s] ascending from 0
    displacement : (3, all spins, time) [m]
    period : [s] after which the paths repeat; inf: the last entry stays
    """

    times: Real
    displacement: Real
    period: float = math.inf

    @property
    def resolution(self) -> float:
        """Shortest time between two entries [s]."""
        return float(np.diff(self.times).min(initial=math.inf))

    def positions(self, spins: Some, position: Real, time: float) -> Real:
        """See `Motion`."""
        t = time % self.period if math.isfinite(self.period) else time
        i = int(np.clip(np.searchsorted(self.times, t, side="right") - 1, 0, max(0, self.times.size - 2)))
        table = self.displacement[:, spins]
        if self.times.size == 1:
            return np.asarray(position + table[..., 0])
        share = float(np.clip((t - self.times[i]) / (self.times[i + 1] - self.times[i]), 0.0, 1.0))
        return np.asarray(position + (1 - share) * table[..., i] + share * table[..., i + 1])

    def renewed(self, spins: Some, position: Real, begin: float, end: float) -> None:
        """See `Motion`."""
