"""SegNetMRI (Sun et al., IPMI 2019): one encoder per block serves reconstruction and segmentation.

MRN reconstructs in N units, each an encoder-decoder with global residual and data consistency. MSN is a U-Net
of the same shape. Both are trained alone first, MSN on fully sampled images. Then MSN's encoder is thrown
away, its decoder reads the encoder of every unit of MRN, and a convolution 1x1 merges the N segmentations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from segnets.blocks.data_consistency import DC_KINDS, DataConsistency
from segnets.blocks.fourier import to_image
from segnets.blocks.init import he_normal
from segnets.blocks.padding import crop_to, pad_to_multiple
from segnets.blocks.unet import UNet
from segnets.config import check, check_choice
from segnets.losses import cross_entropy, mean_squared_error
from segnets.models.base import ModelConfig, Output, SegmentationModel
from segnets.recipes import read_recipe
from segnets.stages import Stage

if TYPE_CHECKING:
    from segnets.data import Batch


@dataclass(frozen=True, kw_only=True, slots=True)
class SegNetMriConfig(ModelConfig):
    """Options of SegNetMRI."""

    n_blocks: int = 5  # N
    width: int = 64  # channels of the first level: width, 2 and 4 times it
    per_block_decoder: bool = False  # N copies of the segmentation decoder instead of one that all share
    loss_weight: float = 0.01  # of the mean cross-entropy, beside the mean squared error
    dc: str = "hard"
    dc_weight: float = 10.0

    def __post_init__(self) -> None:
        ModelConfig.__post_init__(self)
        for name in ("n_blocks", "width"):
            check(getattr(self, name) >= 1, name, "be at least 1", getattr(self, name))
        check(0 < self.loss_weight < math.inf, "loss_weight", "be positive", self.loss_weight)
        check_choice("dc", self.dc, DC_KINDS)


def without_encoder(unet: UNet) -> UNet:
    """Return the U-Net with its `decode` and `head` only."""
    del unet.first, unet.down
    return unet


class SegNetMRI(SegmentationModel):
    """N reconstruction units, whose encoders the segmentation decoder reads; the N answers are merged."""

    paper: ClassVar[str] = (
        "Sun, Fan, Ding, Huang, Paisley: Joint CS-MRI reconstruction and segmentation with a unified deep "
        "network, IPMI 2019"
    )
    description: ClassVar[str] = "unrolled auto-encoders whose encoders also feed a segmentation decoder"
    Config = SegNetMriConfig
    config: SegNetMriConfig
    recipe, stages = read_recipe(
        "segnetmri",
        Stage(
            name="reconstruction",
            trainable=("units", "dcs"),
            run="reconstruct",
            loss="reconstruction_loss",
        ),
        Stage(
            name="segmentation",
            trainable=("segmenter",),
            run="segment",
            inputs=("image",),
            loss="segmentation_loss",
        ),
        Stage(
            name="fine-tuning",
            trainable=("units", "dcs", "decoders", "merge"),
            enter="attach_decoder",
        ),
    )

    def __init__(self, config: SegNetMriConfig | None = None) -> None:
        super().__init__()
        config = config or SegNetMriConfig()
        self.config = config
        n, n_classes = config.n_blocks, config.n_classes
        widths = (config.width, 2 * config.width, 4 * config.width)
        self.units = nn.ModuleList(UNet(2, 2, widths, norm=False) for _ in range(n))
        self.dcs = nn.ModuleList(DataConsistency(config.dc, config.dc_weight) for _ in range(n))
        self.segmenter = UNet(2, n_classes, widths, norm=False)  # MSN: serves pre-training only
        self.decoders = nn.ModuleList(
            without_encoder(UNet(2, n_classes, widths, norm=False))
            for _ in range(n if config.per_block_decoder else 1)
        )
        self.merge = nn.Conv2d(n * n_classes, n_classes, 1)
        self.apply(he_normal)

    def n_parameters(self) -> int:
        """Count the trainable weights of the joint network, which MSN is no part of."""
        left = sum(p.numel() for p in self.segmenter.parameters() if p.requires_grad)
        return SegmentationModel.n_parameters(self) - left

    def attach_decoder(self) -> None:
        """Begin fine-tuning with the decoder that MSN has learnt."""
        for decoder in self.decoders:
            decoder.load_state_dict(self.segmenter.state_dict(), strict=False)  # leaves its encoder out

    def reconstruct(self, kspace: Tensor, mask: Tensor) -> Output:
        """First stage: the units of MRN alone."""
        image = to_image(kspace)
        for unit, dc in zip(self.units, self.dcs, strict=True):
            image = dc(image + unit(image), kspace, mask)
        return Output((), (image,))

    def reconstruction_loss(self, output: Output, batch: Batch) -> Tensor:
        """Mean squared error against the fully sampled image, with its noise."""
        return mean_squared_error(output.image, batch.image)

    def segment(self, image: Tensor) -> Output:
        """Second stage: MSN alone, on fully sampled images (batch, 2, y, x)."""
        return Output((self.segmenter(image),), (image,))

    def segmentation_loss(self, output: Output, batch: Batch) -> Tensor:
        """Cross-entropy of MSN."""
        return cross_entropy(output.segmentation, batch.labels)

    def forward(self, kspace: Tensor, mask: Tensor) -> Output:
        """See `SegmentationModel.forward`; logits s_1 .. s_N and the merged ones, images x_1 .. x_N."""
        image = to_image(kspace)
        shape = (image.shape[-2], image.shape[-1])
        logits, images = [], []
        for n, dc in enumerate(self.dcs):
            unit, decoder = self.units[n], self.decoders[n if self.config.per_block_decoder else 0]
            assert isinstance(unit, UNet) and isinstance(decoder, UNet)
            features, skips = unit.encode(pad_to_multiple(image, unit.factor))
            correction = unit.head(unit.decode(features, skips))
            logits.append(crop_to(decoder.head(decoder.decode(features, skips)), shape))
            image = dc(image + crop_to(correction, shape), kspace, mask)
            images.append(image)
        merged = self.merge(torch.cat(logits, dim=1))
        return Output((*logits, merged), tuple(images))

    def loss(self, output: Output, batch: Batch) -> Tensor:
        """Mean squared error of x_N + weight * mean of the N + 1 cross-entropies."""
        terms = torch.stack([cross_entropy(s, batch.labels) for s in output.logits])
        return mean_squared_error(output.image, batch.image) + self.config.loss_weight * terms.mean()
