"""Baseline: SemuNet's reconstruction and segmentation behind a fixed sampling pattern."""

from __future__ import annotations

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
from segnets.blocks.sampling_pattern import PATTERNS, FixedPattern
from segnets.config import check, check_choice
from segnets.models.base import Output, SegmentationModel
from segnets.recipes import read_recipe

if TYPE_CHECKING:
    from segnets.data import Batch


@dataclass(frozen=True, kw_only=True, slots=True)
class FixedPatternConfig(HybridConfig):
    """Options of a network with a fixed sampling pattern."""

    pattern: str = "random"
    pattern_seed: int = 0

    def __post_init__(self) -> None:
        HybridConfig.__post_init__(self)
        check_choice("pattern", self.pattern, PATTERNS)
        check(self.pattern_seed >= 0, "pattern_seed", "be zero or positive", self.pattern_seed)

    def sampling(self) -> FixedPattern:
        """Build the pattern."""
        return FixedPattern(self.shape, self.rate, self.pattern, self.pattern_seed)


class Baseline(SegmentationModel):
    """ReconNet and SegNet trained end to end for as long as SemuNet is in all."""

    paper: ClassVar[str] = "Wang et al., SemuNet, 2021 (baseline)"
    description: ClassVar[str] = "fixed sampling pattern, reconstruction and segmentation U-Nets, end to end"
    Config = FixedPatternConfig
    config: FixedPatternConfig
    recipe, stages = read_recipe("baseline")

    def __init__(self, config: FixedPatternConfig | None = None) -> None:
        super().__init__()
        config = config or FixedPatternConfig()
        self.config = config
        self.sampling = config.sampling()
        self.recon = recon_unet(config)
        self.segmenter = segmentation_unet(config)
        self.apply(xavier_uniform)

    def forward(self, kspace: Tensor, mask: Tensor) -> Output:  # noqa: ARG002 - it samples by itself
        """Fully sampled k-space -> logits and the image (its imaginary part is 0)."""
        sampled, _ = self.sampling(kspace)
        image = self.recon(sampled)
        return Output((self.segmenter(image),), (real_image(image),))

    def loss(self, output: Output, batch: Batch) -> Tensor:
        """SemuNet's Eq. 7."""
        return hybrid_loss(output, batch, self.config)
