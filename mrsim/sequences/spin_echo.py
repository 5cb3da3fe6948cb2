"""Spin echo: one line of k-space per repetition, read in a Hahn echo."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from mrsim.blocks import Block, compile_blocks, delay
from mrsim.constants import GAMMA_BAR
from mrsim.events import Events
from mrsim.sequences.base import (
    SliceSequence,
    after,
    area_after,
    area_before,
    centre,
    compiled,
    parameter,
    room,
    sample_time,
)

EXCITATION_PHASE = -math.pi / 2  # with refocusing at phase 0 the on-resonance echo is real and positive


@dataclass(frozen=True, kw_only=True, slots=True)
class SpinEcho(SliceSequence):
    """Cartesian 2-D single-slice spin echo in the steady state.

    Slice-selective Hamming-sinc pulses (time-bandwidth product 4) with a crusher on either side of the
    refocusing pulse, spoiling before each excitation. Refocusing selects twice the slice thickness: |b|^2 of a
    sinc is narrow, and so the echo has a full width at half maximum of 0.96 slices (of 0.64, if both pulses
    select the same). TE is counted from the excitation centre, the refocusing centre lies at TE/2, and sample
    n of the readout at TE + (n - samples // 2) dwell.
    """

    te: float = parameter(80e-3, "s", "echo time")
    tr: float = parameter(3.0, "s", "repetition time")
    flip: float = parameter(math.pi / 2, "rad", "excitation flip angle")
    refocusing: float = parameter(math.pi, "rad", "refocusing flip angle")
    refocusing_width: float = parameter(2.0, "1", "thickness that the refocusing pulse selects, in slices")

    def __post_init__(self) -> None:
        SliceSequence.__post_init__(self)
        self.check_positive("te", "tr", "refocusing_width")
        self.check_flip("flip", "refocusing")
        if not self.te < self.tr:
            raise ValueError(f"te must lie in (0, tr = {self.tr} s), got {self.te} s")
        self._repetition()

    def _repetition(self) -> Callable[[int], list[Block]]:
        """Lay out what the repetition of each line plays; ValueError if TE or TR have no room for it."""
        excite = self.selective(self.pulse(self.flip, "excitation", EXCITATION_PHASE), repetition=True)
        refocus = self.selective(self.pulse(self.refocusing, "refocusing"), self.refocusing_width)
        crush, spoil = self.crush(), self.spoil()
        readout = self.readout(0)
        encode = self.encode(area_before(readout, self.echo_sample), -area_after(excite))

        to_echo = sample_time(readout, self.echo_sample)
        first = after(excite) + encode(0.0).duration + crush.duration + centre(refocus)
        wait = room("te", self.te / 2 - first, "encoding between the pulses", self.te, 2 * first)
        second = after(refocus) + crush.duration + to_echo
        wait_echo = room("te", self.te / 2 - second, "readout before the echo", self.te, 2 * second)
        used = centre(excite) + self.te + readout.duration - to_echo + spoil.duration
        rest = delay(room("tr", self.tr - used, "pulses and readout", self.tr, used))
        before, between = delay(wait), delay(wait_echo)

        def line(row: int) -> list[Block]:
            encoding = encode(-float(self.phase_encodes[row]) / GAMMA_BAR)  # refocusing inverts it
            return [excite, encoding, before, crush, refocus, crush, between, self.readout(row), rest, spoil]

        return line

    def blocks(self) -> list[Block]:
        """Ten blocks in each of `matrix[0]` repetitions."""
        line = self._repetition()
        return [block for row in range(self.matrix[0]) for block in line(row)]

    def compile(self) -> Events:
        """Compile to arrays anew."""
        return compile_blocks(
            self.blocks(),
            matrix=self.matrix,
            pixel_volume=self.pixel[0] * self.pixel[1] * self.thickness,
            box=self.box,
            steady_state=True,
        )

    def events(self) -> Events:
        """Compile to arrays."""
        return compiled(self)
