"""How much shapes differ: within one subject under many masks, and between subjects.

Table 2 of Schlemper et al. (experiments.md D3): the mean shape of some maps of a class is their average,
thresholded at 0.5; Hausdorff (HD) and mean contour distance (MD) of shapes to it say how consistent they are.
A network that always answers the mean of the population scores best within and worst between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segnets.metrics import Mask, Spacing, surface_metrics

HALF = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Distances:
    """Distances to a mean shape, one per shape; the policy for empty ones is that of `segnets.metrics`.

    hd, md : (shape,) in the unit of the spacing
    empty : shapes of which one side is empty, so that the image diagonal stands for the distance
    """

    hd: NDArray[np.float64]
    md: NDArray[np.float64]
    empty: int


def mean_shape(average: NDArray[np.floating]) -> Mask:
    """Threshold the average (..., y, x) of masks at 0.5: what at least half of them hold."""
    return np.asarray(average >= HALF)


def distances_to(mean: Mask, shapes: NDArray[np.bool_], spacing: Spacing) -> Distances:
    """Distances of every shape to one mean shape.

    mean : (y, x); shapes : (shape, y, x)
    spacing : (y, x); its unit is the unit of the answer
    """
    found = [surface_metrics(shape, mean, spacing) for shape in shapes]
    one_sided = [bool(shape.any()) != bool(mean.any()) for shape in shapes]
    return Distances(
        hd=np.array([each.hausdorff for each in found]),
        md=np.array([each.md for each in found]),
        empty=sum(one_sided),
    )


def within_subject(shapes: NDArray[np.bool_], spacing: Spacing) -> Distances:
    """Distances of the answers for one subject under different masks to their mean shape.

    shapes : (trial, y, x) of one class
    """
    return distances_to(mean_shape(shapes.mean(axis=0)), shapes, spacing)


def between_subjects(averages: NDArray[np.floating], spacing: Spacing) -> Distances:
    """Distances of every subject's mean shape to the mean shape of the population.

    averages : (subject, y, x) average over trials of one class
    """
    return distances_to(mean_shape(averages.mean(axis=0)), mean_shape(averages), spacing)


def centred(labels: NDArray[np.integer], cavity: int) -> NDArray[np.integer]:
    """Shift maps by whole pixels so that the centroid of a class lies in the middle of each.

    labels : (map, y, x); a map without the class stays; what leaves the image is background
    """
    middle = np.array(labels.shape[1:]) // 2
    moved = np.zeros_like(labels)
    for i, one in enumerate(labels):
        at = np.argwhere(one == cavity)
        step = np.rint(middle - at.mean(axis=0)).astype(int) if len(at) else np.zeros(2, int)
        moved[i] = _shifted(one, step)
    return moved


def _shifted(one: NDArray[np.integer], step: NDArray[np.int_]) -> NDArray[np.integer]:
    """Move a map (y, x) by `step` pixels, background coming in."""
    target = np.zeros_like(one)
    to = tuple(slice(max(0, s), n + min(0, s)) for s, n in zip(step, one.shape, strict=True))
    of = tuple(slice(max(0, -s), n + min(0, -s)) for s, n in zip(step, one.shape, strict=True))
    target[to] = one[of]
    return target


def rank_sum_p(first: Sequence[float], second: Sequence[float]) -> float:
    """Two-sided p of the Wilcoxon rank-sum test of two samples, such as subjects of two networks.

    The paper's test. It takes the samples for independent, though here both are of the same subjects.
    """
    from scipy.stats import ranksums

    return float(ranksums(first, second).pvalue)
