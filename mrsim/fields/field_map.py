"""A real field on an axis-aligned grid, interpolated where spins and pixels are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrsim.slices.plane import SlicePlane

Real = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class FieldMap:
    """A smooth field on a grid along R, A and S.

    values : (z, y, x) float32 [Hz] (or relative)
    affine : (4, 4) float64 [m] index (x, y, z) -> RAS, axis-aligned with positive steps
    """

    values: NDArray[np.float32]
    affine: Real

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or 0 in self.values.shape or not np.isfinite(self.values).all():
            raise ValueError(f"values must be a finite (z, y, x) array, got shape {self.values.shape}")
        steps = np.diagonal(self.affine)[:3]
        if (
            self.affine.shape != (4, 4)
            or not np.array_equal(self.affine[:3, :3], np.diag(steps))
            or (steps <= 0).any()
        ):
            raise ValueError(f"affine must be axis-aligned with positive steps, got {self.affine.tolist()} m")
        object.__setattr__(self, "values", np.asarray(self.values, dtype=np.float32))

    def on_lattice(self, x: Real, y: Real, z: Real) -> NDArray[np.float32]:
        """Field at every point of the lattice x * y * z [m] along R, A, S: (z, y, x), trilinear.

        Beyond the grid the nearest face's value holds.
        """
        field = self.values
        for array_axis, coordinates in enumerate((z, y, x)):  # shortest first: a slab has few layers
            field = self._along(field, array_axis, coordinates)
        return field

    def at(self, ras: Real) -> NDArray[np.float32]:
        """Field at points (3, n) [m] RAS: (n,), trilinear; beyond the grid the nearest face's value holds."""
        n = self.values.shape[::-1]
        index = [np.clip((ras[i] - self.affine[i, 3]) / self.affine[i, i], 0, n[i] - 1) for i in range(3)]
        low = [np.minimum(at.astype(np.intp), max(size - 2, 0)) for at, size in zip(index, n, strict=True)]
        field = np.zeros(ras.shape[1])
        for corner in np.ndindex(2, 2, 2):
            where = [np.minimum(i + step, size - 1) for i, step, size in zip(low, corner, n, strict=True)]
            share = [
                np.abs(1 - step - (at - i)) for at, i, step in zip(index, low, corner, strict=True)
            ]  # 1 - u at the near corner, u at the far one
            field += share[0] * share[1] * share[2] * self.values[where[2], where[1], where[0]]
        return field.astype(np.float32)

    def on_image(self, plane: SlicePlane) -> NDArray[np.float32]:
        """Field at the pixel centres of the plane, (y, x)."""
        x, y = plane.pixel_centres("x"), plane.pixel_centres("y")
        field = self.on_lattice(*plane.ras_lattice(x, y, np.zeros(1)))
        return np.ascontiguousarray(plane.in_image_axes(field)[0])

    def _along(self, field: NDArray[np.float32], array_axis: int, coordinates: Real) -> NDArray[np.float32]:
        axis, n = 2 - array_axis, field.shape[array_axis]
        index = np.clip((coordinates - self.affine[axis, 3]) / self.affine[axis, axis], 0, n - 1)
        low = np.minimum(index.astype(np.intp), max(n - 2, 0))
        shape = [1, 1, 1]
        shape[array_axis] = -1
        weight = (index - low).astype(np.float32).reshape(shape)
        near: NDArray[np.float32] = field.take(low, axis=array_axis)
        far: NDArray[np.float32] = field.take(np.minimum(low + 1, n - 1), axis=array_axis)
        far -= near
        far *= weight
        far += near
        return far
