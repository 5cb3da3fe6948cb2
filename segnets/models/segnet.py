"""SegNet: an encoder-decoder that enlarges by the places of the maxima (Badrinarayanan et al., 2017).

Every convolution is followed by batch normalisation and ReLU, the last one too: the logits are >= 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from segnets.blocks.backbones import Backbone, conv_chain
from segnets.blocks.contrasts import ImageConfig
from segnets.config import check_choice
from segnets.models.base import Output, SegmentationModel
from segnets.recipes import read_recipe

SEGNET_BACKBONES = ("unet", "vgg16")  # the paper has none with ResNet50


@dataclass(frozen=True, kw_only=True, slots=True)
class SegNetConfig(ImageConfig):
    """Options of SegNet."""

    backbone: str = "unet"
    width: int = 0  # channels of the backbone's first level, 0 = as published

    def __post_init__(self) -> None:
        ImageConfig.__post_init__(self)
        check_choice("backbone", self.backbone, SEGNET_BACKBONES)


class SegNetUnpool(SegmentationModel):
    """Pools remember where each maximum lay; the decoder puts its features back there."""

    paper: ClassVar[str] = (
        "Badrinarayanan, Kendall, Cipolla, TPAMI 2017; as compared with in Wen et al., AAAI 2020"
    )
    description: ClassVar[str] = "encoder-decoder with max-unpooling, on the image"
    Config = SegNetConfig
    config: SegNetConfig
    recipe, stages = read_recipe("segnet")

    def __init__(self, config: SegNetConfig | None = None) -> None:
        super().__init__()
        config = config or SegNetConfig()
        self.config = config
        self.backbone = Backbone(config.backbone, config.n_channels, config.width)
        widths = self.backbone.widths
        n_convs = (2, 2, 3, 3, 3) if config.backbone == "vgg16" else (2,) * 5
        narrower = (config.n_classes, *widths[:-1])
        self.decoder = nn.ModuleList(
            conv_chain(width, [width] * (n - 1) + [narrow])
            for width, narrow, n in zip(widths[::-1], narrower[::-1], n_convs[::-1], strict=True)
        )

    def forward(self, kspace: Tensor, mask: Tensor) -> Output:  # noqa: ARG002 - the mask shows in the zeros
        """See `SegmentationModel.forward`."""
        features, zero_filled = self.config.read(kspace)
        pooled = []
        for block in self.backbone.blocks:
            features = block(features)
            shape = features.shape[-2:]
            features, places = functional.max_pool2d(features, 2, return_indices=True)
            pooled.append((places, shape))
        for stage, (places, shape) in zip(self.decoder, reversed(pooled), strict=True):
            features = stage(functional.max_unpool2d(features, places, [2, 2], output_size=shape))
        return Output((features,), (zero_filled,))
