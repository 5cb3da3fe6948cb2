"""How the spins of a cloud move: an action, a curve of time, and the spins that follow it.

The description is that of KomaMRI (JuliaHealth/KomaMRI.jl, KomaMRIBase), so that its files keep their
meaning. A motion has gone the share s(t) of its action at the time t, see `TimeCurve`; `moved` composes
several.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Real = NDArray[np.float64]
Vector = tuple[float, float, float]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class TimeCurve:
    """Share of an action over time, linear between knots.

    t : (knot,) float64 [s] ascending; two equal times are a jump
    share : (knot,) float64 0 is at rest, 1 the whole action
    periodic : repeated with the period t[-1] - t[0]; else the first and last share are held
    """

    t: Real
    share: Real
    periodic: bool = False

    def __post_init__(self) -> None:
        for name in ("t", "share"):
            values = np.array(getattr(self, name), np.float64)
            if values.ndim != 1 or values.size < 2 or not np.isfinite(values).all():
                raise ValueError(f"{name} of a time curve must be two or more finite numbers, got {values}")
            object.__setattr__(self, name, values)
        if self.t.size != self.share.size or (np.diff(self.t) < 0).any():
            raise ValueError(f"t of a time curve must ascend, one per share, got {self.t} s")
        if self.periodic and self.t[0] == self.t[-1]:
            raise ValueError(f"t of a periodic time curve must span a period, got {self.t} s")

    def at(self, times: ArrayLike) -> Real:
        """Share at `times` [s], of their shape."""
        times = np.asarray(times, np.float64)
        if self.periodic:
            start, end = self.t[0], self.t[-1]
            outside = (times < start) | (times > end)
            times = np.where(outside, start + np.mod(times - start, end - start), times)
        return np.asarray(np.interp(times, self.t, self.share))


@dataclass(frozen=True, kw_only=True, slots=True)
class Translate:
    """Shift by share * `offset` [m]."""

    offset: Vector

    def displacement(self, position: Real, share: float) -> Real:
        """Displacement (3, spin) [m] of spins at `position` (3, spin) [m]."""
        return np.repeat(share * np.array(self.offset)[:, None], position.shape[1], axis=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rotate:
    """Turn by share * `angles` about x, then y, then z: R = Rz Ry Rx, right-handed.

    angles : [rad] about x, y, z
    centre : [m] fixed point; None is the mean position of the spins that turn
    """

    angles: Vector
    centre: Vector | None = None

    def displacement(self, position: Real, share: float) -> Real:
        """Displacement (3, spin) [m] of spins at `position` (3, spin) [m]."""
        (cx, sx), (cy, sy), (cz, sz) = ((math.cos(share * a), math.sin(share * a)) for a in self.angles)
        about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
        about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
        centre = position.mean(axis=1) if self.centre is None else np.array(self.centre)
        return np.asarray((about_z @ about_y @ about_x - np.eye(3)) @ (position - centre[:, None]))


@dataclass(frozen=True, kw_only=True, slots=True)
class HeartBeat:
    """Contract about the z axis: strains, negative to contract.

    With r the distance from the axis and R the largest, r grows by
    share * (circumferential * R - radial * (R - r)), not below 0, and z by share * longitudinal * z.
    """

    circumferential: float
    radial: float
    longitudinal: float

    def displacement(self, position: Real, share: float) -> Real:
        """Displacement (3, spin) [m] of spins at `position` (3, spin) [m]."""
        x, y, z = position
        r = np.hypot(x, y)
        largest = r.max(initial=0.0)
        grown = share * (self.circumferential * largest - self.radial * (largest - r))
        grown = np.maximum(grown, -r)
        angle = np.arctan2(y, x)
        return np.stack([grown * np.cos(angle), grown * np.sin(angle), share * self.longitudinal * z])


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Path:
    """A path of its own for every spin, linear between knots that divide the share 0 to 1 evenly.

    offset : (knot, 3, spin) float64 [m] displacement
    reset : (knot, spin) bool or None; flow: a spin that leaves is put back where others enter, and from
        the knot where `reset` is set it is fresh: Mz = PD, M+ = 0
    """

    offset: Real
    reset: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        offset = np.array(self.offset, np.float64)
        if offset.ndim != 3 or offset.shape[0] < 2 or offset.shape[1] != 3 or not np.isfinite(offset).all():
            raise ValueError(
                f"offset of a path must be finite, of shape (knot, 3, spin), got shape {offset.shape}"
            )
        object.__setattr__(self, "offset", offset)
        if self.reset is not None:
            reset = np.array(self.reset, np.bool_)
            if reset.shape != (offset.shape[0], offset.shape[2]):
                raise ValueError(
                    f"reset of a path must have shape {(offset.shape[0], offset.shape[2])}, got {reset.shape}"
                )
            object.__setattr__(self, "reset", reset)

    def displacement(self, position: Real, share: float) -> Real:
        """Displacement (3, spin) [m]; `position` is not looked at."""
        del position
        at = min(max(share, 0.0), 1.0) * (self.offset.shape[0] - 1)
        knot = min(int(at), self.offset.shape[0] - 2)
        part = at - knot
        return np.asarray((1 - part) * self.offset[knot] + part * self.offset[knot + 1])


Action = Translate | Rotate | HeartBeat | Path


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Motion:
    """One action over time.

    spins : (n,) int spins that it moves, in the order of a path's columns; None is all
    """

    action: Action
    time: TimeCurve
    spins: NDArray[np.intp] | None = None


def moved(position: Real, motions: Iterable[Motion], times: ArrayLike) -> Real:
    """Positions (time, 3, spin) [m] at `times` (time,) [s] of spins that rest at `position` (3, spin) [m].

    Rotations and heart beats come first, in the order of their start, each from where the last one left the
    spins; translations and paths are added, as seen from the place at rest. Memory: one copy per time.
    """
    ordered = sorted(motions, key=lambda m: float(m.time.t[0]))
    turns = [m for m in ordered if isinstance(m.action, Rotate | HeartBeat)]
    shifts = [m for m in ordered if isinstance(m.action, Translate | Path)]
    shares = {id(m): m.time.at(times) for m in ordered}
    out = np.empty((np.size(times), *position.shape))
    for i, now in enumerate(out):
        now[:] = position
        for motion in (*turns, *shifts):
            chosen = slice(None) if motion.spins is None else motion.spins
            seen = now if isinstance(motion.action, Rotate | HeartBeat) else position
            now[:, chosen] += motion.action.displacement(seen[:, chosen], float(shares[id(motion)][i]))
    return out
