"""Numba kernels of the readout: what a block of spins sends to the samples of a line.

From sample to sample a spin is multiplied by a constant complex step z (exact, since gradient and
off-resonance are constant), so sample B*b + j counted from the echo is (m z^(B b)) z^j. The powers are made
in float64, once per spin, by the recurrence; the advance of every spin to every sample is then one complex
multiply-add per spin and sample,

    sum over spins of  head[b, spin] * tail[j, spin],

with the spins along the vector lanes and nine samples in registers at a time. Products and the sums over a
block of at most `BLOCK` spins are float32, the sums over blocks float64. T2' decays away from the echo in
both directions, so the samples before and after it are two trains with a step of their own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mrsim.bloch.jit import kernel
from mrsim.bloch.kernels import cos_sin

AFTER, BEFORE = 0, 1  # sides of the echo
TILE = 3  # heads and tails that `_tile` keeps in registers

Array = Any


def train_shape(samples: int) -> tuple[int, int]:
    """Numbers (heads, tails), multiples of `TILE`, whose product covers `samples` at the least cost."""
    options = []
    for heads in range(TILE, samples + TILE, TILE):
        tails = -(-samples // (heads * TILE)) * TILE
        options.append((heads * tails + 2 * (heads + tails), heads, tails))
    _, heads, tails = min(options)
    return heads, tails


@kernel(fast=True)
def _step(cycles: Array, decay: Array, begin: Array, side: int, n: int, z: Array, start: Array) -> None:
    sign = 1.0 if side == AFTER else -1.0
    for s in range(n):
        c, q = cos_sin(cycles[s])
        z[0, s] = decay[s] * c
        z[1, s] = -sign * decay[s] * q
        start[0, s] = begin[s] * (z[0, s] if side == BEFORE else 1.0)
        start[1, s] = begin[s] * (z[1, s] if side == BEFORE else 0.0)


@kernel()
def prepare_trains(
    cycles: Array, decays: Array, sides: int, n: int, tail: Array, head: Array, work: Array
) -> None:
    """Tables of the two trains of a block of spins, good for every line with the same readout.

    cycles : (spin,) turns per sample by gradient and off-resonance
    decays : (4, spin) decay per sample and at the first sample, after the echo and before it
    sides : 1 if no sample lies before the echo, else 2
    tail head : (side, 2, tails | heads, spin) written
    work : (8, spin) scratch
    """
    for side in range(sides):
        _step(cycles, decays[2 * side], decays[2 * side + 1], side, n, work[4:6], work[6:8])
        _powers(work[4:6], work[6:8], n, tail[side], head[side], work[:4])


@kernel()
def receive(m: Array, sides: int, n: int, tail: Array, head: Array, scaled: Array, sums: Array) -> None:
    """Add what spins of magnetisation m (2, spin) at the echo send: sums (side, heads * tails) complex128."""
    for side in range(sides):
        _scale_heads(head[side], m, n, scaled)
        _accumulate(scaled, tail[side], n, sums[side])


@kernel(fast=True)
def weigh(m: Array, weight: Array, at: int, n: int, out: Array) -> None:
    """Multiply m (2, spin) by weight (all spins,) complex from spin `at` on."""
    for s in range(n):
        u, v = np.float64(weight[at + s].real), np.float64(weight[at + s].imag)
        out[0, s] = m[0, s] * u - m[1, s] * v
        out[1, s] = m[0, s] * v + m[1, s] * u


@kernel(fast=True)
def _powers(z: Array, start: Array, n: int, tail: Array, head: Array, work: Array) -> None:
    """Powers of the step, by recurrence in float64, stored in float32.

    z : (2, spin) step
    start : (2, spin) factor of the first sample
    tail : (2, tails, spin) written, z^j
    head : (2, heads, spin) written, start * z^(tails * b)
    work : (4, spin) scratch
    """
    for s in range(n):
        work[0, s] = 1.0
        work[1, s] = 0.0
    for j in range(tail.shape[1]):
        for s in range(n):
            u, v = work[0, s], work[1, s]
            tail[0, j, s] = u
            tail[1, j, s] = v
            work[0, s] = u * z[0, s] - v * z[1, s]
            work[1, s] = u * z[1, s] + v * z[0, s]
    for s in range(n):
        work[2, s] = start[0, s]
        work[3, s] = start[1, s]
    for b in range(head.shape[1]):
        for s in range(n):
            u, v = work[2, s], work[3, s]
            head[0, b, s] = u
            head[1, b, s] = v
            work[2, s] = u * work[0, s] - v * work[1, s]
            work[3, s] = u * work[1, s] + v * work[0, s]


@kernel(fast=True)
def _scale_heads(head: Array, m: Array, n: int, out: Array) -> None:
    """Multiply the heads by the magnetisation of a line, m (2, spin): out (2, heads, spin) float32."""
    for b in range(head.shape[1]):
        for s in range(n):
            u, v = np.float32(m[0, s]), np.float32(m[1, s])
            out[0, b, s] = head[0, b, s] * u - head[1, b, s] * v
            out[1, b, s] = head[0, b, s] * v + head[1, b, s] * u


@kernel(fast=True)
def _tile(head: Array, tail: Array, b: int, j: int, n: int, out: Array, stride: int) -> None:
    """Nine samples of the sum over spins; plain scalars, which the compiler keeps in vector registers."""
    zero = np.float32(0)
    r00 = r01 = r02 = r10 = r11 = r12 = r20 = r21 = r22 = zero
    i00 = i01 = i02 = i10 = i11 = i12 = i20 = i21 = i22 = zero
    h0, h1, h2, k0, k1, k2 = (
        head[0, b],
        head[0, b + 1],
        head[0, b + 2],
        head[1, b],
        head[1, b + 1],
        head[1, b + 2],
    )
    t0, t1, t2, w0, w1, w2 = (
        tail[0, j],
        tail[0, j + 1],
        tail[0, j + 2],
        tail[1, j],
        tail[1, j + 1],
        tail[1, j + 2],
    )
    for s in range(n):
        ar, ai, br, bi, cr, ci = h0[s], k0[s], h1[s], k1[s], h2[s], k2[s]
        ur, ui, vr, vi, wr, wi = t0[s], w0[s], t1[s], w1[s], t2[s], w2[s]
        r00 += ar * ur - ai * ui
        i00 += ar * ui + ai * ur
        r01 += ar * vr - ai * vi
        i01 += ar * vi + ai * vr
        r02 += ar * wr - ai * wi
        i02 += ar * wi + ai * wr
        r10 += br * ur - bi * ui
        i10 += br * ui + bi * ur
        r11 += br * vr - bi * vi
        i11 += br * vi + bi * vr
        r12 += br * wr - bi * wi
        i12 += br * wi + bi * wr
        r20 += cr * ur - ci * ui
        i20 += cr * ui + ci * ur
        r21 += cr * vr - ci * vi
        i21 += cr * vi + ci * vr
        r22 += cr * wr - ci * wi
        i22 += cr * wi + ci * wr
    at = b * stride + j
    out[at] += complex(r00, i00)
    out[at + 1] += complex(r01, i01)
    out[at + 2] += complex(r02, i02)
    at += stride
    out[at] += complex(r10, i10)
    out[at + 1] += complex(r11, i11)
    out[at + 2] += complex(r12, i12)
    at += stride
    out[at] += complex(r20, i20)
    out[at + 1] += complex(r21, i21)
    out[at + 2] += complex(r22, i22)


@kernel()
def _accumulate(head: Array, tail: Array, n: int, out: Array) -> None:
    """Add the sum over the `n` spins of head[b] * tail[j] to out[b * tails + j], complex128."""
    tails = tail.shape[1]
    for b in range(0, head.shape[1], TILE):
        for j in range(0, tails, TILE):
            _tile(head, tail, b, j, n, out, tails)


@kernel()
def unfold(sums: Array, first: int, line: Array) -> None:
    """Add the trains (side, sample) to a line: one runs up from sample `first`, the other down from it."""
    for i in range(line.size - first):
        line[first + i] += sums[AFTER, i]
    for i in range(first):
        line[first - 1 - i] += sums[BEFORE, i]
