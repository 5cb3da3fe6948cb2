"""Joint: reconstruction and segmentation as one graph, trained by the segmentation alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from segnets.blocks.data_consistency import DC_KINDS
from segnets.blocks.init import he_normal
from segnets.blocks.regularisers import REG_BLOCKS
from segnets.blocks.unet import UNet
from segnets.config import check, check_choice
from segnets.models.base import ModelConfig, Output, SegmentationModel
from segnets.models.seranet import Reconstruction, SeraNetConfig
from segnets.recipes import read_recipe


@dataclass(frozen=True, kw_only=True, slots=True)
class CascadeConfig(ModelConfig):
    """Options of a reconstruction followed by a U-Net; they mean what they mean in SERANet."""

    n_blocks: int = 7  # N, reconstruction blocks
    reg: str = "A"  # Reg block: A cascaded CNN, B auto-encoder
    reg_width: int = 64
    reg_skip: bool = True  # type B with skip connections
    width: int = 64  # channels of the first level of the segmentation U-Net
    norm: bool = True  # batch normalisation in the segmentation U-Net
    dc: str = "hard"
    dc_weight: float = 10.0

    def __post_init__(self) -> None:
        ModelConfig.__post_init__(self)
        for name in ("n_blocks", "reg_width", "width"):
            check(getattr(self, name) >= 1, name, "be at least 1", getattr(self, name))
        check_choice("reg", self.reg, REG_BLOCKS)
        check_choice("dc", self.dc, DC_KINDS)

    def reconstruction(self) -> Reconstruction:
        """Build f_Rec, SERANet's."""
        return Reconstruction(
            SeraNetConfig(
                n_blocks=self.n_blocks,
                reg=self.reg,
                reg_width=self.reg_width,
                reg_skip=self.reg_skip,
                dc=self.dc,
                dc_weight=self.dc_weight,
            )
        )

    def segmenter(self) -> UNet:
        """Build SERANet's segmentation U-Net without ConvLSTM."""
        return UNet(2, self.n_classes, tuple(self.width * 2**level for level in range(4)), norm=self.norm)


class Joint(SegmentationModel):
    """f_Rec with N blocks, then the U-Net of One-step; cross-entropy of its output trains both."""

    paper: ClassVar[str] = "Huang et al., SERANet, MICCAI 2019 (baseline)"
    description: ClassVar[str] = "unrolled reconstruction and U-Net in one graph, segmentation loss only"
    Config = CascadeConfig
    config: CascadeConfig
    recipe, stages = read_recipe("joint")

    def __init__(self, config: CascadeConfig | None = None) -> None:
        super().__init__()
        config = config or CascadeConfig()
        self.config = config
        self.reconstruct = config.reconstruction()
        self.unet = config.segmenter()
        self.apply(he_normal)

    def forward(self, kspace: Tensor, mask: Tensor) -> Output:
        """See `SegmentationModel.forward`; the image is x^(N)."""
        _, image = self.reconstruct(kspace, mask)
        return Output((self.unet(image),), (image,))
