"""What a network that reads images gets: the zero-filled images of one or several contrasts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from segnets.blocks.fourier import to_image
from segnets.config import check
from segnets.models.base import ModelConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageConfig(ModelConfig):
    """Options of a network that reads images."""

    contrasts: int = 1  # k-spaces of one slice, such as T1, T2 and PD
    magnitude: bool = True  # one channel per contrast; else real and imaginary part

    def __post_init__(self) -> None:
        ModelConfig.__post_init__(self)
        check(self.contrasts >= 1, "contrasts", "be at least 1", self.contrasts)

    @property
    def makes_image(self) -> bool:
        """See `ModelConfig.makes_image`."""
        return False

    @property
    def n_channels(self) -> int:
        """Channels that the network reads."""
        return self.contrasts if self.magnitude else 2 * self.contrasts

    def read(self, kspace: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, 2 * contrast, ky, kx) -> the network's input, and the zero-filled images of the same shape.

        ValueError where the number of contrasts is another one.
        """
        contrasts = kspace.shape[1] // 2
        check(contrasts == self.contrasts, "contrasts", f"be {contrasts}, as in the data", self.contrasts)
        batch, _, ny, nx = kspace.shape
        parts = to_image(kspace.reshape(batch * contrasts, 2, ny, nx))
        images = parts.reshape(batch, contrasts, 2, ny, nx)
        channels = images.flatten(1, 2)
        return (torch.linalg.vector_norm(images, dim=2) if self.magnitude else channels), channels
