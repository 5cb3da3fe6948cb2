"""LOUPE-Seg: LOUPE, trained and frozen, and a U-Net that learns to segment what it reconstructs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from segnets.blocks.recon_net import mean_absolute_error, real_image, segmentation_unet, xavier_uniform
from segnets.blocks.sampling_pattern import SampNet
from segnets.models.base import Output, SegmentationModel
from segnets.models.loupe import LoupeConfig
from segnets.recipes import read_recipe
from segnets.stages import Stage

if TYPE_CHECKING:
    from segnets.data import Batch


class LoupeSeg(SegmentationModel):
    """LOUPE with its binary pattern, then SemuNet's SegNet by cross-entropy."""

    paper: ClassVar[str] = "Wang et al., SemuNet, 2021 (baseline)"
    description: ClassVar[str] = "LOUPE, then a segmentation U-Net on its frozen reconstructions"
    Config = LoupeConfig
    config: LoupeConfig
    recipe, stages = read_recipe(
        "loupe-seg",
        Stage(name="pattern", trainable=("sampling", "recon"), run="reconstruct", loss="image_loss"),
        Stage(name="reconstruction", trainable=("recon",), run="reconstruct", loss="image_loss"),
        Stage(name="segmentation", trainable=("segmenter",)),
    )

    def __init__(self, config: LoupeConfig | None = None) -> None:
        super().__init__()
        config = config or LoupeConfig()
        self.config = config
        self.sampling = SampNet(config.shape, config.rate)
        self.recon = config.recon_net()
        self.segmenter = segmentation_unet(config)
        self.apply(xavier_uniform)

    def reconstruct(self, kspace: Tensor, mask: Tensor) -> Output:  # noqa: ARG002 - it samples by itself
        """First two stages: LOUPE alone."""
        measured = self.sampling(kspace)
        return Output((), (real_image(self.recon(measured.kspace) * measured.scale),))

    def image_loss(self, output: Output, batch: Batch) -> Tensor:
        """Mean absolute error of the magnitude."""
        return mean_absolute_error(output, batch)

    def forward(self, kspace: Tensor, mask: Tensor) -> Output:  # noqa: ARG002 - it samples by itself
        """Fully sampled k-space -> logits and the image (its imaginary part is 0)."""
        measured = self.sampling(kspace)
        image = self.recon(measured.kspace)
        return Output((self.segmenter(image),), (real_image(image * measured.scale),))
