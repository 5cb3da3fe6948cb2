"""RF events of Pulseq as pulses: piecewise constant on a raster, or resampled to one."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mrsim.events.rf import Pulse
from mrsim.pulseq.text import PulseqText, Row

USES = {
    "e": "excitation",
    "r": "refocusing",
    "i": "inversion",
    "s": "saturation",
    "p": "preparation",
    "o": "other",
}
LARGEST_EXCITATION = math.radians(
    90.01
)  # of which no use is told: as pypulseq and the Matlab toolbox take it
PEAK = 0.99999  # of the largest amplitude still belongs to the plateau in whose middle the pulse acts
HALF_RASTER = -1  # number of the time shape that stands for samples at every half raster
SLACK = 1e-6  # of a raster

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]


def pulse_of(text: PulseqText, row: Row) -> tuple[Pulse, float]:
    """Pulse of an RF event, with Pulseq's phases, and what its shape adds to the delay [s]."""
    magnitude = text.shape(row["magnitude"], row["line"])
    cycles = text.shape(row["phase_shape"], row["line"]) if row["phase_shape"] else np.zeros(magnitude.size)
    if cycles.size != magnitude.size or not magnitude.size:
        raise text.error(
            row["line"], f"RF must have a phase for each magnitude, got {cycles.size} and {magnitude.size}"
        )
    shape = row["amplitude"] * magnitude * np.exp(2j * np.pi * cycles)  # [Hz]
    times, lead, steps, dt = _timed(text, row, shape)
    nutation = 2 * np.pi * steps * dt
    centre = row["centre"] - lead if "centre" in row else _peak(times, shape) - lead
    use = USES.get(row.get("use", "u"), "")
    if not use:
        use = "excitation" if abs(nutation.sum()) < LARGEST_EXCITATION else "refocusing"
    duration = steps.size * dt
    return Pulse(nutation=nutation, dt=dt, use=use, centre=min(max(centre, 0.0), duration)), lead


def _timed(text: PulseqText, row: Row, shape: Complex) -> tuple[Real, float, Complex, float]:
    """Give the times of the samples [s], when the pulse begins [s], its steps [Hz] and their length [s].

    Samples in the centres of equal steps are such steps. Between samples at any other times the field is a
    straight line, cut into steps no longer than the raster; a constant one is a single step.
    """
    raster = text.raster("RadiofrequencyRasterTime")
    kind = row.get("times", 0)
    if kind == 0:
        times = np.asarray((np.arange(shape.size) + 0.5) * raster, np.float64)
        return times, 0.0, shape, raster
    if kind == HALF_RASTER:
        times = (np.arange(shape.size) + 1) * raster / 2
        begin, end = 0.0, (shape.size + 1) * raster / 2
    else:
        times = text.shape(kind, row["line"]) * raster
        if times.size != shape.size or (np.diff(times) <= 0).any():
            raise text.error(row["line"], f"RF must have {shape.size} ascending times, got {times.size}")
        step = 2 * float(times[0])
        if step > 0 and np.allclose(times, (np.arange(times.size) + 0.5) * step, rtol=0, atol=1e-3 * raster):
            return times, 0.0, shape, step
        begin, end = float(times[0]), float(times[-1])
    if end <= begin:
        raise text.error(row["line"], "RF must last longer than 0 s, got one sample at one time")
    n = 1 if np.ptp(shape.real) == np.ptp(shape.imag) == 0 else math.ceil((end - begin) / raster - SLACK)
    dt = (end - begin) / n
    middle = begin + (np.arange(n) + 0.5) * dt
    return times, begin, np.interp(middle, times, shape), dt


def _peak(times: Real, shape: Complex) -> float:
    """Middle of the plateau of largest amplitude [s]."""
    plateau = np.flatnonzero(np.abs(shape) >= PEAK * np.abs(shape).max())
    return float(times[plateau[0]] + times[plateau[-1]]) / 2
