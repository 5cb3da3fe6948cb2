"""What blocks play, as curves over time: the content of a sequence diagram."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrsim.constants import GAMMA
from mrsim.events import Events
from mrsim.events.blocks import AXES, Adc, Block, Gradient, Rf

Real = NDArray[np.float64]
REAL = 1e-6  # a pulse whose phase strays by less is drawn with a sign
IDLE_SHARE = 0.3  # longer pauses, as a share of what is played, are shortened
SHOWN_SHARE = 0.05  # to this
PATH_POINTS = 9  # of k-space in each half of an event


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Curve:
    """Line through (t [s], value)."""

    t: Real
    value: Real


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class PlayedPulse:
    """A pulse: amplitude [T] and phase [rad] over time; flip [rad], ideal if it takes no time."""

    amplitude: Curve
    phase: Curve
    time: float
    flip: float
    ideal: bool


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Window:
    """A receiver window [s] with its phase [rad]."""

    begin: float
    end: float
    samples: int
    phase: Curve


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Timeline:
    """All that a row of blocks plays, from time 0 [s].

    gradients : by axis [T/m];  crushers : (begin, end) of ideal ones;  spoilers : when ideal ones act
    pauses : (begin, end) in which nothing is played
    """

    duration: float
    pulses: tuple[PlayedPulse, ...]
    gradients: dict[str, Curve]
    windows: tuple[Window, ...]
    crushers: tuple[tuple[float, float], ...]
    spoilers: tuple[float, ...]
    pauses: tuple[tuple[float, float], ...]


def timeline(blocks: Sequence[Block]) -> Timeline:
    """Lay out blocks one after the other."""
    begin = np.append(0.0, np.cumsum([block.duration for block in blocks]))
    at = list(zip(blocks, begin[:-1], strict=True))
    return Timeline(
        duration=float(begin[-1]),
        pulses=tuple(_pulse(b.rf, t) for b, t in at if b.rf is not None),
        gradients={axis: _gradient([(getattr(b, axis), t) for b, t in at], begin[-1]) for axis in AXES},
        windows=tuple(_window(b.adc, t) for b, t in at if b.adc is not None),
        crushers=tuple((float(t), float(t + b.duration)) for b, t in at if b.crusher),
        spoilers=tuple(float(t + b.duration) for b, t in at if b.spoil),
        pauses=_pauses([(bool(b.parts) or b.crusher, t, t + b.duration) for b, t in at]),
    )


def _pulse(rf: Rf, begin: float) -> PlayedPulse:
    pulse, start = rf.pulse, begin + rf.delay
    edges = np.repeat(np.arange(pulse.nutation.size + 1) * pulse.dt, 2)[1:-1]
    shape = np.repeat(pulse.nutation, 2)
    top = shape[np.abs(shape).argmax()]
    signed = shape * np.conj(top) / (abs(top) or 1.0)
    has_sign = np.abs(signed.imag).max() <= REAL * abs(top)
    size = signed.real if has_sign else np.abs(shape)
    axis = np.full(shape.size, np.angle(top)) if has_sign else np.angle(shape)
    scale = 1 / (GAMMA * pulse.dt) if pulse.dt else 1.0
    return PlayedPulse(
        amplitude=Curve(t=start + np.pad(edges, 1, mode="edge"), value=np.pad(size, 1) * scale),
        phase=Curve(t=start + edges, value=axis + rf.phase - 2 * np.pi * rf.frequency * edges),
        time=start + pulse.centre,
        flip=pulse.flip,
        ideal=pulse.dt == 0,
    )


def _gradient(played: Sequence[tuple[Gradient | None, float]], end: float) -> Curve:
    corners = [(t + g.corners()[0], g.corners()[1]) for g, t in played if g is not None]
    t, value = (np.concatenate([part[i] for part in corners] or [np.zeros(0)]) for i in (0, 1))
    return Curve(t=np.concatenate(([0.0], t, [end])), value=np.pad(value, 1))


def _window(adc: Adc, begin: float) -> Window:
    t = np.array([0.0, adc.samples * adc.dwell])
    phase = Curve(t=begin + adc.delay + t, value=adc.phase - 2 * np.pi * adc.frequency * t)
    return Window(begin=float(phase.t[0]), end=float(phase.t[1]), samples=adc.samples, phase=phase)


def _pauses(spans: Sequence[tuple[bool, float, float]]) -> tuple[tuple[float, float], ...]:
    """Merge what is idle."""
    found: list[tuple[float, float]] = []
    for busy, begin, end in spans:
        if busy:
            continue
        if found and begin - found[-1][1] < 1e-9:
            found[-1] = found[-1][0], float(end)
        elif end > begin:
            found.append((float(begin), float(end)))
    return tuple(found)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Ruler:
    """Time [s] to place on paper [s], where long pauses are shortened.

    cuts : (begin, end) [s] of the pauses that are
    """

    time: Real
    place: Real
    cuts: tuple[tuple[float, float], ...]

    def __call__(self, t: Real | float) -> Real:
        """Place of time `t`."""
        return np.asarray(np.interp(t, self.time, self.place))


def ruler(line: Timeline) -> Ruler:
    """Shorten the pauses that would leave little room for what is played."""
    lengths = np.array([b - a for a, b in line.pauses])
    cut = np.zeros(lengths.size, np.bool_)
    for i in np.argsort(lengths)[::-1]:  # the longest first: then less is left to compare with
        rest = line.duration - lengths[cut].sum() - lengths[i]
        cut[i] = lengths[i] > IDLE_SHARE * rest > 0
    cuts = tuple(pause for pause, short in zip(line.pauses, cut, strict=True) if short)
    shown = (line.duration - lengths[cut].sum()) * SHOWN_SHARE
    time, place = [0.0], [0.0]
    for begin, end in cuts:
        place += [place[-1] + begin - time[-1]]
        place += [place[-1] + shown]
        time += [begin, end]
    place.append(place[-1] + line.duration - time[-1])
    time.append(line.duration)
    return Ruler(time=np.array(time), place=np.array(place), cuts=cuts)


def repetitions(blocks: Sequence[Block]) -> list[tuple[int, int]]:
    """First and last block of each repetition: those marked so, else from each excitation on."""
    starts = [i for i, block in enumerate(blocks) if block.repetition]
    if len(starts) < 2:
        starts = [i for i, b in enumerate(blocks) if b.rf is not None and b.rf.pulse.use == "excitation"] or [
            0
        ]
    starts = [0, *starts[1:]]
    return list(zip(starts, [*starts[1:], len(blocks)], strict=True))


def kspace_path(events: Events, begin: float, end: float) -> Real:
    """(point, 3) k [1/m] of the followed coherence in a stretch of time [s], NaN where it jumps."""
    start = np.cumsum(events.duration) - events.duration
    use = np.array([p.use for p in events.pulses] + [""])[events.pulse]
    born = np.flatnonzero(use == "excitation")
    first = born[0] if born.size else 0
    every = np.flatnonzero((start >= begin - 1e-9) & (start < end - 1e-9) & (np.arange(start.size) >= first))
    pathway, centre = events.pathway()[..., :3], events.centre
    share = np.linspace(0, 1, PATH_POINTS)
    points: list[Real] = []
    for event in every:
        many = np.full(PATH_POINTS, event)
        at_centre = events.moment(many[:1], centre[event : event + 1])[:, :3]
        if use[event] in ("excitation", "refocusing"):
            if use[event] == "refocusing":
                points.append(pathway[event, 0] + events.moment(many, share * centre[event])[:, :3])
            points.append(np.full((1, 3), np.nan))
        t = centre[event] + share * (events.duration[event] - centre[event])
        points.append(pathway[event, 1] + events.moment(many, t)[:, :3] - at_centre)
    return np.concatenate([np.zeros((0, 3)), *points])
