"""Isochromats as the kernels take them, flat, and the memory that a block of them needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mrsim.bloch.program import Program

if TYPE_CHECKING:
    from phantoms.phantom import Spins

BLOCK = 256  # spins: the tables of a readout stay in the caches

Real = NDArray[np.float64]
Index = NDArray[np.int64]


class Nodes(NamedTuple):
    """Point spins and what acts on them.

    where : (4, node) x, y, z [m] in the image frame and off-resonance [Hz]
    rate : (3, node) [1/s] R1, R2, R2'
    b1 : (2, node) real and imaginary part of the transmit field relative to the nominal one
    """

    where: Real
    rate: Real
    b1: Real

    @property
    def n_blocks(self) -> int:
        """Blocks of the kernels."""
        return int(-(-self.where.shape[1] // BLOCK))


class Bench(NamedTuple):
    """What the kernels keep of the block of spins that they work on; see the slots of `Program`.

    m : (3, member, spin) magnetisation x y z of each member of the crusher ensemble
    mean : (3, spin) and scratch (11, spin)
    trial : (4, 3, member, spin) where trial repetitions lead to, see `mrsim.bloch.steady`
    decay : (slot, 2, spin) exp(-t/T1) and exp(-t/T2);  factor : (slot, 2, spin) of M+, real and imaginary
    op : (slot, 12, spin);  tail head : (slot, 2, tails | heads, spin) float32
    the tags say what each slot holds, -1 for nothing
    echo sent : (2, spin) M+ as a readout begins, and times the weight of a coil
    scaled : (2, heads, spin) float32 and sums (heads * tails,) complex128 of a readout
    tolerance : (1,) of a pulse
    """

    m: Real
    mean: Real
    scratch: Real
    trial: Real
    decay: Real
    time_tag: Index
    factor: Real
    factor_tag: Index
    op: Real
    op_tag: Index
    tail: NDArray[np.float32]
    head: NDArray[np.float32]
    train_tag: Index
    echo: Real
    sent: Real
    scaled: NDArray[np.float32]
    sums: NDArray[np.complex128]
    tolerance: Real


def bench(prog: Program, tolerance: float) -> Bench:
    """Room for one block of spins, whatever the length of the sequence."""
    times, intervals, pulses, trains = (
        int(slot.max(initial=0)) + 1
        for slot in (prog.time_slot, prog.interval_slot, prog.pulse_slot, prog.train_slot)
    )
    heads, tails = int(prog.heads.max(initial=1)), int(prog.tails.max(initial=1))
    return Bench(
        m=np.zeros((3, prog.members, BLOCK)),
        mean=np.empty((3, BLOCK)),
        scratch=np.empty((11, BLOCK)),
        trial=np.empty((4, 3, prog.members, BLOCK)),
        decay=np.empty((times, 2, BLOCK)),
        time_tag=np.full(times, -1),
        factor=np.empty((intervals, 2, BLOCK)),
        factor_tag=np.full(intervals, -1),
        op=np.empty((pulses, 12, BLOCK)),
        op_tag=np.full(pulses, -1),
        tail=np.empty((trains, 2, tails, BLOCK), np.float32),
        head=np.empty((trains, 2, heads, BLOCK), np.float32),
        train_tag=np.full(trains, -1),
        echo=np.empty((2, BLOCK)),
        sent=np.empty((2, BLOCK)),
        scaled=np.empty((2, heads, BLOCK), np.float32),
        sums=np.empty(int((prog.heads * prog.tails).max(initial=1)), np.complex128),
        tolerance=np.array([tolerance]),
    )


def relaxation_rates(spins: Spins) -> Real:
    """(3, tissue) [1/s] R1, R2, R2'; any positive ones where a tissue sends nothing."""
    silent = spins.pd <= 0
    times = np.stack([spins.t1, spins.t2, spins.t2prime])
    return np.asarray(1 / np.where(silent, 0.1, times))
