"""Numba kernels of the readout in a constant gradient: what a block of spins sends to a train of samples.

From sample to sample a spin is multiplied by a constant complex step z (exact, since gradient and
off-resonance are constant), so sample B*b + j of the train is (m z^(B b)) z^j. The powers are made in
float64, once per spin, by the recurrence; the advance of every spin to every sample is then one complex
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
from mrsim.bloch.rotation import cos_sin

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
def _step(cycles: Array, decay: Array, n: int, z: Array) -> None:
    for s in range(n):
        c, q = cos_sin(cycles[s])
        z[0, s] = decay[s] * c
        z[1, s] = -decay[s] * q


@kernel(entry=True)
def prepare_train(
    cycles: Array, decay: Array, begin: Array, n: int, heads: int, tails: int, tail: Array, head: Array,
    work: Array,
) -> None:  # fmt: skip
    """Tables of a train of a block of spins, good for every line with the same readout.

    cycles decay : (spin,) turns and decay per sample
    begin : (spin,) decay at the first sample
    tail head : (2, tails | heads, spin) written
    work : (6, spin) scratch
    """
    _step(cycles, decay, n, work[4:6])
    _powers(work[4:6], begin, n, heads, tails, tail, head, work[:4])


@kernel(entry=True)
def receive(
    m: Array, n: int, heads: int, tails: int, tail: Array, head: Array, scaled: Array, sums: Array
) -> None:
    """Add to sums (heads * tails,) complex128 what spins of m (2, spin) at the first sample send."""
    _scale_heads(head, m, n, heads, scaled)
    for b in range(0, heads, TILE):
        for j in range(0, tails, TILE):
            _tile(scaled, tail, b, j, n, sums, tails)


@kernel(fast=True)
def weigh(m: Array, weight: Array, at: int, n: int, out: Array) -> None:
    """Multiply m (2, spin) by weight (all spins,) complex from spin `at` on."""
    for s in range(n):
        u, v = np.float64(weight[at + s].real), np.float64(weight[at + s].imag)
        out[0, s] = m[0, s] * u - m[1, s] * v
        out[1, s] = m[0, s] * v + m[1, s] * u


@kernel(fast=True)
def _powers(
    z: Array, start: Array, n: int, heads: int, tails: int, tail: Array, head: Array, work: Array
) -> None:
    """Powers of the step, by recurrence in float64, stored in float32.

    z : (2, spin) step
    start : (spin,) factor of the first sample
    tail : (2, tails, spin) written, z^j
    head : (2, heads, spin) written, start * z^(tails * b)
    work : (4, spin) scratch
    """
    for s in range(n):
        work[0, s] = 1.0
        work[1, s] = 0.0
    for j in range(tails):
        for s in range(n):
            u, v = work[0, s], work[1, s]
            tail[0, j, s] = u
            tail[1, j, s] = v
            work[0, s] = u * z[0, s] - v * z[1, s]
            work[1, s] = u * z[1, s] + v * z[0, s]
    for s in range(n):
        work[2, s] = start[s]
        work[3, s] = 0.0
    for b in range(heads):
        for s in range(n):
            u, v = work[2, s], work[3, s]
            head[0, b, s] = u
            head[1, b, s] = v
            work[2, s] = u * work[0, s] - v * work[1, s]
            work[3, s] = u * work[1, s] + v * work[0, s]


@kernel(fast=True)
def _scale_heads(head: Array, m: Array, n: int, heads: int, out: Array) -> None:
    """Multiply the heads by the magnetisation of a line, m (2, spin): out (2, heads, spin) float32."""
    for b in range(heads):
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
