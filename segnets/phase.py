"""Phase of magnitude images, synthesised on the device as the two papers on cines do (experiments.md A4).

Images without phase have k-space with conjugate symmetry: half of it would tell all. Both papers have
magnitude images only and give them a smooth phase, new whenever a sample is drawn:

sinusoid (Schlemper et al.): two plane waves, the same in all frames of a series
bumps (DiSK): one to three Gaussians as of an uneven B0, whose heights differ a little from frame to frame
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable

import torch
from torch import Tensor

from segnets.blocks import fourier
from segnets.config import PHASES, check_choice

N_WAVES = 2
MOST_BUMPS = 3
FRAME_SPREAD = 0.05 * math.pi  # [rad] of a bump's height from frame to frame


def draw_phase(kind: str, n: int, shape: tuple[int, int, int], generator: torch.Generator) -> Tensor:
    """Draw the phases of n samples, on the device of the generator.

    kind : "sinusoid" or "bumps"
    shape : (frame, y, x); a still image is one frame
    returns (sample, 1 or frame, y, x) float32 [rad]
    """
    check_choice("phase", kind, PHASES[1:])
    return (_sinusoid if kind == "sinusoid" else _bumps)(n, shape, generator)


def fixed_phase(
    kind: str, subjects: Iterable[int], slices: Iterable[int], shape: tuple[int, int, int]
) -> Tensor:
    """Return the phases that these slices are always tested with, (sample, 1 or frame, y, x) on the CPU."""
    return torch.cat(
        [
            draw_phase(kind, 1, shape, torch.Generator().manual_seed(_seed(f"{kind}/{int(s)}/{int(i)}")))
            for s, i in zip(subjects, slices, strict=True)
        ]
    )


def with_phase(kspace: Tensor, phase: Tensor) -> Tensor:
    """Replace the phase of the image behind k-space.

    kspace : (sample, [contrast or frame,] ky, kx) complex64, without noise
    phase : (sample, 1 or contrast or frame, y, x) [rad]
    """
    images = fourier.centred_ifft2(kspace).abs().reshape(len(kspace), -1, *kspace.shape[-2:])
    return fourier.centred_fft2(torch.polar(images, phase.expand_as(images))).reshape(kspace.shape)


def _uniform(low: float, high: float, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator, device=generator.device)


def _sinusoid(n: int, shape: tuple[int, int, int], generator: torch.Generator) -> Tensor:
    """sum_j a_j sin(2 pi (u_j y / n_y + v_j x / n_x) + psi_j), (n, 1, y, x)."""
    _, ny, nx = shape
    one = (n, N_WAVES, 1, 1)
    height = _uniform(0.2 * math.pi, 0.8 * math.pi, one, generator)
    u, v = _uniform(-1.5, 1.5, one, generator), _uniform(-1.5, 1.5, one, generator)  # cycles per image
    start = _uniform(0, 2 * math.pi, one, generator)
    y = torch.arange(ny, device=generator.device)[:, None] / ny
    x = torch.arange(nx, device=generator.device) / nx
    waves = height * torch.sin(2 * math.pi * (u * y + v * x) + start)
    return waves.sum(dim=1, keepdim=True)


def _bumps(n: int, shape: tuple[int, int, int], generator: torch.Generator) -> Tensor:
    """sum_j A_jt exp(-|r - mu_j|^2 / (2 s_j^2)), (n, frame, y, x); s_j is a share of the longer side."""
    n_frames, ny, nx = shape
    device, one = generator.device, (n, MOST_BUMPS, 1, 1)
    count = torch.randint(1, MOST_BUMPS + 1, (n, 1), generator=generator, device=device)
    height = _uniform(-math.pi, math.pi, (n, MOST_BUMPS, 1), generator)
    spread = torch.randn((n, MOST_BUMPS, n_frames), generator=generator, device=device)
    height = (height + FRAME_SPREAD * spread) * (torch.arange(MOST_BUMPS, device=device) < count)[..., None]
    width = _uniform(0.1, 0.4, one, generator) * max(ny, nx)
    y = torch.arange(ny, device=device)[:, None] - _uniform(0, ny, one, generator)
    x = torch.arange(nx, device=device) - _uniform(0, nx, one, generator)
    bumps = torch.exp(-(y**2 + x**2) / (2 * width**2))  # (n, bump, y, x)
    return torch.einsum("njt,njyx->ntyx", height, bumps)


def _seed(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little") >> 1
