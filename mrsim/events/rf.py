"""RF pulses: shapes as flip angle per raster step."""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrsim.constants import GAMMA

USES = ("excitation", "refocusing", "inversion", "saturation", "preparation", "other")
HAMMING = 0.54
RASTER = 10e-6  # [s] steps of a shaped pulse
SLIVER = 1e-10  # [s] shorter steps are rounding


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Pulse:
    """An RF pulse, piecewise constant on its raster.

    nutation : (step,) complex128 [rad] flip angle exp(i phase) of each raster step, GAMMA * B1 * dt
    dt : [s] raster; 0 makes the pulse an instantaneous rotation, the same for every off-resonance
    use : "excitation" (coherences are born in its centre), "refocusing" (their phases are inverted there), or
        one of those that leave them alone: "inversion", "saturation", "preparation", "other"
    centre : [s] from the start to where the pulse may be thought to act at once; the middle by default
    """

    nutation: NDArray[np.complex128]
    dt: float
    use: str
    centre: float = math.nan

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
        centre = self.duration / 2 if math.isnan(self.centre) else self.centre
        if not 0 <= centre <= self.duration:
            raise ValueError(f"centre must lie in 0 to {self.duration} s, got {centre} s")
        object.__setattr__(self, "centre", centre)

    @property
    def duration(self) -> float:
        """[s]."""
        return self.dt * self.nutation.size

    def part(self, begin: float, end: float) -> list[Pulse]:
        """Cut out what is played from `begin` to `end` [s], as pulses that each keep to one raster.

        Steps that are cut turn by their share. The part that holds the centre keeps the use, or the later one
        if it is cut there; the others are "other". An instantaneous pulse cannot be cut.
        """
        if self.dt == 0:
            return [self]
        edges = np.arange(self.nutation.size + 1) * self.dt
        times = np.concatenate(([begin], edges[(edges > begin + SLIVER) & (edges < end - SLIVER)], [end]))
        length = np.diff(times)
        step = np.clip(((times[:-1] + times[1:]) / (2 * self.dt)).astype(int), 0, self.nutation.size - 1)
        whole = np.abs(length - self.dt) < SLIVER
        runs = np.flatnonzero(np.append(True, ~(whole[1:] & whole[:-1])))
        return [
            self._steps(step[a:b], self.dt if whole[a] else float(length[a]), float(times[a]))
            for a, b in zip(runs, np.append(runs[1:], length.size), strict=True)
        ]

    def _steps(self, step: NDArray[np.intp], dt: float, begin: float) -> Pulse:
        """Play some steps, each for `dt` [s] only, from `begin` [s] on."""
        nutation = self.nutation[step] * (dt / self.dt)
        centre, length = self.centre - begin, step.size * dt
        ends_it = begin + length > self.duration - SLIVER
        if not (-SLIVER <= centre < length - SLIVER or (ends_it and abs(centre - length) <= SLIVER)):
            return Pulse(nutation=nutation, dt=dt, use="other")
        return Pulse(nutation=nutation, dt=dt, use=self.use, centre=min(max(0.0, centre), length))

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


def gaussian(flip: float, duration: float, *, phase: float = 0.0, use: str) -> Pulse:
    """Gaussian of `duration` [s], cut off at three standard deviations.

    Its spectrum is a Gaussian of standard deviation 3 / (pi duration) [Hz]: a frequency 2.2 / duration [Hz]
    beside it is turned by only 7 % of the `flip` [rad].
    """
    n = max(8, round(duration / RASTER))
    t = (np.arange(n) + 0.5) / n - 0.5  # in units of the duration
    shape = np.exp(-18 * t**2)
    return Pulse(nutation=shape / shape.sum() * cmath.rect(flip, phase), dt=duration / n, use=use)
