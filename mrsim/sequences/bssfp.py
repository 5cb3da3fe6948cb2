"""Balanced steady-state free precession: every gradient rewound within each short repetition."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from mrsim.events.blocks import Block, delay
from mrsim.sequences.base import ALONG_X, Shot, SliceSequence, parameter
from mrsim.sequences.timing import (
    after,
    area_after,
    area_before,
    area_until,
    centre,
    phased,
    room,
    sample_time,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class BalancedSsfp(SliceSequence):
    """Cartesian 2-D single-slice balanced SSFP (TrueFISP, FIESTA).

    All axes are rewound from one excitation centre to the next. Pulses and receiver turn by `phase_step` from
    each repetition to the next, pi by default, which puts the passband on resonance. The scan begins in the
    steady state, in equilibrium, or with half a flip angle TR/2 before the first pulse (Deimling, ISMRM
    1994).
    """

    te: float = parameter(math.nan, "s", "echo time; tr / 2 if not given")
    tr: float = parameter(4.6e-3, "s", "repetition time")
    flip: float = parameter(math.radians(60), "rad", "flip angle")
    bandwidth: float = parameter(1000.0, "Hz/px", "readout bandwidth per pixel")
    thickness: float = parameter(5e-3, "m", "slice thickness")
    pulse_duration: float = parameter(0.8e-3, "s", "length of each shaped pulse")
    tbw: float = parameter(2.0, "1", "time-bandwidth product of the shaped pulses")
    spoiling: str = parameter("gradient", "", "gradient: nothing is spoiled, but for real gradients only")
    preparation: str = parameter(
        "steady-state", "", "how the scan begins: steady-state, half-alpha or equilibrium"
    )
    phase_step: float = parameter(math.pi, "rad", "RF phase from one repetition to the next")

    def __post_init__(self) -> None:
        if math.isnan(self.te):
            object.__setattr__(self, "te", self.tr / 2)
        SliceSequence.__post_init__(self)
        self.to_raster(1, "te")
        if not math.isfinite(self.phase_step):
            raise ValueError(f"phase_step must be finite, got {self.phase_step} rad")
        self._shot()
        self.lead_in()

    def preparations(self) -> tuple[str, ...]:
        """Choices of `preparation`."""
        return ("steady-state", "half-alpha", "equilibrium")

    @property
    def n_shots(self) -> int:
        """One per line."""
        return self.matrix[0]

    @property
    def te_is_half_tr(self) -> bool:
        """See `SliceSequence.te_is_half_tr`."""
        return abs(self.te - self.tr / 2) <= self.hardware.gradient_raster

    def rf_phase(self, repetition: int) -> float:
        """See `SliceSequence.rf_phase`."""
        return (repetition * self.phase_step) % (2 * math.pi)

    def whole(self) -> dict[str, Any]:
        """All pathways make the signal, and the steady state is one in a turning frame."""
        return {**SliceSequence.whole(self), "phase_step": self.phase_step, "refocuses": False}

    def _excite(self, flip: float) -> Block:
        return self.selective(self.pulse(flip, "excitation", ALONG_X))

    def _shot(self) -> Shot:
        excite = self._excite(self.flip)
        readout = self.readout(0)
        to_echo = area_before(readout, self.echo_sample)
        from_echo = readout.gx.area - to_echo if readout.gx else 0.0
        encode = self.encode(-to_echo, -area_after(excite))
        rewind = self.encode(-from_echo, -area_until(excite))
        used = after(excite) + encode(0.0).duration + sample_time(readout, self.echo_sample)
        wait = delay(room("te", self.te - used, "encoding and readout", self.te, used))

        def shot(line: int) -> list[Block]:
            ky = float(self.phase_encodes[line])
            played = [excite, encode(ky), wait, self.readout(line)]
            return [*played, self.rest([*played, rewind(-ky)]), rewind(-ky)]

        shot(0)
        return shot

    def lead_in(self) -> list[Block]:
        """Play half the flip angle half a TR before the first pulse, one phase step back, and balance it."""
        if self.preparation != "half-alpha":
            return []
        half, first = self._excite(self.flip / 2), self._excite(self.flip)
        balance = self.lobes(max(area_after(half), area_until(first)))
        rephase, rewind = balance(z=-area_after(half)), balance(z=-area_until(first))
        used = after(half) + rephase.duration + rewind.duration + centre(first)
        wait = delay(room("tr", self.tr / 2 - used, "the preparation", self.tr, 2 * used))
        played = [replace(half, repetition=True), rephase, wait, rewind]
        return phased(played, -self.phase_step)
