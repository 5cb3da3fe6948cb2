"""The oracle of a cine: which tissue every pixel of every frame holds, counted in the spins themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrsim.cine.kernels import count_tissues, winners
from mrsim.cine.scene import Box, Scene
from mrsim.slices.oracle import to_bytes
from phantoms.phantom import OracleClasses

Labels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Answers:
    """Oracle and tissue of every pixel, (..., y, x) uint8, and counts of spins (..., y, x, class) uint16."""

    labels: Labels
    tissue: Labels
    shares: NDArray[np.uint16]

    def fractions(self) -> Labels:
        """Share of each class (frame, class, y, x), 255 = all."""
        counts = np.moveaxis(self.shares, -1, -3).astype(np.float64)
        return np.stack([to_bytes(frame / frame.sum(axis=0)) for frame in counts])


def answers(spins: Labels, cuts: tuple[int, int, int], oracle: OracleClasses) -> Answers:
    """Count spins (frame, layer, x, y) pixel by pixel; ties as in `mrsim.slices.oracle`.

    cuts : spins to a pixel (layer, y, x)
    """
    n, _, n_x, n_y = spins.shape
    shape = (n, n_y // cuts[1], n_x // cuts[2])
    of_tissue = np.array(oracle.of_tissue, np.int64)
    rank = np.argsort(oracle.priority)
    in_order = np.lexsort((np.arange(of_tissue.size), rank[of_tissue]))  # tissues by the rank of their class
    own = np.argsort(in_order)
    labels, tissue = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    shares = np.zeros((*shape, rank.size), np.uint16)
    for i in range(n):
        counts = np.zeros((*shape[1:], of_tissue.size), np.uint16)
        count_tissues(spins[i], np.array((cuts[2], cuts[1])), counts)
        winners(counts, of_tissue, rank, shares[i], labels[i])
        winners(counts, np.arange(of_tissue.size), own, np.zeros_like(counts), tissue[i])
    return Answers(labels=labels, tissue=tissue, shares=shares)


def over_cycle(rest: Answers, moving: Answers, box: Box) -> Answers:
    """Put the frames of a box (frame, y, x) over what is at rest (1, y, x)."""
    whole = []
    for name in ("labels", "tissue", "shares"):
        still, frames = getattr(rest, name), getattr(moving, name)
        every = np.repeat(still, len(frames), axis=0)
        every[:, slice(*box.y), slice(*box.x)] = frames
        whole.append(every)
    return Answers(labels=whole[0], tissue=whole[1], shares=whole[2])


def within(found: Answers, crop: Box) -> Answers:
    """Keep the pixels of a crop."""
    keep = (slice(None), *crop.pixels)
    return Answers(labels=found.labels[keep], tissue=found.tissue[keep], shares=found.shares[keep])


def crop_around(labels: Labels, size: tuple[int, ...], scene: Scene) -> Box | None:
    """Put `size` (y, x) pixels around the labels of all frames, or around what moves where there are none.

    labels : (frame, y, x);  None if `size` is ()
    """
    if not size:
        return None
    heart = (labels != 0).any(axis=0)
    spans = []
    for i, moving in enumerate((scene.moving.y, scene.moving.x)):
        at = np.flatnonzero(heart.any(axis=1 - i))
        first, last = (int(at[0]), int(at[-1]) + 1) if at.size else moving
        begin = (first + last - size[i]) // 2
        begin = min(max(begin, 0), heart.shape[i] - size[i])
        spans.append((begin, begin + size[i]))
    return Box(y=spans[0], x=spans[1])
