"""The gradients of `Events` as three functions of time, and events with other gradients in their place."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrsim.events import COLUMNS, SAME_TIME, Events
from mrsim.events.rf import Pulse

Real = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Pieces:
    """One gradient axis as straight pieces, one after the other without a gap.

    time : (piece + 1,) [s] their ends
    value : (piece, 2) [T/m] at the start and the end of each; a jump lies between two pieces
    """

    time: Real
    value: Real

    def at(self, begin: Real, end: Real) -> Real:
        """(interval, 2) [T/m] at the start and end of intervals within one piece each, 0 outside of all."""
        middle = (begin + end) / 2
        piece = np.clip(np.searchsorted(self.time, middle, side="right") - 1, 0, self.value.shape[0] - 1)
        length = self.time[piece + 1] - self.time[piece]
        slope = (self.value[piece, 1] - self.value[piece, 0]) / np.where(length > 0, length, 1.0)
        inside = (middle > self.time[0]) & (middle < self.time[-1])
        both = [self.value[piece, 0] + slope * (t - self.time[piece]) for t in (begin, end)]
        return np.asarray(np.stack(both, axis=-1) * inside[:, None])


def waveforms(events: Events) -> tuple[Pieces, Pieces, Pieces]:
    """Gradients along x, y and z over the whole scan; events of no length have none."""
    lasts = events.duration > 0
    time = np.append(0.0, np.cumsum(events.duration[lasts]))
    x, y, z = (Pieces(time=time, value=events.gradient[lasts, :, axis]) for axis in range(3))
    return x, y, z


def with_waveforms(
    events: Events, gradients: tuple[Pieces, Pieces, Pieces], cuts: Real | tuple[()] = ()
) -> Events:
    """Play the same pulses and receive at the same times, in other gradients.

    Events are cut wherever a gradient begins a new piece, and at the times `cuts` [s]; what a gradient does
    after the end of the scan is lost.
    """
    end = np.cumsum(events.duration)
    begin = end - events.duration
    corners = np.unique(np.concatenate([*(g.time for g in gradients), cuts]))
    parts = [_Part(events, i, _edges(float(begin[i]), float(end[i]), corners)) for i in range(end.size)]
    pulses = list(events.pulses)
    columns = [part.columns(gradients, float(begin[part.event]), pulses) for part in parts]
    first = np.append(0, np.cumsum([c["duration"].size for c in columns]))
    merged: dict[str, Any] = {name: np.concatenate([c[name] for c in columns]) for name, _, _ in COLUMNS}
    return replace(events, **merged, start=first[events.start], pulses=tuple(pulses))


def _edges(begin: float, end: float, corners: Real) -> Real:
    """Where an event is cut, from its own start [s]."""
    low, high = np.searchsorted(corners, (begin + SAME_TIME, end - SAME_TIME))
    inside = corners[low:high]
    return np.concatenate(
        ([0.0], inside[np.append(True, np.diff(inside) > SAME_TIME)[: inside.size]] - begin, [end - begin])
    )


@dataclass(frozen=True, eq=False, slots=True)
class _Part:
    """One event and where it is cut."""

    events: Events
    event: int
    edges: Real

    def columns(
        self, gradients: tuple[Pieces, Pieces, Pieces], begin: float, pulses: list[Pulse]
    ) -> dict[str, NDArray[Any]]:
        events, i, edges = self.events, self.event, self.edges
        played: list[int] = []
        if events.pulse[i] >= 0 and edges.size > 2:
            pulse, times = events.pulses[events.pulse[i]], [0.0]
            for a, b in itertools.pairwise(edges):
                for piece in pulse.part(float(a), float(b)):
                    played.append(len(pulses))
                    pulses.append(piece)
                    times.append(times[-1] + piece.duration)
            edges = np.array(times)
        n = edges.size - 1
        columns = {name: np.repeat(getattr(events, name)[i : i + 1], n, axis=0) for name, _, _ in COLUMNS}
        columns["duration"] = np.diff(edges)
        columns["gradient"] = np.stack(
            [g.at(begin + edges[:-1], begin + edges[1:]) for g in gradients], axis=-1
        )
        columns["phase"] = events.phase[i] - 2 * np.pi * events.frequency[i] * edges[:-1]
        columns["crusher"][:-1] = columns["spoil"][:-1] = False
        if played:
            columns["pulse"] = np.array(played)
        if events.samples[i] and n > 1:
            self._share_samples(edges, columns)
        return columns

    def _share_samples(self, edges: Real, columns: dict[str, NDArray[Any]]) -> None:
        events, i = self.events, self.event
        time = events.first[i] + np.arange(events.samples[i]) * events.dwell[i]
        interval = np.searchsorted(edges[1:-1], time + SAME_TIME / 2, side="right")
        used, first, count = np.unique(interval, return_index=True, return_counts=True)
        idle = np.ones(edges.size - 1, np.bool_)
        idle[used] = False
        for name, nothing in (("samples", 0), ("adc", -1), ("dwell", 0.0), ("first", 0.0)):
            columns[name][idle] = nothing
        columns["samples"][used] = count
        columns["first"][used] = np.maximum(time[first] - edges[used], 0.0)
