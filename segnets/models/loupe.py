"""LOUPE (Bahadir et al., TCI 2020): learn where to sample together with a reconstruction; no segmentation."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from segnets.blocks.padding import crop_to, pad_to_multiple
from segnets.blocks.recon_net import (
    PatternConfig,
    ReconNet,
    mean_absolute_error,
    real_image,
    recon_unet,
    xavier_uniform,
)
from segnets.blocks.sampling_pattern import SampNet
from segnets.config import check_choice
from segnets.models.base import Output, ReconstructionModel
from segnets.recipes import read_recipe
from segnets.stages import Stage

if TYPE_CHECKING:
    from segnets.data import Batch

RECONS = ("loupe", "semunet")
SLOPE = 0.3  # of the LeakyReLU, Keras' default


@dataclass(frozen=True, kw_only=True, slots=True)
class LoupeConfig(PatternConfig):
    """Options of LOUPE."""

    recon: str = "loupe"  # its own U-Net, or SemuNet's, so that only the loss differs from SemuNet

    def __post_init__(self) -> None:
        PatternConfig.__post_init__(self)
        check_choice("recon", self.recon, RECONS)

    def recon_net(self) -> ReconNet:
        """Build the reconstruction network."""
        if self.recon == "semunet":
            return recon_unet(self)
        return ReconNet(LoupeUNet(2, 1, self.widths), residual=self.residual)


def conv_pair(n_in: int, n_out: int) -> nn.Sequential:
    """[Conv3x3 - LeakyReLU - BatchNorm] twice."""
    layers: list[nn.Module] = []
    for width in (n_in, n_out):
        layers += [nn.Conv2d(width, n_out, 3, padding=1), nn.LeakyReLU(SLOPE), nn.BatchNorm2d(n_out)]
    return nn.Sequential(*layers)


class LoupeUNet(nn.Module):
    """U-Net with average pooling, nearest enlarging without weights, activation before normalisation.

    31,390,145 weights for 2 channels in, 1 out and widths 64 to 1024.
    """

    def __init__(self, n_in: int, n_out: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        pairs = list(pairwise(widths))
        self.factor = 2 ** len(pairs)
        self.first = conv_pair(n_in, widths[0])
        self.down = nn.ModuleList(conv_pair(narrow, wide) for narrow, wide in pairs)
        self.merge = nn.ModuleList(conv_pair(narrow + wide, narrow) for narrow, wide in pairs[::-1])
        self.head = nn.Conv2d(widths[0], n_out, 1)

    def forward(self, image: Tensor) -> Tensor:
        """(batch, n_in, y, x) of any size -> (batch, n_out, y, x)."""
        shape = (image.shape[-2], image.shape[-1])
        features: Tensor = self.first(pad_to_multiple(image, self.factor))
        skips = []
        for stage in self.down:
            skips.append(features)
            features = stage(functional.avg_pool2d(features, 2))
        for merge, skip in zip(self.merge, reversed(skips), strict=True):
            enlarged = functional.interpolate(features, scale_factor=2.0)
            features = merge(torch.cat((skip, enlarged), dim=1))
        return crop_to(self.head(features), shape)


class Loupe(ReconstructionModel):
    """SampNet and a U-Net that corrects the zero-filled magnitude; mean absolute error trains both."""

    paper: ClassVar[str] = (
        "Bahadir, Wang, Dalca, Sabuncu: Deep-learning-based optimization of the under-sampling pattern in "
        "MRI, TCI 2020"
    )
    description: ClassVar[str] = "learnt sampling pattern and reconstruction U-Net (no segmentation)"
    Config = LoupeConfig
    config: LoupeConfig
    recipe, stages = read_recipe(
        "loupe",
        Stage(name="joint"),
        Stage(name="fine-tuning", trainable=("recon",)),
    )

    def __init__(self, config: LoupeConfig | None = None) -> None:
        super().__init__()
        config = config or LoupeConfig()
        self.config = config
        self.sampling = SampNet(config.shape, config.rate)
        self.recon = config.recon_net()
        self.apply(xavier_uniform)

    def forward(self, kspace: Tensor, mask: Tensor) -> Output:  # noqa: ARG002 - it samples by itself
        """Fully sampled k-space -> the image (its imaginary part is 0), no logits."""
        measured = self.sampling(kspace)
        return Output((), (real_image(self.recon(measured.kspace) * measured.scale),))

    def loss(self, output: Output, batch: Batch) -> Tensor:
        """Mean absolute error of the magnitude."""
        return mean_absolute_error(output, batch)
