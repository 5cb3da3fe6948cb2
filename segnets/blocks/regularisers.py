"""Reg blocks: the learnt part of an unrolled reconstruction, between two data-consistency layers."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from segnets.blocks.unet import UNet


class CascadeCnn(nn.Module):
    """Type A: five convolutions 3x3, ReLU between them, plus the image (Schlemper et al., IPMI 2017: "D5").

    113,154 weights for 2 channels in and width 64.
    """

    def __init__(self, n_in: int = 2, width: int = 64) -> None:
        super().__init__()
        widths = (n_in, width, width, width, width)
        layers: list[nn.Module] = []
        for narrow, wide in pairwise(widths):
            layers += [nn.Conv2d(narrow, wide, 3, padding=1), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, 2, 3, padding=1))

    def forward(self, features: Tensor, image: Tensor) -> Tensor:
        """Correct `image` (batch, 2, y, x) by what the layers see in `features` (batch, n_in, y, x)."""
        correction: Tensor = self.layers(features)
        return image + correction


class AutoEncoder(nn.Module):
    """Type B: U-Net 64-128-256-128-64 without normalisation, plus the image (the unit of SegNetMRI).

    1,862,338 weights for 2 channels in and width 64.
    """

    def __init__(self, n_in: int = 2, width: int = 64, *, skip: bool = True) -> None:
        super().__init__()
        self.unet = UNet(n_in, 2, (width, 2 * width, 4 * width), norm=False, skip=skip)

    def forward(self, features: Tensor, image: Tensor) -> Tensor:
        """Correct `image` (batch, 2, y, x) by what the U-Net sees in `features` (batch, n_in, y, x)."""
        correction: Tensor = self.unet(features)
        return image + correction


REG_BLOCKS: dict[str, type[CascadeCnn] | type[AutoEncoder]] = {"A": CascadeCnn, "B": AutoEncoder}
