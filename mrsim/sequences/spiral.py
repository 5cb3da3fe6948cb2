"""Spiral gradient echo: interleaved Archimedean spirals, as fast as the gradients allow."""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mrsim.constants import GAMMA_BAR
from mrsim.events.blocks import Adc, Block, Waveform, delay
from mrsim.events.hardware import Hardware
from mrsim.sequences.base import ALONG_X, Shot, parameter
from mrsim.sequences.gre import GradientEcho
from mrsim.sequences.radial import check_square
from mrsim.sequences.timing import after, area_after, room

SUBSTEPS = 20  # of the design in each step of the gradient raster
RESERVE = 0.99  # of the slew rate is used, so that rounding never exceeds it

Complex = NDArray[np.complex128]


@dataclass(frozen=True, kw_only=True, slots=True)
class Spiral(GradientEcho):
    """Spoiled 2-D gradient echo that reads spirals outwards, turned by 2 pi / interleaves each.

    k = interleaves / (2 pi fov) theta exp(i theta), so that neighbouring turns of all interleaves are 1/fov
    apart, up to the k-space of the nominal image. It is followed as fast as slew rate, gradient amplitude and
    the receiver (steps of at most 1 / fov) allow. TE is when the spiral starts, at k = 0. Field of view and
    matrix are square; the bandwidth of the receiver is that per pixel times matrix[1].
    """

    cartesian: ClassVar[bool] = False

    fov: tuple[float, float] = parameter((0.240, 0.240), "m", "field of view (y, x), square")
    matrix: tuple[int, int] = parameter((128, 128), "1", "pixels of the image (y, x), square")
    te: float = parameter(3e-3, "s", "echo time, the start of the spiral")
    tr: float = parameter(20e-3, "s", "repetition time")
    bandwidth: float = parameter(2000.0, "Hz/px", "receiver bandwidth per pixel")
    thickness: float = parameter(4e-3, "m", "slice thickness")
    interleaves: int = parameter(16, "1", "spirals that together fill k-space")

    def __post_init__(self) -> None:
        self.check_count("interleaves", 1)
        check_square(self.fov, self.matrix)
        GradientEcho.__post_init__(self)

    @property
    def n_shots(self) -> int:
        """One per interleaf."""
        return self.interleaves

    @property
    def spiral_gradient(self) -> Complex:
        """(corner,) gx + i gy [T/m] of the first interleaf, one corner per raster step."""
        speed = min(self.max_gradient, self.readout_gradient)
        limits = Hardware(max_gradient=speed, max_slew=RESERVE * self.max_slew)
        turns = self.matrix[1] / (2 * self.interleaves)
        return archimedean(self.interleaves / (2 * math.pi * self.fov[1]), 2 * math.pi * turns, limits)

    def _shot(self) -> Shot:
        limits = self.hardware
        excite = self.selective(self.pulse(self.flip, "excitation", ALONG_X))
        rephase = self.lobes(area_after(excite))(z=-area_after(excite))
        lead = limits.rastered(limits.adc_dead_time)
        used = after(excite) + rephase.duration + lead
        wait = delay(room("te", self.te - used, "slice selection", self.te, used))
        before, spoil = self.prepared(excite), self.spoil()

        outwards = self.spiral_gradient
        samples = int((outwards.size - 1) * limits.gradient_raster / self.dwell + 1e-6)
        adc = Adc(samples=samples, dwell=self.dwell, delay=lead)
        gradient = np.append(outwards, ramp_down(outwards[-1], limits))
        times = np.asarray(lead + np.arange(gradient.size) * limits.gradient_raster, np.float64)
        area = complex(np.trapezoid(gradient, times))
        play = self.lobes(abs(area))

        def shot(interleaf: int) -> list[Block]:
            turn = cmath.exp(2j * math.pi * interleaf / self.interleaves)
            gx, gy = (
                Waveform(times=times, amplitudes=g) for g in ((gradient * turn).real, (gradient * turn).imag)
            )
            back = -area * turn
            rewind = [] if self.spoiling == "ideal" else [play(back.real, back.imag)]
            played = [*before, rephase, wait, Block(gx=gx, gy=gy, adc=adc, labels={"LIN": interleaf})]
            return [*played, self.rest([*played, *rewind, spoil]), *rewind, spoil]

        shot(0)
        return shot


def ramp_down(gradient: complex, limits: Hardware) -> Complex:
    """(corner,) [T/m] that follow `gradient` on the way to 0."""
    steps = max(1, round(limits.ramp(abs(gradient)) / limits.gradient_raster))
    return np.asarray(gradient * (1 - np.arange(1, steps + 1) / steps), np.complex128)


@lru_cache(maxsize=16)
def archimedean(pitch: float, end: float, limits: Hardware) -> Complex:
    """(corner,) gradient [T/m] that follows k = pitch theta exp(i theta) [1/m] from rest to theta = `end`.

    The fastest one: theta'' is the largest that the slew rate allows, theta' kept to what the gradient allows
    (King et al., Magn Reson Med 1995;34:156). With w = theta'^2, A the largest |k''| / pitch, q = theta''
    solves (1 + theta^2) q^2 + 2 theta w q + (4 + theta^2) w^2 = A^2.
    """
    step = limits.gradient_raster / SUBSTEPS
    steepest = GAMMA_BAR * limits.max_slew / pitch
    fastest = GAMMA_BAR * limits.max_gradient / pitch
    theta, rate = 0.0, 0.0
    path = [(theta, rate)]
    while theta < end:
        for _ in range(SUBSTEPS):
            half = rate + acceleration(theta, rate, steepest) * step / 2  # midpoint rule
            middle = theta + rate * step / 2
            cap = fastest / math.sqrt(1 + middle**2)
            rate = min(rate + acceleration(middle, half, steepest) * step, cap)
            theta += min(half, cap) * step
        path.append((theta, min(rate, fastest / math.sqrt(1 + theta**2))))
    angle, speed = np.array(path).T
    return np.asarray(pitch / GAMMA_BAR * speed * (1 + 1j * angle) * np.exp(1j * angle), np.complex128)


def acceleration(theta: float, rate: float, steepest: float) -> float:
    """Largest theta'' [1/s2] for which |k''| / pitch is at most `steepest`."""
    w, a = rate**2, 1 + theta**2
    root = (theta * w) ** 2 - a * ((4 + theta**2) * w**2 - steepest**2)
    return (math.sqrt(max(root, 0.0)) - theta * w) / a
