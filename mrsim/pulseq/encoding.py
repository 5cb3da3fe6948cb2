"""Field of view and matrix that a trajectory encodes, and the places of its samples on that grid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrsim.events import ON_GRID, Trajectory, places
from mrsim.events.blocks import NOT_IMAGED

SAME_K = 2e-5  # of the extent of k-space: what is closer is one line
NOT_ENCODED = 1e-3  # of the extent in the plane: what varies less along z is an error of the slice gradient
PAIR = tuple[float, float]

Real = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoding:
    """What an image of the sequence is like: field of view [m] and matrix y, x; thickness [m]."""

    fov: PAIR
    matrix: tuple[int, int]
    thickness: float


def find_encoding(
    trajectory: Trajectory,
    labels: Sequence[Mapping[str, int]],
    fov: PAIR,
    matrix: tuple[int, int],
    thickness: float,
) -> Encoding:
    """Find out what a trajectory encodes; `fov` [m] and `matrix` y, x are defined in the file, or 0.

    labels : of each receiver window

    On a Cartesian grid the spacing of the samples makes the field of view, so that an oversampled readout has
    a wider one; lines that are left out are counted by the FOV or the label LIN. Off a grid the file's FOV
    holds, else the largest step from sample to sample; the largest k makes the matrix.
    """
    imaged = np.array([not any(label.get(flag, 0) for flag in NOT_IMAGED) for label in labels], np.bool_)
    keep = imaged[trajectory.adc] if imaged.size else np.zeros(0, np.bool_)
    k, window = trajectory.k[keep], trajectory.adc[keep]
    plane = k[:, 1::-1]  # (sample, 2) y, x
    axes = [_spacing(v, window, f, _lines(v, window, labels)) for v, f in zip(plane.T, fov, strict=True)]
    if all(spacing is not None for spacing in axes):
        sides = [1 / s if s else f for s, f in zip(axes, fov, strict=True)]
        counts = [
            _count(v * f, n) if s else 1 for v, s, f, n in zip(plane.T, axes, sides, matrix, strict=True)
        ]
    else:
        sides = [f or _side(plane, window) for f in fov]
        counts = _reached(plane, axes, sides, matrix)
    extent = [side or max(*sides, thickness) for side in sides]
    if _encodes_z(k):
        spacing = _spacing(k[:, 2], window, thickness, 0.0)
        thickness = 1 / (spacing * _count(k[:, 2] / spacing, 1)) if spacing else thickness
    return Encoding(fov=(extent[0], extent[1]), matrix=(counts[0], counts[1]), thickness=thickness)


def _reached(
    k: Real, axes: Sequence[float | None], sides: Sequence[float], matrix: tuple[int, int]
) -> list[int]:
    """Matrix y, x that the largest k asks for; axes without a grid share one resolution."""
    off = [v for v, spacing in zip(k.T, axes, strict=True) if spacing is None]
    largest = [
        float(np.abs(v if spacing is not None else off).max(initial=0.0))
        for v, spacing in zip(k.T, axes, strict=True)
    ]
    counts = (2 * math.ceil(k_max * side - ON_GRID) for k_max, side in zip(largest, sides, strict=True))
    return [told or max(1, n) for told, n in zip(matrix, counts, strict=True)]


def _encodes_z(k: Real) -> bool:
    return bool(k.size and np.ptp(k[:, 2]) > NOT_ENCODED * max(np.ptp(k[:, 0]), np.ptp(k[:, 1])))


def on_grid(k: Real, fov: PAIR, matrix: tuple[int, int]) -> NDArray[np.intp]:
    """(sample,) places ky * matrix[1] + kx of samples at k (sample, 3) [1/m], -1 outside of the matrix.

    Empty if they keep to no grid with the centre of k-space on it, or encode a third dimension.
    """
    nowhere = np.zeros(0, np.intp)
    if not k.size or _encodes_z(k):
        return nowhere
    cells = k[:, 1::-1] * fov
    index = np.rint(cells).astype(np.intp)
    if np.abs(cells - index).max() > ON_GRID:
        return nowhere
    for i, n in zip(index.T, matrix, strict=True):
        if -i.min() < n / 2 == i.max():  # the same for an image of n pixels
            i[i == n // 2] = -(n // 2)
    return places(index, matrix)


def _spacing(values: Real, window: NDArray[np.intp], fov: float, line: float) -> float | None:
    """Cell of the grid that values of k keep to [1/m], 0 of a single value, None without a grid.

    window : (sample,) of which each value is
    fov : [m] defined, 0 if not
    line : [1/m] from label LIN to the next, 0 if not known
    """
    extent = float(np.ptp(values)) if values.size else 0.0
    if extent <= 1e-9 * (1 + float(np.abs(values).max(initial=0.0))):
        return 0.0
    steps = np.abs(np.diff(values))[np.diff(window) == 0]
    step = float(np.median(steps)) if steps.size else 0.0
    if step <= SAME_K * extent:  # the samples of a window share a line
        gaps = np.diff(np.sort(values))
        step = float(gaps[gaps > SAME_K * extent].min())
    step = extent / max(1, round(extent / step))
    cell = 1 / fov if fov else line or step
    cell /= max(1, round(cell / step))  # oversampled
    return next((c for c in (cell, step) if _even(values, c)), None)


def _even(values: Real, cell: float) -> bool:
    """Whether values lie on a grid of some cell, wherever its centre."""
    turns = np.exp(2j * np.pi * values / cell)
    off = np.angle(turns * np.conj(turns.mean())) / (2 * np.pi)
    return bool(np.abs(off).max() <= ON_GRID)


def _lines(values: Real, window: NDArray[np.intp], labels: Sequence[Mapping[str, int]]) -> float:
    """Change of k [1/m] per LIN, 0 if the labels do not tell or k changes within a window."""
    first, at = np.unique(window, return_index=True)
    if first.size < 2 or any("LIN" not in labels[w] for w in first):
        return 0.0
    start = values[at]
    if np.ptp(values - start[np.searchsorted(first, window)]) > SAME_K * np.ptp(values):
        return 0.0
    line = np.array([labels[w]["LIN"] for w in first])
    change, step = np.diff(line), np.diff(start)
    return float(np.median(np.abs(step[change != 0] / change[change != 0]))) if change.any() else 0.0


def _count(cells: Real, told: int) -> int:
    """Smallest number of cells, DC at n // 2, that holds all; at least what the file tells.

    Where the centre of k-space lies between two samples, either may be DC.
    """
    shift = float(np.angle(np.exp(2j * np.pi * cells).mean())) / (2 * math.pi)
    counts = []
    for choice in (0.5, -0.5) if abs(shift) > 0.5 - ON_GRID else (shift,):
        index = np.rint(cells - choice)
        low, high = int(-index.min()), int(index.max())
        counts.append(_cells(low, high))
    return max(min(counts), told, 1)


def _cells(low: int, high: int) -> int:
    """Cells of -low to high, DC at n // 2; a line at +n/2 without one at -n/2 stands for that."""
    if high in (low, low + 1):
        return low + high + 1
    return 2 * max(low, high + 1)


def _side(k: Real, window: NDArray[np.intp]) -> float:
    """Field of view [m] that the largest step of a trajectory leaves unaliased, 0 if k never changes."""
    step = np.linalg.norm(np.diff(k, axis=0), axis=1)[np.diff(window) == 0]
    return 1 / float(step.max()) if step.size and step.max() > 0 else 0.0
