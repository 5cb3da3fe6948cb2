"""Numba kernels over blocks of spins: arrays in, arrays out. The spin is the fastest axis, so that it
vectorises.

A block holds at most `BLOCK` spins. Phases are counted in cycles, in float64, and reduced to half a cycle
before the polynomial sine and cosine; only the products of the readout are float32 (see `readout`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mrsim.bloch.jit import kernel
from mrsim.bloch.program import FREE, PULSE, Program

BLOCK = 256  # spins: the tables of a readout stay in the caches
PHASES = 4  # members of the crusher ensemble: exact for up to three crushers of like sign in a row

Array = Any  # numba specialises; mypy cannot follow it into the kernels

_SIN = tuple((-1) ** i * (2 * math.pi) ** (2 * i + 1) / math.factorial(2 * i + 1) for i in range(12))
_COS = tuple((-1) ** i * (2 * math.pi) ** (2 * i) / math.factorial(2 * i) for i in range(12))
_SINC = tuple((-1) ** i / math.factorial(2 * i + 1) for i in range(9))  # sin(a)/a in powers of a^2
_COSC = tuple((-1) ** i / math.factorial(2 * i + 2) for i in range(9))  # (1 - cos(a))/a^2


@kernel(fast=True)
def cos_sin(cycles: float) -> tuple[float, float]:
    """Cosine and sine of 2 pi `cycles`, to 1e-15, in a form that vectorises."""
    halves = np.rint(2.0 * cycles)
    r = cycles - 0.5 * halves  # [-1/4, 1/4]
    sign = 1.0 - 2.0 * (halves - 2.0 * np.floor(0.5 * halves))
    q = r * r
    s, c = _SIN[11], _COS[11]
    for i in range(10, -1, -1):
        s = s * q + _SIN[i]
        c = c * q + _COS[i]
    return sign * c, sign * s * r


@kernel(fast=True)
def _step(op: Array, n: int, bx: float, by: float, bz: Array, e1: Array, e2: Array) -> None:
    """Let one piece of RF act on the operators: relax, then turn by (bx, by, bz) rad, left-handed."""
    for s in range(n):
        x, y, z = -bx, -by, -bz[s]
        q = x * x + y * y + z * z
        a, c = _SINC[8], _COSC[8]
        a = ((((((((a * q + _SINC[7]) * q + _SINC[6]) * q + _SINC[5]) * q + _SINC[4]) * q
                + _SINC[3]) * q + _SINC[2]) * q + _SINC[1]) * q + _SINC[0])  # fmt: skip
        c = ((((((((c * q + _COSC[7]) * q + _COSC[6]) * q + _COSC[5]) * q + _COSC[4]) * q
                + _COSC[3]) * q + _COSC[2]) * q + _COSC[1]) * q + _COSC[0])  # fmt: skip
        d = 1.0 - c * q
        xx, yy, zz = d + c * x * x, d + c * y * y, d + c * z * z
        xy, yx = c * x * y - a * z, c * x * y + a * z
        xz, zx = c * x * z + a * y, c * x * z - a * y
        yz, zy = c * y * z - a * x, c * y * z + a * x
        f1, f2 = e1[s], e2[s]
        for j in range(4):
            u, v, w = f2 * op[j, s], f2 * op[4 + j, s], f1 * op[8 + j, s]
            if j == 3:
                w += 1.0 - f1
            op[j, s] = xx * u + xy * v + xz * w
            op[4 + j, s] = yx * u + yy * v + yz * w
            op[8 + j, s] = zx * u + zy * v + zz * w


@kernel(fast=True)
def _relax(op: Array, n: int, e1: Array, e2: Array) -> None:
    for s in range(n):
        for j in range(4):
            op[j, s] *= e2[s]
            op[4 + j, s] *= e2[s]
            op[8 + j, s] *= e1[s]
        op[11, s] += 1.0 - e1[s]


@kernel()
def pulse_operators(
    nutation: Array, dt: float, freq: Array, r1: Array, r2: Array, n: int, op: Array, work: Array
) -> None:
    """Affine map of the magnetisation by one pulse with relaxation, for each spin of a block.

    Each raster step is relaxation of half a step, the exact rotation about its field, relaxation of half a
    step (symmetric splitting, error of the second order in the step); a step that turns by more than 1 rad is
    divided.

    nutation : (step,) complex128 [rad]
    dt : [s]
    freq : (spin,) [Hz] off-resonance and slice gradient together
    r1 r2 : (spin,) [1/s]
    op : (12, spin) written: rows x y z by columns x y z 1
    work : (5, spin) scratch
    """
    peak = 0.0
    for i in range(nutation.size):
        peak = max(peak, abs(nutation[i]))
    for s in range(n):
        peak = max(peak, 2 * math.pi * abs(freq[s]) * dt)
    pieces = math.ceil(1.5 * peak) if peak > 0.5 else 1
    for s in range(n):
        work[0, s] = 2 * math.pi * freq[s] * dt / pieces
        work[3, s] = math.exp(-0.5 * r1[s] * dt / pieces)
        work[4, s] = math.exp(-0.5 * r2[s] * dt / pieces)
        work[1, s] = work[3, s] * work[3, s]
        work[2, s] = work[4, s] * work[4, s]
        for j in range(12):
            op[j, s] = 1.0 if j % 5 == 0 else 0.0
    for i in range(nutation.size):
        bx, by = nutation[i].real / pieces, nutation[i].imag / pieces
        for p in range(pieces):
            half = i == 0 and p == 0
            _step(op, n, bx, by, work[0], work[3] if half else work[1], work[4] if half else work[2])
    _relax(op, n, work[3], work[4])


@kernel()
def pulse_tables(prog: Program, begin: int, end: int, where: Array, rate: Array, op: Array) -> None:
    """Operators of every distinct pulse for the blocks `begin` to `end` of the spins.

    where : (4, spin) x, y, z [m] and off-resonance [Hz]
    rate : (3, spin) [1/s] R1, R2, R2'
    op : (block, pulse, 12, BLOCK) written, see `pulse_operators`
    """
    work, freq, r1, r2 = np.empty((5, BLOCK)), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    for b in range(begin, end):
        at = b * BLOCK
        n = min(BLOCK, where.shape[1] - at)
        for u in range(prog.pulse_dt.size):
            gx, gy, gz = prog.pulse_slope[u, 0], prog.pulse_slope[u, 1], prog.pulse_slope[u, 2]
            for s in range(n):
                i = at + s
                freq[s] = where[3, i] + gx * where[0, i] + gy * where[1, i] + gz * where[2, i]
                r1[s] = rate[0, i]
                r2[s] = rate[1, i]
            steps = prog.nutation[prog.pulse_start[u] : prog.pulse_start[u + 1]]
            pulse_operators(steps, prog.pulse_dt[u], freq, r1, r2, n, op[b, u], work)


@kernel(fast=True)
def _interval(factor: Array, at: int, n: int, moment: Array, t: float, where: Array, e2: Array) -> None:
    gx, gy, gz = moment[0], moment[1], moment[2]
    for s in range(n):
        i = at + s
        c, q = cos_sin(gx * where[0, i] + gy * where[1, i] + gz * where[2, i] + t * where[3, i])
        factor[0, s] = e2[s] * c
        factor[1, s] = -e2[s] * q


@kernel()
def prepare_intervals(
    prog: Program, where: Array, rate: Array, at: int, n: int, factor: Array, e1: Array, e2: Array
) -> None:
    """Solve every distinct interval in closed form for the spins `at` to `at + n`: rotation and relaxation
    commute.

    factor : (interval, 2, BLOCK) written, real and imaginary part of the factor of M+
    e1 e2 : (time, BLOCK) written, exp(-t/T1) and exp(-t/T2)
    """
    for d in range(prog.times.size):
        for s in range(n):
            e1[d, s] = math.exp(-prog.times[d] * rate[0, at + s])
            e2[d, s] = math.exp(-prog.times[d] * rate[1, at + s])
    for i in range(prog.interval_time.size):
        d = prog.interval_time[i]
        _interval(factor[i], at, n, prog.moment[i], prog.times[d], where, e2[d])


@kernel(fast=True)
def _turn(mx: Array, my: Array, n: int, factor: Array) -> None:
    for s in range(n):
        u = mx[s] * factor[0, s] - my[s] * factor[1, s]
        my[s] = mx[s] * factor[1, s] + my[s] * factor[0, s]
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


@kernel()
def _crush(m: Array, members: int, n: int) -> int:
    """Give each member of the ensemble its phase; the first crusher makes the members."""
    for p in range(1, PHASES):
        c, q = cos_sin(p / PHASES)
        source = 0 if members == 1 else p
        for s in range(n):
            u, v = m[0, source, s], m[1, source, s]
            m[0, p, s] = u * c - v * q
            m[1, p, s] = u * q + v * c
            m[2, p, s] = m[2, source, s]
    return PHASES


@kernel()
def _average(m: Array, members: int, n: int, out: Array) -> None:
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
    _average(m, members, n, mean)
    for s in range(n):
        m[0, 0, s] = transverse * mean[0, s]
        m[1, 0, s] = transverse * mean[1, s]
        m[2, 0, s] = mean[2, s]
    return 1


@kernel()
def walk(
    prog: Program, begin: int, end: int, m: Array, members: int, n: int, op: Array, factor: Array, e1: Array,
    echo: Array, mean: Array,
) -> int:  # fmt: skip
    """Take a block of spins through the events `begin` to `end`; return the size of the ensemble afterwards.

    m : (3, PHASES, spin) magnetisation x y z of each member of the crusher ensemble
    members : size of the ensemble now, 1 or PHASES
    op factor e1 : tables of `pulse_tables` and `prepare_intervals`
    echo : (2, spin) written at a readout: M+ at its sample `first`, mean over the ensemble, without T2'
    mean : (3, spin) scratch
    """
    for event in range(begin, end):
        kind, item = prog.kind[event], prog.item[event]
        if kind == PULSE:
            for p in range(members):
                _nutate(m[0, p], m[1, p], m[2, p], n, op[item])
        else:
            interval = item
            if kind != FREE:
                _average(m, members, n, echo)
                _turn(echo[0], echo[1], n, factor[prog.lead[item]])
                interval = prog.whole[item]
            for p in range(members):
                _turn(m[0, p], m[1, p], n, factor[interval])
                _recover(m[2, p], n, e1[prog.interval_time[interval]])
        if prog.crusher[event]:
            members = _crush(m, members, n)
        if prog.settled[event] and members > 1:
            members = _merge(m, members, n, 1.0, mean)
        if prog.spoil[event]:
            members = _merge(m, members, n, 0.0, mean)
    return members


@kernel()
def equilibrium(m: Array, mz: float, n: int) -> None:
    """Start with M+ = 0 and the given Mz."""
    for s in range(n):
        m[0, 0, s] = 0.0
        m[1, 0, s] = 0.0
        m[2, 0, s] = mz
