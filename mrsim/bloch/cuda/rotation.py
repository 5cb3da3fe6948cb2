"""Device functions: cosine and sine, and rotation about a field."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import cuda

_SIN = tuple((-1) ** i * (2 * math.pi) ** (2 * i + 1) / math.factorial(2 * i + 1) for i in range(8))
_COS = tuple((-1) ** i * (2 * math.pi) ** (2 * i) / math.factorial(2 * i) for i in range(9))
_SIN32 = tuple(np.float32(a) for a in _SIN[:5])
_COS32 = tuple(np.float32(a) for a in _COS[:5])
_SINC = tuple((-1) ** i / math.factorial(2 * i + 1) for i in range(8))  # sin(a)/a in powers of a^2
_COSC = tuple((-1) ** i / math.factorial(2 * i + 2) for i in range(8))  # (1 - cos(a))/a^2

S0, S1, S2, S3, S4, S5, S6, S7 = _SIN  # names: numba would keep a tuple in memory
C0, C1, C2, C3, C4, C5, C6, C7, C8 = _COS
F0, F1, F2, F3, F4 = _SIN32
G0, G1, G2, G3, G4 = _COS32
A0, A1, A2, A3, A4, A5, A6, A7 = _SINC
B0, B1, B2, B3, B4, B5, B6, B7 = _COSC

Array = Any


@cuda.jit(device=True)
def cos_sin(cycles: float) -> tuple[float, float]:
    """Cosine and sine of 2 pi `cycles`, float64, to 1e-15."""
    quarters = math.floor(4.0 * cycles + 0.5)
    r = cycles - 0.25 * quarters  # [-1/8, 1/8]
    q = r * r
    s = r * (((((((S7 * q + S6) * q + S5) * q + S4) * q + S3) * q + S2) * q + S1) * q + S0)
    c = (((((((C8 * q + C7) * q + C6) * q + C5) * q + C4) * q + C3) * q + C2) * q + C1) * q + C0
    quarter = int(quarters) & 3
    if quarter & 1:
        s, c = c, -s
    if quarter & 2:
        s, c = -s, -c
    return c, s


@cuda.jit(device=True)
def cos_sin_32(cycles: float) -> tuple[np.float32, np.float32]:
    """Cosine and sine, float32, to 2e-7, of 2 pi `cycles`, float64 so that no phase is lost."""
    quarters = math.floor(4.0 * cycles + 0.5)
    r = np.float32(cycles - 0.25 * quarters)
    q = r * r
    s = r * ((((F4 * q + F3) * q + F2) * q + F1) * q + F0)
    c = (((G4 * q + G3) * q + G2) * q + G1) * q + G0
    quarter = int(quarters) & 3
    if quarter & 1:
        s, c = c, -s
    if quarter & 2:
        s, c = -s, -c
    return c, s


@cuda.jit(device=True)
def rotation(u: float, v: float, w: float) -> tuple[float, ...]:
    """Rows of the matrix that turns a vector by (u, v, w) rad, right-handed; up to 1 rad, to 1e-14."""
    q = u * u + v * v + w * w
    a = ((((((A7 * q + A6) * q + A5) * q + A4) * q + A3) * q + A2) * q + A1) * q + A0
    c = ((((((B7 * q + B6) * q + B5) * q + B4) * q + B3) * q + B2) * q + B1) * q + B0
    d = 1.0 - c * q
    au, av, aw, cu, cv, cw = a * u, a * v, a * w, c * u, c * v, c * w
    xy, xz, yz = cu * v, cu * w, cv * w
    return (
        d + cu * u, xy - aw, xz + av,
        xy + aw, d + cv * v, yz - au,
        xz - av, yz + au, d + cw * w,
    )  # fmt: skip
