"""Isochromats as the kernels take them, flat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrsim.bloch.kernels import BLOCK, pulse_tables
from mrsim.bloch.program import Program
from mrsim.bloch.tasks import in_threads

Real = NDArray[np.float64]
BLOCKS_AT_ONCE = 16  # per task of a thread


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Nodes:
    """Point spins and what acts on them.

    where : (4, node) x, y, z [m] in the image frame and off-resonance [Hz]
    rate : (3, node) [1/s] R1, R2, R2'
    """

    where: Real
    rate: Real

    @property
    def n_blocks(self) -> int:
        """Blocks of the kernels."""
        return int(-(-self.where.shape[1] // BLOCK))

    def operators(self, prog: Program) -> Real:
        """RF operators (block, pulse, 12, spin of the block) of every distinct pulse, on all threads."""
        op = np.empty((self.n_blocks, prog.pulse_dt.size, 12, BLOCK))
        in_threads(
            lambda begin, end: pulse_tables(prog, begin, end, self.where, self.rate, op),
            self.n_blocks,
            BLOCKS_AT_ONCE,
        )
        return op
