"""Kernels of the dynamic engine, spin by spin: a stretch at rest, and a shaped pulse."""

from __future__ import annotations

import math
from typing import Any

from mrsim.bloch.jit import kernel
from mrsim.bloch.rotation import cos_sin

Array = Any


@kernel(entry=True)
def precess(begin: int, end: int, m: Array, turns: Array, r1: Array, r2: Array, dt: float) -> None:
    """Turn M+ of the spins `begin` to `end` by so many turns in `dt` [s], and relax; m (3, member, spin)."""
    for s in range(begin, end):
        c, q = cos_sin(turns[s])
        e1, e2 = math.exp(-dt * r1[s]), math.exp(-dt * r2[s])
        for p in range(m.shape[1]):
            x, y = m[0, p, s], m[1, p, s]
            m[0, p, s] = e2 * (x * c + y * q)
            m[1, p, s] = e2 * (y * c - x * q)
            m[2, p, s] = 1.0 - (1.0 - m[2, p, s]) * e1


@kernel(entry=True)
def nutate(
    begin: int, end: int, m: Array, pulse: Array, dt: float, pieces: int, offset: float, rate0: Array,
    rate1: Array, b1: Array, r1: Array, r2: Array,
) -> None:  # fmt: skip
    """Play a pulse: half a piece of relaxation, a rotation, half a piece of relaxation.

    pulse : (step,) complex [rad] nutation in each `dt` [s], phase and frequency in it
    pieces : that each step is cut into
    offset : [Hz] frequency of the pulse
    rate0 rate1 : (spin,) [Hz] of the spins at its beginning and end, linear in between
    b1 : (spin,) complex relative transmit field
    """
    short = dt / pieces
    total = pulse.size * pieces
    c0, q0 = cos_sin(offset * short)
    for s in range(begin, end):
        e1, e2 = math.exp(-short * r1[s] / 2), math.exp(-short * r2[s] / 2)
        slope = (rate1[s] - rate0[s]) / total
        for p in range(m.shape[1]):
            x, y, z = m[0, p, s], m[1, p, s], m[2, p, s]
            for i in range(total):
                step = i // pieces
                back_c, back_q = cos_sin(offset * short * (i % pieces))
                u, v = pulse[step].real, pulse[step].imag
                u, v = u * back_c + v * back_q, v * back_c - u * back_q
                bx = -(b1[s].real * u - b1[s].imag * v) / pieces
                by = -(b1[s].real * v + b1[s].imag * u) / pieces
                bz = -2 * math.pi * short * (rate0[s] + slope * (i + 0.5) - offset)
                x, y, z = x * e2, y * e2, 1.0 - (1.0 - z) * e1
                angle = math.sqrt(bx * bx + by * by + bz * bz)
                if angle > 0.0:
                    ax, ay, az = bx / angle, by / angle, bz / angle
                    c, q = cos_sin(angle / (2 * math.pi))
                    along = (ax * x + ay * y + az * z) * (1 - c)
                    x, y, z = (
                        x * c + (ay * z - az * y) * q + ax * along,
                        y * c + (az * x - ax * z) * q + ay * along,
                        z * c + (ax * y - ay * x) * q + az * along,
                    )
                x, y = x * c0 + y * q0, y * c0 - x * q0
                x, y, z = x * e2, y * e2, 1.0 - (1.0 - z) * e1
            m[0, p, s], m[1, p, s], m[2, p, s] = x, y, z
