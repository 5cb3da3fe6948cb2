"""Isochromat engine: brute force, every spin through every event of every line.

Per spin, RF is stepped once for each distinct pulse and each distinct interval gets its rotation once; lines
reuse both. Every repetition is then played with the encoding gradients on, the crusher ensemble carried
along, and each spin is advanced through all samples of the readout. Dummy repetitions run until Mz is steady.

Chunks of spins have k-spaces of their own, which are added in a fixed order: the result does not depend on
the number of threads.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mrsim.bloch.jit import kernel
from mrsim.bloch.kernels import BLOCK, PHASES, equilibrium, prepare_intervals, pulse_tables, walk
from mrsim.bloch.nodes import Nodes
from mrsim.bloch.program import Program, compile_events
from mrsim.bloch.readout import prepare_trains, receive, train_shape, unfold, weigh
from mrsim.bloch.tasks import in_threads
from mrsim.bloch.weights import amplitudes, box_share, sub_positions
from mrsim.events import Events

if TYPE_CHECKING:
    from phantoms.phantom import Spins

MEMORY = 256e6  # [byte] for the k-spaces of all chunks together
MOST_CHUNKS = 64
SPINS_AT_ONCE = 4096  # of a chunk: bounds the memory of their RF operators
MOST_DUMMIES = 10_000
CONVERGED = 1e-10  # change of Mz from one dummy repetition to the next

Array = Any
Real = NDArray[np.float64]


def isochromat(
    spins: Spins, events: Events, coils: NDArray[np.complex64], n_sub: int
) -> NDArray[np.complex64]:
    """k-space (coil, ky, kx) of `spins` of coils (coil, spin)."""
    prog = compile_events(events)
    offset, share = sub_positions(events, spins.cell[2], n_sub)
    shape = train_shape(int(max(prog.first.max(), events.matrix[1] - prog.first.min())))
    dummies = MOST_DUMMIES if events.steady_state else 0
    total, n_coils = spins.tissue.size, coils.shape[0]
    most = max(1, MEMORY // (16 * n_coils * math.prod(events.matrix)))
    per_chunk = max(SPINS_AT_ONCE // offset.size, math.ceil(total / min(MOST_CHUNKS, most)))
    kspace = np.zeros((math.ceil(total / per_chunk), n_coils, *events.matrix), np.complex128)

    def chunk(begin: int, end: int) -> None:
        for at in range(begin, end, max(1, SPINS_AT_ONCE // offset.size)):
            part = slice(at, min(end, at + max(1, SPINS_AT_ONCE // offset.size)))
            nodes, weight = _sub_spins(spins, events, coils, part, offset, share)
            op = np.empty((nodes.n_blocks, prog.pulse_dt.size, 12, BLOCK))
            pulse_tables(prog, 0, nodes.n_blocks, nodes.where, nodes.rate, op)
            if not _play(
                prog, nodes.where, nodes.rate, op, weight, shape, dummies, kspace[begin // per_chunk]
            ):
                raise ValueError(f"sequence must reach a steady state, it did not in {dummies} repetitions")

    in_threads(chunk, total, per_chunk)
    return np.asarray(kspace.sum(axis=0), np.complex64)


def _sub_spins(
    spins: Spins, events: Events, coils: NDArray[np.complex64], part: slice, offset: Real, share: Real
) -> tuple[Nodes, NDArray[np.complex128]]:
    """Cut some of the spins into their sub-positions; also what each (coil, node) sends for M+ = 1."""
    tissue, n = spins.tissue[part], offset.size
    amount = amplitudes(spins, events)[tissue]
    amount = amount * box_share(spins.position[2, part], spins.cell[2], events.box)
    where = np.repeat(np.vstack([spins.position[:, part], spins.freq[part]]), n, axis=1)
    where[2] += np.tile(offset, tissue.size)
    rate = np.repeat(1 / np.stack([spins.t1[tissue], spins.t2[tissue], spins.t2prime[tissue]]), n, axis=1)
    weight = np.repeat(coils[:, part] * amount, n, axis=1) * np.tile(share, tissue.size)
    return Nodes(where=where, rate=rate), weight.astype(np.complex128)


@kernel()
def _play(
    prog: Program, where: Array, rate: Array, op: Array, weight: Array, shape: tuple[int, int], dummies: int,
    kspace: Array,
) -> bool:  # fmt: skip
    """Play the whole sequence to spins and add their signal to kspace (coil, ky, kx); False if never steady.

    where rate op : see `mrsim.bloch.nodes.Nodes`
    weight : (coil, spin) complex128
    shape : numbers of heads and tails of the readout
    dummies : most preparing repetitions
    """
    heads, tails = shape
    factor = np.empty((prog.interval_time.size, 2, BLOCK))
    e1, e2 = np.empty((prog.times.size, BLOCK)), np.empty((prog.times.size, BLOCK))
    tail = np.empty((prog.first.size, 2, 2, tails, BLOCK), np.float32)
    head = np.empty((prog.first.size, 2, 2, heads, BLOCK), np.float32)
    scaled, sums = np.empty((2, heads, BLOCK), np.float32), np.empty((2, heads * tails), np.complex128)
    m, work, steady = np.empty((3, PHASES, BLOCK)), np.empty((8, BLOCK)), True
    echo, mean, sent = np.empty((2, BLOCK)), np.empty((3, BLOCK)), np.empty((2, BLOCK))
    for b in range(op.shape[0]):
        at = b * BLOCK
        n = min(BLOCK, where.shape[1] - at)
        prepare_intervals(prog, where, rate, at, n, factor, e1, e2)
        for i in range(prog.first.size):
            _prepare_readout(prog, i, where, rate, at, n, tail[i], head[i], work)
        equilibrium(m, 1.0, n)
        settled = _settle(prog, dummies, m, n, op[b], factor, e1, echo, mean)
        steady = steady and settled
        members, event = 1, 0
        for a in range(prog.adc.size):
            members = walk(prog, event, prog.adc[a] + 1, m, members, n, op[b], factor, e1, echo, mean)
            event, readout = prog.adc[a] + 1, prog.item[prog.adc[a]]
            first = prog.first[readout]
            for c in range(kspace.shape[0]):
                weigh(echo, weight[c], at, n, sent)
                sums[:] = 0.0
                receive(sent, 2 if first > 0 else 1, n, tail[readout], head[readout], scaled, sums)
                unfold(sums, first, kspace[c, prog.line[a]])
    return steady


@kernel()
def _settle(
    prog: Program,
    dummies: int,
    m: Array,
    n: int,
    op: Array,
    factor: Array,
    e1: Array,
    echo: Array,
    mean: Array,
) -> bool:
    """Play the first repetition without receiving until Mz is steady; False if it is not after `dummies`."""
    before = np.empty(BLOCK)
    for _ in range(dummies):
        for s in range(n):
            before[s] = m[2, 0, s]
        walk(prog, prog.start[0], prog.start[1], m, 1, n, op, factor, e1, echo, mean)
        change = 0.0
        for s in range(n):
            change = max(change, abs(m[2, 0, s] - before[s]))
        if change < CONVERGED:
            return True
    return dummies == 0


@kernel()
def _prepare_readout(
    prog: Program, i: int, where: Array, rate: Array, at: int, n: int, tail: Array, head: Array, work: Array
) -> None:
    """Trains of readout `i`; before the echo time runs backwards, so T2 grows, and T2' still decays."""
    cycles, decays = np.empty(n), np.empty((4, n))
    k, dwell, clock = prog.k_step[i], prog.dwell[i], prog.clock[i]
    for s in range(n):
        j = at + s
        cycles[s] = k[0] * where[0, j] + k[1] * where[1, j] + k[2] * where[2, j] + dwell * where[3, j]
        decays[0, s] = math.exp(-(rate[1, j] + rate[2, j]) * dwell)
        decays[1, s] = math.exp(-rate[2, j] * clock)
        decays[2, s] = math.exp((rate[1, j] - rate[2, j]) * dwell)
        decays[3, s] = math.exp(rate[2, j] * clock)
    prepare_trains(cycles, decays, 2 if prog.first[i] > 0 else 1, n, tail, head, work)
