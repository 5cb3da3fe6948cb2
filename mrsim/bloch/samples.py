"""Readout sample by sample, for gradients that change meanwhile: spirals, ramps, any waveform.

Sample j of a window sees a spin at exp(-i 2 pi (k_j.r + f t_j)). Samples are taken in chunks that lie close
together in k: the phase of the chunk's middle is computed in float64, that from the middle to each sample, a
cycle or so, in float32. Decay is handled in the same way. Sums over spins are float32 within a block, float64
beyond.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mrsim.bloch.jit import kernel
from mrsim.bloch.nodes import BLOCK, Nodes
from mrsim.bloch.program import Program
from mrsim.bloch.rotation import cos_sin, cos_sin_32

LONGEST = 16  # samples of a chunk
CYCLES, DECAY = 2.0, 0.02  # that a chunk spans at most, for any spin

Array = Any
Real = NDArray[np.float64]
Index = NDArray[np.int64]


class Chunks(NamedTuple):
    """Samples of windows, grouped.

    window : (window + 1,) first chunk of each window
    bounds : (chunk + 1,) first window sample of each chunk
    base : (chunk, 4) [1/m] and [s] of its middle since the start of the window
    clock side : (chunk,) [s] of the middle, and whether T2' decays or grows back; see `Program`
    fresh : (chunk,) uint8 its decay is computed anew, not from that of the chunk before
    delta : (sample, 4) float32 [1/m] and [s] from the middle of the chunk
    """

    window: Index
    bounds: Index
    base: Real
    clock: Real
    side: Index
    fresh: NDArray[np.uint8]
    delta: NDArray[np.float32]


class Small(NamedTuple):
    """A block of spins in float32: position and off-resonance (4, spin), R2 and R2' (2, spin), signal."""

    where: NDArray[np.float32]
    rate: NDArray[np.float32]
    phasor: NDArray[np.float32]
    sent: NDArray[np.float32]
    middle: Real
    decay: Real


def small() -> Small:
    """Room for one block of spins."""
    return Small(
        where=np.zeros((4, BLOCK), np.float32),
        rate=np.zeros((2, BLOCK), np.float32),
        phasor=np.zeros((2, BLOCK), np.float32),
        sent=np.zeros((2, BLOCK), np.float32),
        middle=np.zeros((2, BLOCK)),
        decay=np.zeros(BLOCK),
    )


def chunks(prog: Program, nodes: Nodes) -> Chunks:
    """Group the window samples of a sequence for all of the spins."""
    n = prog.k.shape[0]
    reach = np.abs(nodes.where).max(axis=1)
    fastest = float((nodes.rate[1] + nodes.rate[2]).max())
    step = np.abs(np.diff(prog.k, axis=0, prepend=prog.k[:1]))
    window = np.repeat(np.arange(prog.window.size - 1), np.diff(prog.window))
    begins = np.diff(window, prepend=-1) > 0
    step[begins] = 0.0
    number = np.arange(n) - prog.window[window]
    spans = (np.cumsum(step @ reach) / CYCLES, np.cumsum(step[:, 3]) * fastest / DECAY, number / LONGEST)
    marks = np.stack([prog.window_side, *(np.floor(span).astype(np.int64) for span in spans)])
    opens = begins | (np.diff(marks, axis=1, prepend=-2) != 0).any(axis=0)
    first = np.flatnonzero(opens)
    bounds = np.append(first, n)
    middle = (bounds[1:] + bounds[:-1]) // 2
    side = prog.window_side[first]
    elapsed = np.diff(prog.k[middle, 3], prepend=0.0) * fastest
    fresh = begins[first] | (np.diff(side, prepend=-2) != 0) | ~(np.abs(elapsed) < 0.1)
    return Chunks(
        window=np.append(np.flatnonzero(begins[first]), first.size).astype(np.int64),
        bounds=bounds.astype(np.int64),
        base=prog.k[middle],
        clock=prog.window_clock[middle],
        side=side,
        fresh=fresh.astype(np.uint8),
        delta=(prog.k - prog.k[np.repeat(middle, np.diff(bounds))]).astype(np.float32),
    )


@kernel()
def load(nodes: Nodes, at: int, n: int, spins: Small) -> None:
    """Take the spins `at` to `at + n`."""
    for s in range(n):
        for a in range(4):
            spins.where[a, s] = nodes.where[a, at + s]
        spins.rate[0, s] = nodes.rate[1, at + s]
        spins.rate[1, s] = nodes.rate[2, at + s]


