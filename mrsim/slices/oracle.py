"""The oracle: which tissue every pixel of the image holds, counted in the phantom itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrsim.slices.plane import SNAP, SlicePlane
from phantoms.phantom import OracleClasses, Phantom

Real = NDArray[np.float64]
Index = NDArray[np.intp]

AIR = 0  # tissue class of everything around the phantom
TIE = 2e-6  # shares closer than this are equal: float32 rounding, far below one voxel


def class_fractions(phantom: Phantom, plane: SlicePlane) -> NDArray[np.float32]:
    """Volume share of each tissue class in each pixel: a box of pixel x pixel x nominal slice thickness.

    Where pixel faces fall on voxel faces these are exact counts; elsewhere a voxel counts with the exact
    volume that it shares with the box. What lies beyond the phantom is air, class 0.

    returns : (class, y, x) float32, sums to 1 over class
    """
    n_classes, (ny, nx) = len(phantom.tissues.tissues), plane.matrix
    (py, vy, wy), (px, vx, wx), (_, vz, wz) = (_overlap(phantom, plane, name) for name in ("y", "x", "z"))
    layers = plane.in_image_axes(phantom.labels)  # (z, y, x)
    bins = (
        py[:, None] * nx + px
    ) * n_classes  # (y pair, x pair): a voxel may share volume with several pixels
    weights = (wy[:, None] * wx).ravel()
    volume = np.zeros(ny * nx * n_classes)
    for layer, weight in zip(vz, wz, strict=True):
        hits = bins + layers[layer][vy[:, None], vx]
        volume += weight * np.bincount(hits.ravel(), weights, minlength=volume.size)
    box = np.prod([_in_voxels(length, phantom, plane, name) for name, length in _box(plane)])
    fractions = (volume / box).reshape(ny, nx, n_classes).transpose(2, 0, 1)
    fractions[AIR] += np.maximum(0, 1 - fractions.sum(axis=0))
    return np.ascontiguousarray(fractions, dtype=np.float32)


def oracle_labels(
    fractions: NDArray[np.float32], oracle: OracleClasses
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Oracle class of each pixel, and the share of each class.

    The class with the largest share wins; of equal shares the one that `oracle.priority` names first.

    fractions : (tissue, y, x) from `class_fractions`
    returns : labels (y, x) uint8; soft (class, y, x) uint8, 255 = all, see `to_bytes`
    """
    shares = np.zeros((len(oracle.names), *fractions.shape[1:]), dtype=np.float64)
    for tissue, oracle_class in enumerate(oracle.of_tissue):
        shares[oracle_class] += fractions[tissue]
    return _largest(shares, oracle.priority), to_bytes(shares)


def tissue_labels(fractions: NDArray[np.float32], oracle: OracleClasses) -> NDArray[np.uint8]:
    """Phantom's own class with the largest share of each pixel, (y, x) uint8.

    Of equal shares the tissue whose oracle class stands first in `oracle.priority` wins, then the lower
    tissue class. One tissue may lead a pixel that, taken together, other tissues of one oracle class fill
    more: so this image may differ from `oracle_labels`.
    """
    order = sorted(
        range(len(oracle.of_tissue)), key=lambda t: (oracle.priority.index(oracle.of_tissue[t]), t)
    )
    return _largest(fractions, tuple(order))


def to_bytes(shares: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Shares (class, y, x) that sum to 1 as uint8 that sum to 255 in every pixel, each within 1/255.

    Largest remainders: every share is rounded down, then those cut most get one more until the sum is 255.
    """
    scaled = shares * 255.0
    whole = np.floor(scaled + TIE)
    missing = 255 - whole.sum(axis=0)
    rank = np.argsort(np.argsort(whole - scaled, axis=0, kind="stable"), axis=0, kind="stable")
    soft: NDArray[np.uint8] = (whole + (rank < missing)).astype(np.uint8)
    return soft


def _largest(shares: NDArray[np.floating], order: tuple[int, ...]) -> NDArray[np.uint8]:
    """Index of the largest share over axis 0; of equal ones that which comes first in `order`."""
    ordered = shares[list(order)]
    first = (ordered >= ordered.max(axis=0) - TIE).argmax(axis=0)
    winner: NDArray[np.uint8] = np.asarray(order, dtype=np.uint8)[first]
    return winner


def _box(plane: SlicePlane) -> tuple[tuple[str, float], ...]:
    return ("y", plane.pixel[0]), ("x", plane.pixel[1]), ("z", plane.thickness)


def _in_voxels(length: float, phantom: Phantom, plane: SlicePlane, name: str) -> float:
    """`length` [m] along an image axis in voxels, a whole number where it is one but for rounding."""
    return float(_snapped(np.array(length / phantom.spacing[plane.axes["xyz".index(name)]])))


def _snapped(values: Real) -> Real:
    whole = np.rint(values)
    return np.where(np.abs(values - whole) < SNAP, whole, values)


def _overlap(phantom: Phantom, plane: SlicePlane, name: str) -> tuple[Index, Index, Real]:
    """All (pixel, voxel) pairs along an image axis that share a length, and that length in voxels."""
    axis = plane.axes["xyz".index(name)]
    low = phantom.affine[axis, 3] - phantom.spacing[axis] / 2
    faces = _snapped((plane.pixel_faces(name) + plane.centre[axis] - low) / phantom.spacing[axis])  # [voxels]
    voxels = np.arange(phantom.labels.shape[2 - axis])
    shared = np.minimum(faces[1:, None], voxels + 1) - np.maximum(faces[:-1, None], voxels)  # (pixel, voxel)
    pixel, voxel = np.nonzero(shared > 0)
    return pixel, voxel, shared[pixel, voxel]
