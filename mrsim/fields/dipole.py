"""Field of a susceptibility distribution: convolution with the dipole kernel by FFT."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft


def dipole_field(
    chi: NDArray[np.float32],
    spacing: tuple[float, float, float],
    direction: tuple[float, float, float] = (0.0, 0.0, 1.0),
) -> NDArray[np.float32]:
    """Relative field shift dB/B0 with the sphere of Lorentz removed; B0 along `direction`, x y z.

    dB/B0 = F^-1 {(1/3 - (k.b)^2/k^2) F chi}, 0 at k = 0 (Salomir 2003, Concepts Magn Reson 19B:26; Marques
    and Bowtell 2005, ibid. 25B:65), on a grid padded to twice its size with chi = 0, so that an object is far
    from its images.

    chi : (z, y, x) volume susceptibility (SI) less that of the surroundings
    spacing : z, y, x, in one unit
    returns : (z, y, x) float32
    """
    # one thread: the last bit of a pocketfft result depends on how lines are shared out among threads
    padded = [fft.next_fast_len(2 * n, real=True) for n in chi.shape]
    spectrum = fft.rfftn(chi.astype(np.float32, copy=False), padded)
    spectrum *= _kernel(padded, spacing, direction)
    field = fft.irfftn(spectrum, padded, overwrite_x=True)
    return np.ascontiguousarray(field[tuple(slice(n) for n in chi.shape)])


def _kernel(
    shape: list[int], spacing: tuple[float, float, float], direction: tuple[float, float, float]
) -> NDArray[np.float32]:
    kz, ky = (np.fft.fftfreq(n, d).astype(np.float32) for n, d in zip(shape[:2], spacing[:2], strict=True))
    kx = np.fft.rfftfreq(shape[2], spacing[2]).astype(np.float32)
    k2 = (kz**2)[:, None, None] + (ky**2)[:, None] + kx**2
    k2[0, 0, 0] = 1
    bx, by, bz = (np.float32(b) for b in direction)
    pairs = (_without_nyquist(kz, shape[0]), _without_nyquist(ky, shape[1]), _without_nyquist(kx, shape[2]))
    (kz, last_z), (ky, last_y), (kx, last_x) = pairs
    along2 = ((bz * kz)[:, None, None] + (by * ky)[:, None] + bx * kx) ** 2
    along2 += (bz * last_z)[:, None, None] ** 2 + (by * last_y)[:, None] ** 2 + (bx * last_x) ** 2
    kernel: NDArray[np.float32] = np.float32(1 / 3) - along2 / k2
    kernel[0, 0, 0] = 0
    return kernel


def _without_nyquist(k: NDArray[np.float32], n: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Frequencies of an axis of `n` without the Nyquist frequency, which has no sign, and that alone."""
    last = np.zeros_like(k)
    if n % 2 == 0:
        last[n // 2] = k[n // 2]
    return k - last, last