@kernel()
def receive_window(
    chunk: Chunks, window: int, nodes: Nodes, at: int, n: int, m: Array, weight: Array, spins: Small,
    out: Array,
) -> None:  # fmt: skip
    """Add what the spins `at` to `at + n` send in a window to out (coil, sample) complex128.

    m : (2, spin) M+ at the start of the window
    weight : (coil, all spins) complex128
    """
    begin = chunk.bounds[chunk.window[window]]
    for i in range(chunk.window[window], chunk.window[window + 1]):
        _middle(chunk, i, nodes, at, n, m, spins)
        for c in range(out.shape[0]):
            _weigh(spins.middle, weight[c], at, n, spins.sent)
            for j in range(chunk.bounds[i], chunk.bounds[i + 1]):
                if c == 0 or out.shape[0] > 1:
                    _phasors(
                        chunk.delta[j], spins.where, spins.rate, np.float32(chunk.side[i]), n, spins.phasor
                    )
                out[c, j - begin] += _sum(spins.sent, spins.phasor, n)


@kernel()
def _middle(chunk: Chunks, i: int, nodes: Nodes, at: int, n: int, m: Array, spins: Small) -> None:
    """M+ in the middle of chunk `i`."""
    t, side, clock = chunk.base[i, 3], chunk.side[i], abs(chunk.clock[i])
    if chunk.fresh[i]:
        for s in range(n):
            r2, r2prime = nodes.rate[1, at + s], nodes.rate[2, at + s]
            spins.decay[s] = math.exp(-r2 * t - r2prime * clock)
    else:
        _age(nodes.rate, side, t - chunk.base[i - 1, 3], at, n, spins.decay)
    _advance(nodes.where, chunk.base[i], at, n, m, spins.decay, spins.middle)


@kernel(fast=True)
def _age(rate: Array, side: float, t: float, at: int, n: int, decay: Array) -> None:
    """Decay over a short time, by the series of the exponential function."""
    for s in range(n):
        u = -t * (rate[1, at + s] + side * rate[2, at + s])
        e = 1.0 + u / 8.0
        for i in range(7, 0, -1):
            e = 1.0 + u * e / i
        decay[s] *= e


@kernel(fast=True)
def _advance(where: Array, base: Array, at: int, n: int, m: Array, decay: Array, out: Array) -> None:
    kx, ky, kz, t = base[0], base[1], base[2], base[3]
    for s in range(n):
        i = at + s
        c, q = cos_sin(kx * where[0, i] + ky * where[1, i] + kz * where[2, i] + t * where[3, i])
        out[0, s] = decay[s] * (m[0, s] * c + m[1, s] * q)
        out[1, s] = decay[s] * (m[1, s] * c - m[0, s] * q)


@kernel(fast=True)
def _weigh(m: Array, weight: Array, at: int, n: int, out: Array) -> None:
    for s in range(n):
        u, v = weight[at + s].real, weight[at + s].imag
        out[0, s] = m[0, s] * u - m[1, s] * v
        out[1, s] = m[0, s] * v + m[1, s] * u


@kernel(fast=True)
def _phasors(delta: Array, where: Array, rate: Array, side: float, n: int, out: Array) -> None:
    """exp(i 2 pi delta) with the decay since the middle of the chunk, all float32."""
    kx, ky, kz, t = delta[0], delta[1], delta[2], delta[3]
    one, half, sixth = np.float32(1), np.float32(0.5), np.float32(1 / 6)
    for s in range(n):
        c, q = cos_sin_32(kx * where[0, s] + ky * where[1, s] + kz * where[2, s] + t * where[3, s])
        u = -t * (rate[0, s] + side * rate[1, s])
        e = one + u * (one + u * (half + u * sixth))
        out[0, s] = e * c
        out[1, s] = e * q


@kernel(fast=True)
def _sum(m: Array, phasor: Array, n: int) -> complex:
    re, im = np.float32(0), np.float32(0)
    for s in range(n):
        re += m[0, s] * phasor[0, s] + m[1, s] * phasor[1, s]
        im += m[1, s] * phasor[0, s] - m[0, s] * phasor[1, s]
    return complex(re, im)
