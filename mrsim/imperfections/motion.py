"""Motion as the simulator takes it: where spins are, and which of them are replaced by fresh ones."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path as FilePath

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phantoms.motion import HeartBeat, Motion, Path, Rotate, TimeCurve, Translate, moved
from phantoms.phantom import PhantomError

Real = NDArray[np.float64]
MM = 1e-3
LOOKS = 64  # times at which a motion is looked at, besides its knots
COLUMNS = ("t_s", "x_mm", "y_mm", "z_mm", "rx_deg", "ry_deg", "rz_deg")
SMOOTH = 1 / 8  # of a curve of time: what a polynomial of degree 4 draws well


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Flow:
    """Spins that flow on at a constant velocity through a stretch of vessel, and come in fresh behind.

    spins : (n,) int which spins flow
    velocity : (3,) [m/s]
    length : [m] of the vessel along the velocity, centred on `middle` (the projection of positions on the
        direction of flow); a spin that leaves it starts again at its entry, in equilibrium
    """

    spins: NDArray[np.intp]
    velocity: tuple[float, float, float]
    length: float
    middle: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.length < math.inf:
            raise ValueError(f"length must be positive, got {self.length} m")
        if not 0 < self.speed < math.inf:
            raise ValueError(f"velocity must be finite and not 0, got {self.velocity} m/s")

    @property
    def speed(self) -> float:
        """[m/s]."""
        return float(np.linalg.norm(self.velocity))

    def displacement(self, position: Real, time: float) -> Real:
        """(3, n) [m] of the flowing spins that start at `position` (3, n) [m]."""
        way = self.speed * time - self.length * self.rounds(position, time)
        return np.asarray(np.outer(np.array(self.velocity) / self.speed, way))

    def rounds(self, position: Real, time: float) -> Real:
        """How often each spin has been replaced until `time` [s], up to a constant."""
        way = np.array(self.velocity) / self.speed @ position - self.middle + self.speed * time
        return np.asarray(np.floor(way / self.length + 0.5))


def flowing(
    position: Real,
    spins: NDArray[np.intp],
    velocity: tuple[float, float, float],
    cell: tuple[float, float, float],
) -> Flow | None:
    """Flow of some spins through the stretch that they fill along the velocity; None without spins.

    position : (3, spin) [m] of all; cell : [m] that a spin stands for, x, y, z
    """
    if not spins.size:
        return None
    along = np.array(velocity) / np.linalg.norm(velocity)
    way = along @ position[:, spins]
    return Flow(
        spins=spins,
        velocity=velocity,
        length=float(np.ptp(way) + np.abs(along) @ cell),
        middle=float(way.min() + way.max()) / 2,
    )


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Moving:
    """All that moves: motions of a phantom (see `phantoms.motion`), and flow."""

    motions: tuple[Motion, ...] = ()
    flows: tuple[Flow, ...] = ()

    @property
    def of_each(self) -> bool:
        """Whether spins are told by their number."""
        own = (m.spins is not None or isinstance(m.action, Path) for m in self.motions)
        return bool(self.flows) or any(own)

    @property
    def resolution(self) -> float:
        """Longest stretch of time in which positions are drawn well by a polynomial of degree 4 [s]."""
        stretches = [math.inf]
        for motion in self.motions:
            steps = np.diff(motion.time.t)
            shortest = float(steps[steps > 0].min(initial=math.inf))
            knots = motion.action.offset.shape[0] - 1 if isinstance(motion.action, Path) else 1
            smooth = 1.0 if isinstance(motion.action, Translate | Path) else SMOOTH
            stretches.append(shortest / knots * smooth)
        stretches += [flow.length / flow.speed * SMOOTH for flow in self.flows]
        return min(stretches)

    def state(self, time: float) -> tuple[float, ...]:
        """Say what positions at `time` [s] depend on: they are the same where it is."""
        flows = (time,) if self.flows else ()
        return (*(float(motion.time.at(time)) for motion in self.motions), *flows)

    def rests(self, begin: float, end: float) -> bool:
        """Whether nothing moves between two times [s]."""
        return not self.flows and all(_constant(motion.time, begin, end) for motion in self.motions)

    def positions(self, position: Real, time: float) -> Real:
        """Where the spins that rest at `position` (3, spin) [m] are at `time` [s]."""
        where = moved(position, self.motions, [time])[0]
        for flow in self.flows:
            where[:, flow.spins] += flow.displacement(position[:, flow.spins], time)
        return np.asarray(where)

    def renewed(self, position: Real, begin: float, end: float) -> NDArray[np.bool_]:
        """(spin,) whether a fresh spin, in equilibrium, took the place of another between two times [s]."""
        fresh = np.zeros(position.shape[1], np.bool_)
        for flow in self.flows:
            rounds = [flow.rounds(position[:, flow.spins], time) for time in (begin, end)]
            fresh[flow.spins] |= rounds[1] > rounds[0]
        for motion in self.motions:
            if isinstance(motion.action, Path) and motion.action.reset is not None:
                chosen = slice(None) if motion.spins is None else motion.spins
                fresh[chosen] |= _resets(motion.action.reset, motion.time, begin, end)
        return fresh

    def through_plane(self, box: Real, duration: float) -> float:
        """Farthest that the corners of a `box` (3, 2) [m] go along z during a scan [m], flow aside."""
        corners = np.array(np.meshgrid(*box)).reshape(3, -1)
        knots = [motion.time.t for motion in self.motions]
        times = np.unique(np.concatenate([*knots, np.linspace(0.0, duration, LOOKS)]))
        away = moved(corners, self.motions, times[(times >= 0) & (times <= duration)])[:, 2] - corners[2]
        return float(np.abs(away).max(initial=0.0))

    def repeated(self, n: int) -> Moving:
        """Return the motion of spins each of which has been cut into `n`, next to one another."""
        return Moving(
            motions=tuple(_repeated(m, n) for m in self.motions),
            flows=tuple(replace(f, spins=_each(f.spins, n)) for f in self.flows),
        )


def rigid(
    times: ArrayLike,
    translation: ArrayLike,
    rotation: ArrayLike,
    centre: tuple[float, float, float] = (0, 0, 0),
) -> Moving:
    """Trajectory of the whole object, linear between given times, at rest before and after.

    times : (time,) [s] ascending, at least two
    translation : (time, 3) [m] along x, y, z
    rotation : (time, 3) [rad] about x, then y, then z, around `centre` [m]
    """
    t = np.asarray(times, np.float64)
    motions = []
    for axis, unit in enumerate(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))):
        shift, angle = (np.asarray(part, np.float64)[:, axis] for part in (translation, rotation))
        if angle.any():
            motions.append(
                Motion(action=Rotate(angles=unit, centre=centre), time=TimeCurve(t=t, share=angle))
            )
        if shift.any():
            motions.append(Motion(action=Translate(offset=unit), time=TimeCurve(t=t, share=shift)))
    return Moving(motions=tuple(motions))


def read_motion(path: FilePath | str) -> Moving:
    """Rigid trajectory from a CSV file with the header t_s,x_mm,y_mm,z_mm,rx_deg,ry_deg,rz_deg.

    A line is where the object is at a time: shifted along, and turned about x, then y, then z of the image
    frame, whose origin is the middle of the slice; linear in between, at rest before and after. PhantomError
    says what is wrong with the file.
    """
    try:
        lines = FilePath(path).read_text(encoding="utf-8").split()
    except UnicodeDecodeError:
        lines = []
    if not lines or tuple(lines[0].split(",")) != COLUMNS:
        raise PhantomError(f"motion {path} must begin with the line {','.join(COLUMNS)}")
    try:
        table = np.array([[float(number) for number in line.split(",")] for line in lines[1:]])
    except ValueError as error:
        raise PhantomError(f"motion {path} must hold {len(COLUMNS)} numbers a line: {error}") from None
    if table.ndim != 2 or table.shape[1] != len(COLUMNS) or len(table) < 2:
        raise PhantomError(f"motion {path} must have two or more lines of {len(COLUMNS)} numbers")
    if not np.isfinite(table).all() or (np.diff(table[:, 0]) <= 0).any():
        raise PhantomError(f"motion {path} must be finite, at times that ascend")
    return rigid(table[:, 0], table[:, 1:4] * MM, np.radians(table[:, 4:7]))


def periodic(action: Translate | Rotate | HeartBeat, period: float, knots: int = 32) -> Moving:
    """Move to and fro: share (1 - cos(2 pi t / period)) / 2 of the action, in `knots` pieces."""
    if not 0 < period < math.inf:
        raise ValueError(f"period must be positive, got {period} s")
    t = np.linspace(0.0, period, knots + 1)
    curve = TimeCurve(t=t, share=(1 - np.cos(2 * np.pi * t / period)) / 2, periodic=True)
    return Moving(motions=(Motion(action=action, time=curve),))


def _constant(curve: TimeCurve, begin: float, end: float) -> bool:
    """Whether a curve keeps its value between two times [s]."""
    if curve.periodic:
        return False
    inside = curve.t[(curve.t > begin) & (curve.t < end)]
    return bool(np.ptp(curve.at(np.concatenate(([begin], inside, [end])))) == 0)


def _resets(reset: NDArray[np.bool_], curve: TimeCurve, begin: float, end: float) -> NDArray[np.bool_]:
    """(spin,) whether the path passes a knot that resets within (begin, end]."""
    low, high = (float(curve.at(t)) * (reset.shape[0] - 1) for t in (begin, end))
    if high >= low:
        return np.asarray(reset[math.floor(low) + 1 : math.floor(high) + 1].any(axis=0))
    return np.asarray(reset[math.floor(low) + 1 :].any(axis=0) | reset[: math.floor(high) + 1].any(axis=0))


def _each(spins: NDArray[np.intp], n: int) -> NDArray[np.intp]:
    return np.asarray((spins[:, None] * n + np.arange(n)).ravel())


def _repeated(motion: Motion, n: int) -> Motion:
    action = motion.action
    if isinstance(action, Path):
        reset = None if action.reset is None else np.repeat(action.reset, n, axis=1)
        action = Path(offset=np.repeat(action.offset, n, axis=2), reset=reset)
    return replace(motion, action=action, spins=None if motion.spins is None else _each(motion.spins, n))
