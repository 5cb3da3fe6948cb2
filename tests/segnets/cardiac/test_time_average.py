"""The temporally averaged image, where it is known by hand or by linearity of the transform."""

import torch

from segnets.blocks.fourier import to_image, to_kspace
from segnets.cardiac.time_average import time_average


def test_frames_that_share_a_line_are_averaged_and_lines_of_nobody_are_zero():
    """Three frames of four lines of two samples: line 0 of one frame, 1 of two, 2 of none, 3 of all three."""
    kspace = torch.tensor([[10.0, 1.0, 7.0, 2.0], [20.0, 4.0, 7.0, 3.0], [30.0, 5.0, 7.0, 7.0]])
    mask = torch.tensor([[1.0, 0, 0, 1], [0, 1, 0, 1], [0, 1, 0, 1]])
    samples = kspace[None, None, :, :, None] * torch.tensor([1.0, -2.0])  # (batch, channel, frame, ky, kx)
    merged = time_average(samples, mask[None, None, :, :, None])
    assert merged.tolist() == [[[[10, -20], [4.5, -9], [0, 0], [4, -8]]]]


def test_frames_alike_that_cover_kspace_together_give_their_image():
    image = torch.randn(2, 2, 8, 6, generator=torch.Generator().manual_seed(0))
    frame = torch.arange(4)[:, None]
    line = torch.arange(8)
    mask = ((line % 4 == frame) | (line == 3)).float()[None, None, :, :, None]  # line 3 in every frame
    kspace = to_kspace(image)[:, :, None].expand(-1, -1, 4, -1, -1) * mask
    torch.testing.assert_close(to_image(time_average(kspace, mask)), image)


def test_frames_that_measure_everything_give_the_mean_image():
    frames = torch.randn(1, 2, 5, 8, 6, generator=torch.Generator().manual_seed(1))
    kspace = torch.stack([to_kspace(frames[:, :, t]) for t in range(5)], dim=2)
    merged = to_image(time_average(kspace, torch.ones(1, 1, 5, 8, 6)))
    torch.testing.assert_close(merged, frames.mean(dim=2))
