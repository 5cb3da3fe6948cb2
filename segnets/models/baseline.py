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
from segnets.blocks.sampling_pattern import GIVEN, PATTERNS, FixedPattern, measure
from segnets.config import check, check_choice
from segnets.models.base import Output, SegmentationModel
from segnets.recipes import read_recipe

if TYPE_CHECKING:
    from segnets.data import Batch


@dataclass(frozen=True, kw_only=True, slots=True)
class FixedPatternConfig(HybridConfig):
    """Options of a network with a fixed sampling pattern."""

    pattern: str = "random"  # "radial" or "random", one for the whole run, or the "given" mask of the data
    pattern_seed: int = 0

    def __post_init__(self) -> None:
        HybridConfig.__post_init__(self)
        check_choice("pattern", self.pattern, (GIVEN, *PATTERNS))
        check(self.pattern_seed >= 0, "pattern_seed", "be zero or positive", self.pattern_seed)

    @property
    def samples_itself(self) -> bool:
        """See `ModelConfig.samples_itself`."""
        return self.pattern != GIVEN

    def sampling(self) -> FixedPattern | None:
        """Build the pattern; None where it is given."""
        if self.pattern == GIVEN:
            return None
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

    def forward(self, kspace: Tensor, mask: Tensor) -> Output:
        """K-space, fully sampled unless the pattern is given -> logits, the image (imaginary part 0)."""
        measured = measure(kspace, mask) if self.sampling is None else self.sampling(kspace)
        image = self.recon(measured.kspace)
        return Output((self.segmenter(image),), (real_image(image * measured.scale),))

    def loss(self, output: Output, batch: Batch) -> Tensor:
        """SemuNet's Eq. 7."""
        return hybrid_loss(output, batch, self.config)
