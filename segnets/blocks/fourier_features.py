"""Coordinates as a transformer sees them: themselves, and sines and cosines of many frequencies of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def grid_coordinates(shape: Sequence[int], device: torch.device | str = "cpu") -> Tensor:
    """Coordinates (y, x, frame) of all points of a grid, each in [-1, 1], flattened.

    shape : (y, x) or (frame, y, x); index n // 2 of y and x is 0, a lone frame is 0
    returns (point, 3)
    """
    n_frames = shape[0] if len(shape) == 3 else 1
    ny, nx = shape[-2:]
    y, x = ((torch.arange(n, device=device) - n // 2) / (n / 2) for n in (ny, nx))
    t = torch.linspace(-1, 1, n_frames, device=device) if n_frames > 1 else torch.zeros(1, device=device)
    t, y, x = torch.meshgrid(t, y, x, indexing="ij")
    return torch.stack((y, x, t), dim=-1).reshape(-1, 3)


def fourier_features(coordinates: Tensor, sizes: Sequence[int], n_bands: int) -> Tensor:
    """[c, sin(pi f c), cos(pi f c)] of every axis, with `n_bands` frequencies f from 1 to size / 2, linearly.

    coordinates : (..., axis) in [-1, 1]
    sizes : points along each axis
    returns (..., axis * (2 n_bands + 1)) float32
    """
    parts = [coordinates]
    for axis, size in enumerate(sizes):
        f = torch.linspace(1, size / 2, n_bands, device=coordinates.device)
        angle = math.pi * f * coordinates[..., axis, None]
        parts += [angle.sin(), angle.cos()]
    return torch.cat(parts, dim=-1)
