"""Ideal cine: every spin in its steady state at the moment of each frame, exact encoding, nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrsim.cine.encode import encode
from mrsim.cine.kernels import sum_layers
from mrsim.cine.scene import Box, Scene
from mrsim.cine.steady import SignalTable

Complex = NDArray[np.complex64]
Real = NDArray[np.float32]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Part:
    """Spins of a box as the receiver sees them.

    place : columns and shares (layer, x, y) of their off-resonance in the signal table
    coils : (coil, x, y) sensitivities, or None for one that hears every spin alike
    """

    box: Box
    place: tuple[NDArray[np.int32], Real]
    coils: Complex | None

    def image(self, labels: NDArray[np.uint8], values: Complex, gain: Real) -> Complex:
        """Magnetisation (coil, x, y) of spins with these tissues (layer, x, y)."""
        out = np.empty(labels.shape[1:], np.complex64)
        sum_layers(labels, *self.place, values, gain, out)
        return out[None] if self.coils is None else self.coils * out


def steady_frames(
    scene: Scene,
    parts: tuple[Part, Part],
    moving: NDArray[np.uint8],
    table: SignalTable,
    gain: Real,
    crop: Box | None,
) -> Complex:
    """Return k-space (frame, coil, ky, kx): what is at rest once, what moves frame by frame.

    parts : the full field of view and the box of what moves
    moving : (frame, layer, x, y) tissues of the box
    gain : (frame, tissue) factors on the signal
    """
    whole, box = parts
    axes, ones = scene.axes(crop), np.ones(len(table.values), np.float32)
    still = whole.image(scene.at_rest, table.values, ones)
    in_x, in_y = scene.spins(box.box)
    still[:, in_x, in_y] = 0
    rest = encode(still, (0, 0), axes)
    frames = [
        encode(box.image(labels, table.values, factor), (in_x.start, in_y.start), axes)
        for labels, factor in zip(moving, gain, strict=True)
    ]
    return np.stack(frames) + rest
