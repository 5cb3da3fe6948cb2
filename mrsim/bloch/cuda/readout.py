"""Kernels of the readout: what spins send to the samples, as sums over spins.

In a train, sample COLUMNS * b + j of a line is a product of three numbers per spin, what it has at the first
sample, z^(COLUMNS b) and z^j, so that all lines with the same train are one matrix product

    signal[line, coil, b; j] = sum over spins of (echo[line] * weight[coil] * head[b]) * tail[j].

A block of threads makes one tile of it from a slice of the spins: it computes a slab of both factors into
shared memory, phases reduced in float64, and each thread adds up a few rows and columns in registers. The
other samples, in gradients that change or in trains that hardly come again, belong to a thread each, which
computes the phase of every spin.

Products, and sums over a slice of the spins, are float32. A last kernel adds the slices in float64, one after
the other: there is no atomic addition, and the result depends on neither timing nor the memory that there is.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import cuda

from mrsim.bloch.cuda.rotation import cos_sin_32
from mrsim.bloch.cuda.tables import Nodes

Array = Any
ZERO = np.float32(0)


class Tile(NamedTuple):
    """Shape of the work of a block.

    rows columns : of the matrix product that a thread adds up in registers
    row_threads column_threads : threads along either axis; rows * row_threads must be the number of threads
    slab : spins in shared memory at a time;  spins : spins of a slice, a multiple of it
    heads : most heads of a launch
    """

    rows: int = 8
    columns: int = 4
    row_threads: int = 16
    column_threads: int = 8
    slab: int = 16
    spins: int = 512
    heads: int = 64

    @property
    def threads(self) -> int:
        """Threads of a block, and rows of its tile."""
        return self.row_threads * self.column_threads

    @property
    def width(self) -> int:
        """Columns of the tile of a block."""
        return self.columns * self.column_threads


class Train(NamedTuple):
    """Scalars of a train: moment per sample [1/m], dwell [s], clock of the first sample [s], first head."""

    kx: float
    ky: float
    kz: float
    dwell: float
    side: float
    clock: float
    head: int


@cuda.jit(device=True)
def _power(n: int, cycles: float, decay: float) -> tuple[float, float]:
    """Real and imaginary part of z^n, z = exp(decay - i 2 pi cycles), float32."""
    c, s = cos_sin_32(n * cycles)
    e = math.exp(np.float32(n) * decay)
    return e * c, -e * s


@lru_cache
def train_kernel(tile: Tile) -> Any:  # noqa: ANN401 - numba's dispatcher is not typed
    """Matrix product of a train; launch with (row tiles, slices) blocks of `tile.threads`."""
    rows, columns, across, slab, spins, most = (
        tile.rows, tile.columns, tile.column_threads, tile.slab, tile.spins, tile.heads,
    )  # fmt: skip
    threads, width, padded, strided = tile.threads, tile.width, tile.threads + 4, tile.slab + 1
    slabs = spins // slab

    @cuda.jit
    def receive(nodes: Nodes, echo: Array, line: Array, heads: int, train: Train, out: Array) -> None:
        """Write the sums over each slice of spins to out (2, slice, row, column).

        echo : (2, row, node);  line : (line,) int32 rows of echo; rows of out are line, coil, head
        """
        left = cuda.shared.array((2, slab, padded), np.float32)
        right = cuda.shared.array((2, slab, width), np.float32)
        head = cuda.shared.array((2, most, strided), np.float32)  # heads lie in different banks
        cycles = cuda.shared.array(spins, np.float64)
        decay = cuda.shared.array((2, spins), np.float32)
        me, n_coils = cuda.threadIdx.x, nodes.weight.shape[1]
        start = cuda.blockIdx.y * spins
        for s in range(me, spins, threads):
            i = start + s
            cycles[s] = (
                train.kx * nodes.where[0, i] + train.ky * nodes.where[1, i] + train.kz * nodes.where[2, i]
                + train.dwell * nodes.where[3, i]
            )  # fmt: skip
            decay[0, s] = -(nodes.rate[1, i] + train.side * nodes.rate[2, i]) * train.dwell
            decay[1, s] = math.exp(-nodes.rate[2, i] * train.clock)
        row = min(cuda.blockIdx.x * threads + me, line.size * n_coils * heads - 1)
        b, c, at = row % heads, (row // heads) % n_coils, line[row // (heads * n_coils)]
        stop = start + spins
        e_re, e_im = echo[0, at, start:stop], echo[1, at, start:stop]
        w_re, w_im = nodes.weight[0, c, start:stop], nodes.weight[1, c, start:stop]
        sum_re = cuda.local.array((rows, columns), np.float32)
        sum_im = cuda.local.array((rows, columns), np.float32)
        for p in range(rows):
            for q in range(columns):
                sum_re[p, q] = ZERO
                sum_im[p, q] = ZERO
        row0, column0 = (me // across) * rows, (me % across) * columns
        a_re = cuda.local.array(rows, np.float32)
        a_im = cuda.local.array(rows, np.float32)
        b_re = cuda.local.array(columns, np.float32)
        b_im = cuda.local.array(columns, np.float32)
        cuda.syncthreads()
        for k in range(slabs):
            base = k * slab
            for j in range(me, slab * width, threads):
                s, n = j // width, j % width
                right[0, s, n], right[1, s, n] = _power(n, cycles[base + s], decay[0, base + s])
            for j in range(me, slab * heads, threads):
                s, n = j % slab, (train.head + j // slab) * width
                u, v = _power(n, cycles[base + s], decay[0, base + s])
                head[0, j // slab, s] = decay[1, base + s] * u
                head[1, j // slab, s] = decay[1, base + s] * v
            cuda.syncthreads()
            for s in range(slab):
                i = base + s
                u = e_re[i] * w_re[i] - e_im[i] * w_im[i]
                v = e_re[i] * w_im[i] + e_im[i] * w_re[i]
                left[0, s, me] = u * head[0, b, s] - v * head[1, b, s]
                left[1, s, me] = u * head[1, b, s] + v * head[0, b, s]
            cuda.syncthreads()
            for s in range(slab):
                for p in range(rows):
                    a_re[p] = left[0, s, row0 + p]
                    a_im[p] = left[1, s, row0 + p]
                for q in range(columns):
                    b_re[q] = right[0, s, column0 + q]
                    b_im[q] = right[1, s, column0 + q]
                for p in range(rows):
                    for q in range(columns):
                        sum_re[p, q] += a_re[p] * b_re[q]
                        sum_im[p, q] += a_re[p] * b_im[q]
                        sum_re[p, q] -= a_im[p] * b_im[q]
                        sum_im[p, q] += a_im[p] * b_re[q]
            cuda.syncthreads()
        for p in range(rows):
            r = cuda.blockIdx.x * threads + row0 + p
            if r < out.shape[2]:
                for q in range(columns):
                    out[0, cuda.blockIdx.y, r, column0 + q] = sum_re[p, q]
                    out[1, cuda.blockIdx.y, r, column0 + q] = sum_im[p, q]

    return receive


@cuda.jit
def add_trains(out: Array, heads: int, begin: int, count: int, first: Array, signal: Array) -> None:
    """Add all slices of out (2, slice, row, column) to signal (2, coil, sample), a thread per row and column.

    begin count : sample of the train that the first head begins with, and samples of the train
    first : (line,) int64 where the first sample of each train lies in the signal
    """
    n_coils, width = signal.shape[1], out.shape[3]
    j = cuda.grid(1)
    row, column = j // width, j % width
    n = begin + (row % heads) * width + column
    line, c = row // (heads * n_coils), (row // heads) % n_coils
    if row >= out.shape[2] or n >= count:
        return
    at = first[line] + n
    u, v = signal[0, c, at], signal[1, c, at]
    for k in range(out.shape[1]):
        u += out[0, k, row, column]
        v += out[1, k, row, column]
    signal[0, c, at] = u
    signal[1, c, at] = v


class Samples(NamedTuple):
    """Samples that are computed one by one.

    row : (sample,) int32 echo that each belongs to;  k (4, sample) [1/m] and [s] since then
    clock : (sample,) float32 [s], T2' decays by exp(-clock / T2');  at : (sample,) int64 place in the signal
    """

    row: Array
    k: Array
    clock: Array
    at: Array


@lru_cache
def sample_kernel(threads: int, slab: int, spins: int, coils: int) -> Any:  # noqa: ANN401 - as above
    """Kernel for single samples, `coils` coils at a time: (sample tiles, slices, coil groups) blocks."""
    slabs = spins // slab

    @cuda.jit
    def receive(nodes: Nodes, echo: Array, row: int, samples: Samples, begin: int, out: Array) -> None:
        """Write the sums over each slice of spins to out (2, slice, coil, sample), samples from `begin` on.

        echo : (2, row, node), the first being number `row`
        """
        where = cuda.shared.array((4, slab), np.float64)
        rate = cuda.shared.array((2, slab), np.float32)
        weight = cuda.shared.array((2, coils, slab), np.float32)
        me, n_coils = cuda.threadIdx.x, nodes.weight.shape[1]
        here = cuda.blockIdx.x * threads + me
        j = begin + min(here, out.shape[3] - 1)
        kx, ky, kz, t = samples.k[0, j], samples.k[1, j], samples.k[2, j], samples.k[3, j]
        at, since, clock = samples.row[j] - row, np.float32(t), samples.clock[j]
        e_re, e_im, first = echo[0, at], echo[1, at], cuda.blockIdx.z * coils
        sum_re = cuda.local.array(coils, np.float32)
        sum_im = cuda.local.array(coils, np.float32)
        for c in range(coils):
            sum_re[c] = ZERO
            sum_im[c] = ZERO
        for k in range(slabs):
            base = cuda.blockIdx.y * spins + k * slab
            cuda.syncthreads()
            for s in range(me, slab, threads):
                i = base + s
                for a in range(4):
                    where[a, s] = nodes.where[a, i]
                rate[0, s] = nodes.rate[1, i]
                rate[1, s] = nodes.rate[2, i]
                for c in range(coils):
                    one = min(first + c, n_coils - 1)
                    weight[0, c, s] = nodes.weight[0, one, i]
                    weight[1, c, s] = nodes.weight[1, one, i]
            cuda.syncthreads()
            for s in range(slab):
                u, v = cos_sin_32(kx * where[0, s] + ky * where[1, s] + kz * where[2, s] + t * where[3, s])
                e = math.exp(-since * rate[0, s] - clock * rate[1, s])
                x, y = e * e_re[base + s], e * e_im[base + s]
                re, im = x * u + y * v, y * u - x * v
                for c in range(coils):
                    sum_re[c] += weight[0, c, s] * re
                    sum_im[c] += weight[0, c, s] * im
                    sum_re[c] -= weight[1, c, s] * im
                    sum_im[c] += weight[1, c, s] * re
        if here < out.shape[3]:
            for c in range(coils):
                if first + c < n_coils:
                    out[0, cuda.blockIdx.y, first + c, here] = sum_re[c]
                    out[1, cuda.blockIdx.y, first + c, here] = sum_im[c]

    return receive


@cuda.jit
def add_samples(out: Array, at: Array, begin: int, signal: Array) -> None:
    """Add all slices of out (2, slice, coil, sample) to signal (2, coil, sample), a thread for each."""
    j = cuda.grid(1)
    c, n = j // out.shape[3], j % out.shape[3]
    if c >= out.shape[2]:
        return
    to = at[begin + n]
    u, v = signal[0, c, to], signal[1, c, to]
    for k in range(out.shape[1]):
        u += out[0, k, c, n]
        v += out[1, k, c, n]
    signal[0, c, to] = u
    signal[1, c, to] = v
