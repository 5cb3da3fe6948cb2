"""Undersampling on the device: fresh random lines for training, the fixed masks for evaluation.

A mask is (batch, 1, ky, 1 or kx), of series of frames (batch, 1, frame, ky, 1 or kx): every frame draws its
own lines, all frames of a series the same number of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrsim.sampling import fixed_frame_lines, fixed_mask
from segnets.config import DENSITIES, check, check_choice


@dataclass(frozen=True, kw_only=True, slots=True)
class Lines:
    """How phase-encode lines are drawn.

    n_center : central lines that are always on
    center_from : but only among at least so many lines; 0 = always
    density : of the other lines, "gaussian" with sigma n_ky / 6 or "ktfocuss" (`mrsim.sampling`)
    """

    n_ky: int
    n_center: int = 16
    center_from: int = 0
    density: str = "gaussian"

    def __post_init__(self) -> None:
        check_choice("density", self.density, DENSITIES)

    def count(self, rate: float) -> int:
        """Return how many lines `rate` keeps; ValueError where the central ones are more than that."""
        n_lines = max(1, round(rate * self.n_ky))
        check(
            self.central(n_lines) <= n_lines,
            "n_center",
            f"be at most the {n_lines} of {self.n_ky} lines that a rate of {rate:g} keeps",
            self.n_center,
        )
        return n_lines

    def central(self, n_lines: int) -> int:
        """Return how many central lines are forced among `n_lines`."""
        return self.n_center if n_lines >= self.center_from else 0

    def draw(self, n_lines: Tensor, generator: torch.Generator, *, n_frames: int = 0) -> Tensor:
        """Draw one mask per sample, and per frame of it, distributed as those of `mrsim.sampling`.

        The central block is on; the other lines are drawn without replacement by their weight. The largest
        keys of log weight + Gumbel noise are such a draw (Yellott 1977), for all samples at once and without
        waiting for the device.

        n_lines : (batch,) int64 on the generator's device, lines to keep in each sample, in every frame
        n_frames : 0 = no axis of frames
        returns (batch, 1, [frame,] ky, 1) float32 {0, 1}
        """
        rows = n_lines.repeat_interleave(max(1, n_frames))[:, None]  # (mask, 1)
        noise = torch.empty(len(rows), self.n_ky, device=rows.device).exponential_(generator=generator)
        rank = (self._log_weight(rows) - noise.log()).argsort(dim=1, descending=True).argsort(dim=1)
        mask = (rank < rows).float()  # rank 0 = first drawn
        frames = (n_frames,) if n_frames else ()
        return mask.reshape(len(n_lines), 1, *frames, self.n_ky, 1)

    def _log_weight(self, n_lines: Tensor) -> Tensor:
        """(mask, 1) lines to keep -> (mask, ky) log of the weight of each line, inf for those forced."""
        n = self.n_ky
        k = torch.arange(n, device=n_lines.device)
        if self.density == "gaussian":
            weight = -((k - n / 2) ** 2) / (2 * (n / 6) ** 2)
        else:  # Gaussian on a floor, 1 / (2 acceleration)
            weight = (torch.exp(-((k - n / 2) ** 2) / (2 * (n / 10) ** 2)) + n_lines / (2 * n)).log()
        first = n // 2 - self.n_center // 2
        central = (k >= first) & (k < first + self.n_center) & (n_lines >= self.center_from)
        return torch.where(central, torch.inf, weight)

    def fixed(
        self,
        subjects: Iterable[int],
        slices: Iterable[int],
        rate: float,
        *,
        n_frames: int = 0,
        trial: int = 0,
    ) -> Tensor:
        """Return the masks that these slices are always tested with, (batch, 1, [frame,] ky, 1) on the CPU.

        trial : of series of frames, another draw of the same kind
        """
        n_lines = self.count(rate)
        places = [(int(subject), int(slice_)) for subject, slice_ in zip(subjects, slices, strict=True)]
        if n_frames:
            masks = [
                fixed_frame_lines(
                    n_frames,
                    self.n_ky,
                    n_lines,
                    subject=s,
                    slice_index=i,
                    density=self.density,
                    n_center=self.central(n_lines),
                    trial=trial,
                )
                for s, i in places
            ]
            return torch.from_numpy(np.stack(masks))[:, None, :, :, None]
        gaussian = self.density == "gaussian"
        stills = [
            fixed_mask(
                (self.n_ky, 1),
                rate if gaussian else n_lines / self.n_ky,
                subject=s,
                slice_index=i,
                pattern="lines" if gaussian else self.density,
                n_center=self.central(n_lines),
            )
            for s, i in places
        ]
        return torch.from_numpy(np.stack(stills))[:, None]


def as_mask(pattern: NDArray[np.float32]) -> Tensor:
    """Turn a pattern (ky, kx) into a mask (1, 1, ky, kx), or (1, 1, ky, 1) where it keeps whole lines."""
    lines = bool((pattern == pattern[:, :1]).all())
    return torch.from_numpy(np.array(pattern[:, :1] if lines else pattern, np.float32))[None, None]


def of_samples(pattern: Tensor, n: int, n_frames: int) -> Tensor:
    """Give one mask (1, 1, ky, 1 or kx) to n samples, and to every frame of them."""
    if not n_frames:
        return pattern.expand(n, -1, -1, -1)
    return pattern[:, :, None].expand(n, -1, n_frames, -1, -1)
