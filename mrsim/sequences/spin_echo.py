"""Spin echo: one line of k-space per repetition, read in a Hahn echo."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mrsim.events.blocks import Block, delay
from mrsim.sequences.base import ALONG_X, Shot, parameter
from mrsim.sequences.prepared import PreparedSequence
from mrsim.sequences.timing import after, area_after, area_before, centre, room, sample_time


@dataclass(frozen=True, kw_only=True, slots=True)
class SpinEcho(PreparedSequence):
    """Cartesian 2-D single-slice spin echo in the steady state.

    Slice-selective Hamming-sinc pulses with a crusher on either side of the refocusing pulse, spoiling before
    each excitation. Refocusing selects twice the slice thickness: |b|^2 of a sinc is narrow, and so the echo
    has a full width at half maximum of 0.96 slices (of 0.64, if both pulses select the same). TE is counted
    from the excitation centre, the refocusing centre lies at TE/2, and sample n of the readout at TE + (n -
    samples // 2) dwell.
    """

    te: float = parameter(80e-3, "s", "echo time")
    tr: float = parameter(3.0, "s", "repetition time")
    flip: float = parameter(math.pi / 2, "rad", "excitation flip angle")
    refocusing: float = parameter(math.pi, "rad", "refocusing flip angle")
    refocusing_width: float = parameter(2.0, "1", "thickness that the refocusing pulse selects, in slices")

    def __post_init__(self) -> None:
        PreparedSequence.__post_init__(self)
        self.check_positive("refocusing_width")
        self.check_flip("refocusing")
        self.to_raster(2, "te")
        self._shot()

    @property
    def n_shots(self) -> int:
        """One per line."""
        return self.matrix[0]

    def _shot(self) -> Shot:
        excite = self.selective(self.pulse(self.flip, "excitation", ALONG_X))
        refocus = self.selective(self.pulse(self.refocusing, "refocusing"), self.refocusing_width)
        crush, spoil = self.crush(), self.spoil()
        readout = self.readout(0)
        encode = self.encode(area_before(readout, self.echo_sample), -area_after(excite))

        to_echo = sample_time(readout, self.echo_sample)
        first = after(excite) + encode(0.0).duration + crush.duration + centre(refocus)
        wait = delay(room("te", self.te / 2 - first, "encoding between the pulses", self.te, 2 * first))
        second = after(refocus) + crush.duration + to_echo
        between = delay(room("te", self.te / 2 - second, "readout before the echo", self.te, 2 * second))
        before = self.prepared(excite)

        def shot(line: int) -> list[Block]:
            encoding = encode(-float(self.phase_encodes[line]))  # refocusing inverts it
            played = [*before, encoding, wait, crush, refocus, crush, between, self.readout(line)]
            return [*played, self.rest([*played, spoil]), spoil]

        shot(0)
        return shot
