"""Spins of a slab: the part of a phantom that a slice-selective pulse can excite, in its image frame."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mrsim.constants import GAMMA_BAR
from mrsim.slices.plane import SNAP, Scalar, SlicePlane
from phantoms.phantom import Phantom, Spins
from phantoms.tissues import TissueTable

if TYPE_CHECKING:
    from mrsim.fields import FieldMap

Real = NDArray[np.float64]
Index = NDArray[np.intp]


def slab_spins(
    phantom: Phantom, plane: SlicePlane, *, b0: FieldMap | None = None, reach: float = 1.5
) -> Spins:
    """Spins with signal whose centres lie within `reach` slice thicknesses of the plane, sorted by image y.

    One spin per phantom voxel; a voxel larger than half a pixel, or than half the slice thickness, is cut
    into the fewest equal spins that are not, so that the image shows truncation and partial volume instead of
    a lattice. The object outside the field of view is part of the slab (it folds over), what lies beyond the
    phantom is air.

    freq = `b0` at the spin (trilinear) + `phantom.freq` of its voxel + chemical shift of its tissue [Hz]
    """
    if not 0 < reach < math.inf:
        raise ValueError(f"reach must be positive, got {reach} slice thicknesses")
    largest = (plane.pixel[1] / 2, plane.pixel[0] / 2, plane.thickness / 2)
    (x, ix), (y, iy), (z, iz) = (_axis(phantom, plane, i, largest[i]) for i in range(3))
    inside = np.abs(z) <= reach * plane.thickness * (1 + SNAP)
    z, iz = z[inside], iz[inside]
    pd, t1, t2, t2prime, shift = _properties(phantom.tissues)

    tissue = _rows(phantom.labels, plane, ix, iy, iz)  # (y, z, x)
    spin = np.flatnonzero((pd > 0)[tissue])
    tissue = tissue.ravel()[spin]
    row, rest = np.divmod(spin.astype(np.int32), max(1, z.size * x.size))
    position = np.empty((3, spin.size))
    position[1] = y[row]
    layer, column = np.divmod(rest, np.int32(x.size))
    position[0] = x[column]
    position[2] = z[layer]

    freq = shift[tissue]
    if b0 is not None and spin.size:
        field = b0.on_lattice(*plane.ras_lattice(x, y, z))
        freq += plane.in_image_axes(field).transpose(1, 0, 2).ravel()[spin]
    if phantom.freq is not None:
        freq += _rows(phantom.freq, plane, ix, iy, iz).ravel()[spin]
    cell = tuple(
        float(phantom.spacing[axis]) / _cuts(phantom, axis, largest[i]) for i, axis in enumerate(plane.axes)
    )
    return Spins(
        position=position,
        tissue=tissue,
        freq=freq,
        cell=(cell[0], cell[1], cell[2]),
        pd=pd,
        t1=t1,
        t2=t2,
        t2prime=t2prime,
    )


def _cuts(phantom: Phantom, axis: int, largest: float) -> int:
    """Into how many spins a voxel is cut along RAS `axis`."""
    return max(1, math.ceil(float(phantom.spacing[axis]) / largest - SNAP))


def _axis(phantom: Phantom, plane: SlicePlane, image_axis: int, largest: float) -> tuple[Real, Index]:
    """Spin coordinates along an image axis [m], ascending, and the voxel index of each."""
    axis = plane.axes[image_axis]
    n, cuts = phantom.labels.shape[2 - axis], _cuts(phantom, axis, largest)
    start, step = phantom.affine[axis, 3] - plane.centre[axis], phantom.affine[axis, axis]
    fine = np.arange(n * cuts)
    return start + step * ((fine + 0.5) / cuts - 0.5), fine // cuts


def _rows(volume: NDArray[Scalar], plane: SlicePlane, ix: Index, iy: Index, iz: Index) -> NDArray[Scalar]:
    """Slab of a RAS `volume` (z, y, x) as rows of the image, (y, z, x)."""
    slab = plane.in_image_axes(volume)[iz]  # only the layers of the slab are copied
    return np.ascontiguousarray(slab.transpose(1, 0, 2)[iy][:, :, ix])


def _properties(table: TissueTable) -> tuple[Real, Real, Real, Real, NDArray[np.float32]]:
    """PD, T1, T2, T2' and the chemical shift [Hz] by tissue; a tissue without signal relaxes never."""
    tissues = table.tissues
    pd = np.array([t.pd for t in tissues])
    t1, t2 = (np.array([getattr(t, name) if t.pd > 0 else np.inf for t in tissues]) for name in ("t1", "t2"))
    t2prime = np.array([t.t2prime for t in tissues])
    shift = np.array([t.chemical_shift for t in tissues]) * GAMMA_BAR * table.field_strength
    return pd, t1, t2, t2prime, shift.astype(np.float32)
