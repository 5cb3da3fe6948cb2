"""What single-slice sequences with a straight readout have in common: geometry, readout, slice selection."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrsim.blocks import Adc, Block, Rf, Trapezoid, delay
from mrsim.constants import GAMMA_BAR
from mrsim.events import SAME_TIME, Events
from mrsim.hardware import Hardware
from mrsim.rf import Pulse, hamming_sinc, instantaneous

TBW = 4.0  # time-bandwidth product of the shaped pulses
RF_KINDS = ("shaped", "ideal")
SPOILING = ("ideal", "gradient")
CYCLES = 4.0  # of dephasing across the slice by a crusher or spoiler gradient
IDEAL_TIME = 1e-3  # [s] given to an ideal crusher
NO_LOBE = Trapezoid(amplitude=0.0, rise=0.0, flat=0.0, fall=0.0)


def parameter(default: Any, unit: str, text: str) -> Any:  # noqa: ANN401 - of the field's own type
    """Field of a sequence: its default in `unit` (SI) and what it is."""
    return field(default=default, metadata={"unit": unit, "help": text})


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceSequence:
    """Parameters and parts of a 2-D sequence that reads straight lines along x of one slice.

    Shaped pulses select the slice in a real gradient; ideal ones act at once, on a slice with perfect edges.
    The dwell time lies on the raster of the receiver, so the bandwidth is the nearest to the one asked for.
    """

    fov: tuple[float, float] = parameter((0.180, 0.216), "m", "field of view (y, x): phase encode, readout")
    matrix: tuple[int, int] = parameter((180, 216), "1", "phase encodes, readout samples")
    bandwidth: float = parameter(130.0, "Hz/px", "readout bandwidth per pixel")
    thickness: float = parameter(1e-3, "m", "slice thickness")
    rf: str = parameter("shaped", "", "shaped (slice-selective sinc) or ideal (instantaneous, box-shaped slice)")
    spoiling: str = parameter("ideal", "", "ideal (crushers and spoilers are perfect) or gradient (real lobes)")
    pulse_duration: float = parameter(2.56e-3, "s", "length of each shaped pulse")
    max_gradient: float = parameter(40e-3, "T/m", "hardware limit of the gradient amplitude")
    max_slew: float = parameter(150.0, "T/m/s", "hardware limit of the gradient slew rate")
    max_b1: float = parameter(25e-6, "T", "hardware limit of the RF amplitude")

    def __post_init__(self) -> None:
        object.__setattr__(self, "fov", tuple(self.fov))  # recipes hold lists
        object.__setattr__(self, "matrix", tuple(self.matrix))
        self.check_choice("rf", RF_KINDS)
        self.check_choice("spoiling", SPOILING)
        self.check_positive(
            "bandwidth", "thickness", "pulse_duration", "max_gradient", "max_slew", "max_b1"
        )
        if len(self.fov) != 2 or not all(0 < side < math.inf for side in self.fov):
            raise ValueError(f"fov must be two positive lengths (y, x), got {self.fov} m")
        if len(self.matrix) != 2 or not all(isinstance(n, int) and n >= 1 for n in self.matrix):
            raise ValueError(f"matrix must be two counts (y, x) of at least 1, got {self.matrix}")

    def check_choice(self, name: str, choices: tuple[str, ...]) -> None:
        """Raise ValueError unless the field `name` is one of the choices."""
        if getattr(self, name) not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}")

    def check_positive(self, *names: str) -> None:
        """Raise ValueError unless these fields are positive and finite."""
        for name in names:
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive, got {value} {self.unit(name)}")

    def check_flip(self, *names: str) -> None:
        """Raise ValueError unless these fields are flip angles in (0, pi]."""
        for name in names:
            value = getattr(self, name)
            if not 0 < value <= math.pi:
                raise ValueError(f"{name} must lie in (0, pi], got {value} rad")

    def unit(self, name: str) -> str:
        """SI unit of a field."""
        return str(self.__dataclass_fields__[name].metadata["unit"])

    @property
    def hardware(self) -> Hardware:
        """Limits that the sequence keeps."""
        return Hardware(max_gradient=self.max_gradient, max_slew=self.max_slew, max_b1=self.max_b1)

    @property
    def dwell(self) -> float:
        """Time from sample to sample [s]."""
        return self.hardware.dwell(1 / (self.bandwidth * self.matrix[1]))

    @property
    def readout_duration(self) -> float:
        """[s]."""
        return self.matrix[1] * self.dwell

    @property
    def echo_sample(self) -> int:
        """The sample in the centre of k-space."""
        return self.matrix[1] // 2

    @property
    def sample_times(self) -> NDArray[np.float64]:
        """(sample,) [s] relative to the echo."""
        return np.asarray((np.arange(self.matrix[1]) - self.echo_sample) * self.dwell, np.float64)

    @property
    def readout_gradient(self) -> float:
        """[T/m]."""
        return 1 / (GAMMA_BAR * self.fov[1] * self.dwell)

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
    def box(self) -> float:
        """Thickness of a perfect slice [m]; inf if the pulses select."""
        return math.inf if self.rf == "shaped" else self.thickness

    def pulse(self, flip: float, use: str, phase: float = 0.0) -> Pulse:
        """Make a pulse of the kind of `rf`, within the limit of B1."""
        if self.rf == "ideal":
            return instantaneous(flip, phase=phase, use=use)
        pulse = hamming_sinc(flip, self.pulse_duration, TBW, phase=phase, use=use)
        if pulse.peak_b1 > self.max_b1:
            raise ValueError(
                f"B1 of the {use} pulse must be at most max_b1 = {self.max_b1 * 1e6:g} uT, got "
                f"{pulse.peak_b1 * 1e6:.4g} uT: take a longer pulse_duration"
            )
        return pulse

    def selective(self, pulse: Pulse, width: float = 1.0, **flags: Any) -> Block:  # noqa: ANN401 - of Block
        """Play a pulse in the gradient that selects `width` times the thickness; an ideal one takes no time."""
        if self.rf == "ideal":
            return Block(rf=Rf(pulse=pulse), **flags)
        limits = self.hardware
        flat = limits.rastered(pulse.duration)
        remedy = "a thicker slice or a longer pulse_duration"
        gz = limits.flat(self.slice_gradient / width, flat, "slice gradient", remedy)
        lead = limits.rastered(max(gz.rise, limits.rf_dead_time))
        end = max(gz.rise + flat + gz.fall, gz.rise + pulse.duration + limits.rf_ringdown)
        return Block(
            rf=Rf(pulse=pulse, delay=lead),
            gz=replace(gz, delay=lead - gz.rise),
            duration=limits.rastered(lead - gz.rise + end),
            **flags,
        )

    def readout(self, line: int, backwards: bool = False) -> Block:
        """Read row `line` of k-space along x, or backwards; the samples begin with the flat of the gradient."""
        limits = self.hardware
        remedy = "a larger fov or a smaller bandwidth"
        gx = limits.flat(
            self.readout_gradient, limits.rastered(self.readout_duration), "readout gradient", remedy
        )
        n = self.matrix[1]
        place = (line * n + n - 1, -1) if backwards else (line * n, 1)
        adc = Adc(samples=n, dwell=self.dwell, delay=gx.rise, place=place)
        gx = replace(gx, amplitude=-gx.amplitude) if backwards else gx
        return Block(gx=gx, adc=adc, duration=gx.duration + limits.adc_dead_time, labels={"LIN": line})

    def crush(self) -> Block:
        """Dephase everything: ideally, or by CYCLES turns across the slice."""
        if self.spoiling == "ideal":
            return delay(IDEAL_TIME, crusher=True)
        return Block(gz=self.hardware.lobe(CYCLES / (GAMMA_BAR * self.thickness)))

    def spoil(self) -> Block:
        """Leave no transverse magnetisation: ideally, or by CYCLES turns across the slice."""
        return delay(0.0, spoil=True) if self.spoiling == "ideal" else self.crush()

    def encode(self, x: float = 0.0, z: float = 0.0) -> Callable[[float], Block]:
        """Play gradient areas [s T/m] x and z, and along y the one given; of the same length for every line."""
        limits = self.hardware
        steepest = float(np.abs(self.phase_encodes).max()) / GAMMA_BAR
        longest = max((limits.lobe(a) for a in (x, steepest, z)), key=lambda lobe: lobe.duration)
        gx, gz = (limits.shaped_like(a, longest) if a else None for a in (x, z))

        def block(y: float) -> Block:
            gy = limits.shaped_like(y, longest) if y else None
            return Block(gx=gx, gy=gy, gz=gz, duration=longest.duration)

        return block


def centre(block: Block) -> float:
    """When the pulse of a block acts, from the start of the block [s]."""
    if block.rf is None:
        raise ValueError("block must hold a pulse to have a centre, got one without")
    return block.rf.delay + block.rf.pulse.centre


def after(block: Block) -> float:
    """Time from the pulse of a block to its end [s]."""
    return block.duration - centre(block)


def area_after(block: Block, axis: str = "gz") -> float:
    """Gradient area from the centre of the pulse to the end of its trapezoid [s T/m]."""
    lobe = getattr(block, axis)
    if lobe is None:
        return 0.0
    flat_end = lobe.delay + lobe.rise + lobe.flat
    return float(lobe.amplitude * (flat_end - centre(block) + lobe.fall / 2))


def sample_time(block: Block, sample: int) -> float:
    """When a receiver sample is taken, from the start of the block [s]."""
    if block.adc is None:
        raise ValueError("block must receive to have samples, got one that does not")
    return block.adc.delay + (sample + 0.5) * block.adc.dwell


def area_before(block: Block, sample: int) -> float:
    """Readout gradient area up to a sample [s T/m]."""
    if not isinstance(block.gx, Trapezoid):
        raise ValueError("block must read out with a trapezoid along x")
    return block.gx.amplitude * (sample_time(block, sample) - block.gx.delay - block.gx.rise / 2)


def room(name: str, available: float, what: str, total: float, needed: float) -> float:
    """Time that is left [s]; ValueError if `name`, which is `total`, must be at least `needed` for `what`."""
    if available < -SAME_TIME:
        raise ValueError(f"{name} must be at least {needed:.6g} s for {what}, got {total} s")
    return max(0.0, available)



@lru_cache(maxsize=16)
def compiled(sequence: Any) -> Events:  # noqa: ANN401 - any sequence
    """Events of a sequence, of the last few kept."""
    events: Events = sequence.compile()
    return events
