"""Magnetisation preparation before each excitation: inversion, saturation, fat saturation."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from mrsim.constants import GAMMA
from mrsim.events.blocks import Block, Rf, delay
from mrsim.events.rf import Pulse, gaussian, hard, instantaneous
from mrsim.sequences.base import SliceSequence, parameter
from mrsim.sequences.timing import after, centre, room, total

PREPULSES = ("none", "inversion", "saturation")
FAT_BANDWIDTH = 2.2  # length of the fat pulse times its offset: it then turns water by 7 % of its flip
HALF_PI = math.pi / 2


@dataclass(frozen=True, kw_only=True, slots=True)
class PreparedSequence(SliceSequence):
    """Single-slice sequence whose magnetisation may be prepared before each excitation.

    The inversion and saturation pulses are rectangular, as short as B1 allows, and not selective. Fat
    saturation turns the spins around `fat_frequency` by 90 degrees just before the excitation, with a
    Gaussian pulse. What a preparation leaves in the transverse plane is spoiled.
    """

    prepulse: str = parameter("none", "", "none, inversion or saturation, ti before each excitation")
    ti: float = parameter(0.4, "s", "time from the centre of the prepulse to that of the excitation")
    fat_saturation: bool = parameter(False, "", "saturate fat just before each excitation: true or false")
    fat_frequency: float = parameter(-217.1, "Hz", "frequency to saturate; the default is fat at 1.5 T")

    def __post_init__(self) -> None:
        SliceSequence.__post_init__(self)
        self.check_choice("prepulse", PREPULSES)
        self.check_positive("ti")
        if not isinstance(self.fat_saturation, bool):
            raise ValueError(f"fat_saturation must be true or false, got {self.fat_saturation!r}")
        if not 0 < abs(self.fat_frequency) < math.inf:
            raise ValueError(f"fat_frequency must not be 0 and finite, got {self.fat_frequency} Hz")
        self.to_raster(1, "ti")

    def prepared(self, excite: Block) -> list[Block]:
        """All that is played before and with the excitation."""
        fat = self._saturate_fat() if self.fat_saturation else []
        if self.prepulse == "none":
            return [*fat, excite]
        flip = math.pi if self.prepulse == "inversion" else HALF_PI
        pulse = self._alone(self._rectangle(flip))
        spoil = self.spoil()
        used = after(pulse) + spoil.duration + total(fat) + centre(excite)
        wait = room("ti", self.ti - used, "what is between prepulse and excitation", self.ti, used)
        return [pulse, spoil, delay(wait), *fat, excite]

    def _rectangle(self, flip: float) -> Pulse:
        if self.rf == "ideal":
            return instantaneous(flip, use=self.prepulse)
        duration = 2 * self.hardware.rastered(flip / (GAMMA * self.max_b1) / 2)
        return hard(flip, duration, use=self.prepulse)

    def _saturate_fat(self) -> list[Block]:
        raster = self.hardware.gradient_raster
        duration = 2 * raster * round(FAT_BANDWIDTH / abs(self.fat_frequency) / (2 * raster))
        pulse = self.within_b1(gaussian(HALF_PI, duration, use="saturation"))
        block = self._alone(pulse)
        if block.rf is not None:
            block = replace(block, rf=replace(block.rf, frequency=self.fat_frequency))
        return [block, self.spoil()]

    def _alone(self, pulse: Pulse) -> Block:
        """Play a pulse without gradient."""
        if pulse.dt == 0:
            return Block(rf=Rf(pulse=pulse))
        limits = self.hardware
        lead = limits.rastered(limits.rf_dead_time)
        end = limits.rastered(lead + pulse.duration + limits.rf_ringdown)
        return Block(rf=Rf(pulse=pulse, delay=lead), duration=end)
