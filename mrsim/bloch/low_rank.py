"""Interpolative decomposition: a matrix from a few of its columns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

CANDIDATES = 1024  # columns among which the pivots are sought
AT_ONCE = 4096  # columns

Index = NDArray[np.intp]
Complex = NDArray[np.complex128]


def interpolation(columns: Callable[[Index], Complex], n: int, tolerance: float) -> tuple[Index, Complex]:
    """Pivots (rank,) and basis (rank, column) with H ~ H[:, pivots] @ basis.

    columns : gives some columns (row, some) of H
    n : columns in all
    tolerance : of the largest column; what is left of any column is about as small

    The basis fits all columns by least squares (Cheng et al., SIAM J Sci Comput 2005;26:1389).
    """
    candidates = np.unique(np.linspace(0, n - 1, min(n, CANDIDATES)).round().astype(np.intp))
    pivots = np.sort(candidates[_largest_left(columns(candidates), tolerance)])
    fit = np.linalg.pinv(columns(pivots), rcond=tolerance / 10)  # (rank, row)
    parts = [fit @ columns(np.arange(at, min(n, at + AT_ONCE))) for at in range(0, n, AT_ONCE)]
    return pivots, np.concatenate(parts, axis=1)


def _largest_left(h: Complex, tolerance: float) -> Index:
    """Columns in the order of pivoted Gram-Schmidt, until all that is left is small; at least one."""
    left = h.copy()
    chosen: list[int] = []
    size = np.linalg.norm(left, axis=0)
    enough = tolerance * size.max(initial=0.0)
    while len(chosen) < min(h.shape) and (size.max() > enough or not chosen):
        column = int(size.argmax())
        chosen.append(column)
        unit = left[:, column] / (size[column] or 1.0)
        left -= np.outer(unit, unit.conj() @ left)
        left[:, column] = 0.0
        size = np.linalg.norm(left, axis=0)
    return np.array(chosen, np.intp)
