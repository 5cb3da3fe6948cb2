"""What the receiver does to the signal: phase and frequency offsets, spikes, a converter of few bits."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mrsim.events import Trajectory

Signal = NDArray[np.complex64]


def off_phase(signal: Signal, trajectory: Trajectory, phase: float, frequency: float) -> Signal:
    """Receive with an oscillator that is off by `phase` [rad] and, during each window, by `frequency` [Hz].

    signal : (coil, sample). The phase of the frequency starts anew with each window, so that the image moves
    along the readout by frequency / (bandwidth per pixel).
    """
    first = np.append(0, np.flatnonzero(np.diff(trajectory.adc)) + 1)
    start = np.repeat(trajectory.time[first], np.diff(np.append(first, trajectory.adc.size)))
    angle = phase - 2 * np.pi * frequency * (trajectory.time - start)
    return np.asarray(signal * np.exp(-1j * angle), np.complex64)


def spiked(signal: Signal, count: int, level: float, rng: np.random.Generator) -> Signal:
    """Add `count` spikes of `level` times the largest signal, of random place and phase, to all coils."""
    if not 0 <= count <= signal.shape[1]:
        raise ValueError(f"spikes must lie in 0 to {signal.shape[1]} samples, got {count}")
    at = rng.choice(signal.shape[1], count, replace=False)
    angle = rng.uniform(0, 2 * np.pi, count)
    spoilt = signal.copy()
    spoilt[:, at] += (level * np.abs(signal).max(initial=0.0) * np.exp(1j * angle)).astype(np.complex64)
    return spoilt


def quantised(signal: Signal, bits: int, full_scale: float | None = None) -> Signal:
    """Convert real and imaginary part to `bits` each, between -full_scale and full_scale (clipped beyond).

    full_scale : by default the largest real or imaginary part of each coil, so that nothing is clipped.
        The step is 2 full_scale / 2^bits, its rounding error uniform with a standard deviation of step /
        sqrt(12).
    """
    if not 1 <= bits <= 32:
        raise ValueError(f"bits must lie in 1 to 32, got {bits}")
    if full_scale is not None and not 0 < full_scale < math.inf:
        raise ValueError(f"full_scale must be positive, got {full_scale}")
    parts = np.stack([signal.real, signal.imag]).astype(np.float64)  # (2, coil, sample)
    top = (
        np.abs(parts).max(axis=(0, 2), keepdims=True)
        if full_scale is None
        else np.full((1, 1, 1), full_scale)
    )
    step = np.where(top > 0, top, 1.0) * 2.0 ** (1 - bits)
    half = 2.0 ** (bits - 1)
    real, imaginary = (np.clip(np.floor(parts / step), -half, half - 1) + 0.5) * step
    return np.asarray(real + 1j * imaginary, np.complex64)
