"""The three encoders of CRDN and of what it is compared with: five levels, each half the size of the last."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from segnets.blocks.unet import double_conv
from segnets.config import check, check_choice

BACKBONES = ("unet", "vgg16", "resnet50")
WIDTHS = {"unet": 16, "vgg16": 64, "resnet50": 64}  # channels of the first level, as published


def conv_bn_relu(n_in: int, n_out: int, kernel: int = 3) -> nn.Sequential:
    """Convolution with bias that keeps the size, batch normalisation, ReLU."""
    conv = nn.Conv2d(n_in, n_out, kernel, padding=kernel // 2)
    return nn.Sequential(conv, nn.BatchNorm2d(n_out), nn.ReLU(inplace=True))


def conv_chain(n_in: int, widths: Sequence[int]) -> nn.Sequential:
    """`conv_bn_relu` one after the other."""
    return nn.Sequential(*map(conv_bn_relu, (n_in, *widths[:-1]), widths))


class Bottleneck(nn.Module):
    """Residual unit 1x1, 3x3, 1x1 (He et al., CVPR 2016); the 3x3 has the stride."""

    def __init__(self, n_in: int, width: int, stride: int) -> None:
        super().__init__()
        n_out = 4 * width
        self.layers = nn.Sequential(
            nn.Conv2d(n_in, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, n_out, 1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out)
            )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, n_in, y, x) -> (batch, 4 * width, y / stride, x / stride)."""
        out: Tensor = self.relu(self.layers(features) + self.shortcut(features))
        return out


class Backbone(nn.Module):
    """Five levels; `pools[i]` comes before `blocks[i]`.

    name : "unet" (widths 16 to 256), "vgg16", or "resnet50" with a stem of stride 1
    width : channels of the first level, 0 = as published
    """

    def __init__(self, name: str, n_in: int, width: int = 0) -> None:
        super().__init__()
        check_choice("backbone", name, BACKBONES)
        check(width >= 0, "width", "be zero (as published) or positive", width)
        width = width or WIDTHS[name]
        self.name = name
        pools: list[nn.Module] = [nn.Identity(), *(nn.MaxPool2d(2) for _ in range(4))]
        if name == "unet":
            self.widths = tuple(width * 2**level for level in range(5))
            blocks = [double_conv(a, b, norm=True) for a, b in pairwise((n_in, *self.widths))]
        elif name == "vgg16":
            self.widths = (width, 2 * width, 4 * width, 8 * width, 8 * width)
            entries = (n_in, *self.widths[:-1])
            repeats = (2, 2, 3, 3, 3)
            blocks = [conv_chain(a, [b] * n) for a, b, n in zip(entries, self.widths, repeats, strict=True)]
        else:
            self.widths = (width, 4 * width, 8 * width, 16 * width, 32 * width)
            blocks = resnet50_blocks(n_in, width)
            pools = [nn.Identity(), nn.MaxPool2d(3, 2, padding=1), *(nn.Identity() for _ in range(3))]
        self.pools, self.blocks = nn.ModuleList(pools), nn.ModuleList(blocks)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(batch, n_in, y, x) -> the features of the five levels, full size first."""
        features, levels = image, []
        for pool, block in zip(self.pools, self.blocks, strict=True):
            features = block(pool(features))
            levels.append(features)
        return levels


def resnet50_blocks(n_in: int, width: int) -> list[nn.Sequential]:
    """Stem at full size (CRDN's change), then 3, 4, 6 and 3 units; He-normal weights by fan-out."""
    stem = nn.Sequential(
        nn.Conv2d(n_in, width, 7, padding=3, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
    )
    blocks, n_in = [stem], width
    for level, (n_units, stride) in enumerate(((3, 1), (4, 2), (6, 2), (3, 2))):
        inner = width * 2**level
        units = [
            Bottleneck(n_in if i == 0 else 4 * inner, inner, stride if i == 0 else 1) for i in range(n_units)
        ]
        blocks.append(nn.Sequential(*units))
        n_in = 4 * inner
    for module in (m for block in blocks for m in block.modules()):
        if isinstance(module, nn.Conv2d):
            fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
            nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
    return blocks
