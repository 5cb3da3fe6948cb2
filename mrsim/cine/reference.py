"""Brute force: a gated scan of a beating heart in slow, obvious NumPy, that the modes of a cine are held to.

Every tissue at every place feels every pulse of the train, one after the other. Each line sees the tissues of
its own moment, and each of its samples sums over all spins. No table, no closed form, no FFT, no grid of
moments.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrsim.cine.gating import Timeline
from mrsim.cine.scene import Scene
from mrsim.constants import GAMMA_BAR
from phantoms.tissues import TissueTable

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]


def settled(
    field: NDArray[np.float32],
    tissues: TissueTable,
    sequence: Any,  # noqa: ANN401 - BalancedSsfp
    repetitions: int,
) -> Magnetisation:
    """Play what comes before the first line of a scan: so many repetitions, after the preparation.

    field : (layer, x, y) [Hz] of all spins of the field of view
    """
    m = Magnetisation(field.ravel().astype(np.float64), tissues, sequence)
    m.prepare()
    for _ in range(repetitions):
        m.repetition()
    return m


def acquire(
    scene: Scene, m: Magnetisation, timeline: Timeline, *, readout: bool = True
) -> NDArray[np.complex64]:
    """Play on and read the lines of the timeline: (repetition, coil, kx), zeros where none is read.

    readout : False has all samples of a line read at once, at the echo
    """
    sequence = m.sequence
    position = _positions(scene)
    (n_y, n_x), fov = scene.plane.matrix, scene.plane.fov
    kx = (np.arange(n_x) - n_x // 2) / fov[1]
    delay = sequence.dwell * (np.arange(n_x) - sequence.echo_sample) if readout else np.zeros(n_x)
    share = 1 / (np.prod(scene.cuts) * np.sqrt(n_y * n_x))
    samples = np.zeros((timeline.line.size, 1, n_x), np.complex64)
    of_spin, painted = np.zeros(0, np.uint8), math.nan
    for i, (row, phase) in enumerate(zip(timeline.line.tolist(), timeline.phase.tolist(), strict=True)):
        if row < 0:
            m.repetition()
            continue
        if phase != painted:
            of_spin, painted = scene.labels(phase, scene.whole).ravel(), phase
        ky = (row - n_y // 2) / fov[0]
        encoded = np.exp(-2j * np.pi * (kx[:, None] * position[0] + ky * position[1]))
        samples[i, 0] = share * (encoded * m.repetition(sequence.te + delay, of_spin)).sum(axis=1)
    return samples


class Magnetisation:
    """M+ and Mz (tissue, spin) of every tissue at every place, as if it had always been there."""

    def __init__(self, freq: Real, tissues: TissueTable, sequence: Any) -> None:  # noqa: ANN401
        shift = np.array([t.chemical_shift for t in tissues.tissues]) * GAMMA_BAR * tissues.field_strength
        self.r1, self.r2 = (
            np.array([1 / getattr(t, key) if t.pd else 0.0 for t in tissues.tissues])[:, None]
            for key in ("t1", "t2")
        )
        self.pd = np.array([t.pd for t in tissues.tissues])
        self.freq = freq + shift[:, None]  # (tissue, spin)
        self.across: Complex = np.zeros(self.freq.shape, np.complex128)
        self.along: Real = np.ones(self.freq.shape)
        self.sequence, self.played = sequence, 0
        self.passed: dict[float, tuple[Complex, Real]] = {}  # what a wait of this length does

    def prepare(self) -> None:
        """Play what comes before the first repetition."""
        if self.sequence.preparation == "half-alpha":
            self.pulse(self.sequence.flip / 2, -self.sequence.phase_step)
            self.wait(self.sequence.tr / 2)

    def repetition(
        self, times: Real | None = None, of_spin: NDArray[np.uint8] | None = None
    ) -> Complex | None:
        """Play a pulse and wait until the next: signal (time, spin) at `times` [s] after the pulse.

        of_spin : (spin,) tissue whose magnetisation a spin shows
        """
        phase = self.played * self.sequence.phase_step
        self.pulse(self.sequence.flip, phase)
        shown = None
        if times is not None and of_spin is not None:
            spin = np.arange(of_spin.size)
            rate = self.r2[of_spin, 0] + 2j * np.pi * self.freq[of_spin, spin]
            receiver = self.pd[of_spin] * np.exp(-1j * phase)
            shown = receiver * self.across[of_spin, spin] * np.exp(-times[:, None] * rate)
        self.wait(self.sequence.tr)
        self.played += 1
        return shown

    def pulse(self, flip: float, phase: float) -> None:
        """Turn Mz towards the direction `phase` [rad] of the transverse plane."""
        seen = self.across * np.exp(-1j * phase)
        x = np.cos(flip) * seen.real + np.sin(flip) * self.along
        self.along = np.cos(flip) * self.along - np.sin(flip) * seen.real
        self.across = (x + 1j * seen.imag) * np.exp(1j * phase)

    def wait(self, time: float) -> None:
        """Precess and relax for `time` [s]."""
        if time not in self.passed:
            turn = np.exp(-time * (self.r2 + 2j * np.pi * self.freq))
            self.passed[time] = (turn, np.exp(-time * self.r1))
        turn, recovery = self.passed[time]
        self.across = self.across * turn
        self.along = 1 + (self.along - 1) * recovery


def _positions(scene: Scene) -> Real:
    """Image x and y (2, spin) [m] from the centre of the plane, layer by layer."""
    x, y, z = scene.places
    grid = np.meshgrid(z, x - scene.plane.centre[1], y - scene.plane.centre[0], indexing="ij")
    return np.stack([grid[1].ravel(), grid[2].ravel()])
