"""Kernels that take spins through the steps of a sequence, one thread to a spin, its state in registers.

The same physics as `mrsim.bloch.kernels` and `mrsim.bloch.pulses`, all in float64: pulses by the split of
`pulses.py`, as operators that are made once or stepped where a pulse comes only once; precession in closed
form from its moment and time, computed where it is met, which costs less than to fetch it. What the steps are
is the same for all threads, so that none diverges. What a spin has when a receiver opens goes to `echo`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import cuda

from mrsim.bloch.cuda.rotation import cos_sin, rotation
from mrsim.bloch.cuda.tables import CRUSHER, SETTLED, SPOIL, Nodes, Pulses, Steps
from mrsim.bloch.program import PULSE, TRAIN
from mrsim.bloch.steady import SINGULAR

Array = Any
PI = math.pi
UNROLLED = 8  # members of an ensemble that fit into registers; of more, only those in use are touched


def looping(members: int) -> Callable[[int], int]:
    """Device function: over how many members to loop, a constant if all of them have registers."""
    constant = members <= UNROLLED

    @cuda.jit(device=True)
    def count(used: int) -> int:
        return members if constant else used

    return count


def pulse_stepper(columns: int, driven: int) -> Callable[..., None]:
    """Device function that lets a pulse act on `columns` vectors m (3, columns).

    From number `driven` on they recover towards equilibrium; those before are columns of the matrix.
    """
    loops = looping(columns)

    @cuda.jit(device=True)
    def play(pulses: Pulses, u: int, nodes: Nodes, i: int, used: int, m: Array) -> None:
        x, y, z, f = (
            nodes.where[0, i],
            nodes.where[1, i],
            nodes.where[2, i],
            nodes.where[3, i] - pulses.freq[u],
        )
        g, b_re, b_im = pulses.rate[u], nodes.b1[0, i], nodes.b1[1, i]
        first, last, pieces, h = pulses.start[u], pulses.start[u + 1], pulses.pieces[u], pulses.dt[u]
        early = f + g[0] * x + g[1] * y + g[2] * z
        late = f + g[3] * x + g[4] * y + g[5] * z
        slope = PI * (late - early) * h / ((last - first) * pieces)  # [rad] half of the growth per piece
        tilt = -slope / 6.0  # second term of the Magnus series
        bz = PI * early * h + 0.5 * slope
        sixth1, sixth2 = math.exp(-nodes.rate[0, i] * h / 6.0), math.exp(-nodes.rate[1, i] * h / 6.0)
        third1, third2 = sixth1 * sixth1, sixth2 * sixth2
        between1, between2 = third1 * third1, third2 * third2
        e1, e2 = sixth1, sixth2
        for k in range(first, last):
            re = pulses.nutation[k, 0] * b_re - pulses.nutation[k, 1] * b_im
            im = pulses.nutation[k, 0] * b_im + pulses.nutation[k, 1] * b_re
            for _ in range(pieces):
                xx, xy, xz, yx, yy, yz, zx, zy, zz = rotation(-(re - tilt * im), -(im + tilt * re), -bz)
                for j in range(loops(used)):
                    if j < used:
                        a, b, c = e2 * m[0, j], e2 * m[1, j], e1 * m[2, j]
                        if j >= driven:
                            c += 1.0 - e1
                        p = between2 * (xx * a + xy * b + xz * c)
                        q = between2 * (yx * a + yy * b + yz * c)
                        r = between1 * (zx * a + zy * b + zz * c)
                        if j >= driven:
                            r += 1.0 - between1
                        m[0, j] = xx * p + xy * q + xz * r
                        m[1, j] = yx * p + yy * q + yz * r
                        m[2, j] = zx * p + zy * q + zz * r
                bz += slope
                e1, e2 = third1, third2
        for j in range(loops(used)):
            m[0, j] *= sixth2
            m[1, j] *= sixth2
            m[2, j] *= sixth1
            if j >= driven:
                m[2, j] += 1.0 - sixth1

    return play


_operator = pulse_stepper(4, 3)


@cuda.jit
def operators(pulses: Pulses, nodes: Nodes, op: Array) -> None:
    """Write the affine maps op (slot, 12, node) of pulses that come again: rows x y z by columns x y z 1."""
    i = cuda.grid(1)
    if i >= nodes.where.shape[1]:
        return
    m = cuda.local.array((3, 4), np.float64)
    for u in range(pulses.slot.size):
        slot = pulses.slot[u] - 1
        if slot >= 0:
            for a in range(3):
                for j in range(4):
                    m[a, j] = 1.0 if a == j else 0.0
            _operator(pulses, u, nodes, i, 4, m)
            for a in range(3):
                for j in range(4):
                    op[slot, 4 * a + j, i] = m[a, j]


@cuda.jit(device=True)
def _precess(steps: Steps, interval: int, nodes: Nodes, i: int) -> tuple[float, float, float]:
    """Real and imaginary part of the factor of M+, and the time [s]."""
    t = steps.moment[interval, 3]
    c, q = cos_sin(
        steps.moment[interval, 0] * nodes.where[0, i]
        + steps.moment[interval, 1] * nodes.where[1, i]
        + steps.moment[interval, 2] * nodes.where[2, i]
        + t * nodes.where[3, i]
    )
    e2 = math.exp(-t * nodes.rate[1, i])
    return e2 * c, -e2 * q, t


class Ensemble(NamedTuple):
    """Device functions on m (3, members), the crusher ensemble of a spin, of which `n` are in use."""

    turn: Any
    operate: Any
    mean: Any
    crush: Any


def ensemble(members: int) -> Ensemble:
    """Device functions for an ensemble of so many members."""
    scale, loops = 1.0 / members, looping(members)

    @cuda.jit(device=True)
    def turn(m: Array, n: int, c: float, s: float) -> None:
        """Multiply M+ by c + i s."""
        for p in range(loops(n)):
            u, v = m[0, p], m[1, p]
            m[0, p], m[1, p] = u * c - v * s, u * s + v * c

    @cuda.jit(device=True)
    def operate(m: Array, n: int, op: Array, slot: int, i: int) -> None:
        """Apply the affine map op[slot, :, i]."""
        xx, xy, xz, x1 = op[slot, 0, i], op[slot, 1, i], op[slot, 2, i], op[slot, 3, i]
        yx, yy, yz, y1 = op[slot, 4, i], op[slot, 5, i], op[slot, 6, i], op[slot, 7, i]
        zx, zy, zz, z1 = op[slot, 8, i], op[slot, 9, i], op[slot, 10, i], op[slot, 11, i]
        for p in range(loops(n)):
            u, v, w = m[0, p], m[1, p], m[2, p]
            m[0, p] = xx * u + xy * v + xz * w + x1
            m[1, p] = yx * u + yy * v + yz * w + y1
            m[2, p] = zx * u + zy * v + zz * w + z1

    @cuda.jit(device=True)
    def mean(m: Array, n: int) -> tuple[float, float, float]:
        """Mean magnetisation of the members in use."""
        u, v, w = m[0, 0], m[1, 0], m[2, 0]
        if n > 1:
            for p in range(1, loops(n)):
                u += m[0, p]
                v += m[1, p]
                w += m[2, p]
            u, v, w = u * scale, v * scale, w * scale
        return u, v, w

    @cuda.jit(device=True)
    def crush(m: Array, n: int, phase: Array) -> None:
        """Give each member its phase; the first crusher makes the members."""
        for p in range(1, loops(phase.shape[0])):
            u, v, w = m[0, p], m[1, p], m[2, p]
            if n == 1:
                u, v, w = m[0, 0], m[1, 0], m[2, 0]
            c, s = phase[p, 0], phase[p, 1]
            m[0, p], m[1, p], m[2, p] = u * c - v * s, u * s + v * c, w

    return Ensemble(turn=turn, operate=operate, mean=mean, crush=crush)


@cuda.jit(device=True)
def _listen(steps: Steps, step: int, nodes: Nodes, i: int, u: float, v: float, at: int, echo: Array) -> None:
    """Write M+ = u + i v to echo `at`, for each train turned to its first sample."""
    if steps.kind[step] != TRAIN:
        echo[0, at, i] = u
        echo[1, at, i] = v
        return
    for t in range(steps.trains[steps.item[step]], steps.trains[steps.item[step] + 1]):
        c, s, _ = _precess(steps, steps.lead[t], nodes, i)
        echo[0, at, i] = u * c - v * s
        echo[1, at, i] = u * s + v * c
        at += 1


@lru_cache
def walk_kernel(members: int) -> Any:  # noqa: ANN401 - numba's dispatcher is not typed
    """Kernel for a crusher ensemble of so many members."""
    play = pulse_stepper(members, 0)
    (turn, operate, mean, crush), loops = ensemble(members), looping(members)

    @cuda.jit
    def walk(
        steps: Steps, pulses: Pulses, nodes: Nodes, op: Array, state: Array, count: Array, begin: int,
        end: int, row: int, echo: Array, turn_re: float, turn_im: float,
    ) -> None:  # fmt: skip
        """Take state (3, member, node) through the steps `begin` to `end`, then turn M+ by a last factor.

        count : (node,) int32 members in use, 1 or all; the same for all nodes
        row : first row of echo (2, row, node) float32; -1 to take none
        """
        i = cuda.grid(1)
        if i >= nodes.where.shape[1]:
            return
        m = cuda.local.array((3, members), np.float64)
        for p in range(members):
            m[0, p], m[1, p], m[2, p] = state[0, p, i], state[1, p, i], state[2, p, i]
        n = count[i]
        for step in range(begin, end):
            if steps.kind[step] == PULSE:
                item = steps.item[step]
                turn(m, n, steps.turn[step, 0], steps.turn[step, 1])
                if pulses.slot[item] > 0:
                    operate(m, n, op, pulses.slot[item] - 1, i)
                else:
                    play(pulses, item, nodes, i, n, m)
                turn(m, n, steps.turn[step, 2], steps.turn[step, 3])
            else:
                if row >= 0 and steps.row[step] >= 0:
                    u, v, _ = mean(m, n)
                    _listen(steps, step, nodes, i, u, v, steps.row[step] - row, echo)
                c, s, time = _precess(steps, steps.whole[step], nodes, i)
                turn(m, n, c, s)
                e1 = math.exp(-time * nodes.rate[0, i])
                for p in range(loops(n)):
                    m[2, p] = m[2, p] * e1 + (1.0 - e1)
            flags = steps.flags[step]
            if flags & CRUSHER:
                crush(m, n, steps.crush)
                n = members
            if flags & (SETTLED | SPOIL):
                m[0, 0], m[1, 0], m[2, 0] = mean(m, n)
                n = 1
                if flags & SPOIL:
                    m[0, 0], m[1, 0] = 0.0, 0.0
        turn(m, n, turn_re, turn_im)
        for p in range(members):
            state[0, p, i], state[1, p, i], state[2, p, i] = m[0, p], m[1, p], m[2, p]
        count[i] = n

    return walk


@cuda.jit
def equilibrium(state: Array, count: Array, members: int, x: float, y: float, z: float) -> None:
    """Start every member of every spin with the same magnetisation, `members` of them in use."""
    i = cuda.grid(1)
    if i < count.size:
        count[i] = members
        for p in range(state.shape[1]):
            state[0, p, i] = x
            state[1, p, i] = y
            state[2, p, i] = z


@cuda.jit
def spoiled_fixed_point(found: Array, state: Array, count: Array) -> None:
    """Find Mz that comes back; found (2, 3, member, node): what 0 and 1 behind the spoiler become."""
    i = cuda.grid(1)
    if i < count.size:
        offset = found[0, 2, 0, i]
        left = 1.0 - (found[1, 2, 0, i] - offset)
        count[i] = 1
        state[0, 0, i] = 0.0
        state[1, 0, i] = 0.0
        state[2, 0, i] = offset / left if left >= SINGULAR else math.nan


@cuda.jit
def driven_fixed_point(found: Array, state: Array) -> None:
    """M = A M + b by Cramer's rule; found (4, 3, member, node): b, and b + A e for each unit vector e."""
    i = cuda.grid(1)
    if i >= state.shape[2]:
        return
    for p in range(state.shape[1]):
        b0, b1, b2 = found[0, 0, p, i], found[0, 1, p, i], found[0, 2, p, i]
        a00, a10, a20 = 1.0 - (found[1, 0, p, i] - b0), b1 - found[1, 1, p, i], b2 - found[1, 2, p, i]
        a01, a11, a21 = b0 - found[2, 0, p, i], 1.0 - (found[2, 1, p, i] - b1), b2 - found[2, 2, p, i]
        a02, a12, a22 = b0 - found[3, 0, p, i], b1 - found[3, 1, p, i], 1.0 - (found[3, 2, p, i] - b2)
        c0, c1, c2 = a11 * a22 - a12 * a21, a12 * a20 - a10 * a22, a10 * a21 - a11 * a20
        det = a00 * c0 + a01 * c1 + a02 * c2
        if abs(det) < SINGULAR:
            det = math.nan
        state[0, p, i] = (b0 * c0 + b1 * (a02 * a21 - a01 * a22) + b2 * (a01 * a12 - a02 * a11)) / det
        state[1, p, i] = (b0 * c1 + b1 * (a00 * a22 - a02 * a20) + b2 * (a02 * a10 - a00 * a12)) / det
        state[2, p, i] = (b0 * c2 + b1 * (a01 * a20 - a00 * a21) + b2 * (a00 * a11 - a01 * a10)) / det
