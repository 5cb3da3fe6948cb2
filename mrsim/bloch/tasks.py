"""Threads for the kernels, which release the GIL.

Plain threads instead of numba's prange: no OpenMP runtime that a fork would break or a second caller would
block, and a fraction of the time to compile. Who works on what is fixed before the threads start, so results
never depend on their number.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from numba import get_num_threads


def in_threads(work: Callable[[int, int], object], total: int, grain: int) -> None:
    """Call work(begin, end) for the stretches of `grain` that make up range(total), on all threads of numba.

    `numba.set_num_threads` and NUMBA_NUM_THREADS say how many these are. Calls must not write to the same
    place.
    """
    bounds = [(begin, min(total, begin + grain)) for begin in range(0, total, grain)]
    n_threads = min(get_num_threads(), len(bounds))
    if n_threads < 2:
        for begin, end in bounds:
            work(begin, end)
        return
    with ThreadPoolExecutor(n_threads) as pool:
        for done in [pool.submit(work, begin, end) for begin, end in bounds]:
            done.result()
