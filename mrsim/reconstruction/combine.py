"""From images of coils to one image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Complex = NDArray[np.complexfloating]
METHODS = ("rss", "maps")
SILENT = 1e-3  # of the largest: where the coils hear less, there is no signal to scale up


def combine(images: Complex, *, maps: Complex | None = None) -> NDArray[np.complex64]:
    """One image (y, x) complex64 from those of the coils (coil, y, x).

    maps : (coil, y, x) sensitivities: the image is the least-squares fit of them (Roemer et al., Magn Reson
        Med 1990;16:192), complex and as one uniform coil would have it. Without them it is the root sum of
        squares, and that of a single coil stays complex.
    """
    if maps is None:
        if images.shape[0] == 1:
            return np.asarray(images[0], np.complex64)
        return np.asarray(np.sqrt((np.abs(images) ** 2).sum(axis=0)), np.complex64)
    if maps.shape != images.shape:
        raise ValueError(f"maps must have the shape of the coil images {images.shape}, got {maps.shape}")
    heard = (np.abs(maps) ** 2).sum(axis=0)
    fit = (maps.conj() * images).sum(axis=0) / np.maximum(heard, SILENT**2 * heard.max())
    return np.asarray(fit, np.complex64)
