"""Blocks: what a sequence is written in, and how they are merged into `Events`.

A block holds at most one RF pulse, one gradient shape per axis and one receiver window, which begin with it
or after their delays: the model of Pulseq (Layton et al., Magn Reson Med 2017;77:1544). All times count from
the start of the block.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrsim.events.events import COLUMNS, SAME_TIME, Events
from mrsim.events.rf import Pulse

Real = NDArray[np.float64]
AXES = ("gx", "gy", "gz")
NOT_IMAGED = ("NAV", "NOISE", "REF")  # labels of receiver windows that belong to no image


@dataclass(frozen=True, kw_only=True, slots=True)
class Trapezoid:
    """Gradient that rises to `amplitude` [T/m], stays and falls; `delay rise flat fall` in [s]."""

    amplitude: float
    rise: float
    flat: float
    fall: float
    delay: float = 0.0

    @property
    def duration(self) -> float:
        """With the delay [s]."""
        return self.delay + self.rise + self.flat + self.fall

    @property
    def area(self) -> float:
        """[s T/m]."""
        return self.amplitude * (self.rise / 2 + self.flat + self.fall / 2)

    def corners(self) -> tuple[Real, Real]:
        """Return times [s] and amplitudes [T/m] that straight lines connect; nothing is played outside."""
        times = self.delay + np.cumsum([0.0, self.rise, self.flat, self.fall])
        return times, np.array([0.0, self.amplitude, self.amplitude, 0.0])


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Waveform:
    """Gradient of any shape: straight lines between (times [s], amplitudes [T/m]), times ascending."""

    times: Real
    amplitudes: Real

    @property
    def duration(self) -> float:
        """From the start of the block to the last corner [s]."""
        return float(self.times[-1])

    @property
    def area(self) -> float:
        """[s T/m]."""
        return float(np.trapezoid(self.amplitudes, self.times))

    def corners(self) -> tuple[Real, Real]:
        """See `Trapezoid.corners`."""
        return self.times, self.amplitudes


Gradient = Trapezoid | Waveform


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Rf:
    """A pulse that starts after `delay` [s], its `phase` [rad] and `frequency` [Hz] as in `Events`."""

    pulse: Pulse
    delay: float = 0.0
    phase: float = 0.0
    frequency: float = 0.0

    @property
    def duration(self) -> float:
        """With the delay [s]."""
        return self.delay + self.pulse.duration


@dataclass(frozen=True, kw_only=True, slots=True)
class Adc:
    """A receiver window: sample n at delay + (n + 1/2) dwell [s]; the phase [rad] is that at time `delay`.

    place : where the samples belong in k-space, see `Events.place`: that of the first, and the step to the
    next;
        nowhere without it
    """

    samples: int
    dwell: float
    delay: float = 0.0
    phase: float = 0.0
    frequency: float = 0.0
    place: tuple[int, int] | None = None

    @property
    def duration(self) -> float:
        """With the delay [s]."""
        return self.delay + self.samples * self.dwell

    def places(self) -> NDArray[np.intp]:
        """(sample,) int."""
        if self.place is None:
            return np.full(self.samples, -1, np.intp)
        return self.place[0] + self.place[1] * np.arange(self.samples, dtype=np.intp)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Block:
    """What is played at the same time.

    duration : [s] at least that of each part; by default that of the longest
    crusher spoil : what happens at the end, ideally, see `Events`
    repetition : whether a repetition begins with this block
    labels : counters of the receiver window for MRD files (`idx` of an acquisition): LIN, SLC, ECO ...
    """

    rf: Rf | None = None
    gx: Gradient | None = None
    gy: Gradient | None = None
    gz: Gradient | None = None
    adc: Adc | None = None
    duration: float = math.nan
    crusher: bool = False
    spoil: bool = False
    repetition: bool = False
    labels: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        longest = max((part.duration for part in self.parts), default=0.0)
        duration = longest if math.isnan(self.duration) else self.duration
        if not longest - SAME_TIME <= duration < math.inf:
            raise ValueError(f"duration must hold the parts of the block, {longest} s, got {duration} s")
        object.__setattr__(self, "duration", duration)

    @property
    def parts(self) -> tuple[Any, ...]:
        """All that there is of rf, gx, gy, gz and adc."""
        return tuple(p for p in (self.rf, self.gx, self.gy, self.gz, self.adc) if p is not None)


def delay(duration: float, **flags: Any) -> Block:  # noqa: ANN401 - fields of Block
    """Make a block in which nothing is played for `duration` [s]."""
    return Block(duration=duration, **flags)


def with_phase(block: Block, phase: float) -> Block:
    """Add `phase` [rad] to pulse and receiver."""
    rf = replace(block.rf, phase=block.rf.phase + phase) if block.rf else None
    adc = replace(block.adc, phase=block.adc.phase + phase) if block.adc else None
    return replace(block, rf=rf, adc=adc)


def compile_blocks(blocks: Sequence[Block], **whole: Any) -> Events:  # noqa: ANN401 - fields of Events
    """Merge blocks into events, cut wherever a gradient has a corner and a pulse begins or ends.

    whole : what `Events` has besides its columns: matrix, pixel_volume, box, steady_state, phase_step,
    refocuses
    """
    compiler = _Compiler()
    for block in blocks:
        compiler.add(block)
    return compiler.events(whole)


class _Compiler:
    """Collects the columns of `Events` block by block; a pulse that comes again is cut up once."""

    def __init__(self) -> None:
        self.columns: list[dict[str, NDArray[Any]]] = []
        self.n_events = 0
        self.n_adc = 0
        self.start: list[int] = []
        self.place: list[NDArray[np.intp]] = [np.zeros(0, np.intp)]
        self.pulses: list[Pulse] = []
        self.rows: dict[tuple[int, float, float], list[int]] = {}
        self.cut: dict[int, dict[str, NDArray[Any]]] = {}
        self.known: list[Any] = []  # keeps pulses and blocks alive, so that an id stays that of one

    def add(self, block: Block) -> None:
        if block.repetition or not self.start:
            self.start.append(self.n_events)
        if id(block) not in self.cut:
            columns = self._cut(block)
            if block.adc is None:
                self.cut[id(block)] = columns
                self.known.append(block)
        else:
            columns = self.cut[id(block)]
        self.n_events += columns["duration"].size
        self.columns.append(columns)

    def _cut(self, block: Block) -> dict[str, NDArray[Any]]:
        edges, is_rf = _edges(block)
        begin, end = edges[:-1], edges[1:]
        columns = _empty(begin.size)
        columns["duration"] = end - begin
        columns["gradient"] = np.stack([_amplitudes(getattr(block, a), begin, end) for a in AXES], axis=-1)
        if block.adc is not None:
            self._receive(block.adc, edges, columns)
        if block.rf is not None:
            columns = self._play(block.rf, begin, end, is_rf, columns)
        if block.crusher or block.spoil:
            columns["crusher"][-1], columns["spoil"][-1] = block.crusher, block.spoil
        return columns

    def _receive(self, adc: Adc, edges: Real, columns: dict[str, NDArray[Any]]) -> None:
        """Share the samples of a window among the intervals of its block."""
        time = adc.delay + (np.arange(adc.samples) + 0.5) * adc.dwell
        interval = np.searchsorted(edges[1:-1], time + SAME_TIME / 2, side="right")
        used, first, count = np.unique(interval, return_index=True, return_counts=True)
        columns["samples"][used] = count
        columns["first"][used] = np.maximum(time[first] - edges[used], 0.0)
        columns["dwell"][used] = adc.dwell
        columns["adc"][used] = self.n_adc
        columns["frequency"][used] = adc.frequency
        columns["phase"][used] = adc.phase - 2 * np.pi * adc.frequency * (edges[used] - adc.delay)
        self.place.append(adc.places())
        self.n_adc += 1

    def _play(
        self, rf: Rf, begin: Real, end: Real, is_rf: NDArray[np.bool_], columns: dict[str, NDArray[Any]]
    ) -> dict[str, NDArray[Any]]:
        """Put the pieces of a pulse where its intervals are; a piece may itself be several pulses."""
        pieces = []
        for i in range(begin.size):
            one = {name: column[i : i + 1] for name, column in columns.items()}
            if not is_rf[i]:
                pieces.append(one)
                continue
            start = float(begin[i]) - rf.delay
            rows = self._pulses(rf.pulse, start, float(end[i]) - rf.delay)
            length = np.array([self.pulses[r].duration for r in rows])
            at = np.append(0.0, np.cumsum(length))
            part = {name: np.repeat(column, len(rows), axis=0) for name, column in one.items()}
            part["duration"] = length
            part["pulse"] = np.array(rows)
            part["frequency"] = np.full(len(rows), rf.frequency)
            part["phase"] = rf.phase - 2 * np.pi * rf.frequency * (start + at[:-1])
            part["gradient"] = _divide(one["gradient"][0], at)
            pieces.append(part)
        return {name: np.concatenate([piece[name] for piece in pieces]) for name in columns}

    def _pulses(self, pulse: Pulse, begin: float, end: float) -> list[int]:
        """Rows of `pulses` that play `pulse` from `begin` to `end` [s]."""
        whole = begin < SAME_TIME and end > pulse.duration - SAME_TIME
        key = (id(pulse), 0.0, 0.0) if whole else (id(pulse), begin, end)
        if key not in self.rows:
            self.known.append(pulse)
            parts = [pulse] if whole else pulse.part(begin, end)
            self.rows[key] = list(range(len(self.pulses), len(self.pulses) + len(parts)))
            self.pulses.extend(parts)
        return self.rows[key]

    def events(self, whole: dict[str, Any]) -> Events:
        columns: dict[str, Any] = {
            name: np.concatenate([block[name] for block in self.columns])
            if self.columns
            else np.zeros((0, *shape), dtype)
            for name, dtype, shape in COLUMNS
        }
        place = np.concatenate(self.place)
        if (place < 0).all():
            place = place[:0]
        return Events(**columns, start=np.array(self.start), pulses=tuple(self.pulses), place=place, **whole)


def _empty(n: int) -> dict[str, NDArray[Any]]:
    columns = {name: np.zeros((n, *shape), dtype) for name, dtype, shape in COLUMNS}
    columns["pulse"] -= 1
    columns["adc"] -= 1
    return columns


def _edges(block: Block) -> tuple[Real, NDArray[np.bool_]]:
    """Where the block is cut [s], and which intervals are RF; an instantaneous pulse has one of 0 s."""
    times = [np.array([0.0, block.duration])]
    times += [getattr(block, a).corners()[0] for a in AXES if getattr(block, a) is not None]
    if block.rf is not None:
        times.append(np.array([block.rf.delay, block.rf.duration]))
    every = np.sort(np.concatenate(times))
    edges = every[np.append(True, np.diff(every) > SAME_TIME)]
    edges[-1] = block.duration
    if block.rf is None:
        if edges.size == 1:
            edges = np.repeat(edges, 2)  # a block of no length still has an end, where it may spoil
        return edges, np.zeros(edges.size - 1, np.bool_)
    if block.rf.pulse.dt == 0:
        at = int(np.searchsorted(edges, block.rf.delay - SAME_TIME))
        edges = np.insert(edges, at, edges[at])
        return edges, np.arange(edges.size - 1) == at
    middle = (edges[1:] + edges[:-1]) / 2
    return edges, np.asarray((middle > block.rf.delay) & (middle < block.rf.duration))


def _amplitudes(gradient: Gradient | None, begin: Real, end: Real) -> Real:
    """(interval, 2) [T/m] at the start and end of intervals without corners inside, seen from the inside."""
    if gradient is None:
        return np.zeros((begin.size, 2))
    times, amplitudes = gradient.corners()
    early, late = begin + (end - begin) / 4, end - (end - begin) / 4
    a, b = (np.interp(t, times, amplitudes, left=0.0, right=0.0) for t in (early, late))
    slope = np.where(np.abs(b - a) > 1e-12 * np.abs(a), b - a, 0.0)
    return np.stack([a - slope / 2, a + 1.5 * slope], axis=-1)


def _divide(gradient: Real, at: Real) -> Real:
    """(part, 2, 3) of a linear gradient (2, 3) cut `at` (part + 1,)."""
    share = (at / (at[-1] or 1.0))[:, None]
    values = gradient[0] + share * (gradient[1] - gradient[0])
    return np.stack([values[:-1], values[1:]], axis=1)
