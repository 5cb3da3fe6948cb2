"""Intensity non-uniformity (INU): a smooth factor on the image, its level a fraction; numpy only.

BrainWeb's definition: at a level of 20 % the field ranges from 0.90 to 1.10 over the brain; other levels are
scaled linearly. The field is 1 + level / 2 * g(r), g a cubic polynomial of position with random coefficients,
brought to exactly [-1, 1] over the brain: one per subject and contrast, the same for all slices.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]

DEGREE = 3
# (20, 3) exponents of x, y, z
EXPONENTS = np.array([e for e in np.ndindex(4, 4, 4) if sum(e) <= DEGREE])
N_COEFFICIENTS = len(EXPONENTS)


def draw_coefficients(rng: np.random.Generator, n_fields: int) -> Real:
    """Draw (field, 20) coefficients, each N(0, 1)."""
    return rng.standard_normal((n_fields, N_COEFFICIENTS))


def brain_field(coefficients: Real, inside: NDArray[np.bool_], affine: Real) -> Real:
    """Bring a drawn polynomial to [-1, 1] over the brain.

    coefficients : (20,);  inside : (z, y, x) voxels of the brain;  affine : (4, 4) [m] voxel (x, y, z) -> RAS
    returns : (24,) centre (R, A, S) [m], reach [m], 20 coefficients: what `field_at` takes, and a store keeps
    ValueError without a brain.
    """
    lines = [np.flatnonzero(inside.any(axis=tuple({0, 1, 2} - {2 - axis}))) for axis in range(3)]
    if not lines[0].size:
        raise ValueError("inside must hold some voxels of the brain, got none")
    steps, start = np.diagonal(affine)[:3], affine[:3, 3]
    ends = np.array([start[i] + steps[i] * lines[i][[0, -1]] for i in range(3)])  # (axis, end)
    centre, reach = ends.mean(axis=1), float(np.ptp(ends, axis=1).max() / 2) or float(steps.max())
    x, y, z = ((start[i] + steps[i] * np.arange(inside.shape[2 - i]) - centre[i]) / reach for i in range(3))
    low, high = _range(_cube(coefficients), inside, (x, y, z))
    scaled = coefficients * (2 / (high - low) if high > low else 0.0)
    scaled[0] -= (high + low) / (high - low) if high > low else 0.0
    return np.concatenate([centre, [reach], scaled])


def field_at(terms: Real, ras: Real) -> Real:
    """Evaluate g at RAS points (3, ...) [m]; terms : (24,) from `brain_field`."""
    u = (ras - terms[:3].reshape(3, *[1] * (ras.ndim - 1))) / terms[3]
    powers = u[:, None] ** np.arange(DEGREE + 1).reshape(-1, *[1] * (ras.ndim - 1))  # (axis, power, ...)
    g = np.zeros(ras.shape[1:])
    for (i, j, k), coefficient in zip(EXPONENTS, terms[4:], strict=True):
        g += coefficient * powers[0, i] * powers[1, j] * powers[2, k]
    return g


def field_of_image(terms: Real, affine: Real, shape: tuple[int, int], level: float) -> Real:
    """Factor on each pixel, (y, x): 1 + level / 2 * g.

    affine : (4, 4) [m] pixel index (x, y, 0, 1) -> RAS
    ValueError for a level outside [0, 2), where the image would vanish or turn negative.
    """
    if not 0 <= level < 2:
        raise ValueError(f"level of the INU must lie in [0, 2), got {level}")
    y, x = np.indices(shape)
    ras = np.tensordot(affine[:3], np.stack([x, y, np.zeros_like(x), np.ones_like(x)]), axes=1)  # (3, y, x)
    return 1 + level / 2 * field_at(terms, ras)


def _cube(coefficients: Real) -> Real:
    """Coefficients by exponent, (x, y, z)."""
    cube = np.zeros((DEGREE + 1,) * 3)
    cube[tuple(EXPONENTS.T)] = coefficients
    return cube


def _range(cube: Real, inside: NDArray[np.bool_], axes: tuple[Any, Any, Any]) -> tuple[float, float]:
    """Smallest and largest value over the voxels that are inside, plane by plane."""
    x, y, z = (np.vander(axis, DEGREE + 1, increasing=True) for axis in axes)  # (voxel, power)
    low, high = np.inf, -np.inf
    for plane, powers in zip(inside, z, strict=True):
        if plane.any():
            values = (y @ np.tensordot(cube, powers, axes=(2, 0)).T @ x.T)[plane]
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    return low, high
