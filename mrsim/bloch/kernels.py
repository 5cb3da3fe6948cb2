"""Numba kernels over blocks of spins: arrays in, arrays out. The spin is the fastest axis, so that it
vectorises.

A block holds at most `BLOCK` spins. Phases are counted in cycles, in float64, and reduced to half a cycle
before the polynomial sine and cosine; only the products of the readout are float32 (see `readout`).
"""

from __future__ import annotations

import math
from typing import Any

from mrsim.bloch.jit import kernel
from mrsim.bloch.nodes import Bench, Nodes
from mrsim.bloch.program import PULSE, Program
from mrsim.bloch.pulses import pulse_operator
from mrsim.bloch.rotation import cos_sin

Array = Any  # numba specialises; mypy cannot follow it into the kernels


@kernel(fast=True)
def turn(mx: Array, my: Array, n: int, factor: Array) -> None:
    """Multiply M+ by factor (2, spin)."""
    for s in range(n):
        u = mx[s] * factor[0, s] - my[s] * factor[1, s]
        my[s] = mx[s] * factor[1, s] + my[s] * factor[0, s]
        mx[s] = u


@kernel(fast=True)
def rotate(mx: Array, my: Array, n: int, cycles: float) -> None:
    """Turn M+ by `cycles` about z, counter-clockwise."""
    if cycles == 0.0:
        return
    c, q = cos_sin(cycles)
    for s in range(n):
        u = mx[s] * c - my[s] * q
        my[s] = mx[s] * q + my[s] * c
        mx[s] = u


@kernel(fast=True)
def _recover(mz: Array, n: int, e1: Array) -> None:
    for s in range(n):
        mz[s] = mz[s] * e1[s] + (1.0 - e1[s])


@kernel(fast=True)
def _nutate(mx: Array, my: Array, mz: Array, n: int, op: Array) -> None:
    for s in range(n):
        u, v, w = mx[s], my[s], mz[s]
        mx[s] = op[0, s] * u + op[1, s] * v + op[2, s] * w + op[3, s]
        my[s] = op[4, s] * u + op[5, s] * v + op[6, s] * w + op[7, s]
        mz[s] = op[8, s] * u + op[9, s] * v + op[10, s] * w + op[11, s]


@kernel(fast=True)
def _cycles(where: Array, at: int, n: int, moment: Array, t: float, e2: Array, factor: Array) -> None:
    gx, gy, gz = moment[0], moment[1], moment[2]
    for s in range(n):
        i = at + s
        c, q = cos_sin(gx * where[0, i] + gy * where[1, i] + gz * where[2, i] + t * where[3, i])
        factor[0, s] = e2[s] * c
        factor[1, s] = -e2[s] * q


@kernel(entry=True)
def decays(prog: Program, nodes: Nodes, at: int, n: int, bench: Bench, time: int) -> int:
    """Slot that holds exp(-t/T1) and exp(-t/T2) of the spins `at` to `at + n` after a distinct time."""
    slot = prog.time_slot[time]
    if bench.time_tag[slot] != time:
        bench.time_tag[slot] = time
        t = prog.times[time]
        for k in range(2):
            for s in range(n):
                if s > 0 and nodes.rate[k, at + s] == nodes.rate[k, at + s - 1]:
                    bench.decay[slot, k, s] = bench.decay[slot, k, s - 1]
                else:
                    bench.decay[slot, k, s] = math.exp(-t * nodes.rate[k, at + s])
    return slot


@kernel(entry=True)
def precession(prog: Program, nodes: Nodes, at: int, n: int, bench: Bench, interval: int) -> int:
    """Slot that holds what a distinct interval multiplies M+ by, closed form: rotation and decay commute."""
    slot = prog.interval_slot[interval]
    if bench.factor_tag[slot] != interval:
        bench.factor_tag[slot] = interval
        time = prog.interval_time[interval]
        e2 = bench.decay[decays(prog, nodes, at, n, bench, time), 1]
        _cycles(nodes.where, at, n, prog.moment[interval], prog.times[time], e2, bench.factor[slot])
    return slot


