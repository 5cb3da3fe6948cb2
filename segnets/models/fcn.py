"""FCN-2s: fully convolutional network with the score maps of all scales added (Long et al.; in CRDN's paper).

Score maps of 1/2 .. 1/32 of the size (1/2 .. 1/16 with ResNet50), coarse to fine: enlarge, add the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from segnets.blocks.backbones import BACKBONES, Backbone, conv_chain
from segnets.blocks.contrasts import ImageConfig
from segnets.config import check, check_choice
from segnets.models.base import Output, SegmentationModel
from segnets.recipes import read_recipe


@dataclass(frozen=True, kw_only=True, slots=True)
class FcnConfig(ImageConfig):
    """Options of FCN-2s."""

    backbone: str = "unet"
    width: int = 0  # channels of the backbone's first level, 0 = as published
    head_width: int = 4096  # of the fully connected layers made convolutions (vgg16, resnet50)

    def __post_init__(self) -> None:
        ImageConfig.__post_init__(self)
        check_choice("backbone", self.backbone, BACKBONES)
        check(self.head_width >= 1, "head_width", "be at least 1", self.head_width)


def score_head(n_in: int, width: int, n_classes: int) -> nn.Sequential:
    """Build VGG16's classifier as convolutions; the first is not padded, so it needs a map of 3 x 3."""
    return nn.Sequential(
        nn.Conv2d(n_in, width, 3),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.Dropout2d(),
        nn.Conv2d(width, width, 1),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.Dropout2d(),
        nn.Conv2d(width, n_classes, 1),
    )


class FCN2s(SegmentationModel):
    """Scores of every scale, enlarged by nearest neighbour and added."""

    paper: ClassVar[str] = "Long, Shelhamer, Darrell, CVPR 2015; as compared with in Wen et al., AAAI 2020"
    description: ClassVar[str] = "backbone whose score maps of all scales are added, on the image"
    Config = FcnConfig
    config: FcnConfig
    recipe, stages = read_recipe("fcn")

    def __init__(self, config: FcnConfig | None = None) -> None:
        super().__init__()
        config = config or FcnConfig()
        self.config = config
        self.backbone = Backbone(config.backbone, config.n_channels, config.width)
        # VGG16's pools keep the last odd row and column; those of ResNet50 belong to the backbone itself
        self.pool = nn.MaxPool2d(2, ceil_mode=config.backbone == "vgg16")
        *finer, deepest = self.backbone.widths
        n_classes = config.n_classes
        if config.backbone == "unet":
            self.head = conv_chain(deepest, (n_classes, n_classes))
        else:
            self.head = score_head(deepest, config.head_width, n_classes)
        self.scores = nn.ModuleList(nn.Conv2d(width, n_classes, 1) for width in finer)

    def levels(self, image: Tensor) -> list[Tensor]:
        """Features after each pooling, fine to coarse; with ResNet50 the pooled stem and the four stages."""
        features, levels = image, []
        if self.config.backbone == "resnet50":
            _, *stages = self.backbone.blocks
            features = self.backbone.pools[1](self.backbone.blocks[0](image))
            levels.append(features)
            for stage in stages:
                features = stage(features)
                levels.append(features)
            return levels
        for block in self.backbone.blocks:
            features = self.pool(block(features))
            levels.append(features)
        return levels

    def forward(self, kspace: Tensor, mask: Tensor) -> Output:  # noqa: ARG002 - the mask shows in the zeros
        """See `SegmentationModel.forward`; ValueError for an image too small for the unpadded head."""
        image, zero_filled = self.config.read(kspace)
        *finer, deepest = self.levels(image)
        if self.config.backbone != "unet":
            size = min(deepest.shape[-2:])
            least = 65 if self.config.backbone == "vgg16" else 33
            check(size >= 3, "image", f"be at least {least} pixels wide and high", tuple(image.shape[-2:]))
        total: Tensor = self.head(deepest)
        for score, features in zip(reversed(self.scores), reversed(finer), strict=True):
            total = functional.interpolate(total, features.shape[-2:]) + score(features)
        return Output((functional.interpolate(total, image.shape[-2:]),), (zero_filled,))
