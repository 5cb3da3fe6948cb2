"""Whether spins are close enough to each other for gradients to spoil.

A gradient spoils because spins of a voxel turn by different amounts. Spins on a lattice do so only as far as
the lattice tells them apart: dephased by a whole number of cycles from each to the next, they are all in
phase again, and what should be gone is there in full. Nodes across the cell of a spin (n_sub) postpone that.

With C cycles of dephasing across a cell, its n Gauss-Legendre nodes send F_n(C) and in truth it sends
sinc(C); `nodes_for(C)` is the least n with which the two differ by at most `LIMIT` for any dephasing up to C.
The C of a sequence is the largest that a coherence has collected when samples are taken: that since the last
pulse, and, since pulses turn only a part of it, the sums of what came between pulses before that, gap by gap,
for as long as T2 leaves more than `LIMIT` of it. Ideal spoilers end it, ideal crushers take away all but what
is wanted.
"""

from __future__ import annotations

import math
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mrsim.bloch.weights import SubPositions
from mrsim.events import Events
from phantoms.phantom import POINT

if TYPE_CHECKING:
    from phantoms.phantom import Spins

LIMIT = 0.01  # of a coherence that may be left, or that T2 leaves
IMAGE = 0.51  # cycles across a cell that encoding an image may take: half a cycle where a cell is a pixel
FINEST = 0.02  # cycles between dephasings that are tried
REGULAR = 0.01  # by which the steps of a lattice may differ
MOST_GAPS = 200  # that a coherence is followed through, however long T2 is
AXES = ("x", "y", "z")

Real = NDArray[np.float64]
Index = NDArray[np.intp]


class SpoilingWarning(UserWarning):
    """Spins are too far from each other for the gradients to spoil."""


def check_spoiling(spins: Spins, events: Events, n_sub: SubPositions) -> None:
    """Warn if too few nodes lie across the cells of `spins`, and say how many there must be.

    With those, every sample is within 1 % of the largest one of what ever more nodes lead to (tested with
    spin echoes and RF-spoiled gradient echoes, which the four nodes of the default can get wrong by half).
    Points are judged along axes where they lie on a lattice.
    """
    cell = _spacing(spins)
    present = spins.pd[spins.tissue] > 0
    if not present.any() or not events.n_samples:
        return
    t2 = float(spins.t2[spins.tissue[present]].max())
    cycles = dephasing(events, t2) * cell
    given = n_sub if isinstance(n_sub, tuple) else (1, 1, n_sub)
    if spins.cell == POINT:
        given = (1, 1, 1)
    axis = int(cycles.argmax())  # where one axis is told apart, the others need not be
    if cycles[axis] <= IMAGE or given[axis] >= (needed := nodes_for(float(cycles[axis]))):
        return
    if spins.cell == POINT:
        remedy = f"{needed} times as many spins along {AXES[axis]}"
    elif isinstance(n_sub, tuple) or axis < 2:
        remedy = f"n_sub = {(*given[:axis], needed, *given[axis + 1 :])}"
    else:
        remedy = f"n_sub = {needed}"
    warnings.warn(
        f"spins are too far apart for gradients to spoil: up to {cycles[axis]:.3g} cycles of dephasing along "
        f"{AXES[axis]} from one to the next; take {remedy}, or ideal spoiling",
        SpoilingWarning,
        stacklevel=3,
    )


def _spacing(spins: Spins) -> Real:
    """(3,) [m] from a spin to the next: the cells, and for points the lattice that they lie on, 0 without."""
    if spins.cell != POINT:
        return np.array(spins.cell)
    steps = [np.diff(np.unique(np.round(axis, 9))) for axis in spins.position]
    return np.array(
        [step.max() if step.size and np.ptp(step) < REGULAR * step.max() else 0.0 for step in steps]
    )


@lru_cache(maxsize=256)
def nodes_for(cycles: float) -> int:
    """Least number of Gauss-Legendre nodes that dephase like a whole cell up to `cycles`."""
    low, high = 0, 2
    while not _resolves(high, cycles):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _resolves(middle, cycles) else (middle, high)
    return high


def _resolves(n: int, cycles: float) -> bool:
    at, share = np.polynomial.legendre.leggauss(n)
    c = np.arange(0, cycles + FINEST, FINEST)
    sent = np.cos(np.pi * np.outer(c, at)) @ (share / 2)
    return bool(np.abs(sent - np.sinc(c)).max() <= LIMIT)


@lru_cache(maxsize=16)
def dephasing(events: Events, t2: float) -> Real:
    """(3,) [1/m] along x, y, z: most that gradients have dephased, at a sample, what is left of a coherence.

    t2 : [s] the longest of the spins
    """
    pulses = np.flatnonzero(events.pulse >= 0)
    read, most = _at_samples(events, pulses)
    if not read.size:
        return np.zeros(3)
    moment, ends = _between(events, pulses)
    time = np.cumsum(events.duration)[pulses]
    largest = most.max(axis=0)
    for n in range(1, MOST_GAPS):
        left = (read >= n) & (ends[read] == ends[read - n])
        left &= time[read] - time[read - n] < -math.log(LIMIT) * t2
        read, most = read[left], most[left]
        if not read.size:
            break
        largest = np.maximum(largest, (most + moment[read] - moment[read - n]).max(axis=0))
    return largest


def _between(events: Events, pulses: Index) -> tuple[Real, Index]:
    """Sum up what was before each pulse: (pulse, 3) [1/m] sizes of moments; (pulse,) ideal events."""
    steps = np.diff(_moment(events)[pulses], axis=0, prepend=np.zeros((1, 3)))
    return np.cumsum(np.abs(steps), axis=0), np.cumsum(events.spoil | events.crusher, dtype=np.intp)[pulses]


def _at_samples(events: Events, pulses: Index) -> tuple[Index, Real]:
    """Pulses with samples after them and nothing ideal between, (pulse, 3) [1/m] most dephasing then."""
    path = events.trajectory()
    which = np.searchsorted(pulses, path.event) - 1
    ideal = np.append(0, np.cumsum(events.spoil | events.crusher))
    bare = which >= 0
    bare[bare] &= ideal[path.event[bare]] == ideal[pulses[which[bare]]]
    event, which = path.event[bare], which[bare]
    t = (path.time - (np.cumsum(events.duration) - events.duration)[path.event])[bare]
    whole = events.moment(event, events.duration[event])[:, :3] - events.moment(event, t)[:, :3]
    since = _moment(events)[event] - whole - _moment(events)[pulses[which]]
    found, row = np.unique(which, return_inverse=True)
    most = np.zeros((found.size, 3))
    np.maximum.at(most, row, np.abs(since))
    return found, most


def _moment(events: Events) -> Real:
    """(event, 3) [1/m] since the start of the scan, at the centre of a pulse or the end of an event."""
    every = np.arange(events.duration.size)
    steps = events.moment(every, events.duration)[:, :3]
    played = events.pulse >= 0
    early = events.moment(every[played], events.centre[played])[:, :3]
    total = np.cumsum(steps, axis=0)
    total[played] += early - steps[played]
    return np.asarray(total)
