"""Data consistency: what was measured overrules what the network made up (Schlemper et al., IPMI 2017)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from segnets.blocks.fourier import in_float32, to_image, to_kspace
from segnets.config import check, check_choice

DC_KINDS = ("hard", "fixed", "learnable")


class DataConsistency(nn.Module):
    """k_dc = (1 - m) k + m (k + weight y) / (1 + weight), with k the transform of the input image.

    The weight is an inverse noise level: infinite ("hard") replaces the samples, 0 switches the layer off.
    "learnable" trains it as softplus(a), one scalar per layer, which starts at `weight`.
    """

    def __init__(self, kind: str = "hard", weight: float = 10.0) -> None:
        super().__init__()
        check_choice("dc", kind, DC_KINDS)
        check(0 <= weight < math.inf, "dc_weight", "be zero or positive", weight)
        check(kind != "learnable" or weight > 0, "dc_weight", "be positive where it is learnt", weight)
        self.kind = kind
        self.fixed_weight = weight
        # the inverse of softplus in a form that does not overflow
        start = weight + math.log(-math.expm1(-weight)) if kind == "learnable" else 0.0
        self.raw_weight = nn.Parameter(torch.tensor(start)) if kind == "learnable" else None

    def share_of_measurement(self) -> Tensor | float:
        """Return weight / (1 + weight): how much a measured sample counts against the network's."""
        if self.kind == "hard":
            return 1.0
        weight = self.fixed_weight if self.raw_weight is None else functional.softplus(self.raw_weight)
        return weight / (1.0 + weight)

    def forward(self, image: Tensor, kspace: Tensor, mask: Tensor) -> Tensor:
        """Return the image (batch, 2, y, x) that agrees with the measurement.

        image : (batch, 2, y, x)
        kspace : (batch, 2, ky, kx) measured samples, zero elsewhere
        mask : (batch, 1, ky, 1 or kx) 1 = sampled
        """
        with in_float32(image.device):
            predicted = to_kspace(image)
            return to_image(torch.lerp(predicted, kspace, mask * self.share_of_measurement()))
