"""What happens during a readout: spins decay and precess, sample by sample, as a sum of a few images.

exp(-lambda t), lambda = R2 + i 2 pi f, is interpolated in t between Chebyshev points of the readout: every
image is what the spins would make with their signal at one of these times, and every sample is a weighted sum
of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrsim.cine.steady import SignalTable, off_resonance
from phantoms.tissues import TissueTable

Real = NDArray[np.float64]
TOLERANCE = 1e-5  # of the signal of a spin


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Readout:
    """A readout as a sum over points in time.

    factors : (point, tissue, frequency) complex64 on the table of signals at the echo
    weights : (point, sample) float32
    """

    factors: NDArray[np.complex64]
    weights: NDArray[np.float32]


def readout(tissues: TissueTable, sequence: Any, table: SignalTable) -> Readout:  # noqa: ANN401 - BalancedSsfp
    """Make the readout of a sequence for all tissues over all frequencies of a table."""
    r2 = np.array([1 / t.t2 if t.pd > 0 else 0.0 for t in tissues.tissues])
    rate = r2[:, None] + 2j * np.pi * off_resonance(tissues, table)  # (tissue, frequency)
    n = sequence.matrix[1]
    time = sequence.dwell * (np.arange(n) - sequence.echo_sample)
    middle, half = (time[0] + time[-1]) / 2, max((time[-1] - time[0]) / 2, sequence.dwell)
    points = n_points(float(np.abs(rate).max()) * half)
    nodes = np.cos(np.pi * (np.arange(points) + 0.5) / points)
    factors = np.exp(-rate[None] * (middle + half * nodes)[:, None, None])
    return Readout(
        factors=factors.astype(np.complex64),
        weights=lagrange(nodes, (time - middle) / half).astype(np.float32),
    )


def n_points(reach: float) -> int:
    """Count the points that interpolate exp(a x) on [-1, 1], |a| <= `reach`, to TOLERANCE.

    The remainder is at most 2 (reach / 2)^n / n! e^|Re a|, and decay within a readout is slight.
    """
    n = 2
    while 2 * (reach / 2) ** n / math.factorial(n) > TOLERANCE:
        n += 1
    return n


def lagrange(nodes: Real, at: Real) -> Real:
    """Weights (node, place) of Lagrange interpolation."""
    rows = [
        np.prod([(at - other) / (node - other) for other in np.delete(nodes, i)], axis=0)
        for i, node in enumerate(nodes)
    ]
    return np.asarray(rows)
