"""Isochromat engine on a GPU: every spin through every event, as `mrsim.bloch.isochromat` does on the CPU.

Batches of spins are cut into their sub-positions on the GPU, get the operators of the pulses, are brought
into the steady state, and walk through the sequence in chunks of steps; after each chunk the readouts that
lie in it are summed over the spins. Memory is bounded by the batch and the chunk, not by spins times time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numba import cuda
from numpy.typing import NDArray

from mrsim.bloch.cuda.device import free_memory, require_gpu, simulated
from mrsim.bloch.cuda.errors import explained
from mrsim.bloch.cuda.plan import SIMULATED, Chunk, TrainGroup, Work, plan
from mrsim.bloch.cuda.readout import Samples, add_samples, add_trains, sample_kernel, train_kernel
from mrsim.bloch.cuda.tables import Nodes, Pulses, Steps, pulses, steps, to_device
from mrsim.bloch.cuda.walk import driven_fixed_point, equilibrium, operators, spoiled_fixed_point, walk_kernel
from mrsim.bloch.nodes import relaxation_rates
from mrsim.bloch.program import Program, compile_events
from mrsim.bloch.pulses import TOLERANCE, _pieces
from mrsim.bloch.weights import SubPositions, amplitudes, box_share, sub_lattice
from mrsim.events import Events

if TYPE_CHECKING:
    from phantoms.phantom import Spins

Array = Any
SLAB = 128  # spins in shared memory of the one-by-one readout, at most
ONE_AT_A_TIME = Lock()  # threads with slices of their own would each take the memory that they find free


class Cloud(NamedTuple):
    """All spins, on the device.

    position (3, spin) [m], freq (spin,) [Hz], tissue (spin,), b1 (spin or 1,) complex64
    rate : (3, tissue) [1/s] R1, R2, R2'
    coils : (coil, spin) complex64;  amount (spin,) what a spin sends for M+ = 1 and sensitivity 1
    offset share : (3, sub) [m] and (sub,) of the sub-positions
    """

    position: Array
    freq: Array
    tissue: Array
    b1: Array
    rate: Array
    coils: Array
    amount: Array
    offset: Array
    share: Array


@cuda.jit
def spread(cloud: Cloud, begin: int, total: int, nodes: Nodes) -> None:
    """Cut spins into sub-positions: the nodes from number `begin` on; those beyond the last send nothing."""
    i = cuda.grid(1)
    if i >= nodes.where.shape[1]:
        return
    node = min(begin + i, total - 1)
    s, sub = node // cloud.share.size, node % cloud.share.size
    for a in range(3):
        nodes.where[a, i] = cloud.position[a, s] + cloud.offset[a, sub]
        nodes.rate[a, i] = cloud.rate[a, cloud.tissue[s]]
    nodes.where[3, i] = cloud.freq[s]
    field = cloud.b1[min(s, cloud.b1.size - 1)]
    nodes.b1[0, i] = field.real
    nodes.b1[1, i] = field.imag
    amount = cloud.amount[s] * cloud.share[sub] if begin + i < total else 0.0
    for c in range(nodes.weight.shape[1]):
        nodes.weight[0, c, i] = amount * cloud.coils[c, s].real
        nodes.weight[1, c, i] = amount * cloud.coils[c, s].imag


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Player:
    """A sequence and the buffers of a batch of spins, on the device.

    op : (slot, 12, node) operators of the pulses
    state : (3, member, node);  count (node,) members in use;  found (4, 3, member, node) of trial repetitions
    echo out : flat float32 buffers
    signal : (2, coil, sample)
    """

    prog: Program
    work: Work
    steps: Steps
    pulses: Pulses
    chunks: list[Chunk]
    samples: Samples
    nodes: Nodes
    op: Array
    state: Array
    count: Array
    found: Array
    echo: Array
    out: Array
    signal: Array

    @property
    def grid(self) -> tuple[int, int]:
        """Blocks and threads, one thread for each node."""
        return -(-self.count.size // self.work.threads), self.work.threads

    def take(self, cloud: Cloud, begin: int) -> None:
        """Make the nodes from number `begin` on the batch."""
        spread[self.grid](cloud, begin, cloud.tissue.size * cloud.share.size, self.nodes)

    def echoes(self, rows: int) -> Array:
        """Buffer of so many echoes, (2, row, node)."""
        return self.echo[: 2 * rows * self.count.size].reshape(2, rows, self.count.size)

    def walk(self, begin: int, end: int, cycles: float = 0.0, row: int = -1, rows: int = 1) -> None:
        """Take the batch through the steps `begin` to `end`, then turn M+; echoes go from `row` on."""
        turn = math.cos(2 * math.pi * cycles), math.sin(2 * math.pi * cycles)
        kernel = walk_kernel(self.prog.members)[self.grid]
        kernel(
            self.steps, self.pulses, self.nodes, self.op, self.state, self.count, begin, end, row,
            self.echoes(rows), *turn,
        )  # fmt: skip

    def start(self, x: float, y: float, z: float, members: int = 1) -> None:
        """Give every spin the same magnetisation."""
        equilibrium[self.grid](self.state, self.count, members, x, y, z)

    def settle(self, cycles: float) -> None:
        """Reach the steady state in closed form, as `mrsim.bloch.steady` does; NaN where there is none."""
        begin, end = int(self.prog.start[0]), int(self.prog.start[1])
        spoilers = begin + np.flatnonzero(self.prog.spoil[begin:end])
        if spoilers.size:
            behind = int(spoilers[-1]) + 1
            for trial in range(2):
                self.start(0.0, 0.0, float(trial))
                self.walk(behind, end, -cycles)
                self.walk(begin, behind)
                self.found[trial].copy_to_device(self.state)
            spoiled_fixed_point[self.grid](self.found, self.state, self.count)
            self.walk(behind, end, -cycles)
            return
        members = self.prog.members if self.prog.crusher[begin:end].any() else 1
        for trial in range(4):
            self.start(float(trial == 1), float(trial == 2), float(trial == 3), members)
            self.walk(begin, end, -cycles)
            self.found[trial].copy_to_device(self.state)
        self.start(0.0, 0.0, 0.0, members)
        driven_fixed_point[self.grid](self.found, self.state)

    def play(self, cycles: float) -> None:
        """Play the sequence to the batch in `nodes`.

        cycles : by which all phases grow per repetition of a steady state, NaN for equilibrium
        """
        operators[self.grid](self.pulses, self.nodes, self.op)
        if math.isnan(cycles):
            self.start(0.0, 0.0, 1.0)
        else:
            self.settle(cycles)
        for chunk in self.chunks:
            self.walk(chunk.begin, chunk.end, row=chunk.row, rows=chunk.rows)
            echo = self.echoes(chunk.rows)
            for group in chunk.trains:
                self.receive_train(group, echo)
            for begin, end in chunk.samples:
                self.receive_samples(begin, end, chunk.row, echo)

    def receive_train(self, group: TrainGroup, echo: Array) -> None:
        """Add to the signal what the batch sends to lines with the same train."""
        tile, coils = self.work.tile, self.signal.shape[1]
        slices, rows = self.count.size // tile.spins, group.line.size * coils * group.heads
        out = self.out[: 2 * slices * rows * tile.width].reshape(2, slices, rows, tile.width)
        grid = (-(-rows // tile.threads), slices), tile.threads
        train_kernel(tile)[grid](self.nodes, echo, group.line, group.heads, group.train, out)
        threads = self.work.threads
        adding = add_trains[-(-rows * tile.width // threads), threads]
        adding(out, group.heads, group.begin, group.count, group.first, self.signal)

    def receive_samples(self, begin: int, end: int, row: int, echo: Array) -> None:
        """Add to the signal what the batch sends to single samples; `row` is the number of the first echo."""
        coils, threads, spins = self.signal.shape[1], self.work.threads, self.work.tile.spins
        slices, n, together = self.count.size // spins, end - begin, min(coils, self.work.coils)
        out = self.out[: 2 * slices * coils * n].reshape(2, slices, coils, n)
        kernel = sample_kernel(threads, min(SLAB, spins), spins, together)
        grid = (-(-n // threads), slices, -(-coils // together)), threads
        kernel[grid](self.nodes, echo, row, self.samples, begin, out)
        add_samples[-(-n * coils // threads), threads](out, self.samples.at, begin, self.signal)


def isochromat(
    spins: Spins, events: Events, coils: NDArray[np.complex64], n_sub: SubPositions, *,
    tolerance: float = TOLERANCE, work: Work | None = None,
) -> NDArray[np.complex64]:  # fmt: skip
    """Signal (coil, sample) of `spins` of coils (coil, spin), receiver phase applied, by the current GPU.

    tolerance : bound of the error of the magnetisation by dividing a pulse into steps
    work : how the work is divided
    GpuError (a ValueError) in one sentence without a GPU, with too old a driver, or out of memory.
    """
    require_gpu()
    with ONE_AT_A_TIME, explained():
        signal = _signal(spins, events, coils, n_sub, tolerance, work)
    if not np.isfinite(signal).all():
        raise ValueError("sequence must reach a steady state, got spins that nothing brings back")
    return np.asarray(signal * np.exp(-1j * events.trajectory().phase), np.complex64)


def _signal(
    spins: Spins,
    events: Events,
    coils: NDArray[np.complex64],
    n_sub: SubPositions,
    tolerance: float,
    work: Work | None,
) -> NDArray[np.complex128]:
    if not (events.n_samples and spins.tissue.size):
        return np.zeros((coils.shape[0], events.n_samples), np.complex128)
    player, cloud = load(spins, events, coils, n_sub, tolerance, work)
    cycles = events.phase_step / (2 * math.pi) if events.steady_state else math.nan
    total = cloud.tissue.size * cloud.share.size
    for begin in range(0, total, player.count.size):
        player.take(cloud, begin)
        player.play(cycles)
    found = player.signal.copy_to_host()
    return np.asarray(found[0] + 1j * found[1])


def load(
    spins: Spins,
    events: Events,
    coils: NDArray[np.complex64],
    n_sub: SubPositions,
    tolerance: float = TOLERANCE,
    work: Work | None = None,
) -> tuple[Player, Cloud]:
    """Bring spins and a sequence to the GPU; see `isochromat`."""
    work = work or (SIMULATED if simulated() else Work())
    prog = compile_events(events)
    offset, share = sub_lattice(events, spins.cell, n_sub)
    parts = pulses(prog, divisions(prog, spins, offset, tolerance))
    cloud = to_device(_cloud(spins, events, coils, offset, share))
    signal = cuda.to_device(np.zeros((2, coils.shape[0], events.n_samples)))
    size = _batch(prog, spins.tissue.size * share.size, coils.shape[0], work)
    return _player(prog, parts, size, signal, work), cloud


def divisions(
    prog: Program, spins: Spins, offset: NDArray[np.float64], tolerance: float
) -> NDArray[np.int64]:
    """(pulse,) parts of a raster step that keep every spin below the tolerance; see `mrsim.bloch.pulses`."""
    reach = np.abs(spins.position).max(axis=1) + np.abs(offset).max(axis=1)
    b1 = 1.0 if spins.b1 is None else float(np.abs(spins.b1).max())
    fastest = float(relaxation_rates(spins)[:2].max())
    low, high = float(spins.freq.min()), float(spins.freq.max())
    pieces = np.ones(prog.pulse_dt.size, np.int64)
    for u, rate in enumerate(prog.pulse_rate):
        own = prog.pulse_freq[u]
        freq = max(abs(low - own), abs(high - own)) + float((np.abs(rate) @ reach).max())
        nutation = prog.nutation[prog.pulse_start[u] : prog.pulse_start[u + 1]]
        change = float(np.abs(rate[1] - rate[0]) @ reach) / nutation.size
        pieces[u] = _pieces(nutation, prog.pulse_dt[u], b1, freq, change, fastest, tolerance)
    return pieces


def _cloud(
    spins: Spins,
    events: Events,
    coils: NDArray[np.complex64],
    offset: NDArray[np.float64],
    share: NDArray[np.float64],
) -> Cloud:
    amount = amplitudes(spins, events)[spins.tissue] * box_share(spins.position[2], spins.cell[2], events.box)
    return Cloud(
        position=spins.position,
        freq=spins.freq,
        tissue=spins.tissue.astype(np.int32),
        b1=np.ones(1, np.complex64) if spins.b1 is None else spins.b1,
        rate=relaxation_rates(spins),
        coils=coils,
        amount=amount,
        offset=offset,
        share=share,
    )


def _batch(prog: Program, total: int, coils: int, work: Work) -> int:
    """Nodes of each batch, in whole slices; their own arrays take a quarter of the memory."""
    each = 72 + 8 * coils + 96 * int(prog.pulse_slot.max(initial=0)) + 124 * prog.members
    most = max(1, min(work.nodes, int(_memory(work) / 4 // each)) // work.tile.spins)  # slices
    slices = -(-total // work.tile.spins)
    return -(-slices // -(-slices // most)) * work.tile.spins


def _memory(work: Work) -> float:
    return min(work.memory, 0.7 * free_memory())


def _player(prog: Program, parts: Pulses, size: int, signal: Array, work: Work) -> Player:
    """Buffers for a batch of `size` nodes."""
    members, coils = prog.members, signal.shape[1]
    room = replace(work, memory=_memory(work))
    chunks, samples = plan(prog, coils, size, room)
    slices = size // work.tile.spins
    sums = [group.line.size * coils * group.heads * work.tile.width for c in chunks for group in c.trains]
    sums += [coils * (end - begin) for c in chunks for begin, end in c.samples]
    slots = int(prog.pulse_slot.max(initial=0))
    return Player(
        prog=prog,
        work=room,
        steps=to_device(steps(prog)),
        pulses=to_device(parts),
        chunks=chunks,
        samples=samples,
        nodes=Nodes(
            where=cuda.device_array((4, size), np.float64),
            rate=cuda.device_array((3, size), np.float64),
            b1=cuda.device_array((2, size), np.float64),
            weight=cuda.device_array((2, coils, size), np.float32),
        ),
        op=cuda.device_array((max(1, slots), 12, size), np.float64),
        state=cuda.device_array((3, members, size), np.float64),
        count=cuda.device_array(size, np.int32),
        found=cuda.device_array((4, 3, members, size), np.float64),
        echo=cuda.device_array(2 * size * max(c.rows for c in chunks), np.float32),
        out=cuda.device_array(2 * slices * max(sums), np.float32),
        signal=signal,
    )
