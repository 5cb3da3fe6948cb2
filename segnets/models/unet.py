"""U-Net on one of CRDN's backbones (Ronneberger et al.; CRDN's comparator)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from segnets.blocks.backbones import BACKBONES, Backbone
from segnets.blocks.contrasts import ImageConfig
from segnets.blocks.unet import double_conv
from segnets.config import check_choice
from segnets.models.base import Output, SegmentationModel
from segnets.models.crdn import resize
from segnets.recipes import read_recipe


@dataclass(frozen=True, kw_only=True, slots=True)
class BackboneUNetConfig(ImageConfig):
    """Options of the U-Net on a backbone."""

    backbone: str = "unet"
    width: int = 0  # channels of the backbone's first level, 0 = as published

    def __post_init__(self) -> None:
        ImageConfig.__post_init__(self)
        check_choice("backbone", self.backbone, BACKBONES)


class BackboneUNet(SegmentationModel):
    """Batch normalisation in the encoder only; the decoder resizes to the skip's size, so any size goes."""

    paper: ClassVar[str] = (
        "Ronneberger, Fischer, Brox, MICCAI 2015; as compared with in Wen et al., AAAI 2020"
    )
    description: ClassVar[str] = "U-Net with the backbones of CRDN, on the image"
    Config = BackboneUNetConfig
    config: BackboneUNetConfig
    recipe, stages = read_recipe("unet")

    def __init__(self, config: BackboneUNetConfig | None = None) -> None:
        super().__init__()
        config = config or BackboneUNetConfig()
        self.config = config
        self.backbone = Backbone(config.backbone, config.n_channels, config.width)
        pairs = list(pairwise(self.backbone.widths[::-1]))  # deepest first: (from below, the skip's)
        self.up = nn.ModuleList(nn.ConvTranspose2d(wide, narrow, 2, stride=2) for wide, narrow in pairs)
        self.merge = nn.ModuleList(double_conv(2 * narrow, narrow, norm=False) for _, narrow in pairs)
        self.head = nn.Conv2d(self.backbone.widths[0], config.n_classes, 1)

    def forward(self, kspace: Tensor, mask: Tensor) -> Output:  # noqa: ARG002 - the mask shows in the zeros
        """See `SegmentationModel.forward`."""
        image, zero_filled = self.config.read(kspace)
        *skips, features = self.backbone(image)
        for up, merge, skip in zip(self.up, self.merge, reversed(skips), strict=True):
            enlarged = resize(up(features), (skip.shape[-2], skip.shape[-1]))
            features = merge(torch.cat((skip, enlarged), dim=1))
        return Output((self.head(features),), (zero_filled,))
