"""A small gated scan of a beating heart: 12 x 12 pixels, one beat, a field of tens of hertz."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np

from mrsim.cine.gated import Scan
from mrsim.cine.gating import segments, timeline
from mrsim.cine.ideal import Part, steady_frames
from mrsim.cine.readout import readout
from mrsim.cine.scene import Scene, full_plane
from mrsim.cine.steady import Train, signal_table
from mrsim.sequences.bssfp import BalancedSsfp
from phantoms.cardiac import Cardiac
from phantoms.tissues import tissue_table

N, N_FRAMES, SEGMENT = 12, 20, 12
TISSUES = tissue_table("cardiac-1.5T")
SEQUENCE = BalancedSsfp(
    te=1.1e-3,
    tr=2.6e-3,
    flip=math.radians(80),
    matrix=(N, N),
    fov=(0.16, 0.16),
    thickness=8e-3,
    bandwidth=930.0,
    rf="ideal",
)


@cache
def heart():
    """Return a heart of 82 beats a minute, which makes short scans."""
    return Cardiac().heart(2)


class SmallScan:
    """Everything that the modes and the reference take; `still` holds the heart at end-diastole."""

    def __init__(self, *, still=False, cuts=(1, 1, 1), **sequence):
        self.sequence = replace(SEQUENCE, **sequence)
        position = float(heart().slice_positions()[heart().mid_slice])
        plane = full_plane(position, SEQUENCE.fov, SEQUENCE.matrix, SEQUENCE.thickness)
        phases = np.zeros(N_FRAMES) if still else heart().frames(N_FRAMES)
        self.scene = Scene(heart=heart(), plane=plane, cuts=cuts, phases=phases)
        x, y, z = self.scene.places
        field = 25 * np.sin(x / 0.03)[:, None] + 20 * np.cos(y / 0.04) + 0 * z[:, None, None]
        self.field = field.astype(np.float32)
        self.table = signal_table(TISSUES, self.sequence, (float(field.min()), float(field.max())))
        rr = heart().case.rr
        beats = np.full(segments(N, SEGMENT), rr)
        played = timeline(N, SEGMENT, self.sequence.tr, self.sequence.te, rr, beats)
        self.timeline = replace(played, phase=np.zeros_like(played.phase)) if still else played

    def parts(self):
        found = []
        for box in (self.scene.whole, self.scene.moving):
            place = self.table.place(self.field[:, *self.scene.spins(box)])
            found.append(Part(box=box, place=place, coils=None))
        return tuple(found)

    def gain(self, phases):
        return np.ones((phases.size, len(TISSUES.tissues)), np.float32)

    def ideal(self):
        moving = self.scene.labels(self.scene.phases, self.scene.moving)
        signals = [self.table.values] * N_FRAMES
        return steady_frames(self.scene, self.parts(), moving, signals, self.gain(self.scene.phases), None)

    def gated(self):
        return Scan(
            scene=self.scene,
            parts=self.parts(),
            train=Train(tissues=TISSUES, sequence=self.sequence, table=self.table),
            readout=readout(TISSUES, self.sequence, self.table),
            timeline=self.timeline,
            gain=self.gain,
        ).frames(N_FRAMES, None)


def difference(found, reference):
    """Root of the mean squared difference over that of the reference."""
    return float(np.linalg.norm(found - reference) / np.linalg.norm(reference))
