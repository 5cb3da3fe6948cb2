"""Cartesian engine: the Bloch solution from a table, the readout spin by spin, the phase encode apart from
it.

When every repetition reads one straight line with the same readout, the signal separates without
approximation:

    R[row, tau] = sum over the spins of a row y of m exp(-(R2 +- R2') tau - i 2 pi (k_x(tau) x + f tau))
    s[k_y, tau] = sum over rows of exp(-i 2 pi k_y y) R[row, tau]

with m the magnetisation at the echo without encoding. Every row and every line is summed by one thread in a
fixed order, so the result does not depend on the number of threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mrsim.bloch.jit import kernel
from mrsim.bloch.kernels import BLOCK, cos_sin
from mrsim.bloch.nodes import Nodes
from mrsim.bloch.program import compile_events
from mrsim.bloch.readout import prepare_trains, receive, train_shape, unfold, weigh
from mrsim.bloch.table import NODE_STEP, echoes, look_up, sorted_levels, transverse
from mrsim.bloch.tasks import in_threads
from mrsim.bloch.weights import amplitudes, box_share, contiguous, sub_positions
from mrsim.events import Events, Trajectory

if TYPE_CHECKING:
    from phantoms.phantom import Spins

ROWS_PER_TASK, LINES_PER_TASK, SPINS_PER_TASK = 16, 16, 65536
NODES_AT_ONCE = 65536  # bounds the memory of RF operators
ROWS_AT_ONCE = 1024  # bounds the memory of R when every spin has a y of its own
STRAIGHT = 1e-6  # [1/m] how exactly lines must be straight and alike

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
Array = Any


def cartesian(
    spins: Spins, events: Events, coils: NDArray[np.complex64], n_sub: int
) -> NDArray[np.complex64]:
    """k-space (coil, ky, kx) of `spins` of coils (coil, spin)."""
    path = _straight_lines(events)
    prog = compile_events(events.first_repetition())
    m = _magnetisation(spins, events, n_sub)
    x, y, _ = contiguous(spins.position)
    freq, tissue = contiguous(spins.freq), contiguous(spins.tissue)
    bounds = np.append(0, np.append(np.flatnonzero(np.diff(y)) + 1, y.size))
    decays = _decays(spins, float(prog.dwell[0]), float(prog.clock[0]))
    phase = np.array([path.k[0, prog.first[0], 0], prog.clock[0], prog.k_step[0, 0], prog.dwell[0]])
    first = int(prog.first[0])
    shape = train_shape(max(first, events.matrix[1] - first))

    kspace = np.zeros((coils.shape[0], *events.matrix), np.complex128)
    for begin in range(0, bounds.size - 1, ROWS_AT_ONCE):
        part = bounds[begin : begin + ROWS_AT_ONCE + 1]
        rows = np.zeros((coils.shape[0], part.size - 1, events.matrix[1]), np.complex128)
        encode = np.exp(-2j * np.pi * np.outer(path.k[:, 0, 1], y[part[:-1]]))  # (line, row)
        _in_threads_over_rows(part, (x, freq, tissue, m, coils, decays, phase, shape, first, rows))
        _in_threads_over_lines(encode, path.line, rows, kspace)
    return kspace.astype(np.complex64)


def _in_threads_over_rows(bounds: NDArray[np.intp], rest: tuple[Any, ...]) -> None:
    in_threads(lambda begin, end: _sum_rows(begin, end, bounds, *rest), bounds.size - 1, ROWS_PER_TASK)


def _in_threads_over_lines(encode: Complex, line: NDArray[np.intp], rows: Complex, kspace: Complex) -> None:
    in_threads(
        lambda begin, end: _encode_rows(begin, end, encode, line, rows, kspace), line.size, LINES_PER_TASK
    )


def _straight_lines(events: Events) -> Trajectory:
    """Trajectory of a sequence that the factorisation holds for; ValueError for any other."""
    path = events.trajectory()
    if not (_repeats(events) and path.line.size == events.start.size and events.spoil[-1]):
        raise ValueError(
            "sequence must read one line per repetition, all alike and ideally spoiled, "
            "for engine 'cartesian': take engine 'isochromat'"
        )
    k = path.k
    straight = np.abs(k[..., 0] - k[0, :, 0]).max() < STRAIGHT and np.ptp(k[..., 1], axis=1).max() < STRAIGHT
    if not straight or np.abs(k[..., 2]).max() > STRAIGHT or events.gradient[events.pulse >= 0, :2].any():
        raise ValueError(
            "sequence must read straight lines along x, encoded along y between its pulses and rephased "
            "along z, for engine 'cartesian': take engine 'isochromat'"
        )
    return path


def _repeats(events: Events) -> bool:
    """Whether repetitions in a steady state differ in nothing but gradients along x and y."""
    n = events.start.size
    length = events.duration.size // max(1, n)
    if not events.steady_state or not np.array_equal(events.start, np.arange(n) * length):
        return False
    columns = [getattr(events, name) for name in ("duration", "pulse", "samples", "crusher", "spoil")]
    each = np.column_stack([*columns, events.gradient[:, 2]])
    if each.shape[0] != n * length:
        return False
    each = each.reshape(n, length, -1)
    return bool((each == each[0]).all())


def _magnetisation(spins: Spins, events: Events, n_sub: int) -> Complex:
    """(spin,) M+ at the echo times the amplitude of the spin, without encoding and T2'."""
    z, height = contiguous(spins.position)[2], spins.cell[2]
    offset, share = sub_positions(events, height, n_sub)
    amplitude = amplitudes(spins, events)
    r1, r2 = 1 / spins.t1, 1 / spins.t2
    span = (float(spins.freq.min()), float(spins.freq.max()))
    level_z, level = sorted_levels(z)
    table_size = r1.size * level_z.size * (np.ptp(span) / NODE_STEP + 20)
    if level_z.size and table_size < z.size:
        at = level_z[:, None] + offset  # (level, sub)
        table, f0 = transverse(events, at, np.tile(share, (level_z.size, 1)), span, r1, r2)
        weight = amplitude[:, None] * box_share(level_z, height, events.box)  # (tissue, level)
        m = np.empty(z.size, np.complex128)
        lookup = (table, f0, contiguous(spins.freq), contiguous(spins.tissue), level, weight, m)
        in_threads(lambda begin, end: look_up(begin, end, *lookup), z.size, SPINS_PER_TASK)
        return m
    m = np.zeros(z.size, np.complex128)
    for begin in range(0, z.size, NODES_AT_ONCE):
        part = slice(begin, begin + NODES_AT_ONCE)
        for dz, weight_of_sub in zip(offset, share, strict=True):
            m[part] += weight_of_sub * _each_on_its_own(events, spins, part, dz)
    m *= amplitude[spins.tissue] * box_share(z, height, events.box)
    return m


