"""Echo-planar imaging: all of k-space after one excitation, every second line backwards."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from mrsim.constants import GAMMA_BAR
from mrsim.events.blocks import Adc, Block, Trapezoid, delay
from mrsim.sequences.base import ALONG_X, Shot, parameter
from mrsim.sequences.prepared import PreparedSequence
from mrsim.sequences.timing import after, area_after, centre, room, total

ECHOES = ("gradient", "spin")
WINDOW_STEPS = (
    20  # receiver rasters in two microseconds, of which a window lasts a multiple: it starts on one
)
COARSEST = 5  # receiver rasters that the dwell time may be coarsened to for it


@dataclass(frozen=True, kw_only=True, slots=True)
class Epi(PreparedSequence):
    """Single-shot 2-D echo-planar imaging, as a gradient echo or in a spin echo.

    The samples of a line lie in the middle of the flat of its readout, so that lines read backwards fall on
    the same places; blips along y are played while the readout gradient turns over. TE is when the middle of
    the readout of line matrix[0] // 2 is reached.
    """

    te: float = parameter(40e-3, "s", "echo time")
    tr: float = parameter(3.0, "s", "repetition time")
    flip: float = parameter(math.pi / 2, "rad", "excitation flip angle")
    echo: str = parameter("gradient", "", "gradient or spin")
    refocusing: float = parameter(math.pi, "rad", "refocusing flip angle (echo spin)")
    refocusing_width: float = parameter(2.0, "1", "thickness that the refocusing pulse selects, in slices")
    fov: tuple[float, float] = parameter((0.240, 0.240), "m", "field of view (y, x): phase encode, readout")
    matrix: tuple[int, int] = parameter((64, 64), "1", "phase encodes, readout samples")
    bandwidth: float = parameter(2000.0, "Hz/px", "readout bandwidth per pixel")
    thickness: float = parameter(4e-3, "m", "slice thickness")

    def __post_init__(self) -> None:
        PreparedSequence.__post_init__(self)
        self.check_choice("echo", ECHOES)
        self.check_flip("refocusing")
        self.check_positive("refocusing_width")
        self.to_raster(2, "te")
        self._shot()

    @property
    def n_shots(self) -> int:
        """One excitation reads it all."""
        return 1

    @property
    def dwell(self) -> float:
        """Time from sample to sample [s]; windows then begin on whole microseconds if that is possible."""
        raster = self.hardware.adc_raster
        steps = WINDOW_STEPS // math.gcd(WINDOW_STEPS, self.matrix[1])
        coarse = raster * (steps if steps <= COARSEST else 1)
        return max(1, round(1 / (self.bandwidth * self.matrix[1]) / coarse)) * coarse

    @property
    def echo_spacing(self) -> float:
        """Time from the middle of a line to that of the next [s]."""
        return self._line(0).duration

    def _line(self, line: int) -> Block:
        """Read a line and blip to the next."""
        limits = self.hardware
        remedy = "a larger fov or a smaller bandwidth"
        model = limits.flat(self.readout_gradient, 0.0, "readout gradient", remedy)
        lead = max(model.rise, limits.rastered(limits.adc_dead_time))
        flat = 2 * limits.rastered(self.readout_duration / 2)
        gx = Trapezoid(amplitude=model.amplitude, rise=lead, flat=flat, fall=lead)
        n, back = self.matrix[1], line % 2
        begin = lead + (flat - self.readout_duration) / 2
        adc = Adc(samples=n, dwell=self.dwell, delay=begin, place=(line * n + back * (n - 1), 1 - 2 * back))
        gx = replace(gx, amplitude=gx.amplitude * (1 - 2 * back))
        blip = replace(limits.lobe(1 / (self.fov[0] * GAMMA_BAR)), delay=lead + flat)
        last = line == self.matrix[0] - 1
        labels = {"LIN": line, "REV": back}
        length = max(gx.duration, blip.duration)
        return Block(gx=gx, gy=None if last else blip, adc=adc, duration=length, labels=labels)

    def _train(self) -> tuple[list[Block], float, float]:
        """All lines, the time to the echo [s], and the readout area up to k = 0 of the first line [s T/m]."""
        lines = [self._line(line) for line in range(self.matrix[0])]
        gx = lines[0].gx
        if not isinstance(gx, Trapezoid):
            raise ValueError("line must read out with a trapezoid")
        # Sample n // 2 lies half a dwell after the middle of the line if n is even.
        late = (self.echo_sample + 0.5) * self.dwell - self.readout_duration / 2
        to_echo = total(lines[: self.matrix[0] // 2]) + gx.rise + gx.flat / 2
        return lines, to_echo, gx.area / 2 + late * gx.amplitude

    def _weighting(
        self,
        first: float,  # noqa: ARG002 - of subclasses
        second: float,  # noqa: ARG002
        between: float,  # noqa: ARG002
    ) -> tuple[list[Block], list[Block]]:
        """Play this before and after refocusing, in `first` and `second` [s], `between` [s] apart."""
        return [], []

    def _shot(self) -> Shot:
        excite = self.selective(self.pulse(self.flip, "excitation", ALONG_X))
        train, to_echo, area = self._train()
        start = float(self.phase_encodes[0]) / GAMMA_BAR
        rephase = self.lobes(area_after(excite))(z=-area_after(excite))
        prephase = self.lobes(max(area, abs(start)))(x=-area, y=start)
        before = self.prepared(excite)
        layout = self._gradient_echo if self.echo == "gradient" else self._spin_echo
        middle = layout(excite, rephase, prephase, to_echo)
        spoil = self.spoil()
        played = [*before, *middle, *train]
        scan = [*played, self.rest([*played, spoil]), spoil]
        return lambda _: scan

    def _gradient_echo(self, excite: Block, rephase: Block, prephase: Block, to_echo: float) -> list[Block]:
        used = after(excite) + rephase.duration + prephase.duration + to_echo
        wait = room("te", self.te - used, "half of the echo train", self.te, used)
        return [rephase, delay(wait), prephase]

    def _spin_echo(self, excite: Block, rephase: Block, prephase: Block, to_echo: float) -> list[Block]:
        refocus = self.selective(self.pulse(self.refocusing, "refocusing"), self.refocusing_width)
        crush = self.crush()
        first = after(excite) + rephase.duration + crush.duration + centre(refocus)
        second = after(refocus) + crush.duration + prephase.duration + to_echo
        early = room("te", self.te / 2 - first, "what is before refocusing", self.te, 2 * first)
        late = room("te", self.te / 2 - second, "half of the echo train", self.te, 2 * second)
        between = 2 * crush.duration + refocus.duration
        weights = self._weighting(early, late, between)
        gaps = [delay(free - total(lobes)) for free, lobes in zip((early, late), weights, strict=True)]
        return [rephase, gaps[0], *weights[0], crush, refocus, crush, *weights[1], gaps[1], prephase]
