"""The three scans that are compared: gradients do all the spoiling, and every scan starts in equilibrium."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from mrsim.sequences import sequence_class

SCANS: dict[str, tuple[str, dict[str, Any]]] = {
    "SE": ("spin-echo", {"te": 30e-3, "tr": 0.6, "bandwidth": 400.0}),
    "GRE": ("gre", {"te": 5e-3, "tr": 20e-3, "flip": math.radians(20), "bandwidth": 400.0, "dummies": 20}),
    "bSSFP": (
        "bssfp",
        {
            "tr": 6e-3,
            "flip": math.radians(50),
            "bandwidth": 800.0,
            "dummies": 20,
            "preparation": "half-alpha",
        },
    ),
}


def scan(name: str, **parameters: Any) -> Any:
    """Scan `name` of ideal pulses, RF-spoiled (GRE) or balanced (bSSFP), with other parameters if given."""
    sequence, own = SCANS[name]
    base = {"rf": "ideal", "spoiling": "gradient", "preparation": "equilibrium", "thickness": 5e-3}
    return sequence_class(sequence)(**{**base, **own, **parameters})


def image(signal: np.ndarray, sequence: Any) -> np.ndarray:
    """Complex image (y, x) of a signal (1, sample)."""
    kspace = sequence.events().sorted_kspace(signal)[0]
    return np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace), norm="ortho"))


def nrmse(found: np.ndarray, expected: np.ndarray) -> float:
    """Norm of the difference over the norm of what is expected; nothing is fitted."""
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def without_t2prime(spins: Any) -> Any:
    """The same spins without T2'."""
    return replace(spins, t2prime=np.full_like(spins.t2prime, np.inf))
