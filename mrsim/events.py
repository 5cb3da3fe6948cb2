"""Events: the arrays that every sequence compiles to, and what follows from them without a spin."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrsim.constants import GAMMA_BAR
from mrsim.rf import Pulse

Real = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Trajectory:
    """Where the readouts of a sequence sample, by its gradients alone.

    line : (adc,) int row of k-space
    k : (adc, sample, 3) [1/m] encoding of a coherence born at the last excitation
    clock : (adc, sample) [s] net dephasing time of that coherence: 0 at the excitation centre, advanced by
        free precession, inverted by refocusing, so 0 again at a spin echo
    """

    line: NDArray[np.intp]
    k: Real
    clock: Real


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Events:
    """A sequence as intervals of constant gradient, played one after the other.

    duration : (event,) [s]
    gradient : (event, 3) [T/m] x, y, z of the image frame, constant during the event
    pulse : (event,) int row of `pulses` that is played during the event, -1 for none
    samples : (event,) int receiver samples, n at time n * duration / samples from the start of the event
    line : (event,) int row of k-space that the samples fill
    crusher : (event,) bool ideal crusher at the end of the event: the answer is the mean over an ensemble
        whose members get the phases 2 pi p / P, so that only equal numbers of crushers before and after an
        inversion survive, exactly as with strong gradients
    spoil : (event,) bool ideal spoiler at the end of the event: M+ becomes 0, and Mz its mean over the
        ensemble
    start : (repetition,) int first event of each repetition
    pulses : the pulses
    matrix : rows and samples of k-space (ky, kx)
    pixel_volume : [m3] nominal volume of a pixel, the unit of signal for PD = 1
    box : [m] thickness of a perfect slice, outside of which spins take no part; inf if the pulses select
    steady_state : the first repetition is repeated without receiving until Mz no longer changes
    """

    duration: Real
    gradient: Real
    pulse: NDArray[np.intp]
    samples: NDArray[np.intp]
    line: NDArray[np.intp]
    crusher: NDArray[np.bool_]
    spoil: NDArray[np.bool_]
    start: NDArray[np.intp]
    pulses: tuple[Pulse, ...]
    matrix: tuple[int, int]
    pixel_volume: float
    box: float = math.inf
    steady_state: bool = True

    def __post_init__(self) -> None:
        n = np.size(self.duration)
        for name, dtype, shape in _COLUMNS:
            column: NDArray[Any] = np.array(getattr(self, name), dtype)
            if column.shape != (n, *shape):
                raise ValueError(f"{name} must have shape {(n, *shape)}, got {column.shape}")
            column.flags.writeable = False
            object.__setattr__(self, name, column)
        self._check()

    def _check(self) -> None:
        if not (np.isfinite(self.duration).all() and (self.duration >= 0).all()):
            raise ValueError(f"duration must be finite and not negative, got {self.duration.min()} s")
        if self.pulse.max(initial=-1) >= len(self.pulses) or self.pulse.min(initial=-1) < -1:
            raise ValueError(f"pulse must lie in -1 to {len(self.pulses) - 1}, got {self.pulse.max()}")
        for event in np.flatnonzero(self.pulse >= 0):
            if self.samples[event] or not math.isclose(
                self.duration[event], self.pulses[self.pulse[event]].duration, abs_tol=1e-12
            ):
                raise ValueError(f"event {event} must last as long as its pulse and not receive")
        rows, samples = self.matrix
        adc = self.samples > 0
        if not np.isin(self.samples, (0, samples)).all() or not (self.duration[adc] > 0).all():
            raise ValueError(
                f"samples must be 0 or {samples} in a time above 0, got {np.unique(self.samples)}"
            )
        if adc.any() and not (0 <= self.line[adc].min() and self.line[adc].max() < rows):
            raise ValueError(f"line must lie in 0 to {rows - 1}, got {self.line[adc].max()}")

    @property
    def total_duration(self) -> float:
        """Length of the scan without the repetitions that only prepare the steady state [s]."""
        return float(self.duration.sum())

    def first_repetition(self) -> Events:
        """Cut the sequence down to its first repetition."""
        end = self.start[1] if self.start.size > 1 else self.duration.size
        columns = {name: getattr(self, name)[:end] for name, _, _ in _COLUMNS}
        return replace(self, **columns, start=self.start[:1])

    def trajectory(self) -> Trajectory:
        """Follow the gradient moment and the dephasing clock through the sequence."""
        moment = np.column_stack((GAMMA_BAR * self.gradient, np.ones(self.duration.size)))
        halves = np.repeat(moment * self.duration[:, None] / 2, 2, axis=0)  # (2 event, 4): pulses act between
        sign = self._signs()[:, None]
        total = np.cumsum(sign * halves, axis=0)
        origin = self._origins(total)

        adc = np.flatnonzero(self.samples)
        before = np.where((adc > 0)[:, None], sign[2 * adc] * (total[2 * adc - 1] - origin[2 * adc]), 0.0)
        step = self.duration[adc] / self.matrix[1]
        time = step[:, None] * np.arange(self.matrix[1])  # (adc, sample)
        encoded = before[:, None, :] + moment[adc][:, None, :] * time[:, :, None]  # (adc, sample, 4)
        return Trajectory(line=self.line[adc], k=encoded[..., :3], clock=encoded[..., 3])

    def _used_as(self, use: str) -> NDArray[np.bool_]:
        played = np.array([p.use == use for p in self.pulses] + [False])
        return np.asarray(played[self.pulse])  # -1, no pulse, reads the last entry

    def _signs(self) -> NDArray[np.intp]:
        """-1 from the centre of each refocusing pulse to that of the next, +1 otherwise (half events)."""
        turns = np.zeros(2 * self.duration.size, np.intp)
        turns[1::2] = self._used_as("refocusing")
        return 1 - 2 * (np.cumsum(turns) % 2)

    def _origins(self, total: Real) -> Real:
        """Sum of moments at the centre of the excitation that went before each half event."""
        births = np.zeros(2 * self.duration.size, np.intp)
        births[1::2] = np.where(self._used_as("excitation"), np.arange(1, births.size, 2), 0)
        last = np.maximum.accumulate(births)
        return np.where((last > 0)[:, None], total[last - 1], 0.0)


_COLUMNS: tuple[tuple[str, Any, tuple[int, ...]], ...] = (
    ("duration", np.float64, ()),
    ("gradient", np.float64, (3,)),
    ("pulse", np.intp, ()),
    ("samples", np.intp, ()),
    ("line", np.intp, ()),
    ("crusher", np.bool_, ()),
    ("spoil", np.bool_, ()),
)


class Repetition:
    """Collects the events of one repetition in the order in which they are played."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(
        self,
        duration: float,
        gradient: tuple[float, float, float] = (0.0, 0.0, 0.0),
        *,
        pulse: int = -1,
        samples: int = 0,
        line: int = 0,
        crusher: bool = False,
        spoil: bool = False,
    ) -> int:
        """Append one event and return its index; the arguments are the columns of `Events`."""
        row = (duration, gradient, pulse, samples, line, crusher, spoil)
        self.rows.append(dict(zip((name for name, _, _ in _COLUMNS), row, strict=True)))
        return len(self.rows) - 1

    def columns(self, repetitions: int = 1) -> dict[str, Any]:
        """Columns of `Events`, the repetition played so many times over, and `start`."""
        columns: dict[str, Any] = {}
        for name, dtype, shape in _COLUMNS:
            once = np.array([row[name] for row in self.rows], dtype)
            columns[name] = np.tile(once, (repetitions,) + (1,) * len(shape))
        columns["start"] = np.arange(repetitions, dtype=np.intp) * len(self.rows)
        return columns
