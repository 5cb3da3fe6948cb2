"""Ideal cine: every spin in its steady state at the moment of each frame, exact encoding, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrsim.cine.encode import Axis, encode
from mrsim.cine.kernels import sum_layers
from mrsim.cine.scene import Box, Scene

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
    signals: Sequence[Complex],
    gain: Real,
    crop: Box | None,
) -> Complex:
    """K-space (frame, coil, ky, kx): what is at rest once, what moves frame by frame.

    parts : the full field of view and the box of what moves
    moving : (frame, layer, x, y) tissues of the box
    signals : (frame,) of (tissue, frequency) tables; one and the same unless the field drifts
    gain : (frame, tissue) factors on the signal
    """
    box, axes = parts[1], scene.axes(crop)
    in_x, in_y = scene.spins(box.box)
    rest, of = np.zeros(0, np.complex64), None
    frames = []
    for labels, values, factor in zip(moving, signals, gain, strict=True):
        if values is not of:
            rest, of = at_rest(scene, parts, values, axes), values
        frames.append(encode(box.image(labels, values, factor), (in_x.start, in_y.start), axes) + rest)
    return np.stack(frames)


def at_rest(
    scene: Scene,
    parts: tuple[Part, Part],
    values: Complex,
    axes: tuple[Axis, Axis],
    rows: NDArray[np.intp] | None = None,
) -> Complex:
    """K-space (coil, ky, kx), or some of its rows, of all spins but those of the box of what moves."""
    whole, box = parts
    image = whole.image(scene.at_rest, values, np.ones(len(values), np.float32))
    in_x, in_y = scene.spins(box.box)
    image[:, in_x, in_y] = 0
    return encode(image, (0, 0), axes, rows)
