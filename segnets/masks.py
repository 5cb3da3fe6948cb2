"""Undersampling on the device: fresh random lines for training, the fixed masks for evaluation."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrsim.sampling import fixed_mask
from segnets.config import check


def count_lines(rate: float, n_ky: int, n_center: int) -> int:
    """Return how many of `n_ky` lines `rate` keeps; ValueError where the central ones are more than that."""
    n_lines = max(1, round(rate * n_ky))
    check(
        n_center <= n_lines,
        "n_center",
        f"be at most the {n_lines} of {n_ky} lines that a rate of {rate:g} keeps",
        n_center,
    )
    return n_lines


def draw_lines(n_lines: Tensor, n_ky: int, n_center: int, generator: torch.Generator) -> Tensor:
    """Draw one mask per sample, distributed as `mrsim.sampling.gaussian_lines` with sigma = n_ky / 6.

    The central block is always on; the other lines are drawn without replacement with weight
    exp(-(k - n/2)^2 / (2 sigma^2)). The largest keys of log weight + Gumbel noise are such a draw (Yellott
    1977), for all samples at once and without waiting for the device.

    n_lines : (batch,) int64 on the generator's device, lines to keep in each sample
    returns (batch, 1, ky, 1) float32 {0, 1}
    """
    device = n_lines.device
    k = torch.arange(n_ky, device=device)
    keys = -((k - n_ky / 2) ** 2) / (2 * (n_ky / 6) ** 2)
    first = n_ky // 2 - n_center // 2
    keys = keys.masked_fill((k >= first) & (k < first + n_center), torch.inf)
    noise = torch.empty(len(n_lines), n_ky, device=device).exponential_(generator=generator)
    rank = (keys - noise.log()).argsort(dim=1, descending=True).argsort(dim=1)  # 0 = first drawn
    return (rank < n_lines[:, None]).float()[:, None, :, None]


def fixed_lines(
    subjects: Iterable[int], slices: Iterable[int], rate: float, n_ky: int, n_center: int
) -> Tensor:
    """Return the masks that these slices are always tested with, (batch, 1, ky, 1) float32 on the CPU."""
    count_lines(rate, n_ky, n_center)
    masks = [
        fixed_mask((n_ky, 1), rate, subject=int(subject), slice_index=int(slice_), n_center=n_center)
        for subject, slice_ in zip(subjects, slices, strict=True)
    ]
    return torch.from_numpy(np.stack(masks))[:, None]


def as_mask(pattern: NDArray[np.float32]) -> Tensor:
    """Turn a pattern (ky, kx) into a mask (1, 1, ky, kx), or (1, 1, ky, 1) where it keeps whole lines."""
    lines = bool((pattern == pattern[:, :1]).all())
    return torch.from_numpy(np.array(pattern[:, :1] if lines else pattern, np.float32))[None, None]
