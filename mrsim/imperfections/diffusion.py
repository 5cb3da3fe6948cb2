"""Diffusion: how strongly each sample of a sequence is weighted by it.

Free isotropic diffusion attenuates a coherence by exp(-b D), with b = 4 pi^2 times the integral of |k|^2
since its excitation (Stejskal and Tanner, J Chem Phys 1965;42:288), imaging gradients and all. This is exact
for spins whose signal comes from the one pathway that `Events.trajectory` follows: spin echo and spoiled
gradient echo, not bSSFP.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mrsim.events import Events

if TYPE_CHECKING:
    from phantoms.phantom import Spins

Real = NDArray[np.float64]
Acquire = Callable[["Spins", Events, NDArray[np.complex64]], NDArray[np.complex64]]


def b_values(events: Events) -> Real:
    """(sample,) [s/m2] b-value of each receiver sample, by all gradients since its excitation."""
    every = np.arange(events.duration.size)
    start = events.pathway()[..., :3]
    before = _square(events, every, start[:, 0], np.zeros(every.size), events.centre)
    behind = _square(events, every, start[:, 1], events.centre, events.duration)
    parts = np.stack([before, behind], axis=1).ravel()
    total = np.append(0.0, np.cumsum(parts))  # at the start of each half

    born = np.maximum.accumulate(
        np.where(events.used_as("excitation"), 2 * every + 1, 0)
    )  # the half that follows the excitation
    event = events.trajectory().event
    time = np.arange(event.size) - (np.cumsum(events.samples) - events.samples)[event]
    time = events.first[event] + time * events.dwell[event]
    inside = _square(events, event, start[event, 0], np.zeros(event.size), time)
    return np.asarray(4 * np.pi**2 * (total[2 * event] - total[born[event]] + inside))


def _square(events: Events, event: NDArray[np.intp], start: Real, begin: Real, end: Real) -> Real:
    """Integral of |k|^2 [s/m2] over a part of an event that starts with k `start`: 3 nodes are exact."""
    nodes, weights = np.polynomial.legendre.leggauss(3)
    origin = events.moment(event, begin)[:, :3]
    result = np.zeros(event.size)
    for node, weight in zip(nodes, weights, strict=True):
        t = begin + (end - begin) * (node + 1) / 2
        k = start + events.moment(event, t)[:, :3] - origin
        result += weight / 2 * (k**2).sum(axis=1)
    return result * (end - begin)


def with_diffusion(
    acquire: Acquire,
    spins: Spins,
    events: Events,
    coils: NDArray[np.complex64],
    diffusivity: ArrayLike,
    *,
    together: bool = False,
) -> NDArray[np.complex64]:
    """Signal (coil, sample) complex64 of spins that diffuse, those of each diffusivity weighted by its own.

    acquire : (spins, events, coils) -> signal (coil, sample)
    coils : (coil, spin) complex64
    diffusivity : (tissue,) [m2/s]
    together : acquire all spins at once, heard by coils of each diffusivity, and not those of one after those
        of the other: for motion, which knows spins by their number and by their distance from the others
    """
    rate = np.asarray(diffusivity, np.float64)
    if rate.shape != spins.pd.shape or not (np.isfinite(rate).all() and (rate >= 0).all()):
        raise ValueError(
            f"diffusivity must be {spins.pd.size} numbers that are not negative, got {rate} m2/s"
        )
    if not events.refocuses:
        raise ValueError(
            "sequence must make its signal in one pathway to be weighted by diffusion, as bSSFP does not"
        )
    b, values = b_values(events), np.unique(rate[spins.tissue])
    signal = np.zeros((coils.shape[0], events.n_samples), np.complex128)
    if together and values.size:
        own = np.concatenate([np.where(rate[spins.tissue] == value, coils, 0) for value in values])
        parts = acquire(spins, events, own).reshape(values.size, *signal.shape)
        return np.asarray((parts * np.exp(-np.outer(values, b))[:, None]).sum(axis=0), np.complex64)
    for value in values:
        some = np.flatnonzero(rate[spins.tissue] == value)
        part = replace(
            spins,
            position=spins.position[:, some],
            tissue=spins.tissue[some],
            freq=spins.freq[some],
            b1=None if spins.b1 is None else spins.b1[some],
        )
        signal += acquire(part, events, coils[:, some]) * np.exp(-b * value)
    return signal.astype(np.complex64)
