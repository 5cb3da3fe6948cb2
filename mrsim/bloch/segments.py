"""Segments: samples between which nothing but precession happens, and whether pulses see the encoding."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrsim.constants import GAMMA_BAR
from mrsim.events import Events, Trajectory

REWOUND = 1e-4  # [1/m] encoding that is left: below 1e-4 rad anywhere in a head
FLAT = 1e-2  # [1/m] encoding along z within a segment: below 1e-3 rad in any slice

Real = NDArray[np.float64]
Index = NDArray[np.intp]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Segments:
    """Samples of a sequence by segments, which end at pulses, crushers and spoilers.

    first : (segment,) first sample of each
    of : (sample,) segment
    path : what each sample sees of the gradients
    sparse : the sequence without gradients along x and y, and with the first sample of each segment only
    """

    first: Index
    of: Index
    path: Trajectory
    sparse: Events


def segments(events: Events) -> Segments:
    """Sort the samples of `events` into segments."""
    path = events.trajectory()
    ends = (events.pulse >= 0) | events.crusher | events.spoil
    number: Index = (
        np.cumsum(ends)[path.event] - ends[path.event]
    )  # a crusher at the end of an event comes after it
    first = np.flatnonzero(np.diff(number, prepend=-1))
    samples = np.zeros(events.duration.size, np.intp)
    samples[path.event[first]] = 1
    adc = np.where(samples > 0, np.cumsum(samples) - 1, -1)
    gradient = events.gradient.copy()
    gradient[:, :, :2] = 0.0
    sparse = replace(events, gradient=gradient, samples=samples, adc=adc, place=np.zeros(0, np.intp))
    of = np.repeat(np.arange(first.size), np.diff(np.append(first, number.size)))
    return Segments(first=first, of=of, path=path, sparse=sparse)


def refusal(events: Events) -> str:
    """Why the answers of spins depend on x and y beyond exp(-i 2 pi k.r); "" if they do not.

    They do not where, before every pulse, the encoding since the last one is rewound, or spoiled ideally, or
    where ideal crushers on either side of a single refocusing pulse between two spoilers leave one pathway.
    """
    pulses = np.flatnonzero(events.pulse >= 0)
    if np.abs(events.gradient[pulses][:, :, :2]).max(initial=0.0) > 0:
        return "a pulse is played in a gradient along x or y"
    moment = events.gradient[:, :, :2].mean(axis=1) * (GAMMA_BAR * events.duration)[:, None]
    bounds = np.append(pulses, events.duration.size)
    refocusing = events.used_as("refocusing")[pulses].tolist()
    last = pulses.size if events.steady_state else pulses.size - 1
    for i in range(last):
        between = slice(bounds[i] + 1, bounds[i + 1])
        if events.spoil[between].any() or np.abs(moment[between].sum(axis=0)).max(initial=0.0) < REWOUND:
            continue
        if not (i + 1 < pulses.size and refocusing[i + 1] and _one_pathway(events, bounds, refocusing, i)):
            return "encoding is neither rewound nor spoiled before each pulse"
    seg = segments(events)
    z = seg.path.k[:, 2]
    if z.size and np.abs(z - z[seg.first][seg.of]).max() > FLAT:
        return "a gradient along z is on during the readout"
    return ""


def _one_pathway(events: Events, bounds: Index, refocusing: list[bool], i: int) -> bool:
    """Whether only the echo of pulse `i` survives its refocusing by pulse i + 1."""
    before = slice(bounds[i - 1] + 1 if i else 0, bounds[i])
    first = slice(bounds[i] + 1, bounds[i + 1])
    after = slice(bounds[i + 1] + 1, bounds[i + 2])
    fresh = bool(events.spoil[before].any()) or (i == 0 and bounds[0] == before.stop)
    crushed = int(events.crusher[first].sum()) == int(events.crusher[after].sum()) > 0
    return (
        not refocusing[i]
        and fresh
        and crushed
        and bool(events.spoil[after].any() or i + 2 == bounds.size - 1)
    )
