"""Gated cine: every line of k-space at a time of its own, over many beats, with its readout.

The heart is looked at on a grid of moments about a TR apart; a line sees the nearest one. Magnetisation
belongs to a place and its tissue: what the heart brings to a place has felt all pulses, in the field there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from mrsim.cine.encode import encode
from mrsim.cine.gating import Timeline
from mrsim.cine.ideal import Part, at_rest
from mrsim.cine.readout import Readout
from mrsim.cine.scene import Box, Scene
from mrsim.cine.steady import Train

Complex = NDArray[np.complex64]
Index = NDArray[np.intp]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Scan:
    """What is played, and to whom.

    parts : the full field of view and the box of what moves
    gain : phases (moment,) -> factors (moment, tissue) on the signal
    """

    scene: Scene
    parts: tuple[Part, Part]
    train: Train
    readout: Readout
    timeline: Timeline
    gain: Callable[[NDArray[np.float64]], NDArray[np.float32]]

    def frames(self, n_frames: int, crop: Box | None) -> Complex:
        """K-space (frame, coil, ky, kx) at the moments of the frames."""
        frames = self.timeline.resampled(self.samples(), self.scene.plane.matrix[0], n_frames)
        return frames if crop is None else _cropped(frames, crop)

    def samples(self) -> Complex:
        """Lines (repetition, coil, kx) as they are read; zeros where none is."""
        moments = self._moments()
        tissues = self.scene.labels(moments, self.parts[1].box)
        gain = self.gain(moments)
        always = self._at_rest(self.train.table.values, None) if self._settled else None
        coils = 1 if self.parts[0].coils is None else len(self.parts[0].coils)
        samples = np.zeros((self.timeline.line.size, coils, self.scene.plane.matrix[1]), np.complex64)
        for values, moment, repetitions in self._groups(moments.size):
            rows = self.timeline.line[repetitions]
            rest = self._at_rest(values, rows) if always is None else always[:, :, rows]
            samples[repetitions] = self._lines(values, tissues[moment], gain[moment], rows, rest)
        return samples

    @property
    def _settled(self) -> bool:
        """Whether all repetitions show the same magnetisation."""
        return bool(self.train.sequence.preparation == "steady-state")

    def _moments(self) -> NDArray[np.float64]:
        """Phases of the grid of moments, a TR apart or a little less."""
        n = math.ceil(self.scene.heart.case.rr / self.train.sequence.tr)
        return np.asarray(np.arange(n) / n)

    def _groups(self, n_moments: int) -> Iterator[tuple[Complex, int, Index]]:
        """Yield signals (tissue, frequency) at the echo, a moment, and the repetitions that have both."""
        moment = np.rint(self.timeline.phase * n_moments).astype(np.intp) % n_moments
        read = self.timeline.line >= 0
        if self._settled:
            for m in np.unique(moment[read]).tolist():
                yield self.train.table.values, m, np.flatnonzero(read & (moment == m))
            return
        for repetition, values in zip(range(moment.size), self.train.echoes(), strict=False):
            if read[repetition]:
                yield values, int(moment[repetition]), np.array([repetition])

    def _at_rest(self, values: Complex, rows: Index | None) -> Complex:
        """Rows (point, coil, row, kx) of k-space of all spins but those of the box."""
        axes = self.scene.axes()
        return np.stack(
            [at_rest(self.scene, self.parts, values * f, axes, rows) for f in self.readout.factors]
        )

    def _lines(
        self,
        values: Complex,
        labels: NDArray[np.uint8],
        gain: NDArray[np.float32],
        rows: Index,
        rest: Complex,
    ) -> Complex:
        """Read `rows` (row, coil, kx) of k-space at one moment."""
        box = self.parts[1]
        in_x, in_y = self.scene.spins(box.box)
        lines = np.zeros(rest.shape[1:], np.complex64)
        for factor, weight, still in zip(self.readout.factors, self.readout.weights, rest, strict=True):
            image = box.image(labels, values * factor, gain)
            moving = encode(image, (in_x.start, in_y.start), self.scene.axes(), rows)
            lines += weight * (moving + still)
        return np.ascontiguousarray(lines.transpose(1, 0, 2))


def _cropped(frames: Complex, crop: Box) -> Complex:
    """K-space of the crop of the images of `frames`."""
    axes = (-2, -1)
    out = []
    for frame in frames:  # one at a time: all of them are large
        image = fft.fftshift(fft.ifft2(fft.ifftshift(frame, axes), norm="ortho"), axes)[..., *crop.pixels]
        out.append(fft.fftshift(fft.fft2(fft.ifftshift(image, axes), norm="ortho"), axes))
    return np.stack(out)
