"""Cartesian engine: the Bloch solution from a table, the readout spin by spin, the phase encode apart from it.

When every repetition reads one straight line with the same readout, the signal separates without approximation:

    R[row, tau] = sum over the spins of a row y of m exp(-(R2 +- R2') tau - i 2 pi (k_x(tau) x + f tau))
    s[k_y, tau] = sum over rows of exp(-i 2 pi k_y y) R[row, tau]

with m the magnetisation at the echo without encoding. Every row and every line is summed by one thread in a fixed
order, so the result does not depend on the number of threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from mrsim.bloch.kernels import BLOCK, FAST, cos_sin
from mrsim.bloch.program import compile_events
from mrsim.bloch.readout import apply_coil, prepare_trains, receive, train_shape, unfold
from mrsim.bloch.table import MAX_LEVELS, NODE_STEP, Nodes, echoes, levels, look_up, transverse
from mrsim.bloch.weights import amplitudes, box_share, sub_positions
from mrsim.events import Events, Trajectory

if TYPE_CHECKING:
    from phantoms.phantom import Spins

ROWS_AT_ONCE = 1024  # bounds the memory of R when every spin has a y of its own
STRAIGHT = 1e-6  # [1/m] how exactly lines must be straight and alike

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
Array = Any


def cartesian(
    spins: Spins, events: Events, coils: NDArray[np.complex64], n_sub: int
) -> NDArray[np.complex64]:
    """k-space (coil, ky, kx) of `spins`; coils (coil, spin), or (0, spin) for one uniform coil."""
    path = _straight_lines(events)
    prog = compile_events(events.first_repetition())
    m = _magnetisation(spins, events, n_sub)
    x, y = spins.position[0], spins.position[1]
    bounds = np.append(0, np.append(np.flatnonzero(np.diff(y)) + 1, y.size))
    decays = _decays(spins, float(prog.dwell[0]), float(prog.clock[0]))
    phase = np.array([path.k[0, prog.first[0], 0], prog.clock[0], prog.k_step[0, 0], prog.dwell[0]])
    first = int(prog.first[0])
    shape = train_shape(max(first, events.matrix[1] - first))

    n_coils = max(1, coils.shape[0])
    kspace = np.zeros((n_coils, *events.matrix), np.complex128)
    for begin in range(0, bounds.size - 1, ROWS_AT_ONCE):
        part = bounds[begin : begin + ROWS_AT_ONCE + 1]
        rows = np.zeros((n_coils, part.size - 1, events.matrix[1]), np.complex128)
        _sum_rows(part, x, spins.freq, spins.tissue, m, coils, decays, phase, shape, first, rows)
        encode = np.exp(-2j * np.pi * np.outer(path.k[:, 0, 1], y[part[:-1]]))  # (line, row)
        _encode_rows(encode, path.line, rows, kspace)
    return kspace.astype(np.complex64)


def _straight_lines(events: Events) -> Trajectory:
    """Trajectory of a sequence that the factorisation holds for; ValueError for any other."""
    path, n = events.trajectory(), events.start.size
    per = events.duration.size // max(1, n)
    alike = np.array_equal(events.start, np.arange(n) * per) and n * per == events.duration.size
    for column in ("duration", "pulse", "samples", "crusher", "spoil"):
        if alike:
            every = getattr(events, column).reshape(n, per)
            alike = bool((every == every[0]).all())
    if not (alike and path.line.size == n and events.spoil[-1] and events.steady_state):
        raise ValueError(
            "sequence must read one line per repetition, all alike and ideally spoiled, for engine 'cartesian': "
            "take engine 'isochromat'"
        )
    played = events.gradient[events.pulse >= 0]
    slices = events.gradient[:, 2].reshape(n, per)
    k = path.k
    straight = np.abs(k[..., 0] - k[0, :, 0]).max() < STRAIGHT and np.ptp(k[..., 1], axis=1).max() < STRAIGHT
    selective = not played[:, :2].any() and bool((slices == slices[0]).all())
    if not (straight and selective and np.abs(k[..., 2]).max() < STRAIGHT):
        raise ValueError(
            "sequence must read straight lines along x, encoded along y between its pulses and rephased along z, "
            "for engine 'cartesian': take engine 'isochromat'"
        )
    return path


def _magnetisation(spins: Spins, events: Events, n_sub: int) -> Complex:
    """(spin,) M+ at the echo times the amplitude of the spin, without encoding and T2'."""
    z, height = spins.position[2], spins.cell[2]
    offset, share = sub_positions(events, height, n_sub)
    amplitude = amplitudes(spins, events)
    r1, r2 = 1 / spins.t1, 1 / spins.t2
    span = (float(spins.freq.min()), float(spins.freq.max()))
    level_z, level = levels(z, MAX_LEVELS)
    table_size = r1.size * level_z.size * (np.ptp(span) / NODE_STEP + 20)
    if level_z.size and table_size < z.size:
        at = level_z[:, None] + offset  # (level, sub)
        table, f0 = transverse(events, at, np.tile(share, (level_z.size, 1)), span, r1, r2)
        weight = amplitude[:, None] * box_share(level_z, height, events.box)  # (tissue, level)
        found: Complex = look_up(table, f0, spins.freq, spins.tissue, level, weight)
        return found
    m = np.zeros(z.size, np.complex128)
    prog = compile_events(events.first_repetition())
    freq = spins.freq.astype(np.float64)
    for dz, part in zip(offset, share, strict=True):
        m += part * echoes(prog, Nodes(z=z + dz, freq=freq, r1=r1[spins.tissue], r2=r2[spins.tissue]))
    return m * amplitude[spins.tissue] * box_share(z, height, events.box)


