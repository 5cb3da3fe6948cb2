"""Gradients that come late, and the eddy currents that they induce."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrsim.constants import GAMMA_BAR
from mrsim.events import Events
from mrsim.imperfections.frame import shifted_frame
from mrsim.imperfections.waveforms import Pieces, waveforms, with_waveforms

Real = NDArray[np.float64]
AXES = ("x", "y", "z")
CHORD = 1e-4  # largest error of an exponential drawn in straight pieces, relative to its start


@dataclass(frozen=True, kw_only=True, slots=True)
class EddyCurrent:
    """One exponential term of the response to a changing gradient.

    axis : "x", "y" or "z" of the gradient that induces it
    amplitude : share of the step that it opposes; with `field` "b0" the field that it makes at the isocentre
        per step of the gradient [m] (T per T/m)
    time : [s] time constant of its decay
    field : "linear", along the same axis, or "b0"
    """

    axis: str
    amplitude: float
    time: float
    field: str = "linear"

    def __post_init__(self) -> None:
        if self.axis not in AXES:
            raise ValueError(f"axis must be one of {', '.join(AXES)}, got {self.axis!r}")
        if self.field not in ("linear", "b0"):
            raise ValueError(f"field must be one of linear, b0, got {self.field!r}")
        if not 0 < self.time < math.inf:
            raise ValueError(f"time must be positive, got {self.time} s")
        if not math.isfinite(self.amplitude):
            raise ValueError(f"amplitude must be finite, got {self.amplitude}")


def delayed(events: Events, delay: tuple[float, float, float]) -> Events:
    """Play the gradients along x, y, z so much later [s] than pulses and receiver; negative: earlier."""
    x, y, z = (
        Pieces(time=g.time + late, value=g.value) for g, late in zip(waveforms(events), delay, strict=True)
    )
    return with_waveforms(events, (x, y, z))


def with_eddy_currents(events: Events, terms: tuple[EddyCurrent, ...]) -> Events:
    """Add what eddy currents make of the gradients.

    A gradient G(t) becomes G(t) - amplitude * c(t) with c = dG/dt convolved with exp(-t / time), t > 0
    (pre-emphasis literature: Van Vaals and Bergman, J Magn Reson 1990;90:52). Exponentials are drawn in
    straight pieces to `CHORD` of their amplitude. Terms of field "b0" turn the frame instead.
    """
    shapes = list(waveforms(events))
    total = float(events.duration.sum())
    for axis, name in enumerate(AXES):
        linear = [t for t in terms if t.axis == name and t.field == "linear"]
        if linear:
            responses = [_response(waveforms(events)[axis], t.time, total) for t in linear]
            shapes[axis] = _sum(
                shapes[axis], [(-t.amplitude, r) for t, r in zip(linear, responses, strict=True)]
            )
    changed = with_waveforms(events, (shapes[0], shapes[1], shapes[2]))
    for term in terms:
        if term.field == "b0":
            response = _response(waveforms(events)[AXES.index(term.axis)], term.time, total)
            value = -term.amplitude * GAMMA_BAR * response.value
            changed = shifted_frame(changed, Pieces(time=response.time, value=value))
    return changed


def _response(gradient: Pieces, tau: float, total: float) -> Pieces:
    """c(t) with dc/dt = dG/dt - c / tau, in straight pieces."""
    times, values, c, before = [0.0], [], 0.0, 0.0
    largest = float(np.abs(gradient.value).max(initial=0.0)) or 1.0
    for i in range(gradient.value.shape[0]):
        begin, end = float(gradient.time[i]), float(gradient.time[i + 1])
        c += float(gradient.value[i, 0]) - before  # a jump
        before = float(gradient.value[i, 1])
        drive = (before - float(gradient.value[i, 0])) / (end - begin) * tau
        at = begin
        while at < end:
            bend = abs(c - drive)  # of the exponential that is left
            step = (
                end - at
                if bend < CHORD * largest
                else min(end - at, tau * math.sqrt(8 * CHORD * largest / bend))
            )
            after = drive + (c - drive) * math.exp(-step / tau)
            values.append((c, after))
            c, at = after, end if end - at - step < 1e-12 else at + step
            times.append(at)
    if total > times[-1]:
        values.append((c, c))
        times.append(total)
    return Pieces(time=np.array(times), value=np.array(values))


def _sum(base: Pieces, others: list[tuple[float, Pieces]]) -> Pieces:
    time = np.unique(np.concatenate([base.time, *(p.time for _, p in others)]))
    value = base.at(time[:-1], time[1:])
    for factor, pieces in others:
        value = value + factor * pieces.at(time[:-1], time[1:])
    return Pieces(time=time, value=value)
