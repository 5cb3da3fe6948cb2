"""Phantoms from a block of labels, for tests of slices and of what is measured in them."""

import numpy as np

from phantoms.phantom import BRAIN_ORACLE, Phantom
from phantoms.tissues import tissue_table


def phantom_of(labels, spacing, start, freq=None):
    """Brain tissues on a grid: `start` [m] is the centre of voxel 0, `spacing` [m] of all axes or each."""
    affine = np.diag((*np.broadcast_to(spacing, 3), 1.0))
    affine[:3, 3] = start
    return Phantom(
        name="block",
        subject="0",
        labels=labels,
        affine=affine,
        tissues=tissue_table("brainweb-1.5T"),
        oracle=BRAIN_ORACLE,
        freq=freq,
    )
