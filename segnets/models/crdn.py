"""CRDN: Convolutional Recurrent Decoding Network (Wen, Xie, He, AAAI 2020).

Five feature maps F_1 (deepest) .. F_5 of a backbone are squeezed to one channel per class and read, coarse to
fine, by one recurrent cell whose state is the segmentation:

    X_i = ReLU(BN(Conv(F_i)))            Eq. 1
    S_i = RDC(T(S_{i-1}), X_i)           Eq. 2; T resizes to X_i, S_0 = 0

The logits are S_5 itself. With the LSTM and GRU cells they lie in (-1, 1), so that the cross-entropy cannot
fall below 0.34 for four classes; this is how the authors train.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from segnets.blocks.backbones import BACKBONES, Backbone, conv_bn_relu
from segnets.blocks.contrasts import ImageConfig
from segnets.config import check, check_choice
from segnets.models.base import Output, SegmentationModel
from segnets.recipes import read_recipe

CELLS = ("rnn", "lstm", "gru")
GATES = ("sigmoid", "relu")
UPSAMPLERS = ("bilinear", "transposed")
GRU_RESETS = ("before", "after")


@dataclass(frozen=True, kw_only=True, slots=True)
class CrdnConfig(ImageConfig):
    """Options of CRDN; the paper compares all cells with all backbones."""

    backbone: str = "unet"
    cell: str = "rnn"
    width: int = 0  # channels of the backbone's first level, 0 = as published
    squeeze_kernel: int = 0  # 0 = 3 for resnet50 (the only one to give the published 23.65 M), else 5
    upsample: str = "bilinear"  # the released code; the paper also mentions transposed convolution
    gate: str = "sigmoid"  # the released code; the paper's text says relu
    gru_reset: str = "before"  # gate the state before its convolution (released code) or after (Eq. 5)
    logit_scale: bool = False  # extension: a learnt factor on the logits

    def __post_init__(self) -> None:
        ImageConfig.__post_init__(self)
        check_choice("backbone", self.backbone, BACKBONES)
        check_choice("cell", self.cell, CELLS)
        check_choice("upsample", self.upsample, UPSAMPLERS)
        check_choice("gate", self.gate, GATES)
        check_choice("gru_reset", self.gru_reset, GRU_RESETS)
        odd = self.squeeze_kernel == 0 or (self.squeeze_kernel > 0 and self.squeeze_kernel % 2 == 1)
        check(odd, "squeeze_kernel", "be odd, or 0 for the published one", self.squeeze_kernel)


def conv3(n_in: int, n_out: int) -> nn.Conv2d:
    """Convolution 3x3 with bias; on a concatenation it is the paper's two convolutions at once."""
    return nn.Conv2d(n_in, n_out, 3, padding=1)


class RnnCell(nn.Module):
    """Eq. 3: S' = ReLU(W [S, X])."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.conv = conv3(2 * n, n)

    def forward(self, x: Tensor, s: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Squeezed features, state, memory, each (batch, class, y, x) -> state and memory."""
        return torch.relu(self.conv(torch.cat((s, x), dim=1))), c


class LstmCell(nn.Module):
    """Eq. 4: C' = f C + i g, S' = o tanh(C')."""

    def __init__(self, n: int, gate: str) -> None:
        super().__init__()
        self.conv = conv3(2 * n, 4 * n)
        self.gate = torch.sigmoid if gate == "sigmoid" else torch.relu

    def forward(self, x: Tensor, s: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """See `RnnCell.forward`."""
        i, f, o, g = self.conv(torch.cat((s, x), dim=1)).chunk(4, dim=1)
        c = self.gate(f) * c + self.gate(i) * torch.tanh(g)
        return self.gate(o) * torch.tanh(c), c


class GruCell(nn.Module):
    """Eq. 5: S' = z S + (1 - z) tanh(W [X, r S]); its Hadamard product W * X is read as a convolution."""

    def __init__(self, n: int, gate: str, reset: str) -> None:
        super().__init__()
        self.gates, self.new = conv3(2 * n, 2 * n), conv3(2 * n, n)
        self.gate = torch.sigmoid if gate == "sigmoid" else torch.relu
        self.reset = reset

    def candidate(self, x: Tensor, s: Tensor, r: Tensor) -> Tensor:
        """Form the new information, with the state gated before or after its convolution."""
        if self.reset == "before":
            return torch.tanh(self.new(torch.cat((x, r * s), dim=1)))
        of_x, of_s = self.new.weight.chunk(2, dim=1)
        return torch.tanh(
            functional.conv2d(x, of_x, self.new.bias, padding=1) + r * functional.conv2d(s, of_s, padding=1)
        )

    def forward(self, x: Tensor, s: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """See `RnnCell.forward`."""
        r, z = self.gate(self.gates(torch.cat((s, x), dim=1))).chunk(2, dim=1)
        return z * s + (1 - z) * self.candidate(x, s, r), c


def decoding_cell(config: CrdnConfig) -> nn.Module:
    """Build the configured recurrent decoding cell."""
    if config.cell == "rnn":
        return RnnCell(config.n_classes)
    if config.cell == "lstm":
        return LstmCell(config.n_classes, config.gate)
    return GruCell(config.n_classes, config.gate, config.gru_reset)


def resize(maps: Tensor, shape: tuple[int, int]) -> Tensor:
    """Bilinear, corners on corners; any size to any size."""
    return functional.interpolate(maps, shape, mode="bilinear", align_corners=True)


class CRDN(SegmentationModel):
    """A backbone whose feature maps one recurrent cell decodes, coarse to fine."""

    paper: ClassVar[str] = "Wen, Xie, He: Segmenting medical MRI via recurrent decoding cell, AAAI 2020"
    description: ClassVar[str] = "backbone and one recurrent cell that decodes its levels, on the image"
    Config = CrdnConfig
    config: CrdnConfig
    recipe, stages = read_recipe("crdn")

    def __init__(self, config: CrdnConfig | None = None) -> None:
        super().__init__()
        config = config or CrdnConfig()
        self.config = config
        self.backbone = Backbone(config.backbone, config.n_channels, config.width)
        kernel = config.squeeze_kernel or (3 if config.backbone == "resnet50" else 5)
        self.squeeze = nn.ModuleList(
            conv_bn_relu(width, config.n_classes, kernel) for width in self.backbone.widths
        )
        self.cell = decoding_cell(config)
        n = config.n_classes
        self.enlarge = nn.ConvTranspose2d(n, n, 2, stride=2) if config.upsample == "transposed" else None
        self.scale = nn.Parameter(torch.ones(())) if config.logit_scale else None

    def fit(self, maps: Tensor, like: Tensor) -> Tensor:
        """T of Eq. 2: bring the state of the last level to the size of this one."""
        shape = (like.shape[-2], like.shape[-1])
        if self.enlarge is not None and maps.shape[-2:] != shape:
            maps = self.enlarge(maps)
        return maps if maps.shape[-2:] == shape else resize(maps, shape)

    def forward(self, kspace: Tensor, mask: Tensor) -> Output:  # noqa: ARG002 - the mask shows in the zeros
        """See `SegmentationModel.forward`; k-space (batch, 2 * contrast, ky, kx)."""
        image, zero_filled = self.config.read(kspace)
        levels = [squeeze(f) for squeeze, f in zip(self.squeeze, self.backbone(image), strict=True)]
        s = c = torch.zeros_like(levels[-1])
        for x in reversed(levels):
            s, c = self.cell(x, self.fit(s, x), self.fit(c, x))
        return Output((s if self.scale is None else self.scale * s,), (zero_filled,))
