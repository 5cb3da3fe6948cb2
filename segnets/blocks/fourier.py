"""Centred orthonormal Fourier transform of images held as real and imaginary channels."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def in_float32(device: torch.device) -> AbstractContextManager[object]:
    """Switch autocast off; torch's meta device, on which operations are counted, has none."""
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)


def as_complex(channels: Tensor) -> Tensor:
    """(batch, 2, y, x) float -> (batch, y, x) complex64; half precision has no complex type worth using."""
    return torch.complex(channels[:, 0].float(), channels[:, 1].float())


def as_channels(values: Tensor) -> Tensor:
    """(batch, y, x) complex -> (batch, 2, y, x) float32, real part first."""
    return torch.stack((values.real, values.imag), dim=1)


def centred_fft2(image: Tensor) -> Tensor:
    """Image (..., y, x) complex -> k-space (..., ky, kx), DC at n // 2: S(k) = sum m(r) exp(-i 2 pi k.r)."""
    axes = (-2, -1)
    corner = torch.fft.fft2(torch.fft.ifftshift(image, dim=axes), norm="ortho")
    kspace: Tensor = torch.fft.fftshift(corner, dim=axes)
    return kspace


def centred_ifft2(kspace: Tensor) -> Tensor:
    """Inverse, and adjoint, of `centred_fft2`."""
    axes = (-2, -1)
    corner = torch.fft.ifft2(torch.fft.ifftshift(kspace, dim=axes), norm="ortho")
    image: Tensor = torch.fft.fftshift(corner, dim=axes)
    return image


def to_kspace(image: Tensor) -> Tensor:
    """(batch, 2, y, x) -> (batch, 2, ky, kx), in float32 under any autocast."""
    return as_channels(centred_fft2(as_complex(image)))


def to_image(kspace: Tensor) -> Tensor:
    """(batch, 2, ky, kx) -> (batch, 2, y, x), in float32 under any autocast."""
    return as_channels(centred_ifft2(as_complex(kspace)))


def peak(image: Tensor) -> Tensor:
    """Largest magnitude of each image or series (batch, 2, [frame,] y, x): (batch, 1, ...), never 0.

    Networks are given images divided by that of the zero-filled one.
    """
    size: Tensor = torch.linalg.vector_norm(image, dim=1, keepdim=True)
    largest = size.amax(dim=tuple(range(1, image.ndim)), keepdim=True)
    return largest.clamp_min(torch.finfo(image.dtype).tiny)
