"""Retrospective gating: which line is read when, which moment of the heart that is, frames from all beats.

A train of pulses runs without a pause over many beats. In each beat one segment of the lines is read over and
over, so that each of its lines is there every `segment` TR; the R wave starts the next segment. Afterwards
each line is interpolated between its own times to the moments of the frames, as shares of the beat that it
was read in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phantoms.cardiac.cycle import Cycle

Real = NDArray[np.float64]
Index = NDArray[np.intp]
SHORTEST, LONGEST = 0.6, 1.6  # of a beat over the mean


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Timeline:
    """A scan, repetition by repetition from the first R wave on.

    line : (repetition,) row of k-space that is read, -1 for none
    share : (repetition,) of its own beat that is over when its echo comes
    phase : (repetition,) of the phantom's cycle: systole takes as long as in a beat of that length
    """

    line: Index
    share: Real
    phase: Real

    def resampled(self, samples: NDArray[np.complex64], n_lines: int, n_frames: int) -> NDArray[np.complex64]:
        """Frames (frame, coil, ky, kx) from the lines (repetition, coil, kx) that were read.

        Linear in time between the two nearest times of a line; behind the last comes the first.
        """
        frames = np.empty((n_frames, samples.shape[1], n_lines, samples.shape[2]), np.complex64)
        wanted = np.arange(n_frames) / n_frames
        for row in range(n_lines):
            read = np.flatnonzero(self.line == row)
            at = np.concatenate([[self.share[read[-1]] - 1], self.share[read], [self.share[read[0]] + 1]])
            cyclic = np.concatenate([read[-1:], read, read[:1]])
            before = np.clip(np.searchsorted(at, wanted, side="right") - 1, 0, at.size - 2)
            weight = ((wanted - at[before]) / (at[before + 1] - at[before])).astype(np.float32)[:, None, None]
            early, late = samples[cyclic[before]], samples[cyclic[before + 1]]
            frames[:, :, row] = early + weight * (late - early)
        return frames


def timeline(n_lines: int, segment: int, tr: float, te: float, rr: float, beats: Real) -> Timeline:
    """Play `n_lines` lines, `segment` in each beat; neighbours in k-space are read in successive beats.

    So a segment steps through all of k-space, and lines that lie side by side have nearly the same times.

    tr, te, rr : [s], rr that of the phantom's cycle;  beats : (segment,) lengths [s]
    """
    n_segments = math.ceil(n_lines / segment)
    start = np.concatenate([[0.0], np.cumsum(beats)])
    echo = tr * np.arange(math.ceil((start[-1] - te) / tr)) + te
    beat = np.searchsorted(start, echo, side="right") - 1
    first = np.searchsorted(echo, start[:-1])  # repetition of each beat
    row = (np.arange(echo.size) - first[beat]) % segment * n_segments + beat
    share = (echo - start[beat]) / beats[beat]
    return Timeline(
        line=np.where(row < n_lines, row, -1), share=share, phase=_of_cycle(share, beats[beat], rr)
    )


def segments(n_lines: int, segment: int) -> int:
    """Beats that a scan takes."""
    return math.ceil(n_lines / segment)


def drawn_beats(count: int, rr: float, variation: float, rng: np.random.Generator) -> Real:
    """Lengths of beats [s]: normal around `rr` with `variation` as SD relative to it."""
    return np.asarray(rr * np.clip(1 + variation * rng.standard_normal(count), SHORTEST, LONGEST))


def _of_cycle(share: Real, beat: Real, rr: float) -> Real:
    """Phase of a cycle of length `rr` that is the moment `share` of beats of other lengths."""
    lengths, which = np.unique(beat, return_inverse=True)
    ends = np.array([Cycle(rr=float(length)).end_systole for length in lengths])[which]
    own = Cycle(rr=rr).end_systole
    systole, diastole = share / ends * own, own + (share - ends) / (1 - ends) * (1 - own)
    return np.asarray(np.where(share < ends, systole, diastole))
