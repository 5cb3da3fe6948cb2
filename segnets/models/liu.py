"""Liu et al. (IJCAI 2018): an image network trained through a segmentation network that stands still.

Their denoiser is exchanged for SemuNet's ReconNet, so that among SemuNet's comparators only the scheme of
training differs: SegNet learns on fully sampled images, is frozen, and ReconNet learns with
L1 + lambda * cross-entropy(SegNet(x')).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from segnets.blocks.recon_net import (
    hybrid_loss,
    magnitude,
    real_image,
    recon_unet,
    segmentation_unet,
    xavier_uniform,
)
from segnets.blocks.sampling_pattern import measure
from segnets.losses import cross_entropy
from segnets.models.base import Output, SegmentationModel
from segnets.models.baseline import FixedPatternConfig
from segnets.recipes import read_recipe
from segnets.stages import Stage

if TYPE_CHECKING:
    from segnets.data import Batch


class Liu(SegmentationModel):
    """The parts of Baseline; the segmentation comes first and then only steers the reconstruction."""

    paper: ClassVar[str] = (
        "Liu, Wen, Liu, Wang, Huang: When image denoising meets high-level vision tasks, IJCAI 2018; "
        "as compared with in Wang et al., SemuNet, 2021"
    )
    description: ClassVar[str] = "fixed pattern; reconstruction U-Net steered by a frozen segmentation U-Net"
    Config = FixedPatternConfig
    config: FixedPatternConfig
    recipe, stages = read_recipe(
        "liu",
        Stage(
            name="segmentation",
            trainable=("segmenter",),
            run="segment",
            inputs=("image",),
            loss="segmentation_loss",
        ),
        Stage(name="reconstruction", trainable=("recon",)),
    )

    def __init__(self, config: FixedPatternConfig | None = None) -> None:
        super().__init__()
        config = config or FixedPatternConfig()
        self.config = config
        self.sampling = config.sampling()
        self.recon = recon_unet(config)
        self.segmenter = segmentation_unet(config)
        self.apply(xavier_uniform)

    def segment(self, image: Tensor) -> Output:
        """First stage: SegNet on the magnitude of fully sampled images (batch, 2, y, x)."""
        return Output((self.segmenter(magnitude(image)),), (image,))

    def segmentation_loss(self, output: Output, batch: Batch) -> Tensor:
        """Cross-entropy of SegNet."""
        return cross_entropy(output.segmentation, batch.labels)

    def forward(self, kspace: Tensor, mask: Tensor) -> Output:
        """K-space, fully sampled unless the pattern is given -> logits, the image (imaginary part 0)."""
        measured = measure(kspace, mask) if self.sampling is None else self.sampling(kspace)
        image = self.recon(measured.kspace)
        return Output((self.segmenter(image),), (real_image(image * measured.scale),))

    def loss(self, output: Output, batch: Batch) -> Tensor:
        """L1 + lambda * cross-entropy; the gradient passes through the frozen SegNet."""
        return hybrid_loss(output, batch, self.config)
