"""One brain slice as spins for any simulator: voxels that are the same all through the slice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mrsim.fields import susceptibility_b0
from mrsim.slices.plane import SlicePlane
from mrsim.slices.slab import slab_spins
from phantoms.phantom import Phantom, Spins


def slice_spins(phantom: Phantom, plane: SlicePlane, *, step: float, layers: int = 1) -> Spins:
    """Spins every `step` [m] in x and y, each for the cell around it, in `layers` across the slice.

    The tissues and the off-resonance (susceptibility, chemical shift) are those of the phantom's voxels
    nearest to the middle of the slice.
    """
    spins = slab_spins(phantom, plane, b0=susceptibility_b0(phantom))
    z = spins.position[2]
    keep = np.isclose(z, z[np.abs(z).argmin()])
    for axis in (0, 1):
        values = np.unique(spins.position[axis])
        every = max(1, round(step / np.diff(values).min()))
        lattice = np.round(spins.position[axis] / np.diff(values).min() - 0.5).astype(int)
        keep &= lattice % every == 0
    height = plane.thickness / layers
    at = (np.arange(layers) - (layers - 1) / 2) * height
    position = np.repeat(spins.position[:, keep], layers, axis=1)
    position[2] = np.tile(at, np.count_nonzero(keep))
    return replace(
        spins,
        position=position,
        tissue=np.repeat(spins.tissue[keep], layers),
        freq=np.repeat(spins.freq[keep], layers),
        cell=(step, step, height),
    )
