"""What single-slice sequences have in common: geometry, slice selection, spoiling, shots."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mrsim.constants import GAMMA_BAR
from mrsim.events import Events
from mrsim.events.blocks import Adc, Block, Gradient, Rf, Trapezoid, compile_blocks, delay
from mrsim.events.hardware import Hardware
from mrsim.events.rf import Pulse, hamming_sinc, instantaneous
from mrsim.sequences.timing import phased, room, silent, total

RF_KINDS = ("shaped", "ideal")
SPOILING = ("ideal", "gradient")
PREPARATIONS = ("steady-state", "equilibrium")
CYCLES = 4.0  # of dephasing across the slice by a crusher or spoiler gradient
IDEAL_TIME = 1e-3  # [s] given to an ideal crusher
ALONG_X = -math.pi / 2  # phase of a pulse that turns Mz into +Mx, so that the signal is real and positive
DIGITS = 12  # times are rounded to so many, which 0.08 s and 8000 * 10 us then share

Shot = Callable[[int], list[Block]]


def parameter(default: Any, unit: str, text: str) -> Any:  # noqa: ANN401 - of the field's own type
    """Field of a sequence: its default in `unit` (SI) and what it is."""
    return field(default=default, metadata={"unit": unit, "help": text})


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceSequence(ABC):
    """Parameters and parts of a 2-D sequence of one slice.

    Shaped pulses select the slice in a real gradient; ideal ones act at once, on a slice with perfect edges.
    The dwell time lies on the raster of the receiver and all times on that of the gradients: a value between
    is moved to the nearest, so that what the fields say is what is played.

    A subclass says what one shot plays (`_shot`) and how many there are (`n_shots`); every shot is a
    repetition.
    """

    cartesian: ClassVar[bool] = True  # whether the samples lie on the grid of the image's k-space

    te: float = parameter(10e-3, "s", "echo time")
    tr: float = parameter(50e-3, "s", "repetition time")
    flip: float = parameter(math.radians(15), "rad", "excitation flip angle")
    fov: tuple[float, float] = parameter((0.180, 0.216), "m", "field of view (y, x): phase encode, readout")
    matrix: tuple[int, int] = parameter((180, 216), "1", "phase encodes, readout samples")
    bandwidth: float = parameter(130.0, "Hz/px", "readout bandwidth per pixel")
    thickness: float = parameter(1e-3, "m", "slice thickness")
    rf: str = parameter("shaped", "", "shaped (slice-selective sinc) or ideal (at once, box-shaped slice)")
    pulse_duration: float = parameter(2.56e-3, "s", "length of each shaped pulse")
    tbw: float = parameter(4.0, "1", "time-bandwidth product of the shaped pulses")
    spoiling: str = parameter("ideal", "", "ideal (perfect crushers and spoilers) or gradient (real lobes)")
    preparation: str = parameter("steady-state", "", "how the scan begins: steady-state or equilibrium")
    dummies: int = parameter(0, "1", "repetitions from equilibrium that are not read")
    max_gradient: float = parameter(40e-3, "T/m", "hardware limit of the gradient amplitude")
    max_slew: float = parameter(150.0, "T/m/s", "hardware limit of the gradient slew rate")
    max_b1: float = parameter(25e-6, "T", "hardware limit of the RF amplitude")

    def __post_init__(self) -> None:
        object.__setattr__(self, "fov", tuple(self.fov))  # recipes hold lists
        object.__setattr__(self, "matrix", tuple(self.matrix))
        self.check_positive("te", "tr", "bandwidth", "thickness", "pulse_duration", "tbw")
        self.check_positive("max_gradient", "max_slew", "max_b1")
        if len(self.fov) != 2 or not all(0 < side < math.inf for side in self.fov):
            raise ValueError(f"fov must be two positive lengths (y, x), got {self.fov} m")
        if len(self.matrix) != 2 or not all(isinstance(n, int) and n >= 1 for n in self.matrix):
            raise ValueError(f"matrix must be two counts (y, x) of at least 1, got {self.matrix}")
        if not self.te < self.tr:
            raise ValueError(f"te must lie in (0, tr = {self.tr} s), got {self.te} s")
        self.check_flip("flip")
        self._check_start()
        self.to_raster(1, "tr")

    def _check_start(self) -> None:
        self.check_choice("rf", RF_KINDS)
        self.check_choice("spoiling", SPOILING)
        self.check_choice("preparation", self.preparations())
        self.check_count("dummies", 0)
        if self.dummies and self.preparation == "steady-state":
            raise ValueError(
                f"dummies must be 0 in the steady state, got {self.dummies}: take preparation equilibrium"
            )

    def preparations(self) -> tuple[str, ...]:
        """Choices of `preparation`."""
        return PREPARATIONS

    def check_choice(self, name: str, choices: tuple[str, ...]) -> None:
        """Raise ValueError unless the field `name` is one of the choices."""
        if getattr(self, name) not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}")

    def check_positive(self, *names: str) -> None:
        """Raise ValueError unless these fields are positive and finite."""
        for name in names:
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive, got {value}{self.unit(name)}")

    def check_flip(self, *names: str) -> None:
        """Raise ValueError unless these fields are flip angles in (0, pi]."""
        for name in names:
            value = getattr(self, name)
            if not 0 < value <= math.pi:
                raise ValueError(f"{name} must lie in (0, pi], got {value} rad")

    def check_count(self, name: str, least: int) -> None:
        """Raise ValueError unless the field is a whole number of at least `least`."""
        value = getattr(self, name)
        if not isinstance(value, int) or value < least:
            raise ValueError(f"{name} must be a whole number of at least {least}, got {value}")

    def to_raster(self, steps: int, *names: str) -> None:
        """Move these times to the nearest multiple of so many steps of the gradient raster."""
        raster = steps * self.hardware.gradient_raster
        for name in names:
            nearest = round(max(1, round(getattr(self, name) / raster)) * raster, DIGITS)
            object.__setattr__(self, name, nearest)

    def unit(self, name: str) -> str:
        """SI unit of a field as it stands behind a value, with a space; nothing for a plain number."""
        unit = str(self.__dataclass_fields__[name].metadata["unit"])
        return f" {unit}" if unit not in ("", "1") else ""

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
    def readout_gradient(self) -> float:
        """[T/m]."""
        return 1 / (GAMMA_BAR * self.fov[1] * self.dwell)

    @property
    def slice_gradient(self) -> float:
        """Amplitude during the excitation [T/m]; 0 of ideal pulses."""
        return self.tbw / (self.pulse_duration * GAMMA_BAR * self.thickness) if self.rf == "shaped" else 0.0

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
        return self.within_b1(hamming_sinc(flip, self.pulse_duration, self.tbw, phase=phase, use=use))

    def within_b1(self, pulse: Pulse) -> Pulse:
        """Return the pulse, or a ValueError if the coil cannot play it."""
        if pulse.peak_b1 > self.max_b1 * (1 + 1e-9):
            raise ValueError(
                f"B1 of the {pulse.use} pulse must be at most max_b1 = {self.max_b1 * 1e6:g} uT, got "
                f"{pulse.peak_b1 * 1e6:.4g} uT: take a longer pulse_duration"
            )
        return pulse

    def selective(self, pulse: Pulse, width: float = 1.0) -> Block:
        """Play a pulse in the gradient that selects `width` times the thickness; an ideal one takes no time.

        The pulse lies in the middle of the flat, its centre on the raster.
        """
        if self.rf == "ideal":
            return Block(rf=Rf(pulse=pulse))
        limits = self.hardware
        flat = 2 * limits.rastered(pulse.duration / 2)
        remedy = "a thicker slice or a longer pulse_duration"
        gz = limits.flat(self.slice_gradient / width, flat, "slice gradient", remedy)
        slack = (flat - pulse.duration) / 2
        lead = limits.rastered(max(gz.rise, limits.rf_dead_time))
        end = lead + flat + max(gz.fall, limits.rf_ringdown - slack)
        rf = Rf(pulse=pulse, delay=lead + slack)
        return Block(rf=rf, gz=replace(gz, delay=lead - gz.rise), duration=limits.rastered(end))

    def readout(self, line: int) -> Block:
        """Read row `line` of k-space along x, with the echo sample on the raster."""
        limits = self.hardware
        gx = limits.flat(
            self.readout_gradient, 0.0, "readout gradient", "a larger fov or a smaller bandwidth"
        )
        lead = max(gx.rise, limits.rastered(limits.adc_dead_time))
        echo = lead + (self.echo_sample + 0.5) * self.dwell
        begin = lead + limits.rastered(echo) - echo
        gx = replace(gx, delay=lead - gx.rise, flat=limits.rastered(begin + self.readout_duration) - lead)
        n = self.matrix[1]
        adc = Adc(samples=n, dwell=self.dwell, delay=begin, place=(line * n, 1))
        end = max(gx.duration, limits.rastered(adc.duration + limits.adc_dead_time))
        return Block(gx=gx, adc=adc, duration=end, labels={"LIN": line})

    def crush(self, times: float = 1.0) -> Block:
        """Dephase everything: ideally, or by `times` CYCLES turns across the slice."""
        if self.spoiling == "ideal":
            return delay(IDEAL_TIME, crusher=True)
        return Block(gz=self.hardware.lobe(times * CYCLES / (GAMMA_BAR * self.thickness)))

    def spoil(self) -> Block:
        """Leave no transverse magnetisation: ideally, or by CYCLES turns across the slice."""
        return delay(0.0, spoil=True) if self.spoiling == "ideal" else self.crush()

    def steepest(self) -> float:
        """Area of the largest phase encode [s T/m]."""
        return float(np.abs(self.phase_encodes).max()) / GAMMA_BAR

    def lobes(self, longest: float) -> Callable[..., Block]:
        """Make blocks (x, y, z) of gradient areas up to `longest` [s T/m], all of the same duration."""
        limits = self.hardware
        model = limits.lobe(longest)

        def block(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Block:
            gx, gy, gz = (limits.shaped_like(area, model) if area else None for area in (x, y, z))
            return Block(gx=gx, gy=gy, gz=gz, duration=model.duration)

        return block

    def encode(self, x: float = 0.0, z: float = 0.0) -> Callable[[float], Block]:
        """Play areas [s T/m] x and z, and along y that of the phase encode given [1/m]; all equally long."""
        play = self.lobes(max(abs(x), self.steepest(), abs(z)))
        model = self.hardware.lobe(max(abs(x), self.steepest(), abs(z)))

        def block(ky: float) -> Block:
            gy = self.hardware.shaped_like(ky / GAMMA_BAR, model)  # of no amplitude in the middle of k-space
            return replace(play(x, 0.0, z), gy=gy)  # so that all repetitions have the same events

        return block

    def rest(self, blocks: Sequence[Block]) -> Block:
        """Wait until TR is over."""
        used = total(blocks)
        return delay(room("tr", self.tr - used, "all that a repetition plays", self.tr, used))

    @property
    @abstractmethod
    def n_shots(self) -> int:
        """Repetitions that are read."""

    @abstractmethod
    def _shot(self) -> Shot:
        """Lay out what the repetition of each shot plays; ValueError if there is no room for it."""

    @property
    def te_is_half_tr(self) -> bool:
        """Whether the echo lies in the middle of the repetition, and goes with it."""
        return False

    def rf_phase(self, repetition: int) -> float:  # noqa: ARG002 - of subclasses
        """Phase [rad] of all pulses and receiver windows of a repetition, dummies counted too."""
        return 0.0

    def lead_in(self) -> list[Block]:
        """Play this once, before the first repetition."""
        return []

    def blocks(self) -> list[Block]:
        """Play the whole scan; each repetition is marked in its first block."""
        shot = self._shot()
        dummy = [silent(block) for block in shot(0)] if self.dummies else []
        repetitions = [dummy] * self.dummies + [shot(i) for i in range(self.n_shots)]
        played = self.lead_in()
        for n, (first, *others) in enumerate(repetitions):
            played += phased([replace(first, repetition=True), *others], self.rf_phase(n))
        return played

    def whole(self) -> dict[str, Any]:
        """Return what `Events` holds besides its columns."""
        return {
            "matrix": self.matrix,
            "pixel_volume": self.pixel[0] * self.pixel[1] * self.thickness,
            "box": self.box,
            "steady_state": self.preparation == "steady-state",
        }

    def compile(self) -> Events:
        """Compile to arrays anew."""
        return compile_blocks(self.blocks(), **self.whole())

    def events(self) -> Events:
        """Compile to arrays."""
        return compiled(self)


@lru_cache(maxsize=16)
def compiled(sequence: SliceSequence) -> Events:
    """Events of a sequence, of the last few kept."""
    return sequence.compile()


def flipped(gradient: Gradient) -> Gradient:
    """Play a trapezoid upside down."""
    if not isinstance(gradient, Trapezoid):
        raise ValueError("gradient must be a trapezoid to be flipped")
    return replace(gradient, amplitude=-gradient.amplitude)
