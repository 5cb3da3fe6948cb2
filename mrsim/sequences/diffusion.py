"""Diffusion-weighted spin echo: a pair of strong lobes around the refocusing pulse of an echo-planar scan."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrsim.constants import GAMMA
from mrsim.events.blocks import Block, Trapezoid
from mrsim.imperfections.diffusion import b_values
from mrsim.sequences.base import parameter
from mrsim.sequences.epi import Epi


@dataclass(frozen=True, kw_only=True, slots=True)
class DiffusionSpinEcho(Epi):
    """Single-shot spin-echo EPI with the Stejskal-Tanner lobes of one b-value and direction.

    The lobes are as long as TE leaves room for, whatever b is, and `b` is that of the lobes alone:
    (gamma G)^2 (d^2 (D - d/3) + e^3/30 - d e^2/6), d from the start of a lobe to that of its fall, D from
    lobe to lobe, e the ramp (Stejskal and Tanner, J Chem Phys 1965;42:288; Mattiello et al., J Magn Reson A
    1994;108:131). `b_total` counts the imaging gradients as well.
    """

    te: float = parameter(100e-3, "s", "echo time")
    echo: str = parameter("spin", "", "spin, around which the lobes lie")
    b: float = parameter(1e9, "s/m2", "b-value of the lobes")
    direction: tuple[float, float, float] = parameter(
        (0.0, 0.0, 1.0), "", "of the lobes (x, y, z), any length"
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "direction", tuple(self.direction))
        if self.echo != "spin":
            raise ValueError(f"echo must be spin for diffusion weighting, got {self.echo!r}")
        if not 0 <= self.b < math.inf:
            raise ValueError(f"b must be finite and not negative, got {self.b} s/m2")
        length = math.hypot(*self.direction) if len(self.direction) == 3 else 0.0
        if not 0 < length < math.inf:
            raise ValueError(f"direction must be a vector (x, y, z) with a length, got {self.direction}")
        Epi.__post_init__(self)

    @property
    def unit_direction(self) -> NDArray[np.float64]:
        """(3,) of length 1."""
        return np.asarray(self.direction) / math.hypot(*self.direction)

    @property
    def b_total(self) -> float:
        """b-value of the sample in the centre of k-space, by all gradients of the sequence [s/m2]."""
        events = self.events()
        centre_place = self.matrix[0] // 2 * self.matrix[1] + self.echo_sample
        return float(b_values(events)[np.flatnonzero(events.place == centre_place)[-1]])

    def _weighting(self, first: float, second: float, between: float) -> tuple[list[Block], list[Block]]:
        raster = self.hardware.gradient_raster
        length = math.floor(min(first, second) / raster + 1e-6) * raster
        ramp = self.hardware.ramp(self.max_gradient)
        flat = length - 2 * ramp
        if flat < raster:
            raise ValueError(f"te must be longer to hold diffusion lobes, got {self.te} s")
        amplitude = math.sqrt(self.b / lobe_weighting(flat + ramp, length + between, ramp))
        steepest = amplitude * float(np.abs(self.unit_direction).max())
        if steepest > self.max_gradient:
            raise ValueError(
                f"b must be at most {self.b * (self.max_gradient / steepest) ** 2:.4g} s/m2 at this te, got "
                f"{self.b:g} s/m2: take a longer te"
            )
        if not amplitude:
            return [], []
        gx, gy, gz = (
            Trapezoid(amplitude=amplitude * float(part), rise=ramp, flat=flat, fall=ramp) if part else None
            for part in self.unit_direction
        )
        lobes = [Block(gx=gx, gy=gy, gz=gz, duration=length)]
        return lobes, lobes


def lobe_weighting(delta: float, big_delta: float, ramp: float) -> float:
    """b-value [s/m2] of lobes of 1 T/m; delta from the start to the fall of each, big_delta apart."""
    return GAMMA**2 * (delta**2 * (big_delta - delta / 3) + ramp**3 / 30 - delta * ramp**2 / 6)
