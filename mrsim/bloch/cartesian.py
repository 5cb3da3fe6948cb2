"""Cartesian engine: the Bloch solution from a table, the readout spin by spin, the phase encode apart from
it.

When repetitions read straight lines along x and `factorise.refusal` has nothing against it, the signal
separates without approximation:

    R[row, tau] = sum over the spins of a row y of m exp(-(R2 +- R2') tau - i 2 pi (k_x(tau) x + f tau))
    s[k_y, tau] = sum over rows of exp(-i 2 pi k_y y) R[row, tau]

with m the magnetisation as the readout begins, without encoding. Every row and every line is summed by one
thread in a fixed order, so the result does not depend on the number of threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mrsim.bloch.factorise import lines, per_repetition, refusal
from mrsim.bloch.jit import kernel
from mrsim.bloch.nodes import BLOCK, Nodes, relaxation_rates
from mrsim.bloch.program import Program, compile_events
from mrsim.bloch.readout import prepare_train, receive, weigh
from mrsim.bloch.rotation import cos_sin
from mrsim.bloch.table import begin_clock, echoes, look_up, sorted_levels, transverse
from mrsim.bloch.tasks import in_threads
from mrsim.bloch.weights import SubPositions, amplitudes, box_share, contiguous, sub_lattice
from mrsim.events import Events

if TYPE_CHECKING:
    from phantoms.phantom import Spins

ROWS_PER_TASK, LINES_PER_TASK, SPINS_PER_TASK = 16, 16, 65536
NODES_AT_ONCE = 65536  # bounds the memory of spins that have no table
ROWS_AT_ONCE = 1024  # bounds the memory of R when every spin has a y of its own

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
Array = Any


def cartesian(
    spins: Spins, events: Events, coils: NDArray[np.complex64], n_sub: SubPositions
) -> NDArray[np.complex64]:
    """Signal (coil, sample) of `spins` of coils (coil, spin), receiver phase applied."""
    reason = refusal(events) or ("spins have transmit fields of their own" if spins.b1 is not None else "")
    if reason or isinstance(n_sub, tuple):
        reason = reason or "sub-positions along x and y are asked for"
        raise ValueError(f"sequence must factorise for engine 'cartesian', but {reason}: take 'isochromat'")
    one = events.first_repetition()
    prog = compile_events(one)
    each = _magnetisation(spins, events, prog, begin_clock(one), n_sub)
    y = contiguous(spins.position)[1]
    bounds = np.append(0, np.append(np.flatnonzero(np.diff(y)) + 1, y.size))
    _, _, ky = lines(events)
    n_shots, n_reads, nx = events.start.size, per_repetition(events), events.matrix[1]
    signal = np.zeros((coils.shape[0], n_shots, n_reads, nx), np.complex128)
    for read in range(n_reads):
        trains = _trains(events, prog, read)
        spin = (
            contiguous(spins.position)[0],
            contiguous(spins.freq),
            contiguous(spins.tissue),
            each[read],
            coils,
        )
        rates = relaxation_rates(spins)
        for begin in range(0, bounds.size - 1, ROWS_AT_ONCE):
            part = bounds[begin : begin + ROWS_AT_ONCE + 1]
            rows = np.zeros((coils.shape[0], part.size - 1, nx), np.complex128)
            encode = np.exp(-2j * np.pi * np.outer(ky[:, read], y[part[:-1]]))  # (shot, row)
            _in_threads_over_rows(part, (*spin, rates, *trains, rows))
            _in_threads_over_lines(encode, np.arange(n_shots), rows, signal[:, :, read])
    flat = signal.reshape(coils.shape[0], -1)
    # The receiver turns with the phase step, and so do the spins: every repetition is the first one.
    return np.asarray(flat * np.tile(np.exp(-1j * one.trajectory().phase), n_shots), np.complex64)


def _trains(events: Events, prog: Program, read: int) -> tuple[Array, Array]:
    """Of the trains of readout `read`: (train, 7) cycles per m and per Hz of the first sample and of a step,
    time since the readout began, clock and side; (train, 4) skip, count, heads, tails.
    """
    kx = lines(events)[0][read]
    item = prog.item[prog.read[read]]
    index = np.arange(prog.trains[item], prog.trains[item + 1])
    one = events.first_repetition()
    clock = one.trajectory().clock.reshape(-1, events.matrix[1])[read]
    first = prog.skip[index]
    since = clock[first] - begin_clock(one)[read]
    real = np.column_stack(
        [
            kx[first], clock[first], prog.step_moment[index, 0], prog.dwell[index], since,
            np.abs(prog.clock[index]), prog.side[index],
        ]
    )  # fmt: skip
    whole = np.column_stack([first, prog.length[index], prog.heads[index], prog.tails[index]])
    return np.ascontiguousarray(real, np.float64), np.ascontiguousarray(whole, np.int64)


def _in_threads_over_rows(bounds: NDArray[np.intp], rest: tuple[Any, ...]) -> None:
    in_threads(lambda begin, end: _sum_rows(begin, end, bounds, *rest), bounds.size - 1, ROWS_PER_TASK)


def _in_threads_over_lines(encode: Complex, line: NDArray[np.intp], rows: Complex, kspace: Complex) -> None:
    in_threads(
        lambda begin, end: _encode_rows(begin, end, encode, line, rows, kspace), line.size, LINES_PER_TASK
    )


def _magnetisation(spins: Spins, events: Events, prog: Program, clock: Real, n_sub: int) -> Complex:
    """(readout, spin) M+ as each readout begins times the amplitude of the spin, without encoding and T2'."""
    z, height = contiguous(spins.position)[2], spins.cell[2]
    offset, share = sub_lattice(events, spins.cell, n_sub)
    amplitude = amplitudes(spins, events)
    r1, r2, _ = relaxation_rates(spins)
    span = (float(spins.freq.min()), float(spins.freq.max()))
    level_z, level = sorted_levels(z)
    m = np.zeros((clock.size, z.size), np.complex128)
    at = level_z[:, None] + offset[2]  # (level, sub)
    found = transverse(events, at, np.tile(share, (level_z.size, 1)), span, r1, r2, z.size)
    if found is not None:
        table, f0, step = found
        weight = amplitude[:, None] * box_share(level_z, height, events.box)  # (tissue, level)
        for read in range(clock.size):
            lookup = (contiguous(spins.freq), contiguous(spins.tissue), level, weight, m[read])
            page = np.ascontiguousarray(table[read])
            in_threads(
                lambda begin, end, page=page, lookup=lookup: look_up(begin, end, page, f0, step, *lookup),  # type: ignore[misc]
                z.size,
                SPINS_PER_TASK,
            )
        return m
    steady = events.phase_step / (2 * np.pi)
    for begin in range(0, z.size, NODES_AT_ONCE):
        part = slice(begin, begin + NODES_AT_ONCE)
        zero, tissue = np.zeros(spins.tissue[part].size), spins.tissue[part]
        for dz, weight_of_sub in zip(offset[2], share, strict=True):
            nodes = Nodes(
                where=np.stack([zero, zero, spins.position[2, part] + dz, spins.freq[part]]),
                rate=np.stack([r1[tissue], r2[tissue], zero]),
                b1=np.stack([zero + 1, zero]),
            )
            m[:, part] += weight_of_sub * echoes(prog, nodes, clock, steady)
    m *= amplitude[spins.tissue] * box_share(z, height, events.box)
    return m


