"""Numba kernels over blocks of spins: arrays in, arrays out. The spin is the fastest axis, so that it vectorises.

A block holds at most `BLOCK` spins. Phases are counted in cycles, in float64, and reduced to half a cycle before the
polynomial sine and cosine; only the products of the readout are float32 (see `readout`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from mrsim.bloch.program import FREE, PULSE, Program

BLOCK = 256  # spins: the tables of a readout stay in the caches
PHASES = 4  # members of the crusher ensemble: exact for up to three crushers of like sign in a row
FAST = {"contract", "reassoc", "nsz", "arcp"}

Array = Any  # numba specialises; mypy cannot follow it into the kernels

_SIN = tuple((-1) ** i * (2 * math.pi) ** (2 * i + 1) / math.factorial(2 * i + 1) for i in range(12))
_COS = tuple((-1) ** i * (2 * math.pi) ** (2 * i) / math.factorial(2 * i) for i in range(12))
_SINC = tuple((-1) ** i / math.factorial(2 * i + 1) for i in range(9))  # sin(a)/a in powers of a^2
_COSC = tuple((-1) ** i / math.factorial(2 * i + 2) for i in range(9))  # (1 - cos(a))/a^2


@njit(cache=True, fastmath=FAST)
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


@njit(cache=True, fastmath=FAST)
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


@njit(cache=True, fastmath=FAST)
def _relax(op: Array, n: int, e1: Array, e2: Array) -> None:
    for s in range(n):
        for j in range(4):
            op[j, s] *= e2[s]
            op[4 + j, s] *= e2[s]
            op[8 + j, s] *= e1[s]
        op[11, s] += 1.0 - e1[s]


@njit(cache=True)
def pulse_operators(
    nutation: Array, dt: float, freq: Array, r1: Array, r2: Array, n: int, op: Array, work: Array
) -> None:
    """Affine map of the magnetisation by one pulse with relaxation, for each spin of a block.

    Each raster step is relaxation of half a step, the exact rotation about its field, relaxation of half a step
    (symmetric splitting, error of the second order in the step); a step that turns by more than 1 rad is divided.

    nutation : (step,) complex128 [rad]
    dt : [s]
    freq : (spin,) [Hz] off-resonance and slice gradient together
    r1 r2 : (spin,) [1/s]
    op : (12, spin) written: rows x y z by columns x y z 1
    work : (5, spin) scratch
    """
    peak = np.abs(nutation).max()
    for s in range(n):
        peak = max(peak, 2 * math.pi * abs(freq[s]) * dt)
    pieces = int(math.ceil(1.5 * peak)) if peak > 0.5 else 1
    for s in range(n):
        work[0, s] = 2 * math.pi * freq[s] * dt / pieces
        work[3, s] = math.exp(-0.5 * r1[s] * dt / pieces)
        work[4, s] = math.exp(-0.5 * r2[s] * dt / pieces)
        work[1, s] = work[3, s] * work[3, s]
        work[2, s] = work[4, s] * work[4, s]
    op[:, :n] = 0.0
    op[0, :n] = 1.0
    op[5, :n] = 1.0
    op[10, :n] = 1.0
    for i in range(nutation.size):
        bx, by = nutation[i].real / pieces, nutation[i].imag / pieces
        for p in range(pieces):
            half = i == 0 and p == 0
            _step(op, n, bx, by, work[0], work[3] if half else work[1], work[4] if half else work[2])
    _relax(op, n, work[3], work[4])


@njit(cache=True)
def prepare_pulses(
    prog: Program, x: Array, y: Array, z: Array, freq: Array, r1: Array, r2: Array, n: int, op: Array,
    offset: Array, work: Array,
) -> None:  # fmt: skip
    """Operators of every distinct pulse for a block of spins: op (pulse, 12, spin); offset (spin,) scratch."""
    for u in range(prog.pulse_dt.size):
        g = prog.pulse_slope[u]
        for s in range(n):
            offset[s] = freq[s] + g[0] * x[s] + g[1] * y[s] + g[2] * z[s]
        steps = prog.nutation[prog.pulse_start[u] : prog.pulse_start[u + 1]]
        pulse_operators(steps, prog.pulse_dt[u], offset, r1, r2, n, op[u], work)


@njit(cache=True, fastmath=FAST)
def _interval(factor: Array, n: int, gx: float, gy: float, gz: float, t: float,
              x: Array, y: Array, z: Array, freq: Array, e2: Array) -> None:  # fmt: skip
    for s in range(n):
        c, q = cos_sin(gx * x[s] + gy * y[s] + gz * z[s] + freq[s] * t)
        factor[0, s] = e2[s] * c
        factor[1, s] = -e2[s] * q


@njit(cache=True)
def prepare_intervals(
    prog: Program, x: Array, y: Array, z: Array, freq: Array, r1: Array, r2: Array, n: int,
    factor: Array, e1: Array, e2: Array,
) -> None:  # fmt: skip
    """Closed form of every distinct interval: rotation by its moment and off-resonance, and relaxation.

    factor : (interval, 2, spin) written, real and imaginary part of the factor of M+
    e1 e2 : (time, spin) written, exp(-t/T1) and exp(-t/T2)
    """
    for d in range(prog.times.size):
        for s in range(n):
            e1[d, s] = math.exp(-prog.times[d] * r1[s])
            e2[d, s] = math.exp(-prog.times[d] * r2[s])
    for i in range(prog.interval_time.size):
        d, k = prog.interval_time[i], prog.moment[i]
        _interval(factor[i], n, k[0], k[1], k[2], prog.times[d], x, y, z, freq, e2[d])


@njit(cache=True, fastmath=FAST)
def _turn(mx: Array, my: Array, n: int, factor: Array) -> None:
    for s in range(n):
        u = mx[s] * factor[0, s] - my[s] * factor[1, s]
        my[s] = mx[s] * factor[1, s] + my[s] * factor[0, s]
        mx[s] = u


@njit(cache=True, fastmath=FAST)
def _recover(mz: Array, n: int, e1: Array) -> None:
    for s in range(n):
        mz[s] = mz[s] * e1[s] + (1.0 - e1[s])


@njit(cache=True, fastmath=FAST)
def _nutate(mx: Array, my: Array, mz: Array, n: int, op: Array) -> None:
    for s in range(n):
        u, v, w = mx[s], my[s], mz[s]
        mx[s] = op[0, s] * u + op[1, s] * v + op[2, s] * w + op[3, s]
        my[s] = op[4, s] * u + op[5, s] * v + op[6, s] * w + op[7, s]
        mz[s] = op[8, s] * u + op[9, s] * v + op[10, s] * w + op[11, s]


@njit(cache=True)
def _crush(m: Array, members: int, n: int) -> int:
    """Give each member of the ensemble its phase; the first crusher makes the members."""
    if members == 1:
        for p in range(1, PHASES):
            m[:, p, :n] = m[:, 0, :n]
    for p in range(1, PHASES):
        c, q = cos_sin(p / PHASES)
        for s in range(n):
            u = m[0, p, s] * c - m[1, p, s] * q
            m[1, p, s] = m[0, p, s] * q + m[1, p, s] * c
            m[0, p, s] = u
    return PHASES


@njit(cache=True)
def _average(m: Array, members: int, n: int, out: Array) -> None:
    """Mean over the ensemble of the components that `out` has."""
    for a in range(out.shape[0]):
        for s in range(n):
            total = m[a, 0, s]
            for p in range(1, members):
                total += m[a, p, s]
            out[a, s] = total / members


@njit(cache=True)
def walk(
    prog: Program, begin: int, end: int, m: Array, members: int, n: int, op: Array, factor: Array, e1: Array,
    echo: Array, mean: Array,
) -> int:  # fmt: skip
    """Take a block of spins through the events `begin` to `end`; return the size of the ensemble afterwards.

    m : (3, PHASES, spin) magnetisation x y z of each member of the crusher ensemble
    members : size of the ensemble now, 1 or PHASES
    op factor e1 : tables of `prepare_pulses` and `prepare_intervals`
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
        if prog.spoil[event]:
            _average(m, members, n, mean)
            m[:2, 0, :n] = 0.0
            m[2, 0, :n] = mean[2, :n]
            members = 1
    return members
