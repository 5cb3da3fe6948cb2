"""From samples of k-space to images of coils: Fourier transform of a grid, least squares for anything else.

S(k) = sum of m(r) exp(-i 2 pi k.r) over the pixels, scaled so that the transform of a full grid is
orthonormal.
"""

from __future__ import annotations

import math

import finufft
import numpy as np
from numpy.typing import NDArray

from mrsim.reconstruction.density import ACCURACY, pipe_menon

Real = NDArray[np.float64]
Complex = NDArray[np.complexfloating]
ITERATIONS = 10
CONVERGED = 1e-12  # of the squared residual: nothing is left to do


def fft_images(kspace: Complex) -> NDArray[np.complex64]:
    """Images (coil, y, x) of centred k-space (coil, ky, kx), orthonormal; DC and r = 0 at n // 2."""
    axes = (-2, -1)
    images = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace, axes), norm="ortho"), axes)
    return np.asarray(images, np.complex64)


def nufft_images(
    signal: Complex, k: Real, matrix: tuple[int, int], *, iterations: int = ITERATIONS
) -> NDArray[np.complex64]:
    """Images (coil, y, x) whose samples at k come closest to `signal` (coil, sample).

    Least squares weighted with the sampling density (`pipe_menon`), by conjugate gradients from zero
    (Pruessmann et al., Magn Reson Med 2001;46:638, coil by coil). The first step alone is the
    density-compensated adjoint, which is up to 7 % off in the mean where k-space changes within one cell of
    the density, as it does about its centre; ten leave 0.1 %. What was not sampled, such as the corners
    around a disc, stays zero.

    k : (sample, 2) [cycles/pixel] y, x
    matrix : pixels y, x
    """
    transform = _Nufft(k, matrix, len(signal))
    images = np.zeros((len(signal), *matrix), np.complex128)
    residual = transform.adjoint(signal)
    direction, norm = residual, _norm(residual)
    target = CONVERGED * norm
    for _ in range(iterations):
        if (norm <= target).all():
            break
        normal = transform.adjoint(transform.forward(direction))
        step = norm / np.maximum(_inner(direction, normal), np.finfo(float).tiny)
        images = images + step * direction
        residual = residual - step * normal
        last, norm = norm, _norm(residual)
        direction = residual + norm / np.maximum(last, np.finfo(float).tiny) * direction
    return np.asarray(images, np.complex64)


class _Nufft:
    """Transforms between images (coil, y, x) and samples (coil, sample), and weights of the samples."""

    def __init__(self, k: Real, matrix: tuple[int, int], n_coils: int) -> None:
        self.scale = math.sqrt(math.prod(matrix))
        self.weights = pipe_menon(k, matrix)
        self.shape = (n_coils, *matrix)
        points = [np.ascontiguousarray(np.remainder(c * 2 * np.pi, 2 * np.pi)) for c in k.T]
        options = {"n_trans": n_coils, "eps": ACCURACY, "dtype": "complex128"}
        self._adjoint = finufft.Plan(1, matrix, isign=1, **options)
        self._forward = finufft.Plan(2, matrix, isign=-1, **options)
        for plan in (self._adjoint, self._forward):
            plan.setpts(*points)

    def forward(self, images: Complex) -> Complex:
        """(coil, sample)."""
        samples: Complex = self._forward.execute(images).reshape(self.shape[0], -1) / self.scale
        return samples

    def adjoint(self, samples: Complex) -> Complex:
        """(coil, y, x), samples weighted with the area of k-space that they stand for."""
        weighted = np.ascontiguousarray(samples * (self.weights * self.scale), np.complex128)
        images: Complex = self._adjoint.execute(weighted).reshape(self.shape)
        return images


def _inner(a: Complex, b: Complex) -> Real:
    """(coil, 1, 1) real scalar products."""
    return np.asarray(np.sum(a.real * b.real + a.imag * b.imag, axis=(1, 2), keepdims=True))


def _norm(a: Complex) -> Real:
    return _inner(a, a)
