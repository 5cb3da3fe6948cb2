"""One grid of pixels for the images of all subjects: cut, filled up, resampled where pixels differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """shape : (y, x) pixels ; steps : (y, x) [m]."""

    shape: tuple[int, int]
    steps: tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """Where the pixels of a grid lie in an image: pixel j at centre + (j - n // 2) * step, in pixels.

    size, shape : (y, x) of the image and of the grid;  centre : (y, x) pixel of the image on the middle one
    step : (y, x) pixels of the image from one of the grid to the next
    """

    size: tuple[int, int]
    shape: tuple[int, int]
    centre: tuple[int, int]
    step: tuple[float, float]

    @property
    def whole(self) -> bool:
        """Whether pixels lie on pixels, so that nothing is computed."""
        return self.step == (1.0, 1.0)

    @property
    def affine(self) -> NDArray[np.float64]:
        """(4, 4) index (x, y, 0, 1) of a pixel of the grid -> of the image."""
        affine = np.eye(4)
        for row, axis in ((0, 1), (1, 0)):
            affine[row, row] = self.step[axis]
            affine[row, 3] = self.centre[axis] - self.step[axis] * (self.shape[axis] // 2)
        return affine

    def places(self, axis: int) -> NDArray[np.float64]:
        """Positions of the grid's pixels along y (0) or x (1), in pixels of the image."""
        n = self.shape[axis]
        return np.asarray(self.centre[axis] + (np.arange(n) - n // 2) * self.step[axis], np.float64)


def window_of(
    size: tuple[int, int], centre: tuple[int, int] | None, ratio: NDArray[np.float64], grid: Grid
) -> Window:
    """Lay a grid on an image; ratio : (2,) pixels of the grid per pixel of the image, along y and x."""
    y, x = centre or (size[0] // 2, size[1] // 2)
    return Window(size=size, shape=grid.shape, centre=(y, x), step=(float(1 / ratio[0]), float(1 / ratio[1])))


def onto(window: Window, values: NDArray[Any], *, linear: bool = False) -> NDArray[Any]:
    """(..., y, x) values of the image at the pixels of the grid, 0 outside the image.

    Pixels on pixels are copied. Otherwise images are interpolated as k-space says (zero-filled or cut, never
    below 0), and shares of classes linearly.
    """
    if window.whole:
        return _copied(window, values)
    weights = linear_weights if linear else fourier_weights
    rows, columns = (
        weights(window.places(axis), window.size[axis], window.step[axis]).astype(np.float32)
        for axis in (0, 1)
    )
    moved: NDArray[np.float32] = rows @ values.astype(np.float32) @ columns.T
    return moved if linear else np.maximum(moved, 0)


def _copied(window: Window, values: NDArray[Any]) -> NDArray[Any]:
    result = np.zeros((*values.shape[:-2], *window.shape), values.dtype)
    here, there = [], []
    for axis in (0, 1):
        first = window.centre[axis] - window.shape[axis] // 2  # pixel of the image on pixel 0 of the grid
        begin, end = max(0, first), min(window.size[axis], first + window.shape[axis])
        there.append(slice(begin, max(begin, end)))
        here.append(slice(begin - first, max(begin, end) - first))
    result[..., here[0], here[1]] = values[..., there[0], there[1]]
    return result


def fourier_weights(places: NDArray[np.float64], size: int, step: float) -> NDArray[np.float64]:
    """(place, pixel) weights of the trigonometric interpolation; a wider step leaves out what would alias."""
    k = np.arange(size) - size // 2
    kept = np.abs(k) < size / 2 / max(1.0, step)  # the lone frequency of an even size has no mirror image
    phase = 2j * np.pi * k[kept] / size
    forth, back = np.exp(np.outer(places, phase)), np.exp(-np.outer(phase, np.arange(size)))
    weights: NDArray[np.float64] = (forth @ back).real / size
    return weights * _inside(places, size)[:, None]


def linear_weights(places: NDArray[np.float64], size: int, step: float) -> NDArray[np.float64]:
    """(place, pixel) weights of a triangle as wide as the larger pixel of the two; they sum to 1."""
    width = max(1.0, step)
    weights: NDArray[np.float64] = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(size)) / width)
    sums = np.maximum(weights.sum(axis=1), np.finfo(np.float64).tiny)
    weights *= (_inside(places, size) / sums)[:, None]
    return weights


def _inside(places: NDArray[np.float64], size: int) -> NDArray[np.bool_]:
    """Whether a place lies in a pixel of the image."""
    return (places >= -0.5) & (places <= size - 0.5)
