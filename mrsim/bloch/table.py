"""Bloch table: transverse magnetisation at the echo by tissue, level of z and off-resonance, without encoding.

The repetition is walked through for nodes at x = y = 0, where encoding gradients do nothing, in its steady state: with
ideal spoiling Mz before an excitation goes to a Mz + b before the next, and b / (1 - a) repeats itself. The slice
profile comes from Gauss-Legendre nodes across the cell of a spin. RF operators depend on neither TE nor TR and are
kept: the slices of a subject compute them once, and a table of the same timing costs nothing at all.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from mrsim.bloch.kernels import BLOCK, PHASES, cos_sin, prepare_intervals, prepare_pulses, walk
from mrsim.bloch.program import Program, compile_events
from mrsim.events import Events

NODE_STEP = 10.0  # [Hz] cubic interpolation: error below 1e-6 of the peak for a 1 mm slice (tested)
PAGE = 10  # nodes: tables begin and end at multiples of 100 Hz, so that slices share them
MAX_LEVELS = 64
KEPT = 4  # tables and operator sets in memory

Real = NDArray[np.float64]
Array = Any
T = TypeVar("T")


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Nodes:
    """Isochromats at x = y = 0, flat.

    z : (node,) [m]
    freq : (node,) [Hz]
    r1 r2 : (node,) [1/s]
    """

    z: Real
    freq: Real
    r1: Real
    r2: Real


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
    low = math.floor((math.floor(freq[0] / NODE_STEP) - 1) / PAGE) * PAGE
    high = math.ceil((math.ceil(freq[1] / NODE_STEP) + 2) / PAGE) * PAGE
    f = NODE_STEP * np.arange(low, high + 1)
    prog = compile_events(events.first_repetition())
    spins = _bytes(z, f, r1, r2)

    def make() -> NDArray[np.complex128]:
        nodes = _grid(z, f, r1, r2)
        operators = _operators.get(
            (spins, *_bytes(prog.nutation, prog.pulse_start, prog.pulse_dt, prog.pulse_slope)),
            lambda: _node_operators(prog, nodes.z, nodes.freq, nodes.r1, nodes.r2),
        )
        m = echoes(prog, nodes, operators)
        return np.einsum(
            "tlsf,ls->tlf", m.reshape(r1.size, *z.shape, f.size), weight
        )  # (tissue, level, node)

    return _tables.get((spins, weight.tobytes(), *_bytes(*prog)), make), float(f[0])


def echoes(prog: Program, nodes: Nodes, operators: Real | None = None) -> NDArray[np.complex128]:
    """M+ of each node at the sample `first` of the readout in the steady state, see `transverse`."""
    given = np.zeros((0, 0, 0, 0)) if operators is None else operators
    out = np.empty(nodes.z.size, np.complex128)
    _steady_echoes(prog, nodes.z, nodes.freq, nodes.r1, nodes.r2, given, out)
    return out


def _bytes(*arrays: NDArray[Any]) -> tuple[bytes, ...]:
    return tuple(a.tobytes() for a in arrays)


def _grid(z: Real, f: Real, r1: Real, r2: Real) -> Nodes:
    """Every tissue at every z and every f, in this order of the axes."""
    tissue, depth, freq = np.meshgrid(np.arange(r1.size), z.ravel(), f, indexing="ij")
    flat = tissue.ravel()
    return Nodes(z=depth.ravel(), freq=freq.ravel(), r1=r1[flat], r2=r2[flat])


@njit(cache=True, parallel=True)
def _node_operators(prog: Program, z: Array, freq: Array, r1: Array, r2: Array) -> Array:
    """RF operators (block, pulse, 12, spin of the block) of all nodes."""
    blocks = (z.size + BLOCK - 1) // BLOCK
    op = np.empty((blocks, prog.pulse_dt.size, 12, BLOCK))
    for b in prange(blocks):
        part = slice(b * BLOCK, min(z.size, (b + 1) * BLOCK))
        zero, work = np.zeros(BLOCK), np.empty((5, BLOCK))
        offset = np.empty(BLOCK)
        n = z[part].size
        prepare_pulses(prog, zero, zero, z[part], freq[part], r1[part], r2[part], n, op[b], offset, work)
    return op


@njit(cache=True, parallel=True)
def _steady_echoes(
    prog: Program, z: Array, freq: Array, r1: Array, r2: Array, operators: Array, out: Array
) -> None:
    for b in prange((z.size + BLOCK - 1) // BLOCK):
        part = slice(b * BLOCK, min(z.size, (b + 1) * BLOCK))
        if operators.shape[0]:
            op = operators[b]
        else:
            op = np.empty((prog.pulse_dt.size, 12, BLOCK))
            zero, work, offset = np.zeros(BLOCK), np.empty((5, BLOCK)), np.empty(BLOCK)
            n = z[part].size
            prepare_pulses(prog, zero, zero, z[part], freq[part], r1[part], r2[part], n, op, offset, work)
        _block_echo(prog, z[part], freq[part], r1[part], r2[part], op, out[part])


@njit(cache=True)
def _block_echo(prog: Program, z: Array, freq: Array, r1: Array, r2: Array, op: Array, out: Array) -> None:
    n, event = z.size, prog.adc[0]
    zero = np.zeros(n)
    factor = np.empty((prog.interval_time.size, 2, n))
    e1, e2 = np.empty((prog.times.size, n)), np.empty((prog.times.size, n))
    prepare_intervals(prog, zero, zero, z, freq, r1, r2, n, factor, e1, e2)
    m, echo, mean = np.zeros((3, PHASES, n)), np.empty((2, n)), np.empty((3, n))
    walk(prog, 0, prog.start[1], m, 1, n, op, factor, e1, echo, mean)  # from Mz = 0: b
    offset = m[2, 0].copy()
    m[2, 0] = 1.0
    walk(prog, 0, prog.start[1], m, 1, n, op, factor, e1, echo, mean)  # from Mz = 1: a + b
    m[2, 0] = offset / (1.0 - (m[2, 0] - offset))
    walk(prog, 0, event + 1, m, 1, n, op, factor, e1, echo, mean)
    clock = prog.clock[prog.item[event]]
    for s in range(n):
        c, q = cos_sin(freq[s] * clock)
        out[s] = complex(echo[0, s], echo[1, s]) * complex(c, q)


@njit(cache=True)
def levels(z: Array, most: int) -> tuple[Array, Array]:
    """Distinct values of `z` in order of appearance, and the one of each spin; none if there are over `most`."""
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


@njit(cache=True, parallel=True)
def look_up(table: Array, f0: float, freq: Array, tissue: Array, level: Array, weight: Array) -> Array:
    """Cubic (Lagrange) interpolation of the table for every spin, times the weight of its tissue and level."""
    out = np.empty(freq.size, np.complex128)
    for s in prange(freq.size):
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
    return out
