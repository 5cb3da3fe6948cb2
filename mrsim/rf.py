"""RF pulses: shapes as flip angle per raster step."""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrsim.constants import GAMMA

USES = ("excitation", "refocusing")
HAMMING = 0.54
RASTER = 10e-6  # [s] steps of a shaped pulse


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Pulse:
    """An RF pulse, piecewise constant on its raster.

    nutation : (step,) complex128 [rad] flip angle exp(i phase) of each raster step, GAMMA * B1 * dt
    dt : [s] raster; 0 makes the pulse an instantaneous rotation, the same for every off-resonance
    use : "excitation" (coherences are born in its centre) or "refocusing" (their phases are inverted there)
    """

    nutation: NDArray[np.complex128]
    dt: float
    use: str

    def __post_init__(self) -> None:
        shape = np.array(self.nutation, np.complex128)
        shape.flags.writeable = False
        object.__setattr__(self, "nutation", shape)
        if shape.ndim != 1 or shape.size == 0 or not np.isfinite(shape).all():
            raise ValueError(f"nutation must be one finite row of steps, got shape {shape.shape} rad")
        if not 0 <= self.dt < math.inf:
            raise ValueError(f"dt must be finite and not negative, got {self.dt} s")
        if self.use not in USES:
            raise ValueError(f"use must be one of {', '.join(USES)}, got {self.use!r}")

    @property
    def duration(self) -> float:
        """[s]."""
        return self.dt * self.nutation.size

    @property
    def flip(self) -> float:
        """On-resonance flip angle [rad] of a pulse whose phase does not change."""
        return float(abs(self.nutation.sum()))

    @property
    def peak_b1(self) -> float:
        """Largest |B1| [T]; 0 of an instantaneous rotation, which no coil can play."""
        return float(np.abs(self.nutation).max() / (GAMMA * self.dt)) if self.dt else 0.0


def instantaneous(flip: float, *, phase: float = 0.0, use: str) -> Pulse:
    """Rotate perfectly in no time: `flip` [rad] about the transverse axis at angle `phase` [rad]."""
    return Pulse(nutation=np.array([cmath.rect(flip, phase)]), dt=0.0, use=use)


def hard(flip: float, duration: float, *, phase: float = 0.0, use: str) -> Pulse:
    """Rectangular pulse of `duration` [s]; one step, since the kernels are exact for a constant field."""
    return Pulse(nutation=np.array([cmath.rect(flip, phase)]), dt=duration, use=use)


def hamming_sinc(
    flip: float, duration: float, tbw: float, *, phase: float = 0.0, use: str, steps: int | None = None
) -> Pulse:
    """Hamming-windowed (0.54/0.46) sinc of time-bandwidth product `tbw`, sampled at the step centres.

    flip : [rad] on resonance
    duration : [s]
    phase : [rad] of the transverse axis
    steps : raster steps, by default as many as make them 10 us
    """
    n = max(8, round(duration / RASTER)) if steps is None else steps
    t = (np.arange(n) + 0.5) / n - 0.5  # in units of the duration
    shape = np.sinc(tbw * t) * (HAMMING + (1 - HAMMING) * np.cos(2 * np.pi * t))
    return Pulse(nutation=shape / shape.sum() * cmath.rect(flip, phase), dt=duration / n, use=use)
