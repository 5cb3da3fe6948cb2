"""The temporally averaged image of a cine: what all frames together have measured, on one grid.

A single frame of few lines shows nothing but aliasing; Schlemper et al. show this image in its place (text
to their Figure 3; experiments.md D5).
"""

from torch import Tensor


def time_average(kspace: Tensor, mask: Tensor) -> Tensor:
    """Merge the samples of all frames: the mean where several frames have one, 0 where none has.

    kspace : (batch, channel, frame, ky, kx)
    mask : (batch, 1, frame, ky, 1 or kx), 1 = sampled; samples outside it do not count
    returns (batch, channel, ky, kx)
    """
    return (kspace * mask).sum(dim=2) / mask.sum(dim=2).clamp_min(1)
