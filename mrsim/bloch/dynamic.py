"""Dynamic engine: spins that move, exchange with a bound pool, or feel concomitant fields.

Every spin is followed through every event with its position as a function of time. Between pulses the
frequency of each spin is taken at five nodes of a stretch of time and integrated as the polynomial through
them: exact for linear gradients and positions up to third order in time. Stretches are no longer than the
motion allows.

Nothing is kept from one repetition to the next, so this is slower than "isochromat", which is for spins at
rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mrsim.bloch.jit import kernel
from mrsim.bloch.motion_kernels import nutate, precess
from mrsim.bloch.pools import BoundPool, exchange
from mrsim.bloch.rotation import cos_sin
from mrsim.bloch.tasks import in_threads
from mrsim.bloch.weights import amplitudes, box_share, sub_positions
from mrsim.constants import GAMMA_BAR
from mrsim.events import Events

if TYPE_CHECKING:
    from mrsim.imperfections.motion import Moving
    from phantoms.phantom import Spins

SPINS_AT_ONCE = 8192
NODES = np.array([0.0, 0.25, 0.5, 0.75, 1.0])  # of a stretch of time
MOST_TURN = 0.5  # [rad] of precession or nutation per step of a pulse, between relaxation
CONVERGED = 1e-8
MOST_DUMMIES = 10_000

Real = NDArray[np.float64]
Array = Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Concomitant:
    """Maxwell terms of the gradients to first order in 1 / B0 (Bernstein et al., Magn Reson Med 1998;39:300).

    field_strength : [T] along S
    axes : RAS axis of image x, y, z, see `mrsim.slices.plane.SlicePlane.axes`
    centre : [m] RAS of the image frame; the isocentre is the origin
    """

    field_strength: float
    axes: tuple[int, int, int] = (1, 0, 2)
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def frequency(self, gradient: Real, position: Real) -> Real:
        """(spin,) [Hz] of spins at `position` (3, spin) [m] in a `gradient` (3,) [T/m], image frame.

        B_c = ((Gx^2 + Gy^2) z^2 + Gz^2 (x^2 + y^2) / 4 - Gx Gz x z - Gy Gz y z) / (2 B0), z along B0
        """
        g, r = np.empty(3), np.empty_like(position)
        for image_axis, axis in enumerate(self.axes):
            g[axis] = gradient[image_axis]
            r[axis] = position[image_axis] + self.centre[axis]
        x, y, z = r
        squares = (g[0] ** 2 + g[1] ** 2) * z**2 + g[2] ** 2 * (x**2 + y**2) / 4
        crossed = g[0] * g[2] * x * z + g[1] * g[2] * y * z
        return np.asarray(GAMMA_BAR * (squares - crossed) / (2 * self.field_strength))


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Dynamics:
    """What makes the dynamic engine necessary; everything may be left out."""

    motion: Moving | None = None
    pool: BoundPool | None = None
    concomitant: Concomitant | None = None

    @property
    def resolution(self) -> float:
        """[s] of the motion."""
        return self.motion.resolution if self.motion is not None else math.inf


def dynamic(
    spins: Spins, events: Events, coils: NDArray[np.complex64], n_sub: int, dynamics: Dynamics
) -> NDArray[np.complex64]:
    """Signal (coil, sample) of `spins` of coils (coil, spin), with the receiver phase.

    Coil sensitivity, off-resonance and B1 go with the spin.
    """
    signal = _Journey(spins, events, coils, n_sub, dynamics).play()
    return np.asarray(signal * np.exp(-1j * events.trajectory().phase), np.complex64)


class _Journey:
    """The spins on their way through a sequence."""

    def __init__(
        self, spins: Spins, events: Events, coils: NDArray[np.complex64], n_sub: int, dynamics: Dynamics
    ) -> None:
        offset, share = sub_positions(events, spins.cell[2], n_sub)
        n, total = offset.size, spins.tissue.size
        tissue = np.repeat(spins.tissue, n)
        self.events, self.dynamics = events, dynamics
        self.motion = dynamics.motion.repeated(n) if dynamics.motion is not None else None
        self.position = np.repeat(spins.position, n, axis=1)
        self.position[2] += np.tile(offset, total)
        self.freq = np.repeat(spins.freq.astype(np.float64), n)
        self.r1, self.r2, self.r2prime = (1 / t[tissue] for t in (spins.t1, spins.t2, spins.t2prime))
        self.b1 = np.repeat(np.ones(total, np.complex128) if spins.b1 is None else spins.b1, n).astype(
            complex
        )
        amount = amplitudes(spins, events)[spins.tissue] * box_share(
            spins.position[2], spins.cell[2], events.box
        )
        self.weight = (np.repeat(coils * amount, n, axis=1) * np.tile(share, total)).astype(np.complex128)
        self.pool = dynamics.pool.of(tissue) if dynamics.pool is not None else None
        members = 2 * _most_crushers(events) + 1
        self.m = np.zeros((3, members, tissue.size))
        self.m[2] = 1.0
        self.bound = np.ones((members, tissue.size))
        self.signal = np.zeros((coils.shape[0], events.n_samples), np.complex128)
        self.taken = 0
        self.rest: tuple[tuple[float, ...], Real] | None = None

    def play(self) -> NDArray[np.complex128]:
        """Signal (coil, sample), receiver phase 0."""
        events = self.events
        if events.steady_state:
            self._settle()
        clock = events.trajectory().clock if events.refocuses else None
        time = np.append(0.0, np.cumsum(events.duration))
        for event in range(events.duration.size):
            self._advance(event, float(time[event]), clock)
        return self.signal

    def _settle(self) -> None:
        """Repeat the first repetition, at rest as at the start, until it begins as the last time."""
        events = self.events
        end = int(events.start[1]) if events.start.size > 1 else events.duration.size
        c, s = math.cos(events.phase_step), math.sin(events.phase_step)
        for _ in range(MOST_DUMMIES):
            before = self.m.copy()
            for event in range(int(events.start[0]), end):
                self._advance(event, 0.0, None, at_rest=True)
            x, y = self.m[0].copy(), self.m[1].copy()
            self.m[0], self.m[1] = c * x + s * y, c * y - s * x
            if np.abs(self.m - before).max(initial=0.0) < CONVERGED:
                return
        raise ValueError(f"sequence must reach a steady state, it did not in {MOST_DUMMIES} repetitions")

    def _advance(self, event: int, begin: float, clock: Real | None, at_rest: bool = False) -> None:
        events, duration = self.events, float(self.events.duration[event])
        if events.pulse[event] >= 0:
            self._nutate(event, begin)
        elif duration > 0:
            moves = self._matters(event) and not (at_rest or self._rests(begin, begin + duration))
            cuts = max(1, math.ceil(duration / self.dynamics.resolution - 1e-9)) if moves else 1
            for i in range(cuts):
                self._precess(event, begin, i / cuts, (i + 1) / cuts, None if at_rest else clock, at_rest)
        if self.motion is not None and not at_rest:
            fresh = self.motion.renewed(self.position, begin, begin + duration)
            if fresh.any():
                self.m[:2, :, fresh], self.m[2, :, fresh], self.bound[:, fresh] = 0.0, 1.0, 1.0
        if events.crusher[event]:
            phase = 2 * np.pi * np.arange(self.m.shape[1]) / self.m.shape[1]
            c, s, x, y = np.cos(phase)[:, None], np.sin(phase)[:, None], self.m[0].copy(), self.m[1].copy()
            self.m[0], self.m[1] = x * c - y * s, x * s + y * c
        if events.spoil[event]:
            self.m[:2] = 0.0
            self.m[2], self.bound[:] = self.m[2].mean(axis=0), self.bound.mean(axis=0)

    def _matters(self, event: int) -> bool:
        """Whether it matters for the phase where spins are."""
        return bool(self.events.gradient[event].any())

    def _rests(self, begin: float, end: float) -> bool:
        """Whether nothing moves between two times [s]."""
        return self.motion is None or self.motion.rests(begin, end)

    def _where(self, time: float) -> Real:
        """(3, spin) [m] at `time` [s], looked up once for as long as nothing moves."""
        if self.motion is None:
            return self.position
        state = self.motion.state(time)
        if self.rest is None or self.rest[0] != state:
            self.rest = state, self.motion.positions(self.position, time)
        return self.rest[1]

    def _frequency(self, event: int, time: float, share: float) -> Real:
        """(spin,) [Hz] at `time` [s] of the scan, which is a share of the event."""
        gradient = (1 - share) * self.events.gradient[event, 0] + share * self.events.gradient[event, 1]
        if not gradient.any():
            return self.freq
        where = self._where(time)
        frequency = self.freq + GAMMA_BAR * (gradient @ where)
        if self.dynamics.concomitant is not None:
            frequency = frequency + self.dynamics.concomitant.frequency(gradient, where)
        return np.asarray(frequency)

    def _precess(
        self, event: int, begin: float, low: float, high: float, clock: Real | None, at_rest: bool
    ) -> None:
        """Let the share `low` to `high` of an event pass, and receive what falls into it."""
        events, length = self.events, float(self.events.duration[event])
        shares = low + (high - low) * NODES
        rates = np.stack(
            [self._frequency(event, begin + (0.0 if at_rest else share * length), share) for share in shares]
        )  # (node, spin)
        duration = (high - low) * length
        if events.samples[event] and not at_rest:
            time = events.first[event] + np.arange(events.samples[event]) * events.dwell[event] - low * length
            last = high == 1.0
            mine = time[(time >= -1e-12) & ((time < duration - 1e-12) | last)]
            taken = slice(self.taken, self.taken + mine.size)
            self.taken += mine.size
            m = self.m[:2].mean(axis=1)
            dephasing = np.zeros(mine.size) if clock is None else np.abs(clock[taken])
            rate = self.r2prime if clock is not None else np.zeros_like(self.r2prime)
            every = _integral_weights(mine, duration), mine, dephasing, rates, m, self.r2, rate, self.weight
            self._receive(every, taken)
        turns = _integral_weights(np.array([duration]), duration)[0] @ rates
        self._pass(turns, duration)

    def _pass(self, turns: Real, duration: float) -> None:
        """Let spins turn and relax for `duration` [s], and exchange."""
        if self.pool is None:
            in_threads(
                lambda begin, end: precess(begin, end, self.m, turns, self.r1, self.r2, duration),
                turns.size,
                SPINS_AT_ONCE,
            )
            return
        factor = np.exp(-2j * np.pi * turns - duration * self.r2)
        transverse = (self.m[0] + 1j * self.m[1]) * factor
        self.m[0], self.m[1] = transverse.real, transverse.imag
        self._relax(duration)

    def _receive(self, what: tuple[Any, ...], taken: slice) -> None:
        """Add up the spins in parts, each by one thread, and the parts in a fixed order."""
        total = self.freq.size
        parts = np.zeros(
            (-(-total // SPINS_AT_ONCE), self.weight.shape[0], taken.stop - taken.start), complex
        )
        in_threads(
            lambda begin, end: _receive(begin, end, *what, parts[begin // SPINS_AT_ONCE]),
            total,
            SPINS_AT_ONCE,
        )
        self.signal[:, taken] += parts.sum(axis=0)

    def _relax(self, duration: float, saturation: Real | None = None) -> None:
        """T1 relaxation, exchange and, during a pulse, saturation of the bound pool [1/s]."""
        if self.pool is None:
            e1 = np.exp(-duration * self.r1)
            self.m[2] = self.m[2] * e1 + (1 - e1)
        else:
            self.m[2], self.bound = exchange(self.pool, self.r1, self.m[2], self.bound, duration, saturation)

    def _nutate(self, event: int, begin: float) -> None:
        """Play a pulse in steps that are short enough for relaxation, turn and exchange to take turns."""
        events = self.events
        pulse, offset = events.pulses[events.pulse[event]], float(events.frequency[event])
        if pulse.dt == 0:
            self._turn(
                pulse.nutation[0] * np.exp(1j * events.phase[event]) * self.b1, np.zeros_like(self.freq)
            )
            return
        if self.pool is None and self.dynamics.concomitant is None:
            self._nutate_at_once(event, begin)
            return
        n = pulse.nutation.size
        for i, nutation in enumerate(pulse.nutation):
            rate = self._frequency(event, begin + (i + 0.5) * pulse.dt, (i + 0.5) / n)
            turn = max(abs(nutation), 2 * np.pi * pulse.dt * float(np.abs(rate - offset).max(initial=0.0)))
            pieces = max(1, math.ceil(turn / MOST_TURN))
            dt = pulse.dt / pieces
            for p in range(pieces):
                phase = events.phase[event] - 2 * np.pi * offset * (i + p / pieces) * pulse.dt
                self._step(self.b1 * (nutation / pieces) * np.exp(1j * phase), rate - offset, offset, dt)

    def _nutate_at_once(self, event: int, begin: float) -> None:
        """Play a pulse with the frequency of each spin linear in time, spin by spin."""
        events = self.events
        pulse, offset = events.pulses[events.pulse[event]], float(events.frequency[event])
        n, length = pulse.nutation.size, float(events.duration[event])
        rates = [self._frequency(event, begin + share * length, share) for share in (0.0, 1.0)]
        if self.motion is not None:  # what is replaced during the pulse ends as it began
            fresh = self.motion.renewed(self.position, begin, begin + length)
            rates[1] = np.where(fresh, rates[0], rates[1])
        fastest = max(float(np.abs(rate - offset).max(initial=0.0)) for rate in rates)
        turn = max(float(np.abs(pulse.nutation).max()), 2 * np.pi * pulse.dt * fastest)
        pieces = max(1, math.ceil(turn / MOST_TURN))
        phase = events.phase[event] - 2 * np.pi * offset * np.arange(n) * pulse.dt
        played = pulse.nutation * np.exp(1j * phase)
        in_threads(
            lambda first, last: nutate(
                first, last, self.m, played, pulse.dt, pieces, offset, *rates, self.b1, self.r1, self.r2
            ),
            self.freq.size,
            SPINS_AT_ONCE,
        )

    def _step(self, b1: NDArray[np.complex128], rate: Real, offset: float, dt: float) -> None:
        """Nutate by b1 [rad] for `dt` [s] in the frame of the pulse, in which spins turn at `rate` [Hz]."""
        saturation = None if self.pool is None else self.pool.saturation(np.abs(b1) / dt, offset)
        e2 = np.exp(-self.r2 * dt / 2)
        self.m[:2] *= e2
        self._relax(dt / 2, saturation)
        self._turn(b1, 2 * np.pi * dt * rate)
        if offset:
            back = (self.m[0] + 1j * self.m[1]) * np.exp(-2j * np.pi * offset * dt)
            self.m[0], self.m[1] = back.real, back.imag
        self.m[:2] *= e2
        self._relax(dt / 2, saturation)

    def _turn(self, b1: NDArray[np.complex128], about_z: Real) -> None:
        _rotate(self.m, np.ascontiguousarray(b1.real), np.ascontiguousarray(b1.imag), about_z)


def _most_crushers(events: Events) -> int:
    ends = np.append(events.start[1:], events.duration.size)
    return max((int(events.crusher[a:b].sum()) for a, b in zip(events.start, ends, strict=True)), default=0)


def _integral_weights(time: Real, duration: float) -> Real:
    """(time, node) weights of the values at `NODES` that integrate their polynomial from 0 to time."""
    vandermonde = NODES[:, None] ** np.arange(NODES.size)
    powers = np.arange(1, NODES.size + 1)
    share = time / duration
    return np.asarray(duration * (share[:, None] ** powers / powers) @ np.linalg.inv(vandermonde))


@kernel(fast=True, entry=True, allocates=True)
def _receive(
    begin: int, end: int, weights: Array, time: Array, dephasing: Array, rates: Array, m: Array, r2: Array,
    r2prime: Array, weight: Array, signal: Array,
) -> None:  # fmt: skip
    """Add what the spins `begin` to `end` send: signal (coil, sample)."""
    real, imaginary = np.empty(end - begin), np.empty(end - begin)
    for j in range(time.size):
        w0, w1, w2, w3, w4 = weights[j, 0], weights[j, 1], weights[j, 2], weights[j, 3], weights[j, 4]
        for i in range(end - begin):
            s = begin + i
            turns = (
                w0 * rates[0, s] + w1 * rates[1, s] + w2 * rates[2, s] + w3 * rates[3, s] + w4 * rates[4, s]
            )
            c, q = cos_sin(turns)
            decay = math.exp(-time[j] * r2[s] - dephasing[j] * r2prime[s])
            real[i] = decay * (m[0, s] * c + m[1, s] * q)
            imaginary[i] = decay * (m[1, s] * c - m[0, s] * q)
        for coil in range(weight.shape[0]):
            a, b = 0.0, 0.0
            for i in range(end - begin):
                u, v = weight[coil, begin + i].real, weight[coil, begin + i].imag
                a += u * real[i] - v * imaginary[i]
                b += u * imaginary[i] + v * real[i]
            signal[coil, j] += complex(a, b)


@kernel(entry=True)
def _rotate(m: Array, bx: Array, by: Array, bz: Array) -> None:
    """Turn m (3, member, spin) left-handed by the angles bx, by, bz [rad]: Rodrigues."""
    for s in range(m.shape[2]):
        x, y, z = -bx[s], -by[s], -bz[s]
        angle = math.sqrt(x * x + y * y + z * z)
        if angle == 0.0:
            continue
        x, y, z = x / angle, y / angle, z / angle
        c, q = math.cos(angle), math.sin(angle)
        for p in range(m.shape[1]):
            u, v, w = m[0, p, s], m[1, p, s], m[2, p, s]
            along = (x * u + y * v + z * w) * (1 - c)
            m[0, p, s] = u * c + (y * w - z * v) * q + x * along
            m[1, p, s] = v * c + (z * u - x * w) * q + y * along
            m[2, p, s] = w * c + (x * v - y * u) * q + z * along
