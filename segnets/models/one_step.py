"""One-step: a U-Net straight on the zero-filled image, SERANet's simplest baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from segnets.blocks.fourier import to_image
from segnets.blocks.init import he_normal
from segnets.blocks.unet import UNet
from segnets.config import check
from segnets.models.base import ModelConfig, Output, SegmentationModel
from segnets.recipes import read_recipe


@dataclass(frozen=True, kw_only=True, slots=True)
class OneStepConfig(ModelConfig):
    """Options of One-step; the defaults are the paper's."""

    width: int = 64  # channels of the first level: width, 2, 4 and 8 times it
    norm: bool = True  # batch normalisation

    def __post_init__(self) -> None:
        ModelConfig.__post_init__(self)
        check(self.width >= 1, "width", "be at least 1", self.width)

    @property
    def makes_image(self) -> bool:
        """See `ModelConfig.makes_image`."""
        return False


class OneStep(SegmentationModel):
    """U-Net 64-128-256-512 on the zero-filled image; at rate 1 it is the paper's "One-step (Fully)"."""

    paper: ClassVar[str] = "Huang et al., SERANet, MICCAI 2019 (baseline)"
    description: ClassVar[str] = "U-Net on the zero-filled image"
    Config = OneStepConfig
    config: OneStepConfig
    recipe, stages = read_recipe("one-step")

    def __init__(self, config: OneStepConfig | None = None) -> None:
        super().__init__()
        config = config or OneStepConfig()
        self.config = config
        widths = tuple(config.width * 2**level for level in range(4))
        self.unet = UNet(2, config.n_classes, widths, norm=config.norm)
        self.apply(he_normal)

    def forward(self, kspace: Tensor, mask: Tensor) -> Output:  # noqa: ARG002 - the mask shows in the zeros
        """See `SegmentationModel.forward`."""
        image = to_image(kspace)
        return Output((self.unet(image),), (image,))
