"""Turbo spin echo: several lines of k-space per excitation, each in an echo of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrsim.events.blocks import Block, delay
from mrsim.sequences.base import ALONG_X, Shot, parameter
from mrsim.sequences.prepared import PreparedSequence
from mrsim.sequences.timing import after, area_after, area_before, centre, room, sample_time

ORDERS = ("linear", "centre-out")


@dataclass(frozen=True, kw_only=True, slots=True)
class TurboSpinEcho(PreparedSequence):
    """Cartesian 2-D single-slice turbo spin echo (RARE, FSE).

    The Carr-Purcell-Meiboom-Gill train of `echo_train` refocusing pulses, all crushed alike, with phase
    encode and readout rewound after each echo, so that stimulated echoes add up in phase. Echo number
    `effective_echo`, at TE, reads the centre of k-space; the echo spacing is TE / effective_echo. Orders:
    "linear" gives each echo its band of neighbouring lines, the bands in the order of k-space (turned in a
    circle); "centre-out" puts lines the closer to the centre, the closer their echo is to TE.
    """

    te: float = parameter(80e-3, "s", "effective echo time, of the centre of k-space")
    tr: float = parameter(3.0, "s", "repetition time")
    flip: float = parameter(math.pi / 2, "rad", "excitation flip angle")
    refocusing: float = parameter(math.pi, "rad", "refocusing flip angle")
    echo_train: int = parameter(6, "1", "echoes per excitation, a divisor of the lines")
    effective_echo: int = parameter(4, "1", "echo that reads the centre of k-space, counted from 1")
    order: str = parameter("linear", "", "which lines an echo reads: linear or centre-out")
    refocusing_width: float = parameter(2.0, "1", "thickness that the refocusing pulses select, in slices")

    def __post_init__(self) -> None:
        PreparedSequence.__post_init__(self)
        self.check_flip("refocusing")
        self.check_positive("refocusing_width")
        self.check_choice("order", ORDERS)
        self.check_count("echo_train", 1)
        self.check_count("effective_echo", 1)
        if self.matrix[0] % self.echo_train:
            raise ValueError(
                f"echo_train must divide the {self.matrix[0]} lines of the matrix, got {self.echo_train}"
            )
        if self.effective_echo > self.echo_train:
            raise ValueError(
                f"effective_echo must lie in 1 to echo_train = {self.echo_train}, got {self.effective_echo}"
            )
        self.to_raster(2 * self.effective_echo, "te")
        self._shot()

    @property
    def echo_spacing(self) -> float:
        """[s]."""
        return self.te / self.effective_echo

    @property
    def n_shots(self) -> int:
        """Excitations."""
        return self.matrix[0] // self.echo_train

    def lines(self) -> NDArray[np.intp]:
        """(shot, echo) line of k-space that each echo reads."""
        n = self.matrix[0]
        echoes = np.arange(self.echo_train)
        if self.order == "linear":
            bands = np.arange(n).reshape(self.echo_train, self.n_shots)
            centre_band = (n // 2) // self.n_shots
            band_of_echo = (echoes - (self.effective_echo - 1) + centre_band) % self.echo_train
        else:
            outwards = np.argsort(np.abs(np.arange(n) - n // 2), kind="stable")
            bands = outwards.reshape(self.echo_train, self.n_shots)
            band_of_echo = np.argsort(np.argsort(np.abs(echoes - (self.effective_echo - 1)), kind="stable"))
        return np.asarray(bands[band_of_echo].T, np.intp)

    def _shot(self) -> Shot:
        excite = self.selective(self.pulse(self.flip, "excitation", ALONG_X))
        refocus = self.selective(self.pulse(self.refocusing, "refocusing"), self.refocusing_width)
        crush, spoil, readout = self.crush(), self.spoil(), self.readout(0)
        half, esp = area_before(readout, self.echo_sample), self.echo_spacing
        rephase = self.lobes(max(half, area_after(excite)))(x=half, z=-area_after(excite))
        encode = self.encode()
        # CPMG needs as much readout gradient after the echo as before it.
        rewind = self.encode(2 * half - readout.gx.area if readout.gx else 0.0)

        first = after(excite) + rephase.duration + crush.duration + centre(refocus)
        to_echo = sample_time(readout, self.echo_sample)
        early = after(refocus) + crush.duration + encode(0.0).duration + to_echo
        late = readout.duration - to_echo + rewind(0.0).duration + crush.duration + centre(refocus)
        needed = 2 * self.effective_echo * max(first, early, late)
        gaps = [
            delay(
                room("te", esp / 2 - used, f"an echo spacing of te / {self.effective_echo}", self.te, needed)
            )
            for used in (first, early, late)
        ]
        before = [*self.prepared(excite), rephase, gaps[0]]
        lines = self.lines()

        def shot(number: int) -> list[Block]:
            played = list(before)
            for echo, line in enumerate(lines[number]):
                ky = float(self.phase_encodes[line])
                read = self.readout(int(line))
                read = replace(read, labels={**read.labels, "SEG": echo})
                played += [crush, refocus, crush, gaps[1], encode(ky), read, rewind(-ky), gaps[2]]
            return [*played[:-1], self.rest([*played[:-1], spoil]), spoil]

        shot(0)
        return shot
