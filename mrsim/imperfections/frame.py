"""Frequencies that all spins share: drift of the magnet, B0 eddy currents, a receiver off its frequency.

A frequency that is the same everywhere turns the whole frame. Spins seen from the turning frame feel nothing
of it; pulses and receiver change their phase instead, which costs the simulation nothing and is exact.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mrsim.events import Events
from mrsim.imperfections.waveforms import Pieces, waveforms, with_waveforms

Real = NDArray[np.float64]
BEND = 1e-4  # [rad]


def shifted_frame(events: Events, frequency: Pieces) -> Events:
    """Put all spins off resonance by a frequency [Hz] that changes with time.

    Pulses and receiver windows are cut until the phase is linear in each part to `BEND`; then it is exact but
    for the raster of the pulses. A steady state is that of the frequency during the first repetition.
    """
    events = with_waveforms(events, waveforms(events), _cuts(events, frequency))
    end = np.cumsum(events.duration)
    begin = end - events.duration
    turns = _integral(frequency, begin), _integral(frequency, end)
    mean = (turns[1] - turns[0]) / np.where(events.duration > 0, events.duration, 1.0)
    first = events.first_repetition().duration.size + int(events.start[0])
    of_repetition = turns[1][first - 1] - turns[0][events.start[0]]
    return replace(
        events,
        phase=events.phase + 2 * np.pi * turns[0],
        frequency=events.frequency - mean,
        phase_step=events.phase_step + 2 * np.pi * float(of_repetition),
    )


def _cuts(events: Events, frequency: Pieces) -> Real:
    """Find times in pulses and receiver windows [s] between which the frequency is as good as constant."""
    end = np.cumsum(events.duration)
    busy = np.flatnonzero((events.pulse >= 0) | (events.samples > 0))
    length = np.diff(frequency.time)
    slope = np.abs(np.diff(frequency.value, axis=1)[:, 0]) / np.where(length > 0, length, 1.0)
    cuts = [np.zeros(0)]
    for event in busy:
        begin = end[event] - events.duration[event]
        low, high = np.searchsorted(frequency.time, (begin, end[event]))
        corners = np.concatenate(([begin], frequency.time[low:high], [end[event]]))
        steepest = slope[max(0, low - 1) : high].max(initial=0.0)
        longest = math.sqrt(8 * BEND / (2 * np.pi * steepest)) if steepest > 0 else math.inf
        cuts.append(corners[1:-1])
        for a, b in itertools.pairwise(corners):
            n = max(1, math.ceil((b - a) / longest))
            cuts.append(a + (b - a) * np.arange(1, n) / n)
    return np.unique(np.concatenate(cuts))


def drifting(events: Events, rate: float, offset: float = 0.0) -> Events:
    """Let the field drift by `rate` [Hz/s] from `offset` [Hz] at the start of the scan."""
    total = float(events.duration.sum())
    line = Pieces(time=np.array([0.0, total]), value=np.array([[offset, offset + rate * total]]))
    return shifted_frame(events, line)


def _integral(frequency: Pieces, time: Real) -> Real:
    """Count the turns from 0 to `time` [s]."""
    length = np.diff(frequency.time)
    total = np.append(0.0, np.cumsum(length * frequency.value.mean(axis=1)))
    piece = np.clip(np.searchsorted(frequency.time, time, side="right") - 1, 0, length.size - 1)
    t = np.minimum(time - frequency.time[piece], length[piece])
    slope = (frequency.value[piece, 1] - frequency.value[piece, 0]) / np.where(
        length[piece] > 0, length[piece], 1.0
    )
    return np.asarray(total[piece] + (frequency.value[piece, 0] + slope * t / 2) * t)