def _each_on_its_own(events: Events, spins: Spins, part: slice, dz: float) -> Complex:
    """M+ at the echo without a table: for few spins, or where z takes any value."""
    zero, tissue = np.zeros(spins.tissue[part].size), spins.tissue[part]
    nodes = Nodes(
        where=np.stack([zero, zero, spins.position[2, part] + dz, spins.freq[part]]),
        rate=np.stack([1 / spins.t1[tissue], 1 / spins.t2[tissue], zero]),
    )
    prog = compile_events(events.first_repetition())
    return echoes(prog, nodes, nodes.operators(prog))


def _decays(spins: Spins, dwell: float, clock: float) -> Real:
    """(4, tissue): step per sample and start, after the echo and before it, of T2 and T2' together.

    Before the echo time runs backwards: T2 grows, T2' still decays.
    """
    r2, r2prime = 1 / spins.t2, 1 / spins.t2prime
    after, before = np.exp(-(r2 + r2prime) * dwell), np.exp((r2 - r2prime) * dwell)
    return np.stack([after, np.exp(-r2prime * clock), before, np.exp(r2prime * clock)])


@kernel()
def _sum_rows(
    begin: int, end: int, bounds: Array, x: Array, freq: Array, tissue: Array, m: Array, coils: Array,
    decays: Array, phase: Array, shape: tuple[int, int], first: int, rows: Array,
) -> None:  # fmt: skip
    """Sum the readouts of the rows `begin` to `end` of spins: rows (coil, row, sample) complex128.

    bounds : (row + 1,) first spin of each row
    m : (spin,) complex128 magnetisation at the echo, without encoding
    decays : (4, tissue) see `_decays`
    phase : cycles at the echo per m and per Hz, cycles per sample per m and per Hz
    """
    heads, tails = shape
    sides = 2 if first > 0 else 1
    tail = np.empty((2, 2, tails, BLOCK), np.float32)
    head, scaled = np.empty((2, 2, heads, BLOCK), np.float32), np.empty((2, heads, BLOCK), np.float32)
    sums = np.empty((rows.shape[0], 2, heads * tails), np.complex128)
    cycles, decay, echo = np.empty(BLOCK), np.empty((4, BLOCK)), np.empty((2, BLOCK))
    sent, work = np.empty((2, BLOCK)), np.empty((8, BLOCK))
    for r in range(begin, end):
        sums[:] = 0.0
        for at in range(bounds[r], bounds[r + 1], BLOCK):
            n = min(BLOCK, bounds[r + 1] - at)
            _load(at, n, x, freq, tissue, m, decays, phase, cycles, decay, echo)
            prepare_trains(cycles, decay, sides, n, tail, head, work)
            for c in range(rows.shape[0]):
                weigh(echo, coils[c], at, n, sent)
                receive(sent, sides, n, tail, head, scaled, sums[c])
        for c in range(rows.shape[0]):
            unfold(sums[c], first, rows[c, r])


@kernel(fast=True)
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


@kernel()
def _encode_rows(begin: int, end: int, encode: Array, line: Array, rows: Array, kspace: Array) -> None:
    """Phase encode: kspace (coil, ky, sample) += encode (line, row) @ rows (coil, row, sample)."""
    for i in range(begin, end):
        for c in range(rows.shape[0]):
            _encode_line(encode[i], rows[c], kspace[c, line[i]])


@kernel(fast=True)
def _encode_line(encode: Array, rows: Array, line: Array) -> None:
    for r in range(rows.shape[0]):
        e = encode[r]
        for i in range(line.size):
            line[i] += e * rows[r, i]
