"""Transmit fields: how much of the nominal flip angle each place gets."""

from __future__ import annotations

import numpy as np

from mrsim.fields.field_map import FieldMap

CELL = 4e-3  # [m]

Extent = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]


def dielectric_b1(extent: Extent, *, strength: float = 0.3) -> FieldMap:
    """Relative B1+ of a birdcage in a head: bright in the middle, as standing waves in water make it.

    A Gaussian of the elliptic distance from the middle of the `extent` [m RAS], 1 + strength / 2 in the
    middle and 1 - strength / 2 at its faces along an axis: at 3 T a head has about 0.4 (Ibrahim et al., Magn
    Reson Imaging 2001;19:219 and Collins et al., J Magn Reson Imaging 2005;21:192 show such maps).
    """
    if not 0 <= strength < 1:
        raise ValueError(f"strength must lie in [0, 1), got {strength}")
    axes, steps = [], []
    for low, high in extent:
        n = max(2, round((high - low) / CELL) + 1)
        axes.append(np.linspace(low, high, n))
        steps.append((high - low) / (n - 1))
    squares = [((a - a.mean()) / max(np.ptp(a) / 2, 1e-9)) ** 2 for a in axes]
    radius2 = squares[2][:, None, None] + squares[1][None, :, None] + squares[0][None, None, :]
    falloff = (np.exp(-radius2) - np.exp(-1.0)) / (1 - np.exp(-1.0))  # 1 in the middle, 0 at a face
    values = 1 - strength / 2 + strength * falloff
    affine = np.diag([*steps, 1.0])
    affine[:3, 3] = [a[0] for a in axes]
    return FieldMap(values=values.astype(np.float32), affine=affine)
