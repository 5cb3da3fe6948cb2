"""ReconNet and the losses of SemuNet's family: networks that make a magnitude image and segment it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from segnets.blocks.fourier import to_image
from segnets.blocks.unet import UNet
from segnets.config import check
from segnets.losses import cross_entropy
from segnets.models.base import ModelConfig, Output

if TYPE_CHECKING:
    from segnets.data import Batch

N_LEVELS = 5  # widths width .. 16 width


@dataclass(frozen=True, kw_only=True, slots=True)
class PatternConfig(ModelConfig):
    """Options of a network that brings its own sampling pattern."""

    ny: int = 240  # k-space, phase encode
    nx: int = 240  # k-space, readout
    rate: float = 0.10  # alpha, share of the k-space locations that is sampled
    width: int = 64  # channels of the first level of the U-Nets; 32 is the light form
    residual: bool = True  # the network corrects the zero-filled magnitude (LOUPE) or makes the image

    def __post_init__(self) -> None:
        ModelConfig.__post_init__(self)
        for name in ("ny", "nx", "width"):
            check(getattr(self, name) >= 1, name, "be at least 1", getattr(self, name))
        check(0 < self.rate < 1, "rate", "lie in (0, 1)", self.rate)

    @property
    def samples_itself(self) -> bool:
        """See `ModelConfig.samples_itself`."""
        return True

    @property
    def shape(self) -> tuple[int, int]:
        """(ky, kx)."""
        return self.ny, self.nx

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels per level of the U-Nets."""
        return tuple(self.width * 2**level for level in range(N_LEVELS))


@dataclass(frozen=True, kw_only=True, slots=True)
class HybridConfig(PatternConfig):
    """Options of the loss L1 + weight * cross-entropy."""

    seg_weight: float = 0.1  # lambda
    divide_by_classes: bool = True  # as Eq. 6 is printed, 1 / (N C)

    def __post_init__(self) -> None:
        PatternConfig.__post_init__(self)
        check(0 <= self.seg_weight < math.inf, "seg_weight", "be zero or positive", self.seg_weight)


class ReconNet(nn.Module):
    """From the complex zero-filled image to a magnitude image, with or without its magnitude added."""

    def __init__(self, unet: nn.Module, *, residual: bool) -> None:
        super().__init__()
        self.unet, self.residual = unet, residual

    def forward(self, kspace: Tensor) -> Tensor:
        """Reconstruct: sampled k-space (batch, 2, ky, kx) -> (batch, 1, y, x)."""
        image = to_image(kspace)
        out: Tensor = self.unet(image)
        return out + magnitude(image) if self.residual else out


def recon_unet(config: PatternConfig) -> ReconNet:
    """Build SemuNet's ReconNet: 31,042,945 weights at width 64."""
    return ReconNet(UNet(2, 1, config.widths, norm=True), residual=config.residual)


def segmentation_unet(config: PatternConfig) -> UNet:
    """Build SemuNet's SegNet, a U-Net: 31,042,824 weights at width 64 for 8 classes."""
    return UNet(1, config.n_classes, config.widths, norm=True)


def xavier_uniform(module: nn.Module) -> None:
    """Xavier-uniform convolutions with zero bias; for `module.apply` (SemuNet's initialisation)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def magnitude(image: Tensor) -> Tensor:
    """(batch, 2, y, x) -> (batch, 1, y, x)."""
    size: Tensor = torch.linalg.vector_norm(image, dim=1, keepdim=True)
    return size


def real_image(values: Tensor) -> Tensor:
    """(batch, 1, y, x) -> (batch, 2, y, x) with imaginary part 0, as an `Output` holds images."""
    values = values.float()
    return torch.cat((values, torch.zeros_like(values)), dim=1)


def mean_absolute_error(output: Output, batch: Batch) -> Tensor:
    """L1 between the image and the magnitude of the fully sampled one, with its noise; mean over pixels."""
    return functional.l1_loss(output.image[:, :1].float(), magnitude(batch.image))


def hybrid_loss(output: Output, batch: Batch, config: HybridConfig) -> Tensor:
    """L1 + seg_weight * cross-entropy (Eq. 7), the latter divided by the classes as printed (Eq. 6)."""
    weight = config.seg_weight / (config.n_classes if config.divide_by_classes else 1)
    return mean_absolute_error(output, batch) + weight * cross_entropy(output.segmentation, batch.labels)
