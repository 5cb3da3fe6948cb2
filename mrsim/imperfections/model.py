"""Imperfections: the parameters of all of them, and where in a scan each one acts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mrsim.events import Events
from mrsim.imperfections.fields import GradientNonlinearity
from mrsim.imperfections.frame import drifting
from mrsim.imperfections.gradients import EddyCurrent, delayed, with_eddy_currents
from mrsim.imperfections.receiver import off_phase, quantised, spiked

if TYPE_CHECKING:
    from mrsim.plane import SlicePlane
    from phantoms.phantom import Spins

NOTHING = (0.0, 0.0, 0.0)


def _parameter(default: Any, unit: str, text: str) -> Any:  # noqa: ANN401 - of the field's own type
    return field(default=default, metadata={"unit": unit, "help": text})


@dataclass(frozen=True, kw_only=True, slots=True)
class Imperfections:
    """What is wrong with a scanner; by default nothing is.

    Fields of the object (B0, B1+, T2', chemical shift, coils) belong to the spins and are not listed here.
    """

    drift: float = _parameter(0.0, "Hz/s", "drift of the main field")
    offset: float = _parameter(0.0, "Hz", "centre frequency that is off from the start")
    gradient_delay: tuple[float, float, float] = _parameter(NOTHING, "s", "delay of the x, y, z gradients")
    eddy_currents: tuple[EddyCurrent, ...] = _parameter((), "", "exponential terms of eddy currents")
    gradient_error: tuple[float, float, float] = _parameter(
        NOTHING, "1", "third-order error of the x, y, z gradient coils (right, anterior, superior) at 250 mm"
    )
    receiver_phase: float = _parameter(0.0, "rad", "phase offset of the receiver")
    receiver_frequency: float = _parameter(0.0, "Hz", "frequency offset of the receiver")
    spikes: int = _parameter(0, "1", "samples that are hit by a spike")
    spike_level: float = _parameter(0.3, "1", "size of the spikes, as a share of the largest sample")
    adc_bits: int = _parameter(
        0, "bit", "bits of the converter for real and imaginary part, 0 for no rounding"
    )

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            numbers = value if isinstance(value, tuple) else (value,)
            if any(isinstance(v, float) and not math.isfinite(v) for v in numbers):
                raise ValueError(f"{f.name} must be finite, got {value} {f.metadata['unit']}")
        for name in ("gradient_delay", "gradient_error"):
            if len(getattr(self, name)) != 3:
                raise ValueError(f"{name} must have three values (x, y, z), got {getattr(self, name)}")

    @property
    def present(self) -> tuple[str, ...]:
        """Names of those that are not off."""
        return tuple(
            f.name for f in fields(self) if f.name != "spike_level" and getattr(self, f.name) != f.default
        )

    def of_spins(self, spins: Spins, plane: SlicePlane) -> Spins:
        """Where the gradients put the spins."""
        if any(self.gradient_error):
            return GradientNonlinearity(error=self.gradient_error).apply(spins, plane)
        return spins

    def of_events(self, events: Events) -> Events:
        """Return what the amplifiers make of the sequence, and the frame in which the spins see it."""
        if any(self.gradient_delay):
            events = delayed(events, self.gradient_delay)
        if self.eddy_currents:
            events = with_eddy_currents(events, self.eddy_currents)
        if self.drift or self.offset:
            events = drifting(events, self.drift, self.offset)
        return events

    def of_signal(
        self, signal: NDArray[np.complex64], events: Events, rng: np.random.Generator
    ) -> NDArray[np.complex64]:
        """Return what the receiver makes of the signal (coil, sample), noise and all."""
        if self.spikes:
            signal = spiked(signal, self.spikes, self.spike_level, rng)
        if self.receiver_phase or self.receiver_frequency:
            signal = off_phase(signal, events.trajectory(), self.receiver_phase, self.receiver_frequency)
        if self.adc_bits:
            signal = quantised(signal, self.adc_bits)
        return signal
