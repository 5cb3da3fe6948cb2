"""SemuNet (Wang et al., 2021): learn where to sample, reconstruct, segment, all at once.

    M = SampNet()      x' = ReconNet(F^H (M * F x))      s = SegNet(x')      L = |x' - x|_1 + lambda L_Seg

The first stage learns all three with patterns drawn from the probabilities; then the pattern is fixed to the
`rate` most probable locations and the other two are fine-tuned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from segnets.blocks.recon_net import (
    HybridConfig,
    hybrid_loss,
    real_image,
    recon_unet,
    segmentation_unet,
    xavier_uniform,
)
from segnets.blocks.sampling_pattern import SampNet
from segnets.config import check
from segnets.models.base import Output, SegmentationModel
from segnets.recipes import read_recipe
from segnets.stages import Stage

if TYPE_CHECKING:
    from segnets.data import Batch


@dataclass(frozen=True, kw_only=True, slots=True)
class SemuNetConfig(HybridConfig):
    """Options of SemuNet."""

    mask_lr: float = 1.0  # factor on SampNet's learning rate; 10 for short runs

    def __post_init__(self) -> None:
        HybridConfig.__post_init__(self)
        check(0 < self.mask_lr < math.inf, "mask_lr", "be positive", self.mask_lr)


class SemuNet(SegmentationModel):
    """SampNet, ReconNet and SegNet in a row; the last two are U-Nets."""

    paper: ClassVar[str] = (
        "Wang et al.: SemuNet, a sequential multi-task joint learning network for MRI, 2021"
    )
    description: ClassVar[str] = "learnt sampling pattern, reconstruction and segmentation U-Nets, end to end"
    Config = SemuNetConfig
    config: SemuNetConfig
    recipe, stages = read_recipe(
        "semunet",
        Stage(name="joint"),
        Stage(name="fine-tuning", trainable=("recon", "segmenter")),
    )

    def __init__(self, config: SemuNetConfig | None = None) -> None:
        super().__init__()
        config = config or SemuNetConfig()
        self.config = config
        self.sampling = SampNet(config.shape, config.rate)
        self.recon = recon_unet(config)
        self.segmenter = segmentation_unet(config)
        self.apply(xavier_uniform)

    def lr_factor(self, name: str) -> float:
        """See `SegmentationModel.lr_factor`."""
        return self.config.mask_lr if name.startswith("sampling.") else 1.0

    def forward(self, kspace: Tensor, mask: Tensor) -> Output:  # noqa: ARG002 - it samples by itself
        """Fully sampled k-space -> logits and the image (its imaginary part is 0)."""
        measured = self.sampling(kspace)
        image = self.recon(measured.kspace)
        return Output((self.segmenter(image),), (real_image(image * measured.scale),))

    def loss(self, output: Output, batch: Batch) -> Tensor:
        """Eq. 7."""
        return hybrid_loss(output, batch, self.config)
