"""Events -> the flat arrays that the kernels walk through, each distinct pulse, interval and readout once.

Events in which nothing happens but precession are merged with their neighbours. Readouts with a constant
gradient become trains of equal steps (`readout`), those with a gradient that changes, windows of samples
which each have a phase of their own (`samples`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mrsim.bloch.readout import train_shape
from mrsim.constants import GAMMA_BAR
from mrsim.events import Events

FREE, PULSE, TRAIN, SAMPLES = 0, 1, 2, 3
SHORTEST_TRAIN = 12  # samples: below, one by one is quicker
STEADY_GRADIENT = 1e-7  # [1/m] by which a readout may differ from one in a constant gradient
TIME, MOMENT, RATE = 1e-12, 1e-8, 1e-4  # [s], [1/m], [Hz/m] differences that are rounding
LASTING = 511  # crushers in a row that are told apart
MOST_PULSES, MOST_INTERVALS, MOST_TIMES, MOST_TRAINS = 64, 256, 256, 16  # that a block of spins keeps

Real = NDArray[np.float64]
Index = NDArray[np.int64]


class Program(NamedTuple):
    """What the kernels read of a sequence; moments are in cycles/m, rates in Hz/m.

    Distinct pulses, intervals, times and trains that come more than once have a slot each, where a block of
    spins keeps its tables of them; the others share slot 0 and are computed when they are met.

    kind : (step,) FREE, PULSE, TRAIN or SAMPLES
    item : (step,) row of the intervals, of the pulses or of the readouts
    whole : (step,) interval that a step without a pulse takes, readouts included
    turn : (step, 2) [cycles] that a pulse is turned before and after it
    crusher spoil : (step,) uint8 what happens at the end of the step
    settled : (step,) uint8 after the step no pulse or crusher comes before the next spoiler of the same
        repetition, so that the mean over the crusher ensemble says all
    start : (repetition + 1,) first step of each repetition
    members : size of the crusher ensemble
    moment : (interval, 3) [1/m] gradient moment of each distinct interval
    interval_time interval_slot : (interval,) row of `times`
    times time_slot : (time,) [s] distinct durations
    nutation : (all raster steps,) complex128 [rad] the distinct pulses end to end
    pulse_start : (pulse + 1,) first raster step of each
    pulse_dt : (pulse,) [s]; pulse_freq (pulse,) [Hz] of the frame in which the axis rests
    pulse_rate : (pulse, 2, 3) [Hz/m] gradient at the start and at the end; pulse_slot (pulse,)
    trains : (readout + 1,) first train of each distinct readout
    lead : (train,) interval from the start of the readout to the first sample of the train
    skip : (train,) samples of the readout before the train
    length : (train,) its samples, cut into `heads` times `tails` (train,) at most; train_slot (train,)
    clock : (train,) [s] of its first sample, negative in trains before an echo; 0 where T2' is left out
    side : (train,) +1 or -1 where T2' decays or grows back during the train, 0 where it is left out
    step_moment : (train, 3) [1/m] from sample to sample; dwell (train,) [s]
    window : (window + 1,) first of the samples of each window
    k : (window sample, 4) [1/m] and [s] since the start of the window
    window_clock : (window sample,) [s]; window_side (window sample,) as `side`
    read sample : (readout,) step of each readout or window, and its first sample of all
    """

    kind: Index
    item: Index
    whole: Index
    turn: Real
    crusher: NDArray[np.uint8]
    spoil: NDArray[np.uint8]
    settled: NDArray[np.uint8]
    start: Index
    members: int
    moment: Real
    interval_time: Index
    interval_slot: Index
    times: Real
    time_slot: Index
    nutation: NDArray[np.complex128]
    pulse_start: Index
    pulse_dt: Real
    pulse_freq: Real
    pulse_rate: Real
    pulse_slot: Index
    trains: Index
    lead: Index
    skip: Index
    length: Index
    heads: Index
    tails: Index
    train_slot: Index
    clock: Real
    side: Index
    step_moment: Real
    dwell: Real
    window: Index
    k: Real
    window_clock: Real
    window_side: Index
    read: Index
    sample: Index


@lru_cache(maxsize=16)
def compile_events(events: Events) -> Program:
    """Sort out what is distinct in `events`, so that a spin computes it once and every line reuses it."""
    kind = _kinds(events)
    step = _merged(events, kind)  # (event,) step that each event is part of
    n_steps = int(step[-1]) + 1 if step.size else 0
    last = np.append(np.flatnonzero(np.diff(step)), step.size - 1)[:n_steps]  # (step,) last event of each
    first = np.append(0, last + 1)[:n_steps]
    pieces = _moments(events)  # (event, 4)
    length = _sums(pieces, step, n_steps)
    kind, crusher, spoil = kind[first], events.crusher[last], events.spoil[last]
    start = np.append(step[events.start], n_steps) if n_steps else np.zeros(events.start.size + 1, np.int64)

    pulses = _pulses(events, first[kind == PULSE])
    path = events.trajectory()
    clock = path.clock if events.refocuses else np.full(path.clock.size, np.nan)
    sample = np.append(0, np.cumsum(events.samples))
    readouts = _readouts(events, first[kind == TRAIN], clock[sample[first[kind == TRAIN]]])
    windows = _windows(events, first[kind == SAMPLES], last[kind == SAMPLES], pieces, clock, sample)

    turning = kind != PULSE
    rows = np.concatenate([length[turning], readouts.pop("lead_moment")])
    intervals, row = _distinct(rows, np.array([MOMENT, MOMENT, MOMENT, TIME]))
    times, interval_time = _distinct(intervals[:, 3:], np.array([TIME]))
    whole = np.full(n_steps, -1, np.int64)
    whole[turning] = row[: int(turning.sum())]
    lead = row[int(turning.sum()) :]

    item = whole.copy()
    item[kind == PULSE] = pulses.pop("item")
    item[kind == TRAIN] = readouts.pop("item")
    item[kind == SAMPLES] = np.arange(int((kind == SAMPLES).sum()))
    turn = np.zeros((n_steps, 2))
    turn[kind == PULSE] = pulses.pop("turn")
    read = np.flatnonzero((kind == TRAIN) | (kind == SAMPLES))
    uses = np.concatenate([whole[turning], lead])
    played = 1 + events.steady_state
    return Program(
        kind=kind.astype(np.int64),
        item=item,
        whole=whole,
        turn=turn,
        crusher=crusher.astype(np.uint8),
        spoil=spoil.astype(np.uint8),
        settled=_settled(kind == PULSE, crusher, spoil, start).astype(np.uint8),
        start=start.astype(np.int64),
        members=most_crushers(events) + 1,
        moment=np.ascontiguousarray(intervals[:, :3]),
        interval_time=interval_time,
        interval_slot=_slots(uses, intervals.shape[0], MOST_INTERVALS, played),
        times=times[:, 0].copy(),
        time_slot=_slots(interval_time[uses], times.shape[0], MOST_TIMES, played),
        lead=lead,
        read=read.astype(np.int64),
        sample=sample[first[read]].astype(np.int64),
        **pulses,
        **readouts,
        **windows,
    )


def most_crushers(events: Events) -> int:
    """Largest number of ideal crushers between one spoiler and the next: pathways are told apart up to it.

    In a steady state that is never spoiled their number has no end, and `LASTING` are told apart.
    """
    crusher, spoil = events.crusher, events.spoil
    if events.steady_state:
        once = slice(int(events.start[0]), int(events.start[1]) if events.start.size > 1 else crusher.size)
        if crusher[once].any() and not spoil[once].any():
            return LASTING
        crusher, spoil = (np.concatenate((flags[once], flags)) for flags in (crusher, spoil))
    total = np.append(0, np.cumsum(crusher))
    bounds = np.concatenate(([0], np.flatnonzero(spoil) + 1, [crusher.size]))
    return min(LASTING, int(np.diff(total[bounds]).max(initial=0)))


def _moments(events: Events) -> Real:
    """(event, 4) [1/m] and [s] that each event adds."""
    mean = GAMMA_BAR * events.gradient.mean(axis=1)
    return np.column_stack((mean * events.duration[:, None], events.duration))


def _kinds(events: Events) -> Index:
    change = GAMMA_BAR * np.abs(np.diff(events.gradient, axis=1)).max(axis=(1, 2)) * events.duration / 8
    train = (events.samples >= SHORTEST_TRAIN) & (change < STEADY_GRADIENT)
    kind = np.where(events.samples > 0, np.where(train, TRAIN, SAMPLES), FREE)
    return np.asarray(np.where(events.pulse >= 0, PULSE, kind), np.int64)


def _merged(events: Events, kind: Index) -> Index:
    """Give each step its number: one to a run of FREE, and of SAMPLES with what is FREE among them.

    A run ends after a crusher or spoiler, and where a repetition begins.
    """
    n = kind.size
    opens = np.zeros(n, np.bool_)
    opens[events.start[events.start < n]] = True
    opens[1:] |= (events.crusher | events.spoil)[:-1]
    alone = (kind == PULSE) | (kind == TRAIN)
    opens |= alone
    opens[1:] |= alone[:-1]
    run = np.cumsum(opens)
    samples = kind == SAMPLES
    first, last = (np.full(int(run.max(initial=0)) + 1, v) for v in (n, -1))
    np.minimum.at(first, run[samples], np.flatnonzero(samples))
    np.maximum.at(last, run[samples], np.flatnonzero(samples))
    index = np.arange(n)
    opens |= (index == first[run]) | (index == last[run] + 1)  # free before the window, free after it
    return np.asarray(np.cumsum(opens) - 1 + (0 if opens[:1].any() else 1), np.int64)


def _sums(values: Real, step: Index, n_steps: int) -> Real:
    return np.stack([np.bincount(step, column, n_steps) for column in values.T], axis=1)


def _pulses(events: Events, at: Index) -> dict[str, Any]:
    """Describe the distinct pulses among the events `at`, and which each of them is, turned by how much."""
    shapes, which = _distinct_shapes(events)
    rate = GAMMA_BAR * events.gradient[at].reshape(-1, 6)
    frequency = events.frequency[at]
    rows: Real = np.column_stack((which[events.pulse[at]].astype(np.float64), frequency, rate))
    distinct, item = _distinct(rows, np.array([1.0, 1e-6] + [RATE] * 6))
    played = [shapes[int(row[0])] for row in distinct]
    phase = events.phase[at] / (2 * np.pi)
    turn = np.column_stack((-phase, phase - frequency * events.duration[at]))
    return {
        "item": item,
        "turn": turn - np.round(turn),
        "nutation": np.concatenate([p.nutation for p in played] or [np.zeros(0, np.complex128)]),
        "pulse_start": np.cumsum([0] + [p.nutation.size for p in played]).astype(np.int64),
        "pulse_dt": np.array([p.dt for p in played], np.float64),
        "pulse_freq": np.ascontiguousarray(distinct[:, 1]),
        "pulse_rate": np.ascontiguousarray(distinct[:, 2:]).reshape(-1, 2, 3),
        "pulse_slot": _slots(item, distinct.shape[0], MOST_PULSES, 1 + events.steady_state),
    }


def _distinct_shapes(events: Events) -> tuple[list[Any], Index]:
    """Pulses that differ, and which of them each of `events.pulses` is."""
    shapes: dict[tuple[bytes, float], int] = {}
    found: list[Any] = []
    which = np.zeros(len(events.pulses) + 1, np.int64)
    for i, pulse in enumerate(events.pulses):
        key = (pulse.nutation.tobytes(), pulse.dt)
        if key not in shapes:
            shapes[key] = len(found)
            found.append(pulse)
        which[i] = shapes[key]
    return found, which


def _readouts(events: Events, at: Index, clock: Real) -> dict[str, Any]:
    """Describe the distinct readouts among the events `at` with trains, one before the echo and one after."""
    rate = GAMMA_BAR * events.gradient[at].mean(axis=1)
    known = np.nan_to_num(clock, nan=1.0)  # far from an echo
    rows = np.column_stack((rate, events.first[at], events.dwell[at], known, events.samples[at]))
    distinct, item = _distinct(rows, np.array([RATE] * 3 + [TIME, TIME, 1e3 * TIME, 1.0]))
    trains: list[tuple[float, ...]] = []
    bounds = [0]
    for row in distinct:
        n, begin, echo = int(row[6]), 0, min(int(row[6]), max(0, int(np.ceil(-row[5] / row[4] - 1e-4))))
        for end in (echo, n):
            if end > begin:
                t = row[3] + begin * row[4]
                trains.append(
                    (*row[:3] * t, t, begin, end - begin, row[5] + begin * row[4], *row[:3], row[4])
                )
                begin = end
        bounds.append(len(trains))
    table = np.array(trains).reshape(-1, 11)
    shape = np.array([train_shape(int(n)) for n in table[:, 5]], np.int64).reshape(-1, 2)
    side = np.where(np.isnan(clock).all(), 0, np.where(table[:, 6] < -1e3 * TIME, -1, 1))
    uses = np.concatenate([np.arange(bounds[i], bounds[i + 1]) for i in item] or [np.zeros(0, int)])
    return {
        "item": item,
        "trains": np.array(bounds, np.int64),
        "lead_moment": table[:, :4],
        "skip": table[:, 4].astype(np.int64),
        "length": table[:, 5].astype(np.int64),
        "heads": shape[:, 0].copy(),
        "tails": shape[:, 1].copy(),
        "train_slot": _slots(uses, table.shape[0], MOST_TRAINS, 1),
        "clock": np.where(side == 0, 0.0, table[:, 6]),
        "side": side.astype(np.int64) * np.ones(table.shape[0], np.int64),
        "step_moment": np.ascontiguousarray(table[:, 7:10] * table[:, 10:]),
        "dwell": table[:, 10].copy(),
    }


def _windows(
    events: Events, first: Index, last: Index, pieces: Real, clock: Real, sample: Index
) -> dict[str, Any]:
    """Say where the samples of each window lie, in moment and time since its start."""
    total = np.vstack([np.zeros((1, 4)), np.cumsum(pieces, axis=0)])
    k, taken, bounds = [np.zeros((0, 4))], [np.zeros(0, np.intp)], [0]
    for a, b in zip(first, last, strict=True):
        event = np.repeat(np.arange(a, b + 1), events.samples[a : b + 1])
        n = np.arange(sample[a], sample[b + 1])
        t = events.first[event] + (n - sample[event]) * events.dwell[event]
        k.append(total[event] - total[a] + events.moment(event, t))
        taken.append(n)
        bounds.append(bounds[-1] + n.size)
    at = clock[np.concatenate(taken)]
    side = np.where(np.isnan(at), 0, np.where(at < 0, -1, 1))
    return {
        "window": np.array(bounds, np.int64),
        "k": np.concatenate(k),
        "window_clock": np.where(side == 0, 0.0, at),
        "window_side": side.astype(np.int64),
    }


def _settled(
    pulse: NDArray[np.bool_], crusher: NDArray[np.bool_], spoil: NDArray[np.bool_], start: Index
) -> NDArray[np.bool_]:
    """Tell after which steps only precession and readouts come before the next spoiler of a repetition."""
    n = pulse.size
    spoiled, mixed = _next(spoil, n), _next(pulse | crusher, n)
    end = start[1:][np.searchsorted(start[1:], np.arange(n), side="right")] if n else spoiled
    return np.asarray((spoiled < mixed) & (spoiled < end))


def _next(flags: NDArray[np.bool_], none: int) -> Index:
    """Index of the next flag after each step, `none` if there is none."""
    index = np.where(flags, np.arange(flags.size), none)
    return np.append(np.minimum.accumulate(index[::-1])[::-1], none)[1:]


def _slots(uses: Index, n: int, most: int, played: int) -> Index:
    """Slot of each of `n` tables: one of its own for the `most` that are used most often, above once.

    played : times that all is played; a steady state is sought by playing the repetition again
    """
    count = played * np.bincount(uses, minlength=n)
    often = np.argsort(-count, kind="stable")[:most]
    often = often[count[often] > 1]
    slot = np.zeros(n, np.int64)
    slot[often] = np.arange(1, often.size + 1)
    return slot


def _distinct(rows: Real, quantum: Real) -> tuple[Real, Index]:
    """Rows that differ by more than rounding, in the order in which they first occur; which each row is."""
    if not rows.size:
        return rows, np.zeros(rows.shape[0], np.int64)
    keys = np.round(rows / quantum) + 0.0  # no negative zeros
    _, where, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(where)
    rank = np.empty(order.size, np.int64)
    rank[order] = np.arange(order.size)
    return np.ascontiguousarray(rows[where[order]]), rank[inverse.ravel()]
