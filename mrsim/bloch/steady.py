"""The steady state of a repetition in closed form, per spin and member of the crusher ensemble.

A repetition is an affine map of the magnetisation, M -> A M + b, in the frame that turns by the phase step;
what repeats itself is its fixed point. With an ideal spoiler in the repetition, Mz behind it is all that is
left, so that two trial repetitions tell the map; without one, four do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mrsim.bloch.jit import kernel
from mrsim.bloch.kernels import equilibrium, rotate, walk
from mrsim.bloch.nodes import Bench, Nodes
from mrsim.bloch.program import Program

SINGULAR = 1e-14  # of 1 - A: nothing brings such a spin back

Array = Any


@kernel(inline=False)
def settle(prog: Program, nodes: Nodes, at: int, n: int, bench: Bench, cycles: float) -> np.int64:
    """Put bench.m into the steady state at the start of the first repetition; members, 0 if none.

    cycles : that all phases grow by from one repetition to the next

    With a spoiler, trials start behind it with Mz of 0, of 1, and of what repeats itself; without one, with 0
    and with the three unit vectors, from the beginning of the repetition.
    """
    m, begin, end = bench.m, prog.start[0], prog.start[1]
    first, crushed = begin, False
    for step in range(begin, end):
        crushed |= prog.crusher[step] > 0
        if prog.spoil[step]:
            first = step + 1
    spoiled = first > begin
    begins = m.shape[1] if crushed and not spoiled else np.int64(1)
    for trial in range(4):
        if spoiled and trial == 2:
            if not _repeats(bench, n):
                return np.int64(0)
        else:
            z = trial == 1 if spoiled else trial == 3
            equilibrium(m, 1.0 * (trial == 1 and not spoiled), 1.0 * (trial == 2), 1.0 * z, n)
        members = walk(prog, nodes, at, n, bench, first, end, begins)
        for p in range(members):
            rotate(m[0, p], m[1, p], n, -cycles)
        if spoiled and trial == 2:
            return members
        walk(prog, nodes, at, n, bench, begin, first, members)
        _note(m, members, n, bench.trial[trial])
    return begins if _fixed_points(bench, begins, n) else np.int64(0)


@kernel()
def _note(m: Array, members: int, n: int, out: Array) -> None:
    for a in range(3):
        for p in range(members):
            for s in range(n):
                out[a, p, s] = m[a, p, s]


@kernel()
def _repeats(bench: Bench, n: int) -> bool:
    """Mz behind the spoiler goes to a Mz + b in a repetition, so b / (1 - a) repeats itself."""
    for s in range(n):
        left = 1.0 - (bench.trial[1, 2, 0, s] - bench.trial[0, 2, 0, s])
        if left < SINGULAR:
            return False
        bench.m[0, 0, s], bench.m[1, 0, s], bench.m[2, 0, s] = 0.0, 0.0, bench.trial[0, 2, 0, s] / left
    return True


@kernel()
def _fixed_points(bench: Bench, members: int, n: int) -> bool:
    """Solve (1 - A) M = b for every spin and member."""
    for p in range(members):
        for s in range(n):
            if not _fixed_point(bench.trial[:, :, p, s], bench.m[:, p, s]):
                return False
    return True


@kernel()
def _fixed_point(found: Array, m: Array) -> bool:
    """Cramer's rule; found (trial, component): b, and b + A e for each unit vector e."""
    b0, b1, b2 = found[0, 0], found[0, 1], found[0, 2]
    a00, a10, a20 = 1.0 - (found[1, 0] - b0), b1 - found[1, 1], b2 - found[1, 2]
    a01, a11, a21 = b0 - found[2, 0], 1.0 - (found[2, 1] - b1), b2 - found[2, 2]
    a02, a12, a22 = b0 - found[3, 0], b1 - found[3, 1], 1.0 - (found[3, 2] - b2)
    c0, c1, c2 = a11 * a22 - a12 * a21, a12 * a20 - a10 * a22, a10 * a21 - a11 * a20
    det = a00 * c0 + a01 * c1 + a02 * c2
    if abs(det) < SINGULAR:
        return False
    m[0] = (b0 * c0 + b1 * (a02 * a21 - a01 * a22) + b2 * (a01 * a12 - a02 * a11)) / det
    m[1] = (b0 * c1 + b1 * (a00 * a22 - a02 * a20) + b2 * (a02 * a10 - a00 * a12)) / det
    m[2] = (b0 * c2 + b1 * (a01 * a20 - a00 * a21) + b2 * (a00 * a11 - a01 * a10)) / det
    return True
