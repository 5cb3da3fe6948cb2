"""What a scanner's amplifiers and clocks can do, and the gradient lobes that they allow."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from mrsim.events.blocks import Trapezoid

ROUNDING = 1e-9  # of a raster


@dataclass(frozen=True, kw_only=True, slots=True)
class Hardware:
    """Limits that sequences keep.

    max_gradient [T/m] max_slew [T/m/s] max_b1 [T]
    gradient_raster : [s] corners of gradients lie on it
    adc_raster : [s] dwell times are multiples of it
    rf_dead_time : [s] from the start of a block to its pulse
    rf_ringdown : [s] from the end of a pulse to that of its block
    adc_dead_time : [s] before and after a receiver window
    """

    max_gradient: float = 40e-3
    max_slew: float = 150.0
    max_b1: float = 25e-6
    gradient_raster: float = 10e-6
    adc_raster: float = 100e-9
    rf_dead_time: float = 100e-6
    rf_ringdown: float = 30e-6
    adc_dead_time: float = 10e-6

    def __post_init__(self) -> None:
        for name, unit in (("max_gradient", "T/m"), ("max_slew", "T/m/s"), ("max_b1", "T")):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive, got {value} {unit}")

    def rastered(self, time: float) -> float:
        """Shortest time on the gradient raster that is at least `time` [s]."""
        return math.ceil(time / self.gradient_raster - ROUNDING) * self.gradient_raster

    def dwell(self, time: float) -> float:
        """Dwell time on the raster that is nearest to `time` [s]."""
        return max(1, round(time / self.adc_raster)) * self.adc_raster

    def ramp(self, amplitude: float) -> float:
        """Shortest time from 0 to `amplitude` [T/m]: at least one raster, 0 s for no gradient at all."""
        return self.rastered(abs(amplitude) / self.max_slew) if amplitude else 0.0

    def flat(self, amplitude: float, flat: float, name: str, remedy: str) -> Trapezoid:
        """Trapezoid of `amplitude` [T/m] for `flat` [s], or a ValueError that offers the `remedy`."""
        if abs(amplitude) > self.max_gradient * (1 + ROUNDING):
            raise ValueError(
                f"{name} must be at most max_gradient = {self.max_gradient * 1e3:g} mT/m, "
                f"got {abs(amplitude) * 1e3:.4g} mT/m: take {remedy}"
            )
        ramp = self.ramp(amplitude)
        return Trapezoid(amplitude=amplitude, rise=ramp, flat=flat, fall=ramp)

    def lobe(self, area: float) -> Trapezoid:
        """Shortest trapezoid or triangle of `area` [s T/m]."""
        ramp = self.rastered(math.sqrt(abs(area) / self.max_slew))
        if area == 0:
            return Trapezoid(amplitude=0.0, rise=0.0, flat=0.0, fall=0.0)
        if abs(area) / ramp <= self.max_gradient:
            return Trapezoid(amplitude=area / ramp, rise=ramp, flat=0.0, fall=ramp)
        ramp = self.rastered(self.max_gradient / self.max_slew)
        flat = self.rastered(abs(area) / self.max_gradient - ramp)
        return Trapezoid(amplitude=area / (ramp + flat), rise=ramp, flat=flat, fall=ramp)

    def shaped_like(self, area: float, model: Trapezoid) -> Trapezoid:
        """Trapezoid of `area` [s T/m] with the timing of `model`, which has room for it."""
        return replace(model, amplitude=area / (model.rise / 2 + model.flat + model.fall / 2 or 1.0))
