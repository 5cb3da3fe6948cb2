"""U-Net whose two halves can be called apart, so that something may sit at its bottleneck."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from segnets.blocks.padding import crop_to, pad_to_multiple


def double_conv(n_in: int, n_out: int, *, norm: bool) -> nn.Sequential:
    """[Conv3x3 - BatchNorm - ReLU] twice; without normalisation where `norm` is false."""
    layers: list[nn.Module] = []
    for width in (n_in, n_out):
        layers.append(nn.Conv2d(width, n_out, 3, padding=1))
        if norm:
            layers.append(nn.BatchNorm2d(n_out))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Encoder, bottleneck, decoder with skip connections, Conv1x1 (Ronneberger et al., MICCAI 2015).

    widths : channels per level, the last one is the bottleneck; (64, 128, 256, 512) has three poolings
    skip : concatenate the encoder's features, as a U-Net does; without it, an auto-encoder
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        widths: Sequence[int] = (64, 128, 256, 512),
        *,
        norm: bool,
        skip: bool = True,
    ) -> None:
        super().__init__()
        self.skip = skip
        self.factor = 2 ** (len(widths) - 1)
        pairs = list(pairwise(widths))
        self.first = double_conv(n_in, widths[0], norm=norm)
        self.pool = nn.MaxPool2d(2)
        self.down = nn.ModuleList(double_conv(narrow, wide, norm=norm) for narrow, wide in pairs)
        self.up = nn.ModuleList(nn.ConvTranspose2d(wide, narrow, 2, stride=2) for narrow, wide in pairs[::-1])
        self.merge = nn.ModuleList(
            double_conv(narrow * (1 + skip), narrow, norm=norm) for narrow, _ in pairs[::-1]
        )
        self.head = nn.Conv2d(widths[0], n_out, 1)

    def encode(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(batch, n_in, y, x), sizes divisible by `factor` -> bottleneck features and skips, deepest last."""
        features: Tensor = self.first(image)
        skips = []
        for stage in self.down:
            skips.append(features)
            features = stage(self.pool(features))
        return features, skips

    def decode(self, features: Tensor, skips: list[Tensor]) -> Tensor:
        """Bottleneck features and skips -> (batch, widths[0], y, x), the input of `head`."""
        for up, merge, skip in zip(self.up, self.merge, reversed(skips), strict=True):
            features = up(features)
            features = merge(torch.cat((skip, features), dim=1) if self.skip else features)
        return features

    def forward(self, image: Tensor) -> Tensor:
        """(batch, n_in, y, x) of any size -> (batch, n_out, y, x)."""
        shape = (image.shape[-2], image.shape[-1])
        out: Tensor = self.head(self.decode(*self.encode(pad_to_multiple(image, self.factor))))
        return crop_to(out, shape)
