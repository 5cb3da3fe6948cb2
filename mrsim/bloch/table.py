"""Bloch table: transverse magnetisation at the echo by tissue, level of z and off-resonance, without
encoding.

The repetition is walked through for nodes at x = y = 0, where encoding gradients do nothing, in its steady
state: with ideal spoiling Mz before an excitation goes to a Mz + b before the next, and b / (1 - a) repeats
itself. The slice profile comes from Gauss-Legendre nodes across the cell of a spin. RF operators depend on
neither TE nor TR and are kept: the slices of a subject compute them once, and a table of the same timing
costs nothing at all. What is computed does not depend on what is kept, to the last bit.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mrsim.bloch.jit import kernel
from mrsim.bloch.kernels import BLOCK, PHASES, cos_sin, equilibrium, prepare_intervals, walk
from mrsim.bloch.nodes import BLOCKS_AT_ONCE, Nodes
from mrsim.bloch.program import Program, compile_events
from mrsim.bloch.tasks import in_threads
from mrsim.events import Events

NODE_STEP = 10.0  # [Hz] cubic interpolation: error below 1e-6 of the peak for a 1 mm slice (tested)
PAGE = 10  # nodes: a table is computed and kept in pages of 100 Hz, so that slices share all that they can
MAX_LEVELS = 64
SAME_LEVEL = 12  # decimals [m] to which levels of z are told apart
KEPT = 64  # pages in memory

Real = NDArray[np.float64]
Array = Any
T = TypeVar("T")


class _Kept:
    """The last few results by their inputs; safe with threads, pickled with nothing."""

    def __init__(self) -> None:
        self.results: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
        self.lock = Lock()

    def get(self, key: tuple[Any, ...], make: Callable[[], T]) -> T:
        with self.lock:
            if key in self.results:
                self.results.move_to_end(key)
                found: T = self.results[key]
                return found
        made = make()
        with self.lock:
            self.results[key] = made
            while len(self.results) > KEPT:
                self.results.popitem(last=False)
        return made


_operators = _Kept()
_tables = _Kept()


def transverse(
    events: Events, z: Real, weight: Real, freq: tuple[float, float], r1: Real, r2: Real
) -> tuple[NDArray[np.complex128], float]:
    """Table of M+ at the sample `first` of the readout, without T2' and without the phase of the clock there.

    z : (level, sub) [m] nodes across the cell of each level of z, weight (level, sub) their shares
    freq : smallest and largest off-resonance [Hz] that will be looked up
    r1 r2 : (tissue,) [1/s]
    returns (tissue, level, node) complex128 and the off-resonance of node 0 [Hz]; nodes are `NODE_STEP` apart
    """
    first = math.floor((math.floor(freq[0] / NODE_STEP) - 1) / PAGE)
    last = math.floor((math.floor(freq[1] / NODE_STEP) + 2) / PAGE)
    prog = compile_events(events.first_repetition())
    pages = [_page(prog, page, z, weight, r1, r2) for page in range(first, last + 1)]
    return np.concatenate(pages, axis=2), first * PAGE * NODE_STEP


def _page(prog: Program, page: int, z: Real, weight: Real, r1: Real, r2: Real) -> NDArray[np.complex128]:
    """Nodes page * PAGE and following of the table, (tissue, level, PAGE)."""
    f = np.asarray(NODE_STEP * (page * PAGE + np.arange(PAGE)), np.float64)
    spins = _bytes(z, f, r1, r2)

    def make() -> NDArray[np.complex128]:
        nodes = _grid(z, f, r1, r2)
        pulses = _bytes(prog.nutation, prog.pulse_start, prog.pulse_dt, prog.pulse_slope)
        op = _operators.get((*spins, *pulses), lambda: nodes.operators(prog))
        m = echoes(prog, nodes, op).reshape(r1.size, *z.shape, PAGE)  # (tissue, level, sub, node)
        return np.asarray(np.einsum("tlsf,ls->tlf", m, weight))

    return _tables.get((*spins, weight.tobytes(), *_bytes(*prog)), make)


def echoes(prog: Program, nodes: Nodes, op: Real) -> NDArray[np.complex128]:
    """M+ of each node at the sample `first` of the readout in the steady state, see `transverse`."""
    out = np.empty(nodes.where.shape[1], np.complex128)
    in_threads(
        lambda begin, end: _steady_echoes(prog, begin, end, nodes.where, nodes.rate, op, out),
        nodes.n_blocks,
        BLOCKS_AT_ONCE,
    )
    return out


def _bytes(*arrays: NDArray[Any]) -> tuple[bytes, ...]:
    return tuple(a.tobytes() for a in arrays)


def _grid(z: Real, f: Real, r1: Real, r2: Real) -> Nodes:
    """Every tissue at every z and every f, in this order of the axes, at x = y = 0."""
    tissue, depth, freq = np.meshgrid(np.arange(r1.size), z.ravel(), f, indexing="ij")
    flat, zero = tissue.ravel(), np.zeros(tissue.size)
    return Nodes(
        where=np.stack([zero, zero, depth.ravel(), freq.ravel()]), rate=np.stack([r1[flat], r2[flat], zero])
    )


@kernel()
def _steady_echoes(
    prog: Program, begin: int, end: int, where: Array, rate: Array, op: Array, out: Array
) -> None:
    """Echoes of the blocks `begin` to `end` of the nodes."""
    last, event = prog.start[1], prog.adc[0] + 1
    clock = prog.clock[prog.item[prog.adc[0]]]
    factor = np.empty((prog.interval_time.size, 2, BLOCK))
    e1, e2 = np.empty((prog.times.size, BLOCK)), np.empty((prog.times.size, BLOCK))
    m, echo, mean = np.empty((3, PHASES, BLOCK)), np.empty((2, BLOCK)), np.empty((3, BLOCK))
    offset = np.empty(BLOCK)
    for b in range(begin, end):
        at = b * BLOCK
        n = min(BLOCK, where.shape[1] - at)
        prepare_intervals(prog, where, rate, at, n, factor, e1, e2)
        for trial in range(3):
            equilibrium(m, 1.0 if trial == 1 else 0.0, n)
            if trial == 2:
                for s in range(n):  # Mz -> a Mz + b in a repetition, so b / (1 - a) repeats itself
                    m[2, 0, s] = offset[s] / (1.0 - mean[0, s])
            walk(prog, 0, event if trial == 2 else last, m, 1, n, op[b], factor, e1, echo, mean)
            if trial == 0:
                for s in range(n):
                    offset[s] = m[2, 0, s]
            elif trial == 1:
                for s in range(n):
                    mean[0, s] = m[2, 0, s] - offset[s]
        for s in range(n):
            c, q = cos_sin(where[3, at + s] * clock)
            out[at + s] = complex(echo[0, s], echo[1, s]) * complex(c, q)


def sorted_levels(z: Real) -> tuple[Real, NDArray[np.int32]]:
    """Levels of z [m], ascending, and the one of each spin; none if there are over `MAX_LEVELS`.

    Equal to the picometre is equal: slices differ in the last bit of where they put their layers.
    """
    found, index = _levels(z, MAX_LEVELS)
    level, rank = np.unique(np.round(found, SAME_LEVEL), return_inverse=True)
    return level, rank.astype(np.int32)[index]


@kernel()
def _levels(z: Array, most: int) -> tuple[Array, Array]:
    """Find the distinct values of `z`, first come first, and the one of each spin; none if over `most`."""
    found, index, count, last = np.empty(most), np.empty(z.size, np.int32), 0, 0
    for s in range(z.size):
        if count == 0 or z[s] != found[last]:
            last = 0
            while last < count and z[s] != found[last]:
                last += 1
            if last == count:
                if count == most:
                    return found[:0], index[:0]
                found[count] = z[s]
                count += 1
        index[s] = last
    return found[:count], index


@kernel()
def look_up(
    begin: int,
    end: int,
    table: Array,
    f0: float,
    freq: Array,
    tissue: Array,
    level: Array,
    weight: Array,
    out: Array,
) -> None:
    """Cubic (Lagrange) interpolation of the table, times the weight of tissue and level: out[begin:end]."""
    for s in range(begin, end):
        u = (freq[s] - f0) / NODE_STEP
        i = int(u)
        u -= i
        row = table[tissue[s], level[s]]
        w0 = -u * (u - 1.0) * (u - 2.0) / 6.0
        w1 = (u + 1.0) * (u - 1.0) * (u - 2.0) / 2.0
        w2 = -(u + 1.0) * u * (u - 2.0) / 2.0
        w3 = (u + 1.0) * u * (u - 1.0) / 6.0
        m = w0 * row[i - 1] + w1 * row[i] + w2 * row[i + 1] + w3 * row[i + 2]
        out[s] = weight[tissue[s], level[s]] * m
