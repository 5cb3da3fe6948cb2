"""Gradient echo: one line of k-space per short repetition, the rest of the magnetisation spoiled."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mrsim.events.blocks import Block, delay
from mrsim.sequences.base import ALONG_X, Shot, parameter
from mrsim.sequences.prepared import PreparedSequence
from mrsim.sequences.timing import after, area_after, area_before, room, sample_time

RF_INCREMENT = math.radians(117)  # Zur et al., Magn Reson Med 1991;21:251


def quadratic_phase(repetition: int, increment: float) -> float:
    """Phase [rad] of RF spoiling, whose step grows by `increment` [rad] each repetition, in [0, 2 pi)."""
    return (repetition * (repetition + 1) // 2 * increment) % (2 * math.pi)


@dataclass(frozen=True, kw_only=True, slots=True)
class GradientEcho(PreparedSequence):
    """Cartesian 2-D single-slice spoiled gradient echo (FLASH, SPGR).

    spoiling "ideal" leaves no transverse magnetisation at the end of a repetition. "gradient" rewinds phase
    encode and readout and dephases along the slice, while the RF phase grows quadratically; with rf_increment
    0 this is the unspoiled steady state (FISP). RF-spoiled magnetisation has no steady state that repeats, so
    such a scan starts in equilibrium; `dummies` lead it towards its end.
    """

    te: float = parameter(8e-3, "s", "echo time")
    tr: float = parameter(30e-3, "s", "repetition time")
    flip: float = parameter(math.radians(15), "rad", "excitation flip angle")
    rf_increment: float = parameter(RF_INCREMENT, "rad", "growth of the RF phase step (spoiling gradient)")

    def __post_init__(self) -> None:
        PreparedSequence.__post_init__(self)
        self.to_raster(1, "te")
        if not math.isfinite(self.rf_increment):
            raise ValueError(f"rf_increment must be finite, got {self.rf_increment} rad")
        if self.spoils_by_phase and self.preparation == "steady-state":
            raise ValueError(
                "preparation must be equilibrium (with dummies) if phases that never repeat spoil, got "
                "'steady-state': or take spoiling ideal"
            )
        self._shot()

    @property
    def spoils_by_phase(self) -> bool:
        """Whether the RF phase grows quadratically."""
        return self.spoiling == "gradient" and self.rf_increment % (2 * math.pi) != 0

    @property
    def n_shots(self) -> int:
        """One per line."""
        return self.matrix[0]

    def rf_phase(self, repetition: int) -> float:
        """See `SliceSequence.rf_phase`."""
        return quadratic_phase(repetition, self.rf_increment) if self.spoils_by_phase else 0.0

    def _shot(self) -> Shot:
        excite = self.selective(self.pulse(self.flip, "excitation", ALONG_X))
        readout, spoil = self.readout(0), self.spoil()
        to_echo = area_before(readout, self.echo_sample)
        encode = self.encode(-to_echo, -area_after(excite))
        used = after(excite) + encode(0.0).duration + sample_time(readout, self.echo_sample)
        wait = delay(room("te", self.te - used, "encoding and readout", self.te, used))
        before = self.prepared(excite)
        rewind = self.encode(to_echo - readout.gx.area if readout.gx else 0.0)

        def shot(line: int) -> list[Block]:
            ky = float(self.phase_encodes[line])
            end = [spoil] if self.spoiling == "ideal" else [rewind(-ky), spoil]
            played = [*before, encode(ky), wait, self.readout(line)]
            return [*played, self.rest([*played, *end]), *end]

        shot(0)
        return shot
