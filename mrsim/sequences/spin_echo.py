"""Spin echo: one line of k-space per repetition, read in a Hahn echo."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrsim.constants import GAMMA_BAR
from mrsim.events import Events, Repetition
from mrsim.rf import Pulse, hamming_sinc, instantaneous

TBW = 4.0  # time-bandwidth product of the shaped pulses
CRUSHER = 1e-3  # [s]
GRID = 10e-6  # [s] gradient lobes last a multiple of this
POSITIVE = (
    "te", "tr", "bandwidth", "thickness", "pulse_duration", "refocusing_width", "max_gradient", "max_b1",
)  # fmt: skip
RF_KINDS = ("shaped", "ideal")
EXCITATION_PHASE = -math.pi / 2  # with refocusing at phase 0 the on-resonance echo is real and positive


def _parameter(default: Any, unit: str, text: str) -> Any:  # noqa: ANN401 - of the field's own type
    return field(default=default, metadata={"unit": unit, "help": text})


@dataclass(frozen=True, kw_only=True, slots=True)
class SpinEcho:
    """Cartesian 2-D single-slice spin echo in the steady state.

    Slice-selective Hamming-sinc pulses (time-bandwidth product 4) with an ideal crusher on either side of the
    refocusing pulse, ideal spoiling before each excitation. Refocusing selects twice the slice thickness:
    |b|^2 of a sinc is narrow, and so the echo has a full width at half maximum of 0.96 slices (of 0.64, if
    both pulses select the same). Gradient lobes are rectangles: their amplitude is held within
    `max_gradient`, their ramps are not modelled. TE is counted from the excitation centre, the refocusing
    centre lies at TE/2, and sample n of the readout at TE + (n - samples // 2) / (samples * bandwidth).
    """

    te: float = _parameter(80e-3, "s", "echo time")
    tr: float = _parameter(3.0, "s", "repetition time")
    flip: float = _parameter(math.pi / 2, "rad", "excitation flip angle")
    refocusing: float = _parameter(math.pi, "rad", "refocusing flip angle")
    fov: tuple[float, float] = _parameter((0.180, 0.216), "m", "field of view (y, x): phase encode, readout")
    matrix: tuple[int, int] = _parameter((180, 216), "1", "phase encodes, readout samples")
    bandwidth: float = _parameter(130.0, "Hz/px", "readout bandwidth per pixel")
    thickness: float = _parameter(1e-3, "m", "slice thickness")
    rf: str = _parameter(
        "shaped", "", "shaped (slice-selective sinc) or ideal (instantaneous, box-shaped slice)"
    )
    pulse_duration: float = _parameter(2.56e-3, "s", "length of each shaped pulse")
    refocusing_width: float = _parameter(2.0, "1", "thickness that the refocusing pulse selects, in slices")
    max_gradient: float = _parameter(40e-3, "T/m", "hardware limit of the gradient amplitude")
    max_b1: float = _parameter(25e-6, "T", "hardware limit of the RF amplitude")

    def __post_init__(self) -> None:
        object.__setattr__(self, "fov", tuple(self.fov))  # recipes hold lists
        object.__setattr__(self, "matrix", tuple(self.matrix))
        self._check_ranges()
        self._check_hardware()
        self._check_timing()

    def _check_ranges(self) -> None:
        if self.rf not in RF_KINDS:
            raise ValueError(f"rf must be one of {', '.join(RF_KINDS)}, got {self.rf!r}")
        for name in POSITIVE:
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive, got {value} {_unit(name)}")
        for name in ("flip", "refocusing"):
            value = getattr(self, name)
            if not 0 < value <= math.pi:
                raise ValueError(f"{name} must lie in (0, pi], got {value} rad")
        if len(self.fov) != 2 or not all(0 < side < math.inf for side in self.fov):
            raise ValueError(f"fov must be two positive lengths (y, x), got {self.fov} m")
        if len(self.matrix) != 2 or not all(isinstance(n, int) and n >= 1 for n in self.matrix):
            raise ValueError(f"matrix must be two counts (y, x) of at least 1, got {self.matrix}")
        if not self.te < self.tr:
            raise ValueError(f"te must lie in (0, tr = {self.tr} s), got {self.te} s")

    def _check_hardware(self) -> None:
        limits = [("readout gradient", self.readout_gradient, "a larger fov or a smaller bandwidth")]
        if self.rf == "shaped":
            steepest = self.slice_gradient * max(1.0, 1 / self.refocusing_width)
            limits.append(("slice gradient", steepest, "a thicker slice or a longer pulse_duration"))
        for name, amplitude, remedy in limits:
            if amplitude > self.max_gradient:
                raise ValueError(
                    f"{name} must be at most max_gradient = {self.max_gradient * 1e3:g} mT/m, "
                    f"got {amplitude * 1e3:.4g} mT/m: take {remedy}"
                )
        for pulse in self.pulses:
            if pulse.peak_b1 > self.max_b1:
                raise ValueError(
                    f"B1 of the {pulse.use} pulse must be at most max_b1 = {self.max_b1 * 1e6:g} uT, got "
                    f"{pulse.peak_b1 * 1e6:.4g} uT: take a longer pulse_duration"
                )

    def _check_timing(self) -> None:
        encoding = self._rf_time + self.encoding_duration + CRUSHER
        readout = self._rf_time / 2 + CRUSHER + self.echo_sample * self.dwell
        least = 2 * max(encoding, readout)
        if self.te < least:
            what = "encoding between the pulses" if encoding > readout else "readout before the echo"
            raise ValueError(f"te must be at least {least:.6g} s for the {what}, got {self.te} s")
        last = self.te + self.readout_duration - self.echo_sample * self.dwell + self._rf_time / 2
        if last > self.tr:
            raise ValueError(
                f"tr must hold the readout, which ends {last:.6g} s after excitation, got {self.tr} s"
            )

    @property
    def _rf_time(self) -> float:
        return self.pulses[0].duration

    @property
    def pulses(self) -> tuple[Pulse, Pulse]:
        """Excitation and refocusing."""
        if self.rf == "ideal":
            return (
                instantaneous(self.flip, phase=EXCITATION_PHASE, use="excitation"),
                instantaneous(self.refocusing, use="refocusing"),
            )
        return (
            hamming_sinc(self.flip, self.pulse_duration, TBW, phase=EXCITATION_PHASE, use="excitation"),
            hamming_sinc(self.refocusing, self.pulse_duration, TBW, use="refocusing"),
        )

    @property
    def dwell(self) -> float:
        """Time from sample to sample [s]."""
        return 1 / (self.bandwidth * self.matrix[1])

    @property
    def readout_duration(self) -> float:
        """[s]."""
        return 1 / self.bandwidth

    @property
    def echo_sample(self) -> int:
        """The sample in the centre of k-space, taken at TE."""
        return self.matrix[1] // 2

    @property
    def sample_times(self) -> NDArray[np.float64]:
        """(sample,) [s] relative to the echo."""
        return np.asarray((np.arange(self.matrix[1]) - self.echo_sample) * self.dwell, np.float64)

    @property
    def readout_gradient(self) -> float:
        """[T/m]."""
        return self.bandwidth * self.matrix[1] / (GAMMA_BAR * self.fov[1])

    @property
    def slice_gradient(self) -> float:
        """Amplitude during the excitation [T/m]; 0 of ideal pulses."""
        return TBW / (self.pulse_duration * GAMMA_BAR * self.thickness) if self.rf == "shaped" else 0.0

    @property
    def pixel(self) -> tuple[float, float]:
        """Pixel size (y, x) [m]."""
        return self.fov[0] / self.matrix[0], self.fov[1] / self.matrix[1]

    @property
    def phase_encodes(self) -> NDArray[np.float64]:
        """(line,) [1/m], 0 at matrix[0] // 2."""
        return np.asarray((np.arange(self.matrix[0]) - self.matrix[0] // 2) / self.fov[0])

    @property
    def _moments(self) -> tuple[float, float, float]:
        """What the encoding lobe has to reach: readout prephaser, largest phase encode, rephaser [s T/m]."""
        prephase = self.readout_gradient * self.echo_sample * self.dwell
        phase = float(np.abs(self.phase_encodes).max()) / GAMMA_BAR
        return prephase, phase, self.slice_gradient * self._rf_time / 2

    @property
    def encoding_duration(self) -> float:
        """Length of the lobe between the pulses that prephases, phase encodes and rephases [s]."""
        return max(1, math.ceil(max(self._moments) / self.max_gradient / GRID - 1e-9)) * GRID

    def events(self) -> Events:
        """Compile to arrays: seven or eight events in each of `matrix[0]` repetitions."""
        rf, slope = self._rf_time, self.slice_gradient
        prephase, _, rephase = self._moments
        encoding, half = self.encoding_duration, self.te / 2
        before_echo = self.echo_sample * self.dwell

        one = Repetition()
        one.add(rf, (0.0, 0.0, slope), pulse=0)
        encode = one.add(encoding, (prephase / encoding, 0.0, -rephase / encoding))
        one.add(half - rf - encoding - CRUSHER)
        one.add(CRUSHER, crusher=True)
        one.add(rf, (0.0, 0.0, slope / self.refocusing_width), pulse=1)
        one.add(CRUSHER, crusher=True)
        one.add(half - rf / 2 - CRUSHER - before_echo)
        adc = one.add(self.readout_duration, (self.readout_gradient, 0.0, 0.0), samples=self.matrix[1])
        rest = self.tr - self.te - (self.readout_duration - before_echo) - rf / 2
        one.add(rest, spoil=True)

        n_lines, per_line = self.matrix[0], len(one.rows)
        columns = one.columns(n_lines)
        columns["line"][adc::per_line] = np.arange(n_lines)
        columns["gradient"][encode::per_line, 1] = -self.phase_encodes / (GAMMA_BAR * encoding)
        return Events(
            **columns,
            pulses=self.pulses,
            matrix=self.matrix,
            pixel_volume=self.pixel[0] * self.pixel[1] * self.thickness,
            box=math.inf if self.rf == "shaped" else self.thickness,
        )


def _unit(name: str) -> str:
    return str(SpinEcho.__dataclass_fields__[name].metadata["unit"])
