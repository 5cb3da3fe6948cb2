"""Exact Cartesian encoding of a lattice of spins that divides the pixels, by FFTs along one axis at a time.

S(k) = sum of m exp(-i 2 pi k.r) over the spins. Spins that lie `cuts` to a pixel make it a DFT of `cuts`
times the length, of which the middle is kept: truncation and partial volume as they are, nothing is
interpolated. A crop is made as the papers make it: the image of the full field of view is cut, and the cut is
transformed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Complex = NDArray[np.complex64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """One encoded axis.

    pixels : of the full field of view;  cuts : spins to a pixel
    crop : (first, count) of the pixels that are kept; None keeps all
    """

    pixels: int
    cuts: int
    crop: tuple[int, int] | None = None

    @property
    def count(self) -> int:
        """Samples of k-space, and pixels of its image."""
        return self.crop[1] if self.crop else self.pixels

    def encode(self, spins: Complex, first: int) -> Complex:
        """K-space (..., k) of spins (..., spin) from lattice place `first` on; centred, orthonormal.

        A pixel full of spins of 1 has the image 1: each counts 1 / cuts.
        """
        n, fine = self.pixels, self.pixels * self.cuts
        k = np.rint(np.fft.fftfreq(n, 1 / n)).astype(np.intp)
        offset = first / self.cuts + (0.5 / self.cuts - 0.5)  # [pixel] of spin 0 from the centre of pixel 0
        turn = np.exp(-2j * np.pi * k * offset / n).astype(np.complex64)
        image_k = fft.fft(spins, fine, axis=-1)[..., k % fine] * (turn / np.float32(self.cuts))
        if self.crop is None:
            # pixel n // 2 is the origin of the store's transform, pixel 0 that of this one
            centred = np.exp(2j * np.pi * k * (n // 2) / n) / np.sqrt(n)
            return fft.fftshift(image_k * centred.astype(np.complex64), axes=-1)
        start, count = self.crop
        image = fft.ifft(image_k, axis=-1)[..., start : start + count]
        return fft.fftshift(fft.fft(fft.ifftshift(image, axes=-1), axis=-1, norm="ortho"), axes=-1)


def encode(
    spins: Complex, first: tuple[int, int], axes: tuple[Axis, Axis], rows: NDArray[np.intp] | None = None
) -> Complex:
    """K-space (..., ky, kx) of spins (..., x, y) whose first lies at lattice place `first` (x, y).

    axes : (y, x);  rows : (row,) of ky that are wanted, None for all
    """
    along_y, along_x = axes
    encoded = along_y.encode(spins, first[1])  # (..., x, ky)
    if rows is not None:
        encoded = encoded[..., rows]
    columns = np.ascontiguousarray(np.swapaxes(encoded, -1, -2))
    return along_x.encode(columns, first[0])
