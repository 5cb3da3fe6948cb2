"""The two halves of a U-Net for images or series of frames: convolutions 3x3 or 3x3x3, pooling in space.

Axes are (batch, channel, y, x) where `dims` is 2 and (batch, channel, frame, y, x) where it is 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

CONV = {2: nn.Conv2d, 3: nn.Conv3d}
NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
POOL = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
UP = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
HALF: dict[int, tuple[int, ...]] = {2: (2, 2), 3: (1, 2, 2)}  # frames are not pooled


class CircularConv3d(nn.Conv3d):
    """3x3x3 convolution of a whole beat: before the first frame comes the last; zeros around the image."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__(n_in, n_out, 3, padding=(0, 1, 1))

    def forward(self, series: Tensor) -> Tensor:
        """(batch, n_in, frame, y, x) -> (batch, n_out, frame, y, x)."""
        return super().forward(functional.pad(series, (0, 0, 0, 0, 1, 1), mode="circular"))


def double_conv(n_in: int, n_out: int, dims: int, *, circular: bool = False) -> nn.Sequential:
    """[Convolution - BatchNorm - ReLU] twice; `circular` in the frames, of which there must be some."""
    layers: list[nn.Module] = []
    for width in (n_in, n_out):
        conv = CircularConv3d(width, n_out) if circular else CONV[dims](width, n_out, 3, padding=1)
        layers += [conv, NORM[dims](n_out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class Encoder(nn.Module):
    """Down to the bottleneck, the last of `widths`."""

    def __init__(self, n_in: int, widths: Sequence[int], dims: int, *, circular: bool = False) -> None:
        super().__init__()
        self.factor = 2 ** (len(widths) - 1)
        self.first = double_conv(n_in, widths[0], dims, circular=circular)
        self.pool = POOL[dims](HALF[dims])
        self.down = nn.ModuleList(
            double_conv(narrow, wide, dims, circular=circular) for narrow, wide in pairwise(widths)
        )

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Sizes y and x must divide by `factor`; returns the bottleneck and the skips, deepest last."""
        features: Tensor = self.first(image)
        skips = []
        for stage in self.down:
            skips.append(features)
            features = stage(self.pool(features))
        return features, skips


class Decoder(nn.Module):
    """Up from the bottleneck to (batch, widths[0], ...), with or without the encoder's features."""

    def __init__(self, widths: Sequence[int], dims: int, *, skip: bool, circular: bool = False) -> None:
        super().__init__()
        pairs = list(pairwise(widths))[::-1]
        up: Any = UP[dims]  # their sizes are tuples of different lengths
        half = HALF[dims]
        ups = [up(wide, narrow, half, half) for narrow, wide in pairs]
        self.up = nn.ModuleList(ups)
        self.merge = nn.ModuleList(
            double_conv(narrow * (1 + skip), narrow, dims, circular=circular) for narrow, _ in pairs
        )

    def forward(self, features: Tensor, skips: Sequence[Tensor] = ()) -> Tensor:
        """Bottleneck, and the skips, deepest last, where it uses them."""
        waiting = list(skips)
        for up, merge in zip(self.up, self.merge, strict=True):
            features = up(features)
            features = merge(torch.cat((waiting.pop(), features), dim=1) if waiting else features)
        return features


def he_normal_any(module: nn.Module) -> None:
    """`he_normal` for any number of axes."""
    if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
