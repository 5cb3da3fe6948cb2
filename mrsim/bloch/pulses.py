"""Numba kernels of RF: what a pulse does to each spin of a block, with relaxation, to a stated error.

A raster step is a rotation about a constant field while relaxing. It is split as Simpson's rule splits an
integral, a sixth of the relaxation, half of the rotation, two thirds of the relaxation, half of the rotation,
a sixth of the relaxation (Chin, Phys Lett A 1997;226:344), so that relaxation enters to the fourth order of
the angle; a gradient that changes enters by the second term of the Magnus series, which turns the axis of the
RF a little. Steps are divided until the bound of `_pieces` keeps below the tolerance.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mrsim.bloch.jit import kernel
from mrsim.bloch.nodes import BLOCK
from mrsim.bloch.program import Program
from mrsim.bloch.rotation import sinc_cosc

TOLERANCE = 1e-6  # of the magnetisation, per pulse
MOST_PIECES = 100_000
SLOPE, TILT, B1, DECAY = 1, 2, 3, 5  # rows of the scratch, beside that of bz

Array = Any


@kernel(fast=True)
def _turn_piece(op: Array, n: int, x: float, y: float, at: float, work: Array, begins: bool) -> None:
    """Let one piece of RF act on the operators.

    op : (12 * BLOCK,) a row of `BLOCK` for each element, so that the compiler knows that they do not overlap
    x y : [rad] half of its nutation
    at : pieces from the centre of the first one to that of this one
    work : (11 * BLOCK,) rows bz (half of the precession in the first piece [rad]), what it grows by from
        piece to piece, tilt (turn of the axis by a changing gradient), relative transmit field (2), and decay
        by R1 and R2 in a sixth, a third and two thirds of the piece (6)
    begins : whether no piece went before

    With R half of the rotation, G the relaxation between the halves: R G R = g2 R^2 + (g1 - g2) R z z' R.
    """
    first = (DECAY if begins else DECAY + 2) * BLOCK
    for s in range(n):
        b1x, b1y, tilt = work[B1 * BLOCK + s], work[(B1 + 1) * BLOCK + s], work[TILT * BLOCK + s]
        re, im = x * b1x - y * b1y, x * b1y + y * b1x
        u, v, w = tilt * im - re, -im - tilt * re, -work[s] - at * work[SLOPE * BLOCK + s]
        f1, f2 = work[first + s], work[first + BLOCK + s]
        g1, g2 = work[(DECAY + 4) * BLOCK + s], work[(DECAY + 5) * BLOCK + s]
        q = u * u + v * v + w * w
        a, c = sinc_cosc(q)
        d = 1.0 - c * q
        xz, yz, zx, zy, zz = (
            c * u * w + a * v,
            c * v * w - a * u,
            c * u * w - a * v,
            c * v * w + a * u,
            d + c * w * w,
        )
        a, c, h = 2.0 * g2 * a * d, 2.0 * g2 * a * a, g1 - g2  # of the whole rotation, times g2
        d = g2 - c * q
        m00, m01, m02 = (
            d + c * u * u + h * xz * zx,
            c * u * v - a * w + h * xz * zy,
            c * u * w + a * v + h * xz * zz,
        )
        m10, m11, m12 = (
            c * u * v + a * w + h * yz * zx,
            d + c * v * v + h * yz * zy,
            c * v * w - a * u + h * yz * zz,
        )
        m20, m21, m22 = (
            c * u * w - a * v + h * zz * zx,
            c * v * w + a * u + h * zz * zy,
            d + c * w * w + h * zz * zz,
        )
        for j in range(4):
            p, r, o = f2 * op[j * BLOCK + s], f2 * op[(4 + j) * BLOCK + s], f1 * op[(8 + j) * BLOCK + s]
            op[j * BLOCK + s] = m00 * p + m01 * r + m02 * o
            op[(4 + j) * BLOCK + s] = m10 * p + m11 * r + m12 * o
            op[(8 + j) * BLOCK + s] = m20 * p + m21 * r + m22 * o
        grown, later = 1.0 - f1, 1.0 - g1
        op[3 * BLOCK + s] += m02 * grown + xz * later
        op[7 * BLOCK + s] += m12 * grown + yz * later
        op[11 * BLOCK + s] += m22 * grown + zz * later


@kernel(fast=True)
def _relax(op: Array, n: int, e: Array) -> None:
    for s in range(n):
        for j in range(4):
            op[j, s] *= e[1, s]
            op[4 + j, s] *= e[1, s]
            op[8 + j, s] *= e[0, s]
        op[11, s] += 1.0 - e[0, s]


@kernel(entry=True)
def _pieces(
    nutation: Array, dt: float, b1: float, freq: float, change: float, rate: float, tolerance: float
) -> int:
    """Into how many pieces to divide each step, so that the error of the pulse stays below `tolerance`.

    With theta the nutation of a step, phi its whole angle, rho the relaxation and delta the growth of the
    precession [rad] during it, p pieces leave at most

        sum over steps of  rho theta phi^3 / (90 p^4) + rho^2 theta / (24 p^2) + delta theta phi^2 / (40 p^4)

    and turn by less than 1 rad at a time, which the polynomials ask for.

    b1 freq change rate : largest |B1|, off-resonance [Hz], change of it in a step [Hz], and R1 or R2 [1/s]
    """
    turn, delta, rho, peak, fourth, second = (
        2 * math.pi * freq * dt,
        2 * math.pi * change * dt,
        rate * dt,
        0.0,
        0.0,
        0.0,
    )
    for i in range(nutation.size):
        theta = b1 * abs(nutation[i])
        phi = math.sqrt(theta * theta + turn * turn)
        peak = max(peak, phi)
        fourth += theta * phi * phi * (rho * phi / 90 + delta / 40)
        second += rho * rho * theta / 24
    least = max(0.5 * peak, (2 * fourth / tolerance) ** 0.25, math.sqrt(2 * second / tolerance))
    return min(MOST_PIECES, max(1, math.ceil(least)))


@kernel(entry=True)
def pulse_operator(
    prog: Program, u: int, where: Array, rate: Array, b1: Array, at: int, n: int, tolerance: float, op: Array,
    work: Array,
) -> None:  # fmt: skip
    """Affine map of the magnetisation by pulse `u` for the spins `at` to `at + n`, in the frame of its RF.

    where rate b1 : see `mrsim.bloch.nodes.Nodes`
    op : (12, spin) written: rows x y z by columns x y z 1
    work : (11, spin) scratch
    """
    dt, steps = prog.pulse_dt[u], prog.pulse_start[u + 1] - prog.pulse_start[u]
    nutation = prog.nutation[prog.pulse_start[u] : prog.pulse_start[u + 1]]
    bz, slope, tilt, field, e = work[0], work[1], work[2], work[3:5], work[5:11]
    b, freq, change, fastest, g = 0.0, 0.0, 0.0, 0.0, prog.pulse_rate[u]
    for s in range(n):
        x, y, z = where[0, at + s], where[1, at + s], where[2, at + s]
        begin = g[0, 0] * x + g[0, 1] * y + g[0, 2] * z + where[3, at + s] - prog.pulse_freq[u]
        end = g[1, 0] * x + g[1, 1] * y + g[1, 2] * z + where[3, at + s] - prog.pulse_freq[u]
        bz[s], slope[s] = begin, end - begin  # [Hz], for now
        field[0, s], field[1, s] = b1[0, at + s], b1[1, at + s]
        b = max(b, math.hypot(field[0, s], field[1, s]))
        freq = max(freq, abs(begin), abs(end))
        change = max(change, abs(end - begin) / steps)
        fastest = max(fastest, rate[0, at + s], rate[1, at + s])
    pieces = _pieces(nutation, dt, b, freq, change, fastest, tolerance)
    h = dt / pieces
    for s in range(n):
        growth = 2 * math.pi * slope[s] * h / (steps * pieces)  # [rad] from piece to piece
        tilt[s] = -growth / 12  # second term of the Magnus series
        bz[s] = math.pi * bz[s] * h + 0.25 * growth
        slope[s] = 0.5 * growth
        for k in range(2):
            if s > 0 and rate[k, at + s] == rate[k, at + s - 1]:
                sixth = e[k, s - 1]
            else:
                sixth = math.exp(-rate[k, at + s] * h / 6)
            e[k, s], e[2 + k, s], e[4 + k, s] = sixth, sixth**2, sixth**4
    for j in range(12):
        for s in range(n):
            op[j, s] = 1.0 if j % 5 == 0 else 0.0
    flat, rows = op.reshape(12 * BLOCK), work.reshape(11 * BLOCK)
    for i in range(steps):
        x, y = 0.5 * nutation[i].real / pieces, 0.5 * nutation[i].imag / pieces
        for p in range(pieces):
            j = i * pieces + p
            _turn_piece(flat, n, x, y, np.float64(j), rows, j == 0)
    _relax(op, n, e)