@kernel(entry=True, allocates=True)
def _sum_rows(
    begin: int, end: int, bounds: Array, x: Array, freq: Array, tissue: Array, m: Array, coils: Array,
    rates: Array,
    real: Array, whole: Array, rows: Array,
) -> None:  # fmt: skip
    """Sum the readouts of the rows `begin` to `end` of spins: rows (coil, row, sample) complex128.

    bounds : (row + 1,) first spin of each row
    m : (spin,) complex128 magnetisation as the readout begins, without encoding
    rates : (3, tissue) [1/s];  real whole : see `_trains`
    """
    heads, tails, n_trains = whole[:, 2].max(), whole[:, 3].max(), real.shape[0]
    tail, head = np.empty((2, tails, BLOCK), np.float32), np.empty((2, heads, BLOCK), np.float32)
    scaled = np.empty((2, heads, BLOCK), np.float32)
    sums = np.empty((rows.shape[0], n_trains, heads * tails), np.complex128)
    cycles, decay, start = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    echo, sent, work = np.empty((2, BLOCK)), np.empty((2, BLOCK)), np.empty((6, BLOCK))
    table = _decays(rates, real)
    for r in range(begin, end):
        sums[:] = 0.0
        for at in range(bounds[r], bounds[r + 1], BLOCK):
            n = min(BLOCK, bounds[r + 1] - at)
            for t in range(n_trains):
                _load(at, n, x, freq, tissue, m, table[t], real[t], cycles, decay, start, echo)
                prepare_train(cycles, decay, start, n, whole[t, 2], whole[t, 3], tail, head, work)
                for c in range(rows.shape[0]):
                    weigh(echo, coils[c], at, n, sent)
                    receive(sent, n, whole[t, 2], whole[t, 3], tail, head, scaled, sums[c, t])
        for c in range(rows.shape[0]):
            for t in range(n_trains):
                for i in range(whole[t, 1]):
                    rows[c, r, whole[t, 0] + i] = sums[c, t, i]


@kernel(entry=True, allocates=True)
def _decays(rates: Array, real: Array) -> Array:
    """(train, 2, tissue) decay per sample, and at the first sample."""
    out = np.empty((real.shape[0], 2, rates.shape[1]))
    for t in range(real.shape[0]):
        for i in range(rates.shape[1]):
            out[t, 0, i] = np.exp(-(rates[1, i] + real[t, 6] * rates[2, i]) * real[t, 3])
            out[t, 1, i] = np.exp(-rates[1, i] * real[t, 4] - rates[2, i] * real[t, 5])
    return out


@kernel(fast=True)
def _load(
    at: int, n: int, x: Array, freq: Array, tissue: Array, m: Array, decays: Array, real: Array,
    cycles: Array, decay: Array, start: Array, echo: Array,
) -> None:  # fmt: skip
    """Spins `at` to `at + n`: turns per sample, decays, magnetisation with its phase at the first sample."""
    for s in range(n):
        f = np.float64(freq[at + s])
        cycles[s] = real[2] * x[at + s] + real[3] * f
        c, q = cos_sin(real[0] * x[at + s] + real[1] * f)
        u, v = m[at + s].real, m[at + s].imag
        echo[0, s] = u * c + v * q
        echo[1, s] = v * c - u * q
    for s in range(n):
        decay[s] = decays[0, tissue[at + s]]
        start[s] = decays[1, tissue[at + s]]


@kernel(entry=True)
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
