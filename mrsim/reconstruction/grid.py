"""Trajectories that keep to a Cartesian grid without saying so, as those of Pulseq files do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrsim.events import ON_GRID, places

Real = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Grid:
    """Where samples lie on a Cartesian grid that may be off the centre of k-space by a part of a cell.

    place : (sample,) int ky * matrix[1] + kx, -1 outside of the matrix
    shift : [cells] y, x from the places to where the samples were taken
    """

    place: NDArray[np.intp]
    shift: tuple[float, float]

    def ramp(self, matrix: tuple[int, int]) -> NDArray[np.complex128]:
        """(y, x) factor that the image of the places lacks: the transform of the shift."""
        y, x = (
            np.exp(2j * np.pi * s * (np.arange(n) - n // 2) / n)
            for s, n in zip(self.shift, matrix, strict=True)
        )
        return np.asarray(y[:, None] * x)


def find_grid(k: Real, matrix: tuple[int, int]) -> Grid | None:
    """Cartesian grid of a trajectory k (sample, 2) [cycles/pixel] y, x, or None if it keeps to none."""
    if not len(k):
        return None
    cells = k * matrix
    axes = [_axis(c, n) for c, n in zip(cells.T, matrix, strict=True)]
    index, (y, x) = np.stack([index for index, _ in axes], axis=1), (shift for _, shift in axes)
    if np.abs(cells - index - (y, x)).max() > ON_GRID:
        return None
    return Grid(place=places(index, matrix), shift=(y, x))


def _axis(cells: Real, n: int) -> tuple[NDArray[np.intp], float]:
    """Whole numbers of cells, 0 in the centre of k-space, and the shift of all [cells], at most one.

    Of the two whole numbers about half a cell, the one is taken by which fewer samples leave the matrix.
    """
    shift = float(np.angle(np.exp(2j * np.pi * cells).mean()) / (2 * np.pi))  # -1/2 to 1/2
    choices = [shift, shift - np.sign(shift)] if abs(shift) > 0.5 - ON_GRID else [shift]
    outside = []
    for choice in choices:
        index = np.rint(cells - choice)
        outside.append(int(((index < -(n // 2)) | (index >= n - n // 2)).sum()))
    best = choices[int(np.argmin(outside))]
    return np.rint(cells - best).astype(np.intp), best
