"""Bloch table: transverse magnetisation as readouts begin, by tissue, level of z and off-resonance, without
encoding.

The repetition is walked through for nodes at x = y = 0, where encoding gradients do nothing, in its steady
state. The slice profile comes from Gauss-Legendre nodes across the cell of a spin. Tables are kept: slices of
a subject compute them once. What is computed does not depend on what is kept, to the last bit.
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
from mrsim.bloch.kernels import average, forget, walk
from mrsim.bloch.nodes import BLOCK, Bench, Nodes, bench
from mrsim.bloch.program import Program, compile_events
from mrsim.bloch.pulses import TOLERANCE
from mrsim.bloch.rotation import cos_sin
from mrsim.bloch.steady import settle
from mrsim.bloch.tasks import in_threads
from mrsim.events import Events

BLOCKS_AT_ONCE = 16  # per task of a thread
SPOILED_STEP = 10.0  # [Hz] between nodes to begin with
DRIVEN_STEP = 2.0  # [Hz] where the steady state itself depends on off-resonance, as in bSSFP
MEMORY_STEP = 0.1  # turns from node to node of a coherence that lives from one pulse to the next
INTERPOLATION = 1e-6  # error of the table, of its largest value
PAGE = 10  # nodes: a table is computed and kept in pages of 100 Hz, so that slices share all that they can
MAX_LEVELS = 64
SAME_LEVEL = 12  # decimals [m] to which levels of z are told apart
KEPT = 512  # pages in memory

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


_tables = _Kept()


def transverse(
    events: Events, z: Real, weight: Real, freq: tuple[float, float], r1: Real, r2: Real, most: int
) -> tuple[NDArray[np.complex128], float, float] | None:
    """Table of M+ as each readout of a repetition begins, without T2' and the phase of the clock there.

    Nodes come closer until cubic interpolation between them is good to `INTERPOLATION`: bands of bSSFP are
    narrow where the flip angle is small.

    z : (level, sub) [m] nodes across the cell of each level of z, weight (level, sub) their shares
    freq : smallest and largest off-resonance [Hz] that will be looked up
    r1 r2 : (tissue,) [1/s]
    most : nodes that are worth a table, tissues and levels counted
    returns (readout, tissue, level, node) complex128, the off-resonance of node 0 and the distance of the
    nodes [Hz]; None if there would be too many, or no levels
    """
    one = events.first_repetition()
    prog, clock = compile_events(one), begin_clock(one)
    step = first_step(one)
    while 0 < r1.size * z.shape[0] * ((freq[1] - freq[0]) / step + 2 * PAGE) < most:
        first = math.floor((math.floor(freq[0] / step) - 1) / PAGE)
        last = math.floor((math.floor(freq[1] / step) + 2) / PAGE)
        nodes = step * np.arange(first * PAGE, (last + 1) * PAGE, dtype=np.float64).reshape(-1, PAGE)
        pages = [_page(events, prog, clock, f, z, weight, r1, r2) for f in nodes]
        table = np.concatenate(pages, axis=3)
        if error_of_every_second(table) < 16 * INTERPOLATION:  # which goes with the fourth power of the step
            return table, first * PAGE * step, step
        step /= 2
    return None


def first_step(one: Events) -> float:
    """Distance of nodes [Hz] at which no coherence between the pulses of a repetition goes unnoticed."""
    step = SPOILED_STEP if one.spoil.any() else DRIVEN_STEP
    pulses = np.flatnonzero(one.pulse >= 0)
    time, ended = (np.append(0, np.cumsum(np.tile(a, 2))) for a in (one.duration, one.spoil | one.crusher))
    following = np.append(pulses[1:], one.duration.size + pulses[:1])  # after the last, that of the next TR
    lives = (time[following] - time[pulses])[ended[following] == ended[pulses]]
    return float(min(step, MEMORY_STEP / max(lives.max(initial=0.0), 1e-9)))


def error_of_every_second(table: NDArray[np.complex128]) -> float:
    """Error of interpolating the odd nodes from the even ones, of the largest value of the table."""
    even, odd = table[..., ::2], table[..., 1::2]
    guess = (9 * (even[..., 1:-2] + even[..., 2:-1]) - even[..., :-3] - even[..., 3:]) / 16
    return float(np.abs(guess - odd[..., 1:-2]).max() / max(np.abs(table).max(), 1e-300))


def begin_clock(events: Events) -> Real:
    """(readout,) [s] clock at the start of each event that receives."""
    return np.asarray(events.pathway()[events.samples > 0, 0, 3])


def _page(
    events: Events, prog: Program, clock: Real, f: Real, z: Real, weight: Real, r1: Real, r2: Real
) -> NDArray[np.complex128]:
    """Nodes f (PAGE,) [Hz] of the table, (readout, tissue, level, PAGE)."""
    steady = events.phase_step / (2 * math.pi)

    def make() -> NDArray[np.complex128]:
        m = echoes(prog, _grid(z, f, r1, r2), clock, steady)
        m = m.reshape(clock.size, r1.size, *z.shape, PAGE)  # (readout, tissue, level, sub, node)
        return np.asarray(np.einsum("etlsf,ls->etlf", m, weight))

    key = _bytes(z, f, r1, r2, weight, clock, *(np.asarray(part) for part in prog))
    return _tables.get((*key, steady), make)


def echoes(prog: Program, nodes: Nodes, clock: Real, steady: float) -> NDArray[np.complex128]:
    """(readout, node) M+ as each readout begins in the steady state, see `transverse`."""
    out = np.empty((clock.size, nodes.where.shape[1]), np.complex128)

    def work(begin: int, end: int) -> None:
        if not _echoes(prog, begin, end, nodes, bench(prog, TOLERANCE), clock, steady, out):
            raise ValueError("sequence must reach a steady state, got spins that nothing brings back")

    in_threads(work, nodes.n_blocks, BLOCKS_AT_ONCE)
    return out


def _bytes(*arrays: NDArray[Any]) -> tuple[bytes, ...]:
    return tuple(a.tobytes() for a in arrays)


def _grid(z: Real, f: Real, r1: Real, r2: Real) -> Nodes:
    """Every tissue at every z and every f, in this order of the axes, at x = y = 0."""
    tissue, depth, freq = np.meshgrid(np.arange(r1.size), z.ravel(), f, indexing="ij")
    flat, zero = tissue.ravel(), np.zeros(tissue.size)
    return Nodes(
        where=np.stack([zero, zero, depth.ravel(), freq.ravel()]),
        rate=np.stack([r1[flat], r2[flat], zero]),
        b1=np.stack([zero + 1, zero]),
    )


@kernel(entry=True)
def _echoes(
    prog: Program, begin: int, end: int, nodes: Nodes, bench: Bench, clock: Array, steady: float, out: Array
) -> bool:
    """Readouts of the blocks `begin` to `end` of the nodes; False if there is no steady state."""
    for b in range(begin, end):
        at = b * BLOCK
        n = min(BLOCK, nodes.where.shape[1] - at)
        forget(bench)
        members = settle(prog, nodes, at, n, bench, steady)
        if members == 0:
            return False
        echo, step = bench.echo, np.int64(0)  # a literal would compile `walk` once more
        for r in range(prog.read.size):
            members = walk(prog, nodes, at, n, bench, step, prog.read[r], members)
            step = prog.read[r]
            average(bench.m, members, n, echo)
            for s in range(n):
                c, q = cos_sin(nodes.where[3, at + s] * clock[r])
                out[r, at + s] = complex(echo[0, s], echo[1, s]) * complex(c, q)
    return True


def sorted_levels(z: Real) -> tuple[Real, NDArray[np.int32]]:
    """Levels of z [m], ascending, and the one of each spin; none if there are over `MAX_LEVELS`.

    Equal to the picometre is equal: slices differ in the last bit of where they put their layers.
    """
    found, index = _levels(z, MAX_LEVELS)
    level, rank = np.unique(np.round(found, SAME_LEVEL), return_inverse=True)
    return level, rank.astype(np.int32)[index]


@kernel(entry=True, allocates=True)
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


@kernel(entry=True)
def look_up(
    begin: int,
    end: int,
    table: Array,
    f0: float,
    step: float,
    freq: Array,
    tissue: Array,
    level: Array,
    weight: Array,
    out: Array,
) -> None:
    """Cubic (Lagrange) interpolation of the table, times the weight of tissue and level: out[begin:end]."""
    for s in range(begin, end):
        u = (freq[s] - f0) / step
        i = int(u)
        u -= i
        row = table[tissue[s], level[s]]
        w0 = -u * (u - 1.0) * (u - 2.0) / 6.0
        w1 = (u + 1.0) * (u - 1.0) * (u - 2.0) / 2.0
        w2 = -(u + 1.0) * u * (u - 2.0) / 2.0
        w3 = (u + 1.0) * u * (u - 1.0) / 6.0
        m = w0 * row[i - 1] + w1 * row[i] + w2 * row[i + 1] + w3 * row[i + 2]
        out[s] = weight[tissue[s], level[s]] * m
