"""Blocks as rows of the tables of a Pulseq file; what a scanner cannot play is refused with a remedy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrsim.constants import GAMMA_BAR
from mrsim.events.blocks import AXES, Adc, Block, Gradient, Rf, Trapezoid, Waveform
from mrsim.events.hardware import Hardware
from mrsim.events.rf import Pulse
from mrsim.pulseq.pulses import USES
from mrsim.pulseq.text import NS, US

RF_RASTER = 1e-6  # [s] also that of the delays of receiver windows
SLACK = 1e-6  # of a raster
TOO_MUCH = 1 + 1e-6  # times a limit
GRADIENTS = ("[GRADIENTS]", "[TRAP]")
DIGITS = 9  # decimals of the samples of a shape
LETTERS = {use: letter for letter, use in USES.items()}

Real = NDArray[np.float64]
Words = tuple[Any, ...]


class Tables:
    """Rows of a file as they are needed; a row that comes again keeps its number.

    rows : section -> row -> number
    """

    def __init__(self, hardware: Hardware, minor: int) -> None:
        self.hardware = hardware
        self.minor = minor
        self.rows: dict[str, dict[Words, int]] = {}
        self.shapes: dict[tuple[int, tuple[str, ...]], int] = {}
        self.labels: dict[str, int] = {}
        self.pulses: dict[int, tuple[Pulse, Words]] = {}
        self.ends = [0.0, 0.0, 0.0]  # [T/m] of the gradients of the block before

    def block(self, block: Block, at: int) -> list[int]:
        """Numbers of rf, gx, gy, gz, adc and extensions of block number `at`."""
        if block.crusher or block.spoil:
            raise ValueError(f'block {at} must not crush or spoil ideally: take spoiling="gradient"')
        numbers = [self._rf(block.rf, at) if block.rf else 0]
        for axis, name in enumerate(AXES):
            gradient = getattr(block, name)
            self._join(gradient, block.duration, axis, at)
            numbers.append(self._gradient(gradient, f"{name} of block {at}") if gradient else 0)
        numbers.append(self._adc(block.adc, at) if block.adc else 0)
        numbers.append(self._label(block.labels) if block.adc else 0)
        return numbers

    def content(self, block: Block) -> float:
        """Shortest length that a block can have on this scanner [s]."""
        lengths = [getattr(block, name).duration for name in AXES if getattr(block, name)]
        if block.rf:
            lengths.append(block.rf.duration + self.hardware.rf_ringdown)
        if block.adc:
            lengths.append(block.adc.duration + self.hardware.adc_dead_time)
        return max(lengths, default=0.0)

    def _number(self, section: str, row: Words) -> int:
        """Give the number of a row; both sections of gradients count together."""
        rows = self.rows.setdefault(section, {})
        taken = sum(len(self.rows.get(s, ())) for s in (GRADIENTS if section in GRADIENTS else (section,)))
        return rows.setdefault(row, taken + 1)

    def _shape(self, shape: Real) -> int:
        key = shape.size, compress(shape)
        return self.shapes.setdefault(key, len(self.shapes) + 1)

    def _rf(self, rf: Rf, at: int) -> int:
        name = f"pulse of block {at}"
        if rf.pulse.dt == 0:
            raise ValueError(f'{name} must not be instantaneous: take rf="shaped"')
        if rf.pulse.peak_b1 > self.hardware.max_b1 * TOO_MUCH:
            limit, peak = self.hardware.max_b1 * 1e6, rf.pulse.peak_b1 * 1e6
            raise ValueError(
                f"{name} must not exceed max_b1 = {limit:g} uT, got {peak:.4g} uT: take a longer one"
            )
        if rf.delay < self.hardware.rf_dead_time - SLACK * RF_RASTER:
            raise ValueError(
                f"{name} must start after {self.hardware.rf_dead_time} s dead time, got {rf.delay} s"
            )
        if id(rf.pulse) not in self.pulses:
            self.pulses[id(rf.pulse)] = rf.pulse, self._pulse(rf.pulse, name)
        amplitude, magnitude, phases = self.pulses[id(rf.pulse)][1]
        delay = ticks(rf.delay, RF_RASTER, f"delay of the {name}")
        turned = number((-rf.phase) % (2 * math.pi))
        shape, offsets = (amplitude, magnitude, phases, 0), (number(rf.frequency), turned)
        if self.minor < 5:
            return self._number("[RF]", (*shape, delay, *offsets))
        centre = number(rf.pulse.centre / US)
        return self._number("[RF]", (*shape, centre, delay, 0, 0, *offsets, LETTERS[rf.pulse.use]))

    def _pulse(self, pulse: Pulse, name: str) -> Words:
        """Amplitude [Hz], magnitude and phase shapes of a pulse on the RF raster."""
        n = ticks(pulse.duration, RF_RASTER, f"length of the {name}")
        hertz = resampled(pulse.nutation, n) / (2 * np.pi * RF_RASTER)
        magnitude = np.abs(hertz)
        peak = float(magnitude.max()) or 1.0
        cycles = np.where(magnitude > SLACK * peak, -np.angle(hertz) / (2 * np.pi), 0.0).astype(np.float64)
        return number(peak), self._shape(magnitude / peak), self._shape(np.round(cycles, DIGITS) % 1.0)

    def _join(self, gradient: Gradient | None, duration: float, axis: int, at: int) -> None:
        """Check that a gradient goes on where the last block ended, within one step of slewing."""
        first = last = 0.0
        if isinstance(gradient, Waveform):
            starts = gradient.times[0] < SLACK * self.hardware.gradient_raster
            ends = gradient.times[-1] > duration - SLACK * self.hardware.gradient_raster
            first, last = float(gradient.amplitudes[0]), float(gradient.amplitudes[-1])
            jump = max(0.0 if starts else abs(first), 0.0 if ends else abs(last))
            first, last = first if starts else 0.0, last if ends else 0.0
        else:
            jump = 0.0
        jump = max(jump, abs(first - self.ends[axis]))
        if jump > self.hardware.max_slew * self.hardware.gradient_raster * TOO_MUCH:
            raise ValueError(
                f"{AXES[axis]} must not jump where block {at} begins or ends, got {jump * 1e3:.4g} mT/m"
            )
        self.ends[axis] = last

    def _gradient(self, gradient: Gradient, name: str) -> int:
        times, amplitudes = gradient.corners()
        peak = float(np.abs(amplitudes).max())
        if peak == 0:
            return 0
        if peak > self.hardware.max_gradient * TOO_MUCH:
            limit = self.hardware.max_gradient * 1e3
            raise ValueError(
                f"{name} must not exceed max_gradient = {limit:g} mT/m, got {peak * 1e3:.4g} mT/m"
            )
        rise = np.abs(np.diff(amplitudes))
        step = np.diff(times)
        if (rise > self.hardware.max_slew * step * TOO_MUCH + SLACK * peak).any():
            raise ValueError(f"{name} must not slew faster than {self.hardware.max_slew:g} T/m/s")
        return (
            self._trapezoid(gradient, name)
            if isinstance(gradient, Trapezoid)
            else self._waveform(gradient, name)
        )

    def _trapezoid(self, g: Trapezoid, name: str) -> int:
        lengths = [self._grid(t, name) for t in (g.rise, g.flat, g.fall, g.delay)]
        return self._number("[TRAP]", (number(g.amplitude * GAMMA_BAR), *lengths))

    def _grid(self, time: float, name: str) -> int:
        """Microseconds of a time on the gradient raster."""
        raster = self.hardware.gradient_raster
        return round(ticks(time, raster, f"corners of {name}") * raster / US)

    def _waveform(self, g: Waveform, name: str) -> int:
        """Shape on the centres of the raster with both ends, or with a time for each corner."""
        raster = self.hardware.gradient_raster
        hertz = g.amplitudes * GAMMA_BAR
        times = (g.times - g.times[0]) / raster
        delay = self._grid(float(g.times[0]), name)
        ends = [number(hertz[0]), number(hertz[-1])] if self.minor >= 5 else []
        n = hertz.size - 2
        if n > 0 and np.allclose(times, [0.0, *(np.arange(n) + 0.5), n], rtol=0, atol=SLACK):
            hertz, clock = hertz[1:-1], 0
        else:
            if np.abs(times - np.rint(times)).max() > SLACK or (np.diff(np.rint(times)) < 1).any():
                raise ValueError(f"corners of {name} must lie on the {raster / US:g} us raster, one a step")
            clock = self._shape(np.rint(times))
        peak = float(np.abs(hertz).max()) or 1.0
        return self._number("[GRADIENTS]", (number(peak), *ends, self._shape(hertz / peak), clock, delay))

    def _adc(self, adc: Adc, at: int) -> int:
        name = f"receiver window of block {at}"
        dwell = ticks(adc.dwell, self.hardware.adc_raster, f"dwell time of the {name}")
        if adc.delay < self.hardware.adc_dead_time - RF_RASTER / 2:
            raise ValueError(
                f"{name} must start after {self.hardware.adc_dead_time} s dead time, got {adc.delay} s"
            )
        row: Words = adc.samples, round(dwell * self.hardware.adc_raster / NS), round(adc.delay / RF_RASTER)
        offsets = number(adc.frequency), number((-adc.phase) % (2 * math.pi))
        return self._number("[ADC]", (*row, 0, 0, *offsets, 0) if self.minor >= 5 else (*row, *offsets))

    def _label(self, labels: Mapping[str, int]) -> int:
        """Chain of the labels that change with a receiver window."""
        chain = 0
        for name, value in sorted(labels.items()):
            if self.labels.get(name, 0) != value:
                chain = self._number("[EXTENSIONS]", (1, self._number("LABELSET", (value, name)), chain))
                self.labels[name] = value
        return chain


def number(value: float) -> str:
    """Write a number with all the digits that a scanner can use."""
    return f"{value:.10g}"


def ticks(time: float, raster: float, name: str) -> int:
    """Whole rasters in a time; ValueError if it does not lie on the raster."""
    n = round(time / raster)
    if abs(time - n * raster) > SLACK * max(raster, 1e-6) + 1e-12 * n * raster:
        raise ValueError(f"{name} must be a multiple of {raster / US:g} us, got {time / US:.6g} us")
    return n


def resampled(nutation: NDArray[np.complex128], n: int) -> NDArray[np.complex128]:
    """Flip angles of `n` equal steps that together turn as the given ones do."""
    if n % nutation.size == 0:
        m = n // nutation.size
        return np.repeat(nutation / m, m)
    edges = np.arange(n + 1) / n * nutation.size
    total = np.append(0.0, np.cumsum(nutation))
    return np.diff(np.interp(edges, np.arange(nutation.size + 1), total))


def compress(shape: Real) -> tuple[str, ...]:
    """Write a shape as words: its steps, repeated ones counted, if that is shorter, else its samples.

    Steps are taken between rounded samples, so that their sum does not drift.
    """
    rounded = np.round(shape, DIGITS) + 0.0  # no -0
    steps = np.round(np.diff(rounded, prepend=0.0), DIGITS) + 0.0
    begin = np.flatnonzero(np.append(True, steps[1:] != steps[:-1]))
    packed: list[str] = []
    for step, run in zip(steps[begin], np.diff(np.append(begin, steps.size)), strict=True):
        word = number(step)
        packed += [word] if run == 1 else [word, word, str(run - 2)]
    return tuple(packed) if len(packed) < shape.size else tuple(number(value) for value in rounded)
