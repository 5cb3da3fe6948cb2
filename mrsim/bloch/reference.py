"""The same physics in slow, obvious NumPy: every spin through every event, float64, nothing shared with the
kernels.

A spin is a 3-vector; RF turns it with the rotation matrix of each raster step; encoding is what the gradients
do to it on the way; the receiver adds all spins at every sample. Ideal crushers are an ensemble of phases.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mrsim.bloch.weights import amplitudes, box_share, sub_positions
from mrsim.constants import GAMMA_BAR
from mrsim.events import Events
from mrsim.events.rf import Pulse

if TYPE_CHECKING:
    from phantoms.phantom import Spins

CONVERGED = 1e-12  # change of the magnetisation from one preparing repetition to the next
MOST_DUMMIES = 10_000

Real = NDArray[np.float64]


@dataclass(eq=False, kw_only=True, slots=True)
class State:
    """Magnetisation of every spin and ensemble member, and what the sequence has done to it so far.

    m : (3, member, spin)
    clock : [s] net dephasing time, see `mrsim.events.Trajectory`
    """

    m: Real
    clock: float = 0.0


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Isochromats:
    """Point spins with all that acts on them.

    position : (3, spin) [m]
    freq : (spin,) [Hz]
    t1 t2 t2prime : (spin,) [s]
    b1 : (spin,) complex128 relative transmit field
    weight : (coil, spin) complex128 share in the signal of each coil
    """

    position: Real
    freq: Real
    t1: Real
    t2: Real
    t2prime: Real
    b1: NDArray[np.complex128]
    weight: NDArray[np.complex128]


def reference(
    spins: Spins, events: Events, coils: NDArray[np.complex64], n_sub: int
) -> NDArray[np.complex64]:
    """Signal (coil, sample) of `spins` of coils (coil, spin)."""
    return receive(isochromats(spins, events, coils, n_sub), events).astype(np.complex64)


def isochromats(spins: Spins, events: Events, coils: NDArray[np.complex64], n_sub: int) -> Isochromats:
    """Cut the cell of each spin into its sub-positions."""
    offset, share = sub_positions(events, spins.cell[2], n_sub)
    n = offset.size
    position = np.tile(spins.position, n)
    position[2] += np.repeat(offset, spins.tissue.size)
    weight = amplitudes(spins, events)[spins.tissue]
    weight = weight * box_share(spins.position[2], spins.cell[2], events.box)
    b1 = np.ones(spins.tissue.size) if spins.b1 is None else spins.b1
    return Isochromats(
        position=position,
        freq=np.tile(spins.freq.astype(np.float64), n),
        t1=np.tile(spins.t1[spins.tissue], n),
        t2=np.tile(spins.t2[spins.tissue], n),
        t2prime=np.tile(spins.t2prime[spins.tissue], n),
        b1=np.tile(b1.astype(np.complex128), n),
        weight=np.concatenate([coils * weight * part for part in share], axis=1).astype(np.complex128),
    )


def receive(spins: Isochromats, events: Events) -> NDArray[np.complex128]:
    """Signal (coil, sample) complex128 of point spins."""
    members = (
        2 * int(events.crusher.sum() if events.start.size == 1 else _crushers_per_repetition(events)) + 1
    )
    state = State(m=np.zeros((3, members, spins.freq.size)))
    state.m[2] = 1.0
    if events.steady_state:
        _prepare(spins, events, state)
    signal = [np.zeros((spins.weight.shape[0], 0), np.complex128)]
    for event in range(events.duration.size):
        if events.samples[event]:
            signal.append(_sample(spins, events, event, state))
        advance(spins, events, event, state)
    phase = events.trajectory().phase
    return np.asarray(np.concatenate(signal, axis=1) * np.exp(-1j * phase))


def _crushers_per_repetition(events: Events) -> int:
    ends = np.append(events.start[1:], events.duration.size)
    return max(int(events.crusher[a:b].sum()) for a, b in zip(events.start, ends, strict=True))


def _prepare(spins: Isochromats, events: Events, state: State) -> None:
    """Repeat the first repetition, in the frame that turns with it, until it starts as the last time."""
    end = int(events.start[1]) if events.start.size > 1 else events.duration.size
    c, s = np.cos(events.phase_step), np.sin(events.phase_step)
    for _ in range(MOST_DUMMIES):
        before = state.m.copy()
        for event in range(int(events.start[0]), end):
            advance(spins, events, event, state)
        x, y = state.m[0].copy(), state.m[1].copy()
        state.m[0], state.m[1] = c * x + s * y, c * y - s * x
        if np.abs(state.m - before).max() < CONVERGED:
            return
    raise ValueError(f"sequence must reach a steady state, it did not in {MOST_DUMMIES} repetitions")


def advance(spins: Isochromats, events: Events, event: int, state: State) -> None:
    """Let one event act on every spin."""
    gradient, duration = events.gradient[event], float(events.duration[event])
    at_start, at_end = (GAMMA_BAR * (g @ spins.position) for g in gradient)  # (spin,) [Hz]
    if events.pulse[event] >= 0:
        pulse = events.pulses[events.pulse[event]]
        axis = float(events.phase[event]), float(events.frequency[event])
        _play(pulse, axis, spins.freq + at_start, at_end - at_start, spins, state)
    else:
        cycles = (spins.freq + (at_start + at_end) / 2) * duration
        relax(spins, duration, state.m)
        state.m = turn(state.m, np.zeros_like(cycles), np.zeros_like(cycles), 2 * np.pi * cycles)
        state.clock += duration
    members = state.m.shape[1]
    if events.crusher[event]:
        phase = 2 * np.pi * np.arange(members) / members
        c, s, (x, y, _) = np.cos(phase)[:, None], np.sin(phase)[:, None], state.m.copy()
        state.m[0], state.m[1] = x * c - y * s, x * s + y * c
    if events.spoil[event]:
        state.m[:2] = 0.0
        state.m[2] = state.m[2].mean(axis=0)


def _play(
    pulse: Pulse, axis: tuple[float, float], rate: Real, change: Real, spins: Isochromats, state: State
) -> None:
    """RF of phase and frequency `axis`, while the precession goes from `rate` [Hz] up by `change`.

    Each step is solved in the frame that turns with the RF, where its field is constant.
    """
    n, (phase, frequency) = pulse.nutation.size, axis
    for i, nutation in enumerate(pulse.nutation):
        b1 = spins.b1 * nutation * np.exp(1j * (phase - 2 * np.pi * frequency * i * pulse.dt))
        hertz = rate - frequency + change * (i + 0.5) / n
        relax(spins, pulse.dt / 2, state.m)
        state.m = turn(state.m, b1.real, b1.imag, 2 * np.pi * hertz * pulse.dt)
        still = np.zeros_like(hertz)
        state.m = turn(state.m, still, still, still + 2 * np.pi * frequency * pulse.dt)
        relax(spins, pulse.dt / 2, state.m)
    clock = state.clock + pulse.centre
    rest = pulse.duration - pulse.centre
    born = {"excitation": 0.0, "refocusing": -clock}
    state.clock = rest + born.get(pulse.use, clock)


def turn(m: Real, bx: Real, by: Real, bz: Real) -> Real:
    """Solve dM/dt = M x B for a constant field whose angles per component are bx, by, bz [rad]: Rodrigues."""
    angle = np.sqrt(bx**2 + by**2 + bz**2)
    safe = np.where(angle > 0, angle, 1.0)
    axis = np.stack([bx, by, bz])[:, None] / safe  # (3, 1, spin)
    along = (axis * m).sum(axis=0) * axis
    across = np.cross(m, axis, axis=0)
    return np.asarray(along + (m - along) * np.cos(angle) + across * np.sin(angle))


def relax(spins: Isochromats, time: float, m: Real) -> None:
    """T1 and T2 relaxation, in place."""
    m[:2] *= np.exp(-time / spins.t2)
    m[2] = 1 + (m[2] - 1) * np.exp(-time / spins.t1)


def _sample(spins: Isochromats, events: Events, event: int, state: State) -> NDArray[np.complex128]:
    """Signal (coil, sample) of one event, each sample summed over spins on its own, receiver phase 0."""
    m = (state.m[0] + 1j * state.m[1]).mean(axis=0)
    at_start, at_end = (GAMMA_BAR * (g @ spins.position) for g in events.gradient[event])
    n, duration = int(events.samples[event]), float(events.duration[event])
    line = np.empty((spins.weight.shape[0], n), np.complex128)
    for i in range(n):
        t = float(events.first[event] + i * events.dwell[event])
        cycles = (spins.freq + at_start + (at_end - at_start) * t / (2 * duration)) * t
        decay = np.exp(-t / spins.t2)
        if events.refocuses:
            decay = decay * np.exp(-abs(state.clock + t) / spins.t2prime)
        line[:, i] = spins.weight @ (m * decay * np.exp(-2j * np.pi * cycles))
    return line
