"""Sizes that do not divide by a network's pooling factor: padded at its entrance, cropped at its exit."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def pad_to_multiple(image: Tensor, factor: int) -> Tensor:
    """Pad (batch, channel, y, x) with zeros all round until y and x divide by `factor` (180 -> 184 for 8)."""
    rows, columns = (-size % factor for size in image.shape[-2:])
    if not rows and not columns:
        return image
    return functional.pad(image, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))


def crop_to(image: Tensor, shape: tuple[int, int]) -> Tensor:
    """Undo `pad_to_multiple`: the part of (batch, channel, y, x) that has `shape` (y, x)."""
    ny, nx = shape
    top, left = (image.shape[-2] - ny) // 2, (image.shape[-1] - nx) // 2
    return image[..., top : top + ny, left : left + nx]
