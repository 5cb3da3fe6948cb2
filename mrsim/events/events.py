"""Events: the arrays that every sequence compiles to, and what follows from them without a spin."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrsim.constants import GAMMA_BAR
from mrsim.events.rf import Pulse

Real = NDArray[np.float64]
Index = NDArray[np.intp]
SAME_TIME = 1e-9  # [s] what is closer than this happens at once
ON_GRID = 0.01  # [cells] a trajectory that stays this close to a grid is on it


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Trajectory:
    """What each receiver sample of a sequence sees of the gradients, in the order of time.

    adc : (sample,) int receiver window that the sample belongs to
    event : (sample,) int event in which it is taken
    time : (sample,) [s] since the start of the scan
    k : (sample, 3) [1/m] encoding of a coherence born at the last excitation
    clock : (sample,) [s] net dephasing time of that coherence: 0 at the excitation centre, advanced by
        free precession, inverted by refocusing, so 0 again at a spin echo
    phase : (sample,) [rad] receiver phase, subtracted from what the spins send
    """

    adc: Index
    event: Index
    time: Real
    k: Real
    clock: Real
    phase: Real


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Events:
    """A sequence as intervals on its own time grid, played one after the other.

    Gradients are linear in time during an event, so that ramps, trapezoids and waveforms given by their
    corners are exact.

    duration : (event,) [s]
    gradient : (event, 2, 3) [T/m] x, y, z of the image frame, at the start and at the end of the event
    pulse : (event,) int row of `pulses` that is played during the event, -1 for none
    phase : (event,) [rad] added to the phase of the pulse; of a receiver, at the start of the event
    frequency : (event,) [Hz] of pulse or receiver above that of the frame: from the start of the event on,
        its phase turns as that of a spin with this off-resonance, -2 pi frequency t
    samples : (event,) int receiver samples, sample n at first + n * dwell from the start of the event
    first dwell : (event,) [s]
    adc : (event,) int receiver window that the samples belong to, 0, 1, ... in the order of time, -1 for none
    crusher : (event,) bool ideal crusher at the end of the event: the answer is the mean over an ensemble
        whose members get the phases 2 pi p / P, so that only equal numbers of crushers before and after an
        inversion survive, exactly as with strong gradients
    spoil : (event,) bool ideal spoiler at the end of the event: M+ becomes 0, and Mz its mean over the
        ensemble
    start : (repetition,) int first event of each repetition
    pulses : the pulses
    place : (sample,) int where each sample belongs in k-space, ky * matrix[1] + kx, -1 for nowhere; empty if
        the samples lie on no Cartesian grid
    matrix : rows and columns (ky, kx) of k-space, or of the image that the samples are meant for
    pixel_volume : [m3] nominal volume of a pixel, the unit of signal for PD = 1
    box : [m] thickness of a perfect slice, outside of which spins take no part; inf if the pulses select
    steady_state : the first repetition is repeated without receiving until the magnetisation that it starts
        with no longer changes, in a frame that turns by `phase_step` from one repetition to the next
    phase_step : [rad] by which all phases grow per repetition, beyond what `phase` of the first holds
    refocuses : the pathway that `Trajectory.clock` follows is the one that makes the signal: T2' decay is
        exp(-|clock| / T2'); if not (as in bSSFP, where every pathway counts), T2' is left out
    """

    duration: Real
    gradient: Real
    pulse: Index
    phase: Real
    frequency: Real
    samples: Index
    first: Real
    dwell: Real
    adc: Index
    crusher: NDArray[np.bool_]
    spoil: NDArray[np.bool_]
    start: Index
    pulses: tuple[Pulse, ...]
    place: Index
    matrix: tuple[int, int]
    pixel_volume: float
    box: float = math.inf
    steady_state: bool = False
    phase_step: float = 0.0
    refocuses: bool = True

    def __post_init__(self) -> None:
        n = np.size(self.duration)
        for name, dtype, shape in COLUMNS:
            self._freeze(name, dtype, (n, *shape))
        self._freeze("start", np.intp, (np.size(self.start),))
        self._freeze("place", np.intp, (np.size(self.place),))
        self._check_intervals()
        self._check_receiver()

    def _freeze(self, name: str, dtype: Any, shape: tuple[int, ...]) -> None:  # noqa: ANN401 - a dtype
        column: NDArray[Any] = np.array(getattr(self, name), dtype)
        if column.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {column.shape}")
        if not np.isfinite(column).all():
            raise ValueError(f"{name} must be finite, got NaN or infinite values")
        column.flags.writeable = False
        object.__setattr__(self, name, column)

    def _check_intervals(self) -> None:
        if self.duration.min(initial=0.0) < 0:
            raise ValueError(f"duration must not be negative, got {self.duration.min()} s")
        if self.pulse.max(initial=-1) >= len(self.pulses) or self.pulse.min(initial=-1) < -1:
            raise ValueError(f"pulse must lie in -1 to {len(self.pulses) - 1}, got {self.pulse.max()}")
        rf = np.flatnonzero(self.pulse >= 0)
        length = np.array([p.duration for p in self.pulses])[self.pulse[rf]] if rf.size else np.zeros(0)
        wrong = (np.abs(self.duration[rf] - length) > SAME_TIME) | (self.samples[rf] != 0)
        if wrong.any():
            raise ValueError(f"event {rf[wrong][0]} must last as long as its pulse and not receive")

    def _check_receiver(self) -> None:
        on = np.flatnonzero(self.samples)
        if self.samples.min(initial=0) < 0:
            raise ValueError(f"samples must not be negative, got {self.samples.min()}")
        last = self.first[on] + (self.samples[on] - 1) * self.dwell[on]
        late = (self.first[on] < -SAME_TIME) | (last > self.duration[on] + SAME_TIME) | (self.dwell[on] <= 0)
        if late.any():
            raise ValueError(f"samples of event {on[late][0]} must be taken during it, dwell above 0 s")
        windows = self.adc[on]
        if on.size and (windows[0] != 0 or not np.isin(np.diff(windows), (0, 1)).all()):
            raise ValueError("adc must number the receiver windows 0, 1, ... in the order of time")
        if self.place.size not in (0, self.n_samples):
            raise ValueError(
                f"place must hold one number for each of {self.n_samples} samples, got {self.place.size}"
            )
        if self.place.size and not -1 <= self.place.min() <= self.place.max() < math.prod(self.matrix):
            raise ValueError(f"place must lie in -1 to {math.prod(self.matrix) - 1}, got {self.place.max()}")

    @property
    def n_samples(self) -> int:
        """Receiver samples of the whole scan."""
        return int(self.samples.sum())

    @property
    def n_adc(self) -> int:
        """Receiver windows of the whole scan."""
        return int(self.adc.max(initial=-1)) + 1

    @property
    def total_duration(self) -> float:
        """Length of the scan without the repetitions that only prepare the steady state [s]."""
        return float(self.duration.sum())

    def cut(self, begin: int, end: int) -> Events:
        """Return the events `begin` to `end` as a sequence of their own, which is one repetition."""
        columns = {name: getattr(self, name)[begin:end] for name, _, _ in COLUMNS}
        window = columns["adc"]
        first = window[window >= 0].min(initial=np.iinfo(np.intp).max)
        columns["adc"] = np.where(window >= 0, window - first, -1)
        sample = np.append(0, np.cumsum(self.samples))
        place = self.place[sample[begin] : sample[end]] if self.place.size else self.place
        return replace(self, **columns, start=np.zeros(1, np.intp), place=place)

    def first_repetition(self) -> Events:
        """Cut the sequence down to its first repetition."""
        return self.cut(int(self.start[0]), int(self.start[1]) if self.start.size > 1 else self.duration.size)

    def sorted_kspace(self, signal: NDArray[np.complexfloating]) -> NDArray[np.complexfloating]:
        """k-space (coil, ky, kx) of signal (coil, sample): samples in place, the mean where some share one.

        ValueError if the samples have no places.
        """
        if not self.place.size:
            raise ValueError(
                "sequence must sample a Cartesian grid to be sorted into k-space, got one that does not"
            )
        size = math.prod(self.matrix)
        kept = self.place >= 0
        place = self.place[kept]
        kspace = np.zeros((signal.shape[0], size), signal.dtype)
        if np.array_equal(place, np.arange(size)):
            return signal[:, kept].reshape(-1, *self.matrix)
        for row, line in zip(kspace, signal[:, kept], strict=True):
            np.add.at(row, place, line)
        kspace /= np.maximum(np.bincount(place, minlength=size), 1).astype(signal.real.dtype)
        return kspace.reshape(-1, *self.matrix)

    def trajectory(self) -> Trajectory:
        """Follow the gradient moment and the dephasing clock through the sequence."""
        event = np.repeat(np.arange(self.duration.size), self.samples)
        start = np.cumsum(self.samples) - self.samples
        n = np.arange(event.size) - start[event]
        t = self.first[event] + n * self.dwell[event]
        encoded = self.pathway()[event, 0] + self.moment(event, t)
        begin = np.cumsum(self.duration) - self.duration
        return Trajectory(
            adc=self.adc[event],
            event=event,
            time=begin[event] + t,
            k=encoded[:, :3],
            clock=encoded[:, 3],
            phase=self.phase[event] - 2 * np.pi * self.frequency[event] * t,
        )

    def pathway(self) -> Real:
        """(event, 2, 4) k [1/m] and clock [s] of the coherence of `Trajectory` where its state is known.

        At the start of each event, and at the centre of its pulse, just after the pulse has acted.
        """
        every = np.arange(self.duration.size)
        early = self.moment(every, self.centre)
        parts = np.stack([early, self.moment(every, self.duration) - early], axis=1).reshape(-1, 4)
        sign = self._signs()[:, None]
        total = np.cumsum(sign * parts, axis=0)
        before = np.vstack([np.zeros((1, 4)), total])[:-1]
        return np.asarray(sign * (before - self._origins(total))).reshape(-1, 2, 4)

    def moment(self, event: Index, t: Real) -> Real:
        """(n, 4) k [1/m] and time [s] that the first `t` [s] of each of the events add."""
        g0, g1 = self.gradient[event, 0], self.gradient[event, 1]
        length = np.where(self.duration[event] > 0, self.duration[event], 1.0)
        k = GAMMA_BAR * (g0 + (g1 - g0) * (t / (2 * length))[:, None]) * t[:, None]
        return np.column_stack((k, t))

    @property
    def centre(self) -> Real:
        """(event,) [s] when the pulse of an event acts, 0 without one."""
        centres = np.array([p.centre for p in self.pulses] + [0.0])
        return np.asarray(centres[self.pulse])  # -1, no pulse, reads the last entry

    def used_as(self, use: str) -> NDArray[np.bool_]:
        """(event,) whether an event plays a pulse of this use, as "excitation"."""
        played = np.array([p.use == use for p in self.pulses] + [False])
        return np.asarray(played[self.pulse])

    def _signs(self) -> Index:
        """-1 from the centre of each refocusing pulse to that of the next, +1 otherwise (parts of events)."""
        turns = np.zeros(2 * self.duration.size, np.intp)
        turns[1::2] = self.used_as("refocusing")
        return 1 - 2 * (np.cumsum(turns) % 2)

    def _origins(self, total: Real) -> Real:
        """Sum of moments at the centre of the excitation that went before each part of an event."""
        births = np.zeros(2 * self.duration.size, np.intp)
        births[1::2] = np.where(self.used_as("excitation"), np.arange(1, births.size, 2), 0)
        last = np.maximum.accumulate(births)
        return np.where((last > 0)[:, None], total[last - 1], 0.0)


def places(index: Index, matrix: tuple[int, int]) -> Index:
    """(sample,) ky * matrix[1] + kx of cells (sample, 2) y, x from the centre of k-space, -1 outside."""
    row, column = (index + [n // 2 for n in matrix]).T
    inside = (row >= 0) & (row < matrix[0]) & (column >= 0) & (column < matrix[1])
    return np.where(inside, row * matrix[1] + column, -1)


COLUMNS: tuple[tuple[str, Any, tuple[int, ...]], ...] = (
    ("duration", np.float64, ()),
    ("gradient", np.float64, (2, 3)),
    ("pulse", np.intp, ()),
    ("phase", np.float64, ()),
    ("frequency", np.float64, ()),
    ("samples", np.intp, ()),
    ("first", np.float64, ()),
    ("dwell", np.float64, ()),
    ("adc", np.intp, ()),
    ("crusher", np.bool_, ()),
    ("spoil", np.bool_, ()),
)
