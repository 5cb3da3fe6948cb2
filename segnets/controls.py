"""Answers without information: what a network must beat before its figures mean anything.

The heart lies at about the same place in every scan, so a fair Dice can be had by answering the mean shape
(the authors of DiSK say so of their own flat curve; experiments.md E1).

mean-shape : the likeliest class of each pixel, of each frame of a cine, over the training subjects
other-subject : the network's own answer to the k-space of another subject
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mrsim.store import Store
from segnets.config import CONTROLS, check_choice
from segnets.data import DataError, image_shape, middle, split_indices

NONE, MEAN_SHAPE, OTHER_SUBJECT = CONTROLS
AT_ONCE = 64  # cases that are read together

Indices = NDArray[np.int64]
Labels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Control:
    """What answers in place of a network; without `shapes` and `partner` the network itself.

    shapes : slice -> ([frame,] y, x) mean shape
    partner : case -> case whose k-space is measured instead
    """

    shapes: dict[int, Labels] = field(default_factory=dict)
    partner: dict[int, int] = field(default_factory=dict)

    def measured(self, index: Indices) -> Indices:
        """Cases whose k-space the network is given."""
        return np.array([self.partner[int(case)] for case in index]) if self.partner else index

    def labels(self, answer: Labels, slices: NDArray[np.integer]) -> Labels:
        """Labels in place of those that the network answered, (case, [frame,] y, x)."""
        return np.stack([self.shapes[int(number)] for number in slices]) if self.shapes else answer


def prepare(name: str, store: Store, split: str, crop: Sequence[int] = ()) -> Control:
    """Work out what a control needs of a store; DataError where the store has not got it.

    crop : as of the images, see `read_cases`
    """
    check_choice("control", name, CONTROLS)
    indices = split_indices(store, split)
    if name == MEAN_SHAPE:
        numbers = np.unique(store.coords["slice"][indices])
        return Control(shapes={int(number): mean_shape(store, int(number), crop) for number in numbers})
    return Control(partner=partners(store, indices) if name == OTHER_SUBJECT else {})


def mean_shape(store: Store, number: int, crop: Sequence[int] = ()) -> Labels:
    """([frame,] y, x) likeliest class over the training cases that show slice `number` of their subjects."""
    train = split_indices(store, "train")
    train = train[store.coords["slice"][train] == number]
    if not train.size:
        raise DataError(f"{store.path} has no training subject with slice {number}, so it has no mean shape")
    shape = image_shape(store, crop)
    frames = (store.n_frames,) if store.n_frames else ()
    counts = np.zeros((store.n_classes, *frames, *shape), np.int64)
    for first in range(0, len(train), AT_ONCE):
        labels = store.labels(train[first : first + AT_ONCE])[middle(store.shape, shape)]
        for c in range(store.n_classes):
            counts[c] += (labels == c).sum(axis=0)
    return np.asarray(counts.argmax(axis=0), np.uint8)


def partners(store: Store, indices: Indices) -> dict[int, int]:
    """Case -> the same slice of the next subject among `indices`, the first following the last.

    A subject with fewer slices gives its last one. DataError where there is a single subject.
    """
    owner = store.coords["subject"][indices]
    subjects = np.unique(owner)
    if len(subjects) < 2:
        raise DataError(f"{store.path} has a single subject in this split: no other one to take k-space from")
    found: dict[int, int] = {}
    for subject, other in zip(subjects, np.roll(subjects, -1), strict=True):
        mine, theirs = indices[owner == subject], indices[owner == other]
        found |= {int(case): int(theirs[min(i, len(theirs) - 1)]) for i, case in enumerate(mine)}
    return found
