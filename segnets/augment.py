"""Random rotations, changes of size and shifts of slices on the device: images and labels move together.

Labels take the nearest pixel, images cubic convolution. k-space moves as the Fourier transform says: it turns
with the image about DC, shrinks as the image grows, and gets a phase ramp from the shift.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from segnets.blocks import fourier


@dataclass(frozen=True, kw_only=True, slots=True)
class Affine:
    """The widest of the movements, drawn evenly and anew for every slice; pixels count as squares."""

    rotation: float = 0.0  # [rad] to either side, about the pixel n // 2
    zoom: float = 0.0  # 0.1 is a size of 0.9 to 1.1
    shift: float = 0.0  # [pixel] to either side, along each axis

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw movements on the generator's device.

        returns (slice, 2, 3): from a pixel (y, x, 1) of the result, counted from n // 2, to the one of the
        original that comes there
        """
        uniform = torch.rand(4, n, generator=generator, device=generator.device) * 2 - 1
        angle, size = self.rotation * uniform[0], 1 + self.zoom * uniform[1]
        shift = self.shift * uniform[2:].T[..., None]  # (slice, 2, 1)
        cos, sin = angle.cos() / size, angle.sin() / size
        back = torch.stack((cos, sin, -sin, cos), dim=1).reshape(n, 2, 2)
        return torch.cat((back, -back @ shift), dim=2)

    def move(self, kspace: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Move every slice by a draw of its own.

        kspace : (slice, [contrast or frame,] ky, kx) complex64, centred, without noise, which would lose its
            whiteness
        labels : (slice, [frame,] y, x) uint8; what comes in from outside is class 0. All frames move alike
        """
        back = self.draw(len(labels), generator)
        image = fourier.centred_ifft2(kspace)
        flat = image.reshape(len(image), -1, *image.shape[-2:])  # (slice, contrast, y, x)
        channels = torch.view_as_real(flat).movedim(-1, 2).flatten(1, 2)
        moved = (
            resample(channels, back, "bicubic").reshape(*flat.shape[:2], 2, *flat.shape[2:]).movedim(2, -1)
        )
        frames = labels.reshape(len(labels), -1, *labels.shape[-2:]).float()
        turned = resample(frames, back, "nearest").reshape(labels.shape)
        complex_image = torch.view_as_complex(moved.contiguous()).reshape(image.shape)
        return fourier.centred_fft2(complex_image), turned.to(labels.dtype)


def resample(images: Tensor, back: Tensor, mode: str) -> Tensor:
    """Take every pixel of the result from where `back` says, zero outside.

    images : (slice, channel, y, x) float32
    back : (slice, 2, 3), see `Affine.draw`
    mode : "bicubic" or "nearest"
    """
    ny, nx = images.shape[-2:]
    y = torch.arange(ny, device=images.device, dtype=torch.float32) - ny // 2
    x = torch.arange(nx, device=images.device, dtype=torch.float32) - nx // 2
    pixel = torch.stack((*torch.meshgrid(y, x, indexing="ij"), torch.ones_like(images[0, 0])), dim=-1)
    source = torch.einsum("sij,yxj->syxi", back, pixel)  # (slice, y, x, (y, x)) from n // 2
    across = (2 * (source[..., 1] + nx // 2) + 1) / nx - 1  # of grid_sample: edges at -1 and 1
    down = (2 * (source[..., 0] + ny // 2) + 1) / ny - 1
    grid = torch.stack((across, down), dim=-1)
    return functional.grid_sample(images, grid, mode=mode, padding_mode="zeros", align_corners=False)
