"""What the device kernels read, as named tuples of arrays; on the host or on the device."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import cuda
from numpy.typing import NDArray

from mrsim.bloch.program import TRAIN, Program

CRUSHER, SETTLED, SPOIL = 1, 2, 4  # bits of Steps.flags

Array = Any  # of the host or of the device


class Steps(NamedTuple):
    """Steps of a `Program`, those that read with the rows of the echoes that they take.

    kind item whole : (step,) int32, see `Program`
    flags : (step,) int32 CRUSHER, SETTLED, SPOIL
    row : (step,) int32 first row of the echoes of a step that reads, -1 for others
    turn : (step, 4) cosine and sine of the angle by which M+ is turned before a pulse, and after it
    moment : (interval, 4) [1/m] and [s]
    trains lead : (readout + 1,), (train,) int32, see `Program`
    crush : (member, 2) cosine and sine of the phase that a crusher gives to each member of the ensemble
    """

    kind: Array
    item: Array
    whole: Array
    flags: Array
    row: Array
    turn: Array
    moment: Array
    trains: Array
    lead: Array
    crush: Array


class Pulses(NamedTuple):
    """Distinct pulses.

    start : (pulse + 1,) int32 first raster step of each
    pieces slot : (pulse,) int32 parts of each raster step, and row of the operators + 1, 0 for none
    nutation : (raster step, 2) [rad] half of the nutation in a part, real and imaginary
    dt freq : (pulse,) [s] length of a part, and [Hz] of the frame
    rate : (pulse, 6) [Hz/m] gradient at the start and at the end
    """

    start: Array
    pieces: Array
    slot: Array
    nutation: Array
    dt: Array
    freq: Array
    rate: Array


class Nodes(NamedTuple):
    """Point spins.

    where : (4, node) x, y, z [m] and off-resonance [Hz];  rate (3, node) [1/s] R1, R2, R2'
    b1 : (2, node) transmit field;  weight (2, coil, node) float32 what it sends for M+ = 1
    """

    where: Array
    rate: Array
    b1: Array
    weight: Array


def echo_rows(prog: Program) -> NDArray[np.int64]:
    """Return (reading + 1,) the first echo of each step that reads: each train has one, and each window."""
    train = prog.kind[prog.read] == TRAIN
    item = np.where(train, prog.item[prog.read], 0)
    count = (
        np.where(train, prog.trains[item + 1] - prog.trains[item], 1)
        if prog.trains.size > 1
        else np.ones(item.size)
    )
    return np.append(0, np.cumsum(count)).astype(np.int64)


def steps(prog: Program) -> Steps:
    """Return the steps of a program, on the host."""
    row = np.full(prog.kind.size, -1, np.int32)
    row[prog.read] = echo_rows(prog)[:-1]
    angle = 2 * np.pi * prog.turn  # (step, 2)
    phase = 2 * np.pi * np.arange(prog.members) / prog.members
    return Steps(
        kind=prog.kind.astype(np.int32),
        item=prog.item.astype(np.int32),
        whole=prog.whole.astype(np.int32),
        flags=(CRUSHER * prog.crusher + SETTLED * prog.settled + SPOIL * prog.spoil).astype(np.int32),
        row=row,
        turn=np.stack([np.cos(angle), np.sin(angle)], axis=2).reshape(-1, 4),
        moment=np.column_stack([prog.moment, prog.times[prog.interval_time]]),
        trains=prog.trains.astype(np.int32),
        lead=prog.lead.astype(np.int32),
        crush=np.stack([np.cos(phase), np.sin(phase)], axis=1),
    )


def pulses(prog: Program, pieces: NDArray[np.int64]) -> Pulses:
    """Pulses of a program whose raster steps are divided into `pieces` (pulse,), on the host."""
    half = 0.5 * prog.nutation / np.repeat(pieces, np.diff(prog.pulse_start))
    return Pulses(
        start=prog.pulse_start.astype(np.int32),
        pieces=pieces.astype(np.int32),
        slot=prog.pulse_slot.astype(np.int32),
        nutation=np.stack([half.real, half.imag], axis=1),
        dt=prog.pulse_dt / pieces,
        freq=prog.pulse_freq,
        rate=prog.pulse_rate.reshape(-1, 6),
    )


def to_device(table: Any) -> Any:  # noqa: ANN401 - the named tuple that it is given
    """Copy a named tuple of arrays to the GPU; empty arrays get one element, since none can be had there."""
    return type(table)(*(upload(array) for array in table))


def upload(array: NDArray[Any]) -> Array:
    """Copy an array to the GPU."""
    plain = np.ascontiguousarray(array)
    return cuda.to_device(plain if plain.size else np.zeros([max(1, n) for n in plain.shape], plain.dtype))
