"""Imperfections: the parameters of all of them, and where in a scan each one acts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mrsim.constants import GAMMA_BAR
from mrsim.events import Events
from mrsim.fields.b1 import dielectric_b1
from mrsim.imperfections.fields import GradientNonlinearity, fat_spectrum, with_spectrum
from mrsim.imperfections.frame import drifting
from mrsim.imperfections.gradients import EddyCurrent, delayed, with_eddy_currents
from mrsim.imperfections.motion import Moving, flowing, periodic, rigid
from mrsim.imperfections.receiver import off_phase, quantised, spiked
from phantoms.motion import HeartBeat, Translate
from phantoms.names import known

if TYPE_CHECKING:
    from mrsim.bloch.dynamic import Dynamics
    from mrsim.bloch.pools import BoundPool
    from mrsim.slices.plane import SlicePlane
    from phantoms.phantom import Spins
    from phantoms.tissues import TissueTable

NOTHING = (0.0, 0.0, 0.0)
SUDDEN = 1e-3  # [s] that a sudden movement takes
MOST_BITS = 32
BOUND_R1 = 1.0  # [1/s] of the bound pool, as is usual: it cannot be measured
PARAMETERS_OF_OTHERS = ("spike_level", "move_at", "breathing_period", "beating_period", "flow_tissue")


def _parameter(default: Any, unit: str, text: str) -> Any:  # noqa: ANN401 - of the field's own type
    return field(default=default, metadata={"unit": unit, "help": text})


@dataclass(frozen=True, kw_only=True, slots=True)
class Imperfections:
    """What is wrong with a scanner, and what tissue and patient do besides relaxing; nothing by default.

    T2' and chemical shift are properties of tissues and are there unless they are turned off. B0 maps, B1+
    maps and coils are given to a scan by themselves.
    """

    drift: float = _parameter(0.0, "Hz/s", "drift of the main field, positive to higher Larmor frequencies")
    offset: float = _parameter(0.0, "Hz", "spins off resonance from the start, all alike")
    b1: float = _parameter(0.0, "1", "spread of the flip angle: 1 + b1/2 in the middle, 1 - b1/2 at the edge")
    concomitant: bool = _parameter(False, "", "concomitant (Maxwell) fields of the gradients")
    gradient_delay: tuple[float, float, float] = _parameter(
        NOTHING, "s", "how late the gradients along x (readout), y, z of the image play"
    )
    gradient_error: tuple[float, float, float] = _parameter(
        NOTHING, "1", "third-order error of the gradient coils (right, anterior, superior) at 250 mm, as -0.1"
    )
    eddy_currents: tuple[EddyCurrent, ...] = _parameter(
        (), "", "terms AXIS:SHARE:MS that oppose steps of a gradient, or AXIS:METRES:MS:b0; joined by commas"
    )
    t2prime: bool = _parameter(True, "", "dephasing within a voxel (tissue table); no: T2* is T2")
    chemical_shift: bool = _parameter(True, "", "frequency of fat (tissue table); no: that of water")
    fat_lines: bool = _parameter(False, "", "six resonances of fat instead of one")
    magnetisation_transfer: bool = _parameter(False, "", "exchange with bound protons (tissue table)")
    diffusion: bool = _parameter(False, "", "weighting by diffusion (tissue table)")
    shift: tuple[float, float, float] = _parameter(NOTHING, "m", "sudden shift along x, y, z of the image")
    turn: tuple[float, float, float] = _parameter(NOTHING, "rad", "sudden turn about x, y, z of the image")
    move_at: float = _parameter(0.5, "1", "share of the scan after which it shifts and turns")
    breathing: tuple[float, float, float] = _parameter(NOTHING, "m", "to and fro along x, y, z of the image")
    breathing_period: float = _parameter(4.0, "s", "of that")
    beating: tuple[float, float, float] = _parameter(
        NOTHING, "1", "strain about, across and along the wall of a heart about z, as -0.15x0.3x0"
    )
    beating_period: float = _parameter(0.9, "s", "of that")
    flow: tuple[float, float, float] = _parameter(NOTHING, "m/s", "velocity along x, y, z of the image")
    flow_tissue: str = _parameter("", "", "the tissue that flows, as vessels; all if it is not named")
    receiver_phase: float = _parameter(0.0, "rad", "phase of the receiver, which the signal lacks")
    receiver_frequency: float = _parameter(
        0.0, "Hz", "receiver above its frequency: moves the image along -x"
    )
    spikes: int = _parameter(0, "1", "samples that are hit by a spike")
    spike_level: float = _parameter(0.3, "1", "size of the spikes, as a share of the largest sample")
    adc_bits: int = _parameter(0, "bit", "bits of the converter for real and imaginary part, 0: no rounding")

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            numbers = value if isinstance(value, tuple) else (value,)
            if any(isinstance(v, float) and not math.isfinite(v) for v in numbers):
                raise ValueError(f"{f.name} must be finite, got {value} {f.metadata['unit']}")
            if f.default == NOTHING and len(value) != 3:
                raise ValueError(f"{f.name} must have three values (x, y, z), got {value}")
        for name in ("breathing_period", "beating_period"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)} s")
        if self.fat_lines and not self.chemical_shift:
            raise ValueError("fat_lines must go with chemical_shift, got chemical_shift off")
        if not 0 <= self.b1 < 1:
            raise ValueError(f"b1 must lie in [0, 1), got {self.b1}")
        if self.spikes < 0 or self.spike_level < 0:
            raise ValueError(f"spikes must not be negative, got {self.spikes} of level {self.spike_level}")
        if not 0 <= self.adc_bits <= MOST_BITS:
            raise ValueError(f"adc_bits must lie in 0 to {MOST_BITS}, got {self.adc_bits}")
        if not 0 <= self.move_at <= 1:
            raise ValueError(f"move_at must lie in 0 to 1, got {self.move_at}")

    @property
    def present(self) -> tuple[str, ...]:
        """Names of those that are not off."""
        mine = (f for f in fields(self) if f.name not in PARAMETERS_OF_OTHERS)
        return tuple(f.name for f in mine if getattr(self, f.name) != f.default)

    def of_spins(
        self, spins: Spins, plane: SlicePlane, tissues: TissueTable | None
    ) -> tuple[Spins, NDArray[np.intp]]:
        """Give the spins their transmit field, their lines, and the place where gradients see them.

        Also returns which spin each came from, see `with_spectrum`.
        """
        source = np.arange(spins.tissue.size)
        if not self.t2prime:
            spins = replace(spins, t2prime=np.full_like(spins.t2prime, np.inf))
        if not self.chemical_shift:
            table = self._table("chemical_shift", tissues)
            shift = np.array([t.chemical_shift for t in table.tissues]) * GAMMA_BAR * table.field_strength
            spins = replace(spins, freq=(spins.freq - shift[spins.tissue]).astype(np.float32))
        if self.b1 and source.size:
            felt = _transmit(spins, plane, self.b1)
            spins = replace(spins, b1=felt if spins.b1 is None else felt * spins.b1)
        if self.fat_lines:
            table = self._table("fat_lines", tissues)
            for row, tissue in enumerate(table.tissues):
                if tissue.chemical_shift < 0:
                    spins, part = with_spectrum(spins, row, fat_spectrum(table.field_strength))
                    source = source[part]
        if any(self.gradient_error):
            spins, part = GradientNonlinearity(error=self.gradient_error).apply(spins, plane)
            source = source[part]
        return spins, source

    def of_events(self, events: Events) -> Events:
        """Return what the amplifiers make of the sequence, and the frame in which the spins see it."""
        if any(self.gradient_delay):
            events = delayed(events, self.gradient_delay)
        if self.eddy_currents:
            events = with_eddy_currents(events, self.eddy_currents)
        if self.drift or self.offset:
            events = drifting(events, self.drift, self.offset)
        return events

    def dynamics(
        self,
        spins: Spins,
        events: Events,
        plane: SlicePlane,
        tissues: TissueTable | None,
        field_strength: float,
    ) -> Dynamics | None:
        """Collect what only the dynamic engine can do; None if there is nothing of it."""
        from mrsim.bloch.dynamic import Concomitant, Dynamics

        concomitant = None
        if self.concomitant:
            if not 0 < field_strength < math.inf:
                raise ValueError(
                    f"concomitant must be given a field strength above 0, got {field_strength} T"
                )
            concomitant = Concomitant(field_strength=field_strength, axes=plane.axes, centre=plane.centre)
        pool = self._pool(spins, tissues) if self.magnetisation_transfer else None
        motion = self._motion(spins, events, tissues)
        if motion is None and pool is None and concomitant is None:
            return None
        return Dynamics(motion=motion, pool=pool, concomitant=concomitant)

    def through_plane(self, box: NDArray[np.float64], plane: SlicePlane, duration: float) -> float:
        """How far they bring parts of an object in the `box` (3, 2) [m] towards the slice [m], flow aside."""
        moving = self.moving(duration)
        far = moving.through_plane(box, duration) if moving else 0.0
        if any(self.gradient_error):
            far += GradientNonlinearity(error=self.gradient_error).through_plane(box, plane)
        return far

    def moving(self, duration: float) -> Moving | None:
        """Motion of the whole object during a scan of `duration` [s], or None."""
        motions: list[Any] = []
        if any(self.shift) or any(self.turn):
            at = max(SUDDEN, self.move_at * duration)
            rest = [NOTHING]
            motions += rigid([at - SUDDEN, at], [*rest, self.shift], [*rest, self.turn]).motions
        if any(self.breathing):
            motions += periodic(Translate(offset=self.breathing), self.breathing_period).motions
        if any(self.beating):
            around, across, along = self.beating
            heart = HeartBeat(circumferential=around, radial=across, longitudinal=along)
            motions += periodic(heart, self.beating_period).motions
        return Moving(motions=tuple(motions)) if motions else None

    def _motion(self, spins: Spins, events: Events, tissues: TissueTable | None) -> Moving | None:
        whole = self.moving(events.total_duration)
        if not any(self.flow):
            return whole
        mine = np.arange(spins.tissue.size)
        if self.flow_tissue:
            names = [t.name for t in self._table("flow_tissue", tissues).tissues]
            row = names.index(known("flow_tissue", self.flow_tissue, names))
            mine = np.flatnonzero(spins.tissue == row)
        flow = flowing(spins.position, mine, self.flow, spins.cell)
        return Moving(motions=whole.motions if whole else (), flows=(flow,) if flow else ())

    def _pool(self, spins: Spins, tissues: TissueTable | None) -> BoundPool:
        """Bound pools of the rows of `spins`; rows beyond the table are lines of fat, which have none."""
        from mrsim.bloch.pools import BoundPool

        rows = self._table("magnetisation_transfer", tissues).tissues
        more = spins.pd.size - len(rows)
        columns = {
            name: np.array([getattr(t, key) for t in rows] + [default] * more)
            for name, key, default in (
                ("fraction", "bound_fraction", 0.0),
                ("exchange", "exchange", 0.0),
                ("t2", "bound_t2", 10e-6),
            )
        }
        return BoundPool(r1=np.full(spins.pd.size, BOUND_R1), **columns)

    def diffusivity(self, spins: Spins, tissues: TissueTable | None) -> NDArray[np.float64] | None:
        """(row,) [m2/s] of the rows of `spins`, or None."""
        if not self.diffusion:
            return None
        rows = [t.diffusivity for t in self._table("diffusion", tissues).tissues]
        fat = [t.diffusivity for t in self._table("diffusion", tissues).tissues if t.chemical_shift < 0]
        return np.array(rows + [fat[0] if fat else 0.0] * (spins.pd.size - len(rows)))

    def _table(self, name: str, tissues: TissueTable | None) -> TissueTable:
        if tissues is None:
            raise ValueError(f"{name} must be given a phantom with a tissue table, got spins of their own")
        return tissues

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


def _transmit(spins: Spins, plane: SlicePlane, strength: float) -> NDArray[np.complex64]:
    """Relative B1+ of a slab, bright in its middle; along the slice normal it is as wide as in the plane."""
    low, high = spins.position.min(axis=1), spins.position.max(axis=1)
    middle, half = (low + high) / 2, (high - low) / 2
    half[2] = half[:2].mean()
    corners = plane.to_ras(np.stack([middle - half, middle + half], axis=1))
    x, y, z = ((float(a.min()), float(a.max())) for a in corners)
    return dielectric_b1((x, y, z), strength=strength).at(plane.to_ras(spins.position)).astype(np.complex64)
