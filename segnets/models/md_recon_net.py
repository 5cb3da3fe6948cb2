"""MD-Recon-Net (Ran et al., TRPMS 2020): reconstruct in k-space and image side by side; no segmentation.

Five stages. In each, a CNN corrects the k-space and another the image, both are made consistent with the
measurement, and each is fused with the transform of the other: F(a, b) = (a + w b) / (1 + w).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from segnets.blocks.fourier import in_float32, to_image, to_kspace
from segnets.blocks.init import he_normal
from segnets.blocks.sampling_pattern import GIVEN, PATTERNS, FixedPattern
from segnets.config import check, check_choice
from segnets.models.base import ModelConfig, Output, ReconstructionModel
from segnets.recipes import read_recipe

INITIAL_WEIGHT = 0.1  # of data consistency and fusion
SLOPE = 0.01  # of the LeakyReLU


@dataclass(frozen=True, kw_only=True, slots=True)
class MdReconNetConfig(ModelConfig):
    """Options of MD-Recon-Net; ny, nx, rate and pattern_seed count only where it brings its own pattern."""

    n_stages: int = 5
    width: int = 32
    norm: bool = False  # batch normalisation; off in the released code
    pattern: str = GIVEN  # the mask of the data, or one "radial" or "random" pattern for the whole run
    ny: int = 240
    nx: int = 240
    rate: float = 0.10
    pattern_seed: int = 0

    def __post_init__(self) -> None:
        ModelConfig.__post_init__(self)
        for name in ("n_stages", "width", "ny", "nx"):
            check(getattr(self, name) >= 1, name, "be at least 1", getattr(self, name))
        check_choice("pattern", self.pattern, (GIVEN, *PATTERNS))
        check(0 < self.rate <= 1, "rate", "lie in (0, 1]", self.rate)
        check(self.pattern_seed >= 0, "pattern_seed", "be zero or positive", self.pattern_seed)

    @property
    def samples_itself(self) -> bool:
        """See `ModelConfig.samples_itself`."""
        return self.pattern != GIVEN


class ResidualCnn(nn.Module):
    """Five convolutions 3x3, LeakyReLU between them, plus the input, and LeakyReLU once more."""

    def __init__(self, width: int, *, norm: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for narrow, wide in pairwise((2, width, width, width, width)):
            layers.append(nn.Conv2d(narrow, wide, 3, padding=1))
            if norm:
                layers.append(nn.BatchNorm2d(wide))
            layers.append(nn.LeakyReLU(SLOPE, inplace=True))
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, 2, 3, padding=1))
        self.activation = nn.LeakyReLU(SLOPE)

    def forward(self, values: Tensor) -> Tensor:
        """(batch, 2, y, x) or (batch, 2, ky, kx), corrected."""
        out: Tensor = self.activation(values + self.layers(values))
        return out


class Blend(nn.Module):
    """Two weighted sums with a learnt weight w: of network and measurement, and of the two domains."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(INITIAL_WEIGHT))

    def consistent(self, predicted: Tensor, kspace: Tensor, mask: Tensor) -> Tensor:
        """Return (w k + y) / (1 + w) where it was sampled, else k; k and y (batch, 2, ky, kx)."""
        return torch.lerp(predicted, kspace, mask / (1 + self.weight))

    def fused(self, own: Tensor, other: Tensor) -> Tensor:
        """Return (a + w b) / (1 + w)."""
        return (own + self.weight * other) / (1 + self.weight)


class MDReconNet(ReconstructionModel):
    """Two cascades, one per domain, that exchange their results after each stage."""

    paper: ClassVar[str] = "Ran et al.: MD-Recon-Net, a parallel dual-domain CNN for MRI, TRPMS 2020"
    description: ClassVar[str] = "unrolled reconstruction in k-space and image (no segmentation)"
    Config = MdReconNetConfig
    config: MdReconNetConfig
    recipe, stages = read_recipe("md-recon-net")

    def __init__(self, config: MdReconNetConfig | None = None) -> None:
        super().__init__()
        config = config or MdReconNetConfig()
        self.config = config
        n = config.n_stages
        self.sampling = (
            None
            if config.pattern == GIVEN
            else FixedPattern((config.ny, config.nx), config.rate, config.pattern, config.pattern_seed)
        )
        self.k_cnns = nn.ModuleList(ResidualCnn(config.width, norm=config.norm) for _ in range(n))
        self.image_cnns = nn.ModuleList(ResidualCnn(config.width, norm=config.norm) for _ in range(n))
        self.k_dcs = nn.ModuleList(Blend() for _ in range(n))
        self.image_dcs = nn.ModuleList(Blend() for _ in range(n))
        self.k_fusions = nn.ModuleList(Blend() for _ in range(n - 1))  # the last k-space is not needed
        self.image_fusions = nn.ModuleList(Blend() for _ in range(n))
        self.apply(he_normal)

    def stage(self, n: int, k: Tensor, image: Tensor, kspace: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Correct and make consistent; k (batch, 2, ky, kx) and image (batch, 2, y, x), float32."""
        k, of_image = self.k_cnns[n](k).float(), to_kspace(self.image_cnns[n](image))
        k_dc, image_dc = self.k_dcs[n], self.image_dcs[n]
        assert isinstance(k_dc, Blend) and isinstance(image_dc, Blend)
        with in_float32(k.device):
            k = k_dc.consistent(k, kspace, mask)
            return k, to_image(image_dc.consistent(of_image, kspace, mask))

    def forward(self, kspace: Tensor, mask: Tensor) -> Output:
        """See `SegmentationModel.forward`; no logits."""
        scale = kspace.new_ones(1)
        if self.sampling is not None:
            kspace, mask, scale = self.sampling(kspace)
        k, image = kspace, to_image(kspace)
        last = self.config.n_stages - 1
        for n, image_fusion in enumerate(self.image_fusions):
            own_k, own_image = self.stage(n, k, image, kspace, mask)
            assert isinstance(image_fusion, Blend)
            image = image_fusion.fused(own_image, to_image(own_k))
            if n < last:
                k_fusion = self.k_fusions[n]
                assert isinstance(k_fusion, Blend)
                k = k_fusion.fused(own_k, to_kspace(own_image))
        return Output((), (image * scale,))
