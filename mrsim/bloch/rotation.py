"""Polynomials of the kernels: cosine and sine in forms that vectorise."""

from __future__ import annotations

import math

import numpy as np

from mrsim.bloch.jit import kernel

_SIN = tuple((-1) ** i * (2 * math.pi) ** (2 * i + 1) / math.factorial(2 * i + 1) for i in range(12))
_COS = tuple((-1) ** i * (2 * math.pi) ** (2 * i) / math.factorial(2 * i) for i in range(12))
_SIN32 = tuple(np.float32(a) for a in _SIN[:6])
_COS32 = tuple(np.float32(a) for a in _COS[:7])
_SINC = tuple((-1) ** i / math.factorial(2 * i + 1) for i in range(8))  # sin(a)/a in powers of a^2
_COSC = tuple((-1) ** i / math.factorial(2 * i + 2) for i in range(8))  # (1 - cos(a))/a^2


@kernel(fast=True, entry=True)
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


@kernel(fast=True, entry=True)
def cos_sin_32(cycles: float) -> tuple[float, float]:
    """Cosine and sine of 2 pi `cycles`, all float32, to 2e-7 beside what rounding makes of `cycles`."""
    one, two, half = np.float32(1), np.float32(2), np.float32(0.5)
    halves = np.rint(two * cycles)
    r = cycles - half * halves
    sign = one - two * (halves - two * np.floor(half * halves))
    q = r * r
    s, c = _SIN32[5], _COS32[6]
    for i in range(4, -1, -1):
        s = s * q + _SIN32[i]
    for i in range(5, -1, -1):
        c = c * q + _COS32[i]
    return sign * c, sign * s * r


@kernel(fast=True, entry=True)
def sinc_cosc(q: float) -> tuple[float, float]:
    """sin(a) / a and (1 - cos(a)) / a^2 of q = a^2 up to 1, to 1e-14."""
    a, c = _SINC[7], _COSC[7]
    for i in range(6, -1, -1):
        a = a * q + _SINC[i]
        c = c * q + _COSC[i]
    return a, c
