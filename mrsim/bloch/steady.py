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
from mrsim.bloch.nodes import BLOCK, Bench, Nodes
from mrsim.bloch.program import Program

SINGULAR = 1e-14  # of 1 - A: nothing brings such a spin back

Array = Any


@kernel(inline=False)
def settle(prog: Program, nodes: Nodes, at: int, n: int, bench: Bench, cycles: float) -> int:
    """Put bench.m into the steady state that the first repetition starts from; ensemble size, 0 if none.

    cycles : that all phases grow by from one repetition to the next
    """
    spoiler, crushed = -1, False
    for step in range(prog.start[0], prog.start[1]):
        if prog.spoil[step]:
            spoiler = step
        if prog.crusher[step]:
            crushed = True
    if spoiler >= 0:
        return _settle_spoiled(prog, nodes, at, n, bench, cycles, spoiler)
    members = bench.m.shape[1] if crushed else 1
    return members if _settle_driven(prog, nodes, at, n, bench, cycles, members) else 0


@kernel()
def _settle_spoiled(
    prog: Program, nodes: Nodes, at: int, n: int, bench: Bench, cycles: float, spoiler: int
) -> int:
    """Mz behind the spoiler goes to a Mz + b in a repetition, so b / (1 - a) repeats itself."""
    m, offset, members = bench.m, np.empty(BLOCK), 1
    for trial in range(3):
        if trial < 2:
            equilibrium(m, 0.0, 0.0, np.float64(trial), n)
        members = walk(prog, nodes, at, n, bench, spoiler + 1, prog.start[1], 1)
        for p in range(members):
            rotate(m[0, p], m[1, p], n, -cycles)
        if trial < 2:
            walk(prog, nodes, at, n, bench, prog.start[0], spoiler + 1, members)
        if trial == 0:
            for s in range(n):
                offset[s] = m[2, 0, s]
        elif trial == 1:
            for s in range(n):
                left = 1.0 - (m[2, 0, s] - offset[s])
                if left < SINGULAR:
                    return 0
                m[0, 0, s], m[1, 0, s], m[2, 0, s] = 0.0, 0.0, offset[s] / left
    return members


@kernel()
def _settle_driven(
    prog: Program, nodes: Nodes, at: int, n: int, bench: Bench, cycles: float, members: int
) -> bool:
    """Solve (1 - A) M = b for every spin and member."""
    m, found = bench.m, np.empty((4, 3, members, BLOCK))
    for trial in range(4):
        equilibrium(m, 1.0 * (trial == 1), 1.0 * (trial == 2), 1.0 * (trial == 3), n)
        walk(prog, nodes, at, n, bench, prog.start[0], prog.start[1], members)
        for p in range(members):
            rotate(m[0, p], m[1, p], n, -cycles)
            for a in range(3):
                for s in range(n):
                    found[trial, a, p, s] = m[a, p, s]
    for p in range(members):
        for s in range(n):
            if not _fixed_point(found[:, :, p, s], m[:, p, s]):
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