@kernel()
def _operator(prog: Program, nodes: Nodes, at: int, n: int, bench: Bench, pulse: int) -> int:
    """Slot that holds the affine map of a distinct pulse."""
    slot = prog.pulse_slot[pulse]
    if bench.op_tag[slot] != pulse:
        bench.op_tag[slot] = pulse
        tolerance = bench.tolerance[0]
        pulse_operator(
            prog, pulse, nodes.where, nodes.rate, nodes.b1, at, n, tolerance, bench.op[slot], bench.scratch
        )
    return slot


@kernel()
def _crush(m: Array, members: int, n: int) -> int:
    """Give each member of the ensemble its phase; the first crusher makes the members."""
    count = m.shape[1]
    for p in range(1, count):
        c, q = cos_sin(p / count)
        source = 0 if members == 1 else p
        for s in range(n):
            u, v = m[0, source, s], m[1, source, s]
            m[0, p, s] = u * c - v * q
            m[1, p, s] = u * q + v * c
            m[2, p, s] = m[2, source, s]
    return count


@kernel()
def average(m: Array, members: int, n: int, out: Array) -> None:
    """Mean over the ensemble of the components that `out` has."""
    for a in range(out.shape[0]):
        for s in range(n):
            out[a, s] = m[a, 0, s]
        for p in range(1, members):
            for s in range(n):
                out[a, s] += m[a, p, s]
        for s in range(n):
            out[a, s] /= members


@kernel()
def _merge(m: Array, members: int, n: int, transverse: float, mean: Array) -> int:
    """Replace the ensemble by its mean, M+ times `transverse`."""
    average(m, members, n, mean)
    for s in range(n):
        m[0, 0, s] = transverse * mean[0, s]
        m[1, 0, s] = transverse * mean[1, s]
        m[2, 0, s] = mean[2, s]
    return 1


@kernel(inline=False)
def walk(
    prog: Program, nodes: Nodes, at: int, n: int, bench: Bench, begin: int, end: int, members: int
) -> int:
    """Take the spins `at` to `at + n` through the steps `begin` to `end`.

    members : size of the crusher ensemble now, 1 or prog.members; returned: afterwards
    """
    m = bench.m
    for step in range(begin, end):
        if prog.kind[step] == PULSE:
            op = bench.op[_operator(prog, nodes, at, n, bench, prog.item[step])]
            before, after = prog.turn[step, 0], prog.turn[step, 1]
            for p in range(members):
                rotate(m[0, p], m[1, p], n, before)
                _nutate(m[0, p], m[1, p], m[2, p], n, op)
                rotate(m[0, p], m[1, p], n, after)
        else:
            interval = prog.whole[step]
            factor = bench.factor[precession(prog, nodes, at, n, bench, interval)]
            e1 = bench.decay[decays(prog, nodes, at, n, bench, prog.interval_time[interval]), 0]
            for p in range(members):
                turn(m[0, p], m[1, p], n, factor)
                _recover(m[2, p], n, e1)
        if prog.crusher[step]:
            members = _crush(m, members, n)
        if prog.settled[step] and members > 1:
            members = _merge(m, members, n, 1.0, bench.mean)
        if prog.spoil[step]:
            members = _merge(m, members, n, 0.0, bench.mean)
    return members


@kernel()
def equilibrium(m: Array, x: float, y: float, z: float, n: int) -> None:
    """Start every member with the same magnetisation."""
    for p in range(m.shape[1]):
        for s in range(n):
            m[0, p, s] = x
            m[1, p, s] = y
            m[2, p, s] = z


@kernel(entry=True)
def forget(bench: Bench) -> None:
    """Invalidate the tables of the block before."""
    bench.time_tag[:] = -1
    bench.factor_tag[:] = -1
    bench.op_tag[:] = -1
    bench.train_tag[:] = -1
