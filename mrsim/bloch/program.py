"""Events -> the flat arrays that the kernels walk through, each distinct pulse, interval and readout once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mrsim.constants import GAMMA_BAR
from mrsim.events import Events

FREE, PULSE, READOUT = 0, 1, 2
SAME_TIME = 1e-9  # [s] readouts whose clocks agree to this share their tables

Real = NDArray[np.float64]
Index = NDArray[np.int64]


class Program(NamedTuple):
    """What the kernels read of a sequence; moments are in cycles/m, rates in Hz/m.

    kind : (event,) FREE, PULSE or READOUT
    item : (event,) row of the intervals, of the pulses or of the readouts
    crusher spoil : (event,) uint8 what happens at the end of the event
    settled : (event,) uint8 after the event no pulse or crusher comes before the next spoiler, so that the
        mean over the crusher ensemble says all
    start : (repetition + 1,) first event of each repetition
    moment : (interval, 3) [1/m] gradient moment of each distinct interval
    interval_time : (interval,) row of `times`
    times : (time,) [s] distinct durations
    nutation : (all steps,) complex128 [rad] the distinct pulses end to end
    pulse_start : (pulse + 1,) first step of each; pulse_dt (pulse,) [s]; pulse_slope (pulse, 3) [Hz/m]
    whole lead : (readout,) interval of the whole readout, and of its part before sample `first`
    first : (readout,) the first sample whose clock is not negative: the echo, or sample 0
    clock : (readout,) [s] of that sample
    dwell : (readout,) [s]
    k_step : (readout, 3) [1/m] from sample to sample
    adc line : (adc,) event of each readout, row of k-space that it fills
    """

    kind: Index
    item: Index
    crusher: NDArray[np.uint8]
    spoil: NDArray[np.uint8]
    settled: NDArray[np.uint8]
    start: Index
    moment: Real
    interval_time: Index
    times: Real
    nutation: NDArray[np.complex128]
    pulse_start: Index
    pulse_dt: Real
    pulse_slope: Real
    whole: Index
    lead: Index
    first: Index
    clock: Real
    dwell: Real
    k_step: Real
    adc: Index
    line: Index


def compile_events(events: Events) -> Program:
    """Sort out what is distinct in `events`, so that a spin computes it once and every line reuses it."""
    kind = np.where(events.pulse >= 0, PULSE, np.where(events.samples > 0, READOUT, FREE))
    item = np.zeros(kind.size, np.int64)
    rate = GAMMA_BAR * events.gradient  # (event, 3) [Hz/m]
    adc = np.flatnonzero(kind == READOUT)

    pulse_rows = np.column_stack((events.pulse, rate))[kind == PULSE]
    pulses, item[kind == PULSE] = _distinct(pulse_rows)
    shapes = [events.pulses[int(row[0])] for row in pulses]

    first, clock = _echo_samples(events)
    dwell = events.duration[adc] / events.matrix[1]
    readouts, item[adc] = _distinct(np.column_stack((first, clock, dwell, rate[adc])))
    n_first, r_clock, r_dwell, r_rate = readouts[:, 0], readouts[:, 1], readouts[:, 2], readouts[:, 3:]

    free = kind == FREE
    whole = r_dwell * events.matrix[1]
    stretches = np.concatenate(
        [
            _stretch(events.duration[free], rate[free]),
            _stretch(whole, r_rate),
            _stretch(n_first * r_dwell, r_rate),
        ]
    )
    intervals, row = _distinct(stretches)
    item[free] = row[: free.sum()]
    of_readout = row[free.sum() :].reshape(2, -1)
    times, interval_time = np.unique(intervals[:, 0], return_inverse=True)
    return Program(
        kind=kind.astype(np.int64),
        item=item,
        crusher=events.crusher.astype(np.uint8),
        spoil=events.spoil.astype(np.uint8),
        settled=_settled(events).astype(np.uint8),
        start=np.append(events.start, kind.size).astype(np.int64),
        moment=np.ascontiguousarray(intervals[:, 1:]),
        interval_time=interval_time.astype(np.int64),
        times=times,
        nutation=np.concatenate([p.nutation for p in shapes] or [np.zeros(0, np.complex128)]),
        pulse_start=np.cumsum([0] + [p.nutation.size for p in shapes]).astype(np.int64),
        pulse_dt=np.array([p.dt for p in shapes], np.float64),
        pulse_slope=np.ascontiguousarray(pulses[:, 1:]),
        whole=of_readout[0].copy(),
        lead=of_readout[1].copy(),
        first=n_first.astype(np.int64),
        clock=np.ascontiguousarray(r_clock),
        dwell=np.ascontiguousarray(r_dwell),
        k_step=r_rate * r_dwell[:, None],
        adc=adc.astype(np.int64),
        line=events.line[adc].astype(np.int64),
    )


def _echo_samples(events: Events) -> tuple[Real, Real]:
    """For each readout: its first sample with a clock of at least 0, and that clock [s]."""
    clock = events.trajectory().clock  # (adc, sample), ascending
    first = np.minimum((clock < -SAME_TIME).sum(axis=1), events.matrix[1] - 1)
    at = np.take_along_axis(clock, first[:, None], axis=1)[:, 0]
    return first.astype(np.float64), np.round(at / SAME_TIME) * SAME_TIME


def _settled(events: Events) -> NDArray[np.bool_]:
    """Events after which only free precession and readouts come before the next spoiler."""
    mixes = (events.pulse >= 0) | events.crusher
    n = mixes.size
    next_mix = _next(mixes, n)
    return np.asarray(_next(events.spoil, n) < next_mix)


def _next(flags: NDArray[np.bool_], none: int) -> NDArray[np.intp]:
    """Index of the next flag after each event, `none` if there is none."""
    index = np.where(flags, np.arange(flags.size), none)
    return np.append(np.minimum.accumulate(index[::-1])[::-1], none)[1:]


def _stretch(duration: Real, rate: Real) -> Real:
    """Rows (duration, moment)."""
    return np.column_stack((duration, rate * duration[:, None]))


def _distinct(rows: Real) -> tuple[Real, Index]:
    """Distinct rows in the order in which they first occur, and the one that each row is."""
    if not rows.size:
        return rows, np.zeros(0, np.int64)
    _, where, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(where)
    rank = np.empty(order.size, np.int64)
    rank[order] = np.arange(order.size)
    return rows[where[order]], rank[inverse.ravel()]
