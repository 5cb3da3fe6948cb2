"""Sampling patterns that belong to a network: learnt ones (SampNet, LOUPE) and fixed ones.

SampNet (Wang et al. 2021, after LOUPE, Bahadir et al. 2020) has three layers:

    P  = sigmoid(s1 O)                                   parameter layer, one number per k-space location
    P' = P alpha / mean P, or 1 - (1 - P) (1 - alpha) / (1 - mean P)     scaling: mean P' = alpha
    M  = sigmoid(s2 (P' - U)), U ~ U[0, 1)               Monte Carlo: a pattern, drawn anew for every sample
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mrsim.sampling import MASKS
from segnets.blocks.fourier import peak, to_image
from segnets.config import check, check_choice

PARAMETER_SLOPE = 5.0  # s1, LOUPE's code
SAMPLE_SLOPE = 12.0  # s2, LOUPE's code
INITIAL_RANGE = (0.01, 0.99)  # what the uniform initial probabilities are clipped to, LOUPE's code
PATTERNS = ("radial", "random")
GIVEN = "given"  # instead of one of these: the mask of the data


def n_samples(shape: tuple[int, int], rate: float) -> int:
    """Return how many of the k-space locations a rate keeps, at least one."""
    return max(1, round(rate * shape[0] * shape[1]))


def check_shape(kspace: Tensor, shape: tuple[int, int]) -> None:
    """Raise ValueError unless k-space (..., ky, kx) has the shape that the network was built for."""
    check(kspace.shape[-2:] == shape, "image", f"be {shape[0]} x {shape[1]}", tuple(kspace.shape[-2:]))


class Measurement(NamedTuple):
    """What a network that samples by itself goes on with.

    kspace : (batch, 2, ky, kx) sampled, divided by `scale`
    mask : (batch or 1, 1, ky, kx)
    scale : (batch, 1, 1, 1) largest magnitude of the zero-filled image; an image made of `kspace` times it is
        in the units that the k-space came in
    """

    kspace: Tensor
    mask: Tensor
    scale: Tensor


def measure(kspace: Tensor, mask: Tensor) -> Measurement:
    """Sample k-space (batch, 2, ky, kx) and scale it by what was sampled, which the network may know."""
    sampled = kspace * mask
    scale = peak(to_image(sampled.detach()))
    return Measurement(sampled / scale, mask, scale)


class SampNet(nn.Module):
    """A learnt sampling pattern: probabilities while it is learnt, the `rate` largest of them afterwards.

    shape : (ky, kx)
    rate : alpha, share of the locations that is sampled
    """

    def __init__(self, shape: tuple[int, int], rate: float) -> None:
        super().__init__()
        check(0 < rate < 1, "rate", "lie in (0, 1)", rate)
        self.shape, self.rate = shape, rate
        start = torch.rand(1, 1, *shape).clamp(*INITIAL_RANGE)
        self.parameter = nn.Parameter(torch.logit(start) / PARAMETER_SLOPE)

    def probability(self) -> Tensor:
        """P' (1, 1, ky, kx): the chance that a location is sampled; its mean is the rate."""
        p = torch.sigmoid(PARAMETER_SLOPE * self.parameter)
        mean, rate = p.mean(), self.rate
        fewer = p * rate / mean
        more = 1 - (1 - p) * (1 - rate) / (1 - mean)
        return torch.where(mean >= rate, fewer, more)

    def draw(self, batch: int) -> Tensor:
        """M (batch, 1, ky, kx): patterns near 0 or 1, independent for each sample, differentiable."""
        p = self.probability()
        uniform = torch.rand(batch, 1, *self.shape, device=p.device)
        return torch.sigmoid(SAMPLE_SLOPE * (p - uniform))

    def pattern(self) -> Tensor:
        """T of Eq. 1 (1, 1, ky, kx): 1 at the largest probabilities, of equal ones the first; else 0."""
        flat = self.parameter.detach().flatten()
        best = flat.sort(descending=True, stable=True).indices[: n_samples(self.shape, self.rate)]
        return torch.zeros_like(flat).index_fill_(0, best, 1.0).reshape(1, 1, *self.shape)

    def forward(self, kspace: Tensor) -> Measurement:
        """Sample fully sampled k-space (batch, 2, ky, kx); the pattern is drawn while it trains."""
        check_shape(kspace, self.shape)
        return measure(kspace, self.draw(len(kspace)) if self.training else self.pattern())


class FixedPattern(nn.Module):
    """One binary pattern for the whole run, "radial" or "random", from a seed of its own; no weights."""

    mask: Tensor

    def __init__(self, shape: tuple[int, int], rate: float, pattern: str, seed: int = 0) -> None:
        super().__init__()
        check_choice("pattern", pattern, PATTERNS)
        check(0 < rate <= 1, "rate", "lie in (0, 1]", rate)
        self.shape, self.rate = shape, rate
        mask = MASKS[pattern](shape, rate, rng=np.random.default_rng(seed))
        self.register_buffer("mask", torch.from_numpy(mask)[None, None])

    def pattern(self) -> Tensor:
        """(1, 1, ky, kx) 1 = sampled."""
        return self.mask

    def forward(self, kspace: Tensor) -> Measurement:
        """Sample fully sampled k-space (batch, 2, ky, kx)."""
        check_shape(kspace, self.shape)
        return measure(kspace, self.mask)
