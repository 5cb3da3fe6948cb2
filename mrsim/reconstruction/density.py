"""Sampling density of a trajectory: how much of k-space each sample stands for."""

from __future__ import annotations

import finufft
import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len

Real = NDArray[np.float64]

ITERATIONS = 10  # more changes nothing that 10 steps of conjugate gradients leave
ACCURACY = 1e-6  # of the transforms
NO_DENSITY = 1e-12  # relative: what is less is rounding


def pipe_menon(k: Real, matrix: tuple[int, int], *, iterations: int = ITERATIONS) -> Real:
    """Weights (sample,), each the area of k-space [(cycles/pixel)^2] that a sample stands for.

    w <- w / (C * w) until the weights, convolved with C, are 1 at every sample (Pipe and Menon, Magn Reson
    Med 1999;41:179). C is the transform of the autocorrelation of the field of view's ellipse (Johnson and
    Pipe, Magn Reson Med 2009;61:439): nothing beyond it can fold into the image, and C is nowhere negative,
    so that the weights stay positive. Samples that share a place share its area; a gap leaves the weights at
    the area that one sample can speak for.

    k : (sample, 2) [cycles/pixel] y, x
    matrix : pixels y, x
    """
    window = _window(matrix)
    shape = np.array(window.shape)
    y, x = (np.ascontiguousarray(np.remainder(c * 2 * np.pi, 2 * np.pi)) for c in k.T)
    plans = [
        finufft.Plan(kind, tuple(shape), isign=sign, eps=ACCURACY, dtype="complex128")
        for kind, sign in ((1, 1), (2, -1))
    ]
    for plan in plans:
        plan.setpts(y, x)
    weights = np.ones(len(k))
    for _ in range(iterations):
        around = plans[1].execute(window * plans[0].execute(weights.astype(np.complex128))).real
        weights = weights / np.maximum(around, NO_DENSITY * around.max())
    return weights


def _window(matrix: tuple[int, int]) -> Real:
    """(y, x) autocorrelation of an ellipse as large as the image, on pixels enough to hold all of it."""
    axes = [(np.arange(n) - n // 2) / m for n, m in zip(map(_grid, matrix), matrix, strict=True)]
    r = np.minimum(np.hypot(axes[0][:, None], axes[1][None, :]), 1.0)
    return np.asarray(2 / np.pi * (np.arccos(r) - r * np.sqrt(1 - r**2)))


def _grid(n: int) -> int:
    return int(next_fast_len(2 * n + 1))
