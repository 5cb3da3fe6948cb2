"""Radial gradient echo: spokes through the centre of k-space."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mrsim.events.blocks import Block, Trapezoid, delay
from mrsim.sequences.base import ALONG_X, Shot, parameter
from mrsim.sequences.gre import GradientEcho
from mrsim.sequences.timing import after, area_after, area_before, room, sample_time

ANGLES = ("golden", "uniform")
GOLDEN_ANGLE = math.pi * (math.sqrt(5) - 1) / 2  # 111.25 degrees; Winkelmann et al., IEEE TMI 2007;26:68


@dataclass(frozen=True, kw_only=True, slots=True)
class Radial(GradientEcho):
    """Spoiled 2-D gradient echo that reads full spokes, by the golden angle or uniformly over 180 degrees.

    Each spoke holds matrix[1] samples, over the k-space of the nominal image along its direction, with k = 0
    in sample matrix[1] // 2 at TE. Field of view and matrix are square.
    """

    cartesian: ClassVar[bool] = False

    fov: tuple[float, float] = parameter((0.240, 0.240), "m", "field of view (y, x), square")
    matrix: tuple[int, int] = parameter((128, 128), "1", "pixels of the image (y, x), square; x also samples")
    te: float = parameter(4e-3, "s", "echo time")
    tr: float = parameter(12e-3, "s", "repetition time")
    bandwidth: float = parameter(500.0, "Hz/px", "readout bandwidth per pixel")
    thickness: float = parameter(4e-3, "m", "slice thickness")
    spokes: int = parameter(201, "1", "spokes through the centre")
    angles: str = parameter("golden", "", "of the spokes: golden or uniform")

    def __post_init__(self) -> None:
        self.check_count("spokes", 1)
        self.check_choice("angles", ANGLES)
        GradientEcho.__post_init__(self)
        check_square(self.fov, self.matrix)

    @property
    def n_shots(self) -> int:
        """One per spoke."""
        return self.spokes

    @property
    def spoke_angles(self) -> NDArray[np.float64]:
        """(spoke,) [rad] from x towards y."""
        step = GOLDEN_ANGLE if self.angles == "golden" else math.pi / self.spokes
        return np.asarray(np.arange(self.spokes) * step % (2 * math.pi), np.float64)

    def _shot(self) -> Shot:
        excite = self.selective(self.pulse(self.flip, "excitation", ALONG_X))
        readout, spoil = self.readout(0), self.spoil()
        to_echo = area_before(readout, self.echo_sample)
        from_echo = readout.gx.area - to_echo if readout.gx else 0.0
        play = self.lobes(max(to_echo, from_echo, area_after(excite)))
        used = after(excite) + play().duration + sample_time(readout, self.echo_sample)
        wait = delay(room("te", self.te - used, "encoding and readout", self.te, used))
        before = self.prepared(excite)
        angles = self.spoke_angles

        def shot(spoke: int) -> list[Block]:
            c, s = math.cos(angles[spoke]), math.sin(angles[spoke])
            encoding = play(-to_echo * c, -to_echo * s, -area_after(excite))
            rewind = [] if self.spoiling == "ideal" else [play(-from_echo * c, -from_echo * s)]
            played = [*before, encoding, wait, turned(readout, angles[spoke], spoke)]
            return [*played, self.rest([*played, *rewind, spoil]), *rewind, spoil]

        shot(0)
        return shot


def turned(readout: Block, angle: float, spoke: int) -> Block:
    """Turn the readout gradient from x towards y; the samples belong to no Cartesian place."""
    if not isinstance(readout.gx, Trapezoid) or readout.adc is None:
        raise ValueError("block must read out with a trapezoid to be turned")
    gx = replace(readout.gx, amplitude=readout.gx.amplitude * math.cos(angle))
    gy = replace(readout.gx, amplitude=readout.gx.amplitude * math.sin(angle))
    return replace(readout, gx=gx, gy=gy, adc=replace(readout.adc, place=None), labels={"LIN": spoke})


def check_square(fov: tuple[float, float], matrix: tuple[int, int]) -> None:
    """Raise ValueError unless both are square."""
    if not math.isclose(*fov, rel_tol=1e-9):
        raise ValueError(f"fov must be square, got {fov} m")
    if matrix[0] != matrix[1]:
        raise ValueError(f"matrix must be square, got {matrix}")