def _decays(spins: Spins, dwell: float, clock: float) -> Real:
    """(4, tissue): step per sample and start, after the echo and before it, of T2 and T2' together.

    Before the echo time runs backwards: T2 grows, T2' still decays.
    """
    r2, r2prime = 1 / spins.t2, 1 / spins.t2prime
    after, before = np.exp(-(r2 + r2prime) * dwell), np.exp((r2 - r2prime) * dwell)
    return np.stack([after, np.exp(-r2prime * clock), before, np.exp(r2prime * clock)])


@njit(cache=True, parallel=True)
def _sum_rows(
    bounds: Array, x: Array, freq: Array, tissue: Array, m: Array, coils: Array, decays: Array, phase: Array,
    shape: tuple[int, int], first: int, rows: Array,
) -> None:  # fmt: skip
    for r in prange(bounds.size - 1):
        _sum_row(bounds[r], bounds[r + 1], x, freq, tissue, m, coils, decays, phase, shape, first, rows[:, r])


@njit(cache=True)
def _sum_row(
    begin: int, end: int, x: Array, freq: Array, tissue: Array, m: Array, coils: Array, decays: Array,
    phase: Array, shape: tuple[int, int], first: int, row: Array,
) -> None:  # fmt: skip
    """Sum the readouts of one row of spins: row (coil, sample) complex128."""
    heads, tails = shape
    sides = 2 if first > 0 else 1
    tail = np.empty((2, 2, tails, BLOCK), np.float32)
    head, scaled = np.empty((2, 2, heads, BLOCK), np.float32), np.empty((2, heads, BLOCK), np.float32)
    sums = np.zeros((row.shape[0], 2, heads * tails), np.complex128)
    cycles, decay, echo = np.empty(BLOCK), np.empty((4, BLOCK)), np.empty((2, BLOCK))
    sent, work = np.empty((2, BLOCK)), np.empty((8, BLOCK))
    for at in range(begin, end, BLOCK):
        n = min(BLOCK, end - at)
        _load(at, n, x, freq, tissue, m, decays, phase, cycles, decay, echo)
        prepare_trains(cycles, decay, sides, n, tail, head, work)
        for c in range(row.shape[0]):
            apply_coil(echo, coils, c, at, n, sent)
            receive(sent, sides, n, tail, head, scaled, sums[c])
    for c in range(row.shape[0]):
        unfold(sums[c], first, row[c])


@njit(cache=True, fastmath=FAST)
def _load(
    at: int, n: int, x: Array, freq: Array, tissue: Array, m: Array, decays: Array, phase: Array,
    cycles: Array, decay: Array, echo: Array,
) -> None:  # fmt: skip
    """Spins `at` to `at + n`: turns per sample, decays, and magnetisation with its phase at the echo."""
    for s in range(n):
        f = np.float64(freq[at + s])
        cycles[s] = phase[2] * x[at + s] + phase[3] * f
        c, q = cos_sin(phase[0] * x[at + s] + phase[1] * f)
        u, v = m[at + s].real, m[at + s].imag
        echo[0, s] = u * c + v * q
        echo[1, s] = v * c - u * q
    for s in range(n):
        for i in range(4):
            decay[i, s] = decays[i, tissue[at + s]]


@njit(cache=True, parallel=True)
def _encode_rows(encode: Array, line: Array, rows: Array, kspace: Array) -> None:
    """Phase encode: kspace (coil, ky, sample) += encode (line, row) @ rows (coil, row, sample)."""
    n_coils = rows.shape[0]
    for task in prange(line.size * n_coils):
        i, c = task // n_coils, task % n_coils
        _encode_line(encode[i], rows[c], kspace[c, line[i]])


@njit(cache=True, fastmath=FAST)
def _encode_line(encode: Array, rows: Array, line: Array) -> None:
    for r in range(rows.shape[0]):
        e = encode[r]
        for i in range(line.size):
            line[i] += e * rows[r, i]
