"""Which rows of a table differ, for millions of rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 2**62

Index = NDArray[np.intp]


def distinct(columns: Iterable[NDArray[Any]]) -> tuple[Index, Index]:
    """Find the first row of each kind, and (row,) of which kind each row is; kinds in sorted order.

    Each of the columns (row,) is numbered and the numbers are merged into one, which sorts much faster than
    whole rows do.
    """
    code: Index | int = 0
    size = 1
    for column in columns:
        values, number = np.unique(column, return_inverse=True)
        if size * values.size > LARGEST:
            kinds, code = np.unique(code, return_inverse=True)
            size = kinds.size
        code = code * values.size + number
        size *= values.size
    _, first, which = np.unique(code, return_index=True, return_inverse=True)
    return first, which
