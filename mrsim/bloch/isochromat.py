"""Isochromat engine: brute force, every spin through every event of every repetition.

A block of spins computes each distinct pulse and each distinct interval once, as long as they come again and
their tables fit, and the others when it meets them. Every repetition is then played with the encoding
gradients on, the crusher ensemble carried along, and each spin is advanced through all samples.

Chunks of spins have signals of their own, which are added in a fixed order: the result does not depend on the
number of threads, and the memory not on spins times samples.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mrsim.bloch.jit import kernel
from mrsim.bloch.kernels import average, equilibrium, forget, precession, turn, walk
from mrsim.bloch.nodes import BLOCK, Bench, Nodes, bench, relaxation_rates
from mrsim.bloch.program import TRAIN, Program, compile_events
from mrsim.bloch.pulses import TOLERANCE
from mrsim.bloch.readout import prepare_train, receive, weigh
from mrsim.bloch.samples import Chunks, Small, chunks, load, receive_window, small
from mrsim.bloch.steady import settle
from mrsim.bloch.tasks import in_threads
from mrsim.bloch.weights import SubPositions, amplitudes, box_share, sub_lattice
from mrsim.events import Events

if TYPE_CHECKING:
    from phantoms.phantom import Spins

MEMORY = 256e6  # [byte] for the signals of all chunks together
MOST_CHUNKS = 64
SPINS_AT_ONCE = 4096  # of a chunk, with sub-positions

Array = Any
Real = NDArray[np.float64]


def isochromat(
    spins: Spins, events: Events, coils: NDArray[np.complex64], n_sub: SubPositions, *,
    tolerance: float = TOLERANCE,
) -> NDArray[np.complex64]:  # fmt: skip
    """Signal (coil, sample) of `spins` of coils (coil, spin), receiver phase applied.

    tolerance : bound of the error of the magnetisation by dividing a pulse into steps
    """
    prog = compile_events(events)
    offset, share = sub_lattice(events, spins.cell, n_sub)
    total, n_coils, n_samples = spins.tissue.size, coils.shape[0], events.n_samples
    at_once = max(1, SPINS_AT_ONCE // share.size)
    most = int(max(1, min(MOST_CHUNKS, MEMORY // (16 * n_coils * max(1, n_samples)))))
    per_chunk = max(at_once, math.ceil(total / most))
    signal = np.zeros((math.ceil(total / per_chunk), n_coils, n_samples), np.complex128)
    steady = events.phase_step / (2 * np.pi) if events.steady_state else np.nan

    def chunk(begin: int, end: int) -> None:
        room, floats = bench(prog, tolerance), small()
        for at in range(begin, end, at_once):
            nodes, weight = _sub_spins(spins, events, coils, slice(at, min(end, at + at_once)), offset, share)
            if not _play(
                prog, chunks(prog, nodes), nodes, weight, steady, room, floats, signal[begin // per_chunk]
            ):
                raise ValueError("sequence must reach a steady state, got spins that nothing brings back")

    in_threads(chunk, total, per_chunk)
    return np.asarray(signal.sum(axis=0) * np.exp(-1j * events.trajectory().phase), np.complex64)


def _sub_spins(
    spins: Spins, events: Events, coils: NDArray[np.complex64], part: slice, offset: Real, share: Real
) -> tuple[Nodes, NDArray[np.complex128]]:
    """Cut some of the spins into their sub-positions; also what each (coil, node) sends for M+ = 1."""
    tissue, n = spins.tissue[part], share.size
    amount = amplitudes(spins, events)[tissue]
    amount = amount * box_share(spins.position[2, part], spins.cell[2], events.box)
    where = np.repeat(np.vstack([spins.position[:, part], spins.freq[part]]), n, axis=1)
    where[:3] += np.tile(offset, tissue.size)
    rate = np.repeat(relaxation_rates(spins)[:, tissue], n, axis=1)
    b1 = np.ones(tissue.size, np.complex64) if spins.b1 is None else spins.b1[part]
    field = np.repeat(np.stack([b1.real, b1.imag]).astype(np.float64), n, axis=1)
    weight = np.repeat(coils[:, part] * amount, n, axis=1) * np.tile(share, tissue.size)
    return Nodes(where=where, rate=rate, b1=field), weight.astype(np.complex128)


@kernel(entry=True)
def _play(
    prog: Program, chunk: Chunks, nodes: Nodes, weight: Array, steady: float, bench: Bench, floats: Small,
    signal: Array,
) -> bool:  # fmt: skip
    """Play the sequence to spins and add what they send to signal (coil, sample); False if never steady.

    weight : (coil, spin) complex128
    steady : [cycles] by which all phases grow per repetition of a steady state, NaN for equilibrium
    """
    echo = bench.echo
    for at in range(0, nodes.where.shape[1], BLOCK):
        n = min(BLOCK, nodes.where.shape[1] - at)
        forget(bench)
        load(nodes, at, n, floats)
        members, step = np.int64(1), np.int64(0)  # a literal would compile `walk` once more
        if np.isnan(steady):
            equilibrium(bench.m, 0.0, 0.0, 1.0, n)
        else:
            members = settle(prog, nodes, at, n, bench, steady)
            if members == 0:
                return False
        for r in range(prog.read.size):
            members = walk(prog, nodes, at, n, bench, step, prog.read[r], members)
            step, first = prog.read[r], prog.sample[r]
            average(bench.m, members, n, echo)
            if prog.kind[step] == TRAIN:
                for t in range(prog.trains[prog.item[step]], prog.trains[prog.item[step] + 1]):
                    _receive_train(prog, t, nodes, at, n, echo, weight, bench, signal, first)
            else:
                window = prog.item[step]
                samples = prog.window[window + 1] - prog.window[window]
                receive_window(
                    chunk, window, nodes, at, n, echo, weight, floats, signal[:, first : first + samples]
                )
    return True


@kernel()
def _receive_train(
    prog: Program, t: int, nodes: Nodes, at: int, n: int, echo: Array, weight: Array, bench: Bench,
    signal: Array, first: int,
) -> None:  # fmt: skip
    """Add what the block sends to train `t` of the readout whose first sample is `first`."""
    slot, heads, tails = prog.train_slot[t], prog.heads[t], prog.tails[t]
    if bench.train_tag[slot] != t:
        bench.train_tag[slot] = t
        _prepare_train(prog, t, nodes, at, n, bench)
    lead = bench.factor[precession(prog, nodes, at, n, bench, prog.lead[t])]
    begin, count, sent = first + prog.skip[t], prog.length[t], bench.sent
    for c in range(signal.shape[0]):
        weigh(echo, weight[c], at, n, sent)
        turn(sent[0], sent[1], n, lead)
        bench.sums[: heads * tails] = 0.0
        receive(sent, n, heads, tails, bench.tail[slot], bench.head[slot], bench.scaled, bench.sums)
        for i in range(count):
            signal[c, begin + i] += bench.sums[i]


@kernel()
def _prepare_train(prog: Program, t: int, nodes: Nodes, at: int, n: int, bench: Bench) -> None:
    """Tables of train `t`; T2' decays away from an echo, so it grows back before one."""
    cycles, decay, begin, k = bench.scratch[6], bench.scratch[7], bench.scratch[8], prog.step_moment[t]
    dwell, side, clock, slot = prog.dwell[t], prog.side[t], abs(prog.clock[t]), prog.train_slot[t]
    for s in range(n):
        j = at + s
        x, y, z, f = nodes.where[0, j], nodes.where[1, j], nodes.where[2, j], nodes.where[3, j]
        cycles[s] = k[0] * x + k[1] * y + k[2] * z + dwell * f
        if s > 0 and nodes.rate[1, j] == nodes.rate[1, j - 1] and nodes.rate[2, j] == nodes.rate[2, j - 1]:
            decay[s], begin[s] = decay[s - 1], begin[s - 1]
        else:
            decay[s] = math.exp(-(nodes.rate[1, j] + side * nodes.rate[2, j]) * dwell)
            begin[s] = math.exp(-nodes.rate[2, j] * clock)
    heads, tails = prog.heads[t], prog.tails[t]
    prepare_train(
        cycles, decay, begin, n, heads, tails, bench.tail[slot], bench.head[slot], bench.scratch[:6]
    )
