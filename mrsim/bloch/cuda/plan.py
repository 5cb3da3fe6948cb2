"""What is launched for a sequence: chunks of steps, and the readouts that end in each of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrsim.bloch.cuda.readout import Samples, Tile, Train
from mrsim.bloch.cuda.tables import echo_rows, to_device, upload
from mrsim.bloch.program import TRAIN, Program

FEWEST_ROWS = 8  # of a matrix product, as a share of its tile: below 1 / 8, one by one is quicker

Array = Any
Index = NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Work:
    """How the work is divided; the signal depends on `tile` only, and only by rounding.

    threads : of a block, except in `tile`
    coils : that the one-by-one readout sums at a time
    nodes : spins with sub-positions that are on the way together, at most
    memory : [byte] of the GPU that the buffers take, at most
    """

    tile: Tile = field(default_factory=Tile)
    threads: int = 128
    coils: int = 4
    nodes: int = 1 << 18
    memory: float = 6e9


# Numba's simulator plays each thread of a GPU by one of Python: few of them, and memory for a few lines.
SIMULATED = Work(
    tile=Tile(rows=2, columns=2, row_threads=2, column_threads=2, slab=4, spins=8, heads=3),
    threads=4,
    coils=2,
    nodes=16,
    memory=6e3,
)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class TrainGroup:
    """Lines with the same train: rows of echo (line,) and first samples in the signal (line,), on the device.

    heads : number of heads;  begin : sample of the train that the first of them begins with
    count : samples of the train
    """

    train: Train
    heads: int
    begin: int
    count: int
    line: Array
    first: Array


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Chunk:
    """Steps `begin` to `end` with echoes `row` to `row + rows`, and what is received of them.

    samples : first and last of the samples that are computed one by one, as launches
    """

    begin: int
    end: int
    row: int
    rows: int
    trains: list[TrainGroup]
    samples: list[tuple[int, int]]


def plan(prog: Program, coils: int, nodes: int, work: Work) -> tuple[list[Chunk], Samples]:
    """Cut a sequence into chunks whose echoes and sums fit into the memory; also its single samples."""
    products = _products(prog, coils, work.tile)
    rows = echo_rows(prog)
    slices = -(-nodes // work.tile.spins)
    most_rows = max(1, int(work.memory / 2 // (8 * nodes)))
    at_once = max(1, int(work.memory / 4 // (8 * slices * coils)))  # samples
    parts = [_read(prog, r, int(rows[r]), products) for r in range(prog.read.size)]
    sizes = np.append(0, np.cumsum([part.at.size for part in parts]))
    samples = Samples(
        row=np.concatenate([p.row for p in parts] or [np.zeros(0)]).astype(np.int32),
        k=np.concatenate([p.k for p in parts] or [np.zeros((4, 0))], axis=1),
        clock=np.concatenate([p.clock for p in parts] or [np.zeros(0)]).astype(np.float32),
        at=np.concatenate([p.at for p in parts] or [np.zeros(0)]).astype(np.int64),
    )
    chunks = []
    for a, b in _bounds(rows, most_rows):
        begin = 0 if a == 0 else int(prog.read[a])
        end = int(prog.read[b]) if b < prog.read.size else int(prog.read[-1]) + 1
        chunks.append(
            Chunk(
                begin=begin,
                end=end,
                row=int(rows[a]),
                rows=int(rows[b] - rows[a]),
                trains=list(_groups(prog, a, b, rows, products, work.tile, at_once)),
                samples=[
                    (i, min(i + at_once, int(sizes[b]))) for i in range(int(sizes[a]), int(sizes[b]), at_once)
                ],
            )
        )
    return chunks, to_device(samples)


def _bounds(rows: Index, most: int) -> Iterator[tuple[int, int]]:
    """Stretches of reading steps with at most so many echoes, or one step."""
    begin = 0
    while begin < rows.size - 1:
        end = max(begin + 1, int(np.searchsorted(rows, rows[begin] + most, side="right")) - 1)
        yield begin, end
        begin = end


def _products(prog: Program, coils: int, tile: Tile) -> NDArray[np.bool_]:
    """(train,) whether enough lines share a train for a matrix product."""
    uses = np.zeros(prog.length.size, np.int64)
    for item in prog.item[prog.read[prog.kind[prog.read] == TRAIN]]:
        uses[prog.trains[item] : prog.trains[item + 1]] += 1
    heads = -(-prog.length // tile.width)
    return np.asarray(uses * coils * heads * FEWEST_ROWS >= tile.threads)


def _read(prog: Program, r: int, row: int, products: NDArray[np.bool_]) -> Samples:
    """List the samples of the reading step `r` that are computed one by one."""
    step, first = prog.read[r], int(prog.sample[r])
    item = prog.item[step]
    if prog.kind[step] != TRAIN:
        own = slice(prog.window[item], prog.window[item + 1])
        n = own.stop - own.start
        return Samples(
            row=np.full(n, row),
            k=prog.k[own].T,
            clock=np.abs(prog.window_clock[own]),
            at=first + np.arange(n),
        )
    parts = [Samples(row=np.zeros(0), k=np.zeros((4, 0)), clock=np.zeros(0), at=np.zeros(0))]
    for i, t in enumerate(range(prog.trains[item], prog.trains[item + 1])):
        if not products[t]:
            n = np.arange(prog.length[t])
            step_k = np.append(prog.step_moment[t], prog.dwell[t])
            clock = np.abs(prog.clock[t] + n * prog.dwell[t]) * abs(prog.side[t])
            at = first + prog.skip[t] + n
            parts.append(Samples(row=np.full(n.size, row + i), k=step_k[:, None] * n, clock=clock, at=at))
    return Samples(*(np.concatenate(column, axis=-1) for column in zip(*parts, strict=True)))


def _groups(
    prog: Program, a: int, b: int, rows: Index, products: NDArray[np.bool_], tile: Tile, at_once: int
) -> Iterator[TrainGroup]:
    """Lines of the reading steps `a` to `b` by train, as many at a time as the memory has room for."""
    lines: dict[int, list[tuple[int, int]]] = {}
    for r in range(a, b):
        if prog.kind[prog.read[r]] == TRAIN:
            item = prog.item[prog.read[r]]
            for i, t in enumerate(range(prog.trains[item], prog.trains[item + 1])):
                if products[t]:
                    lines.setdefault(t, []).append(
                        (int(rows[r] - rows[a]) + i, int(prog.sample[r] + prog.skip[t]))
                    )
    for t, found in lines.items():
        count = int(prog.length[t])
        total = -(-count // tile.width)
        for head in range(0, total, tile.heads):
            heads = min(tile.heads, total - head)
            most = max(1, at_once // (heads * tile.width))
            for i in range(0, len(found), most):
                table = np.array(found[i : i + most])
                k = prog.step_moment[t]
                yield TrainGroup(
                    train=Train(
                        float(k[0]), float(k[1]), float(k[2]), float(prog.dwell[t]), float(prog.side[t]),
                        abs(float(prog.clock[t])), head,
                    ),
                    heads=heads,
                    begin=head * tile.width,
                    count=count,
                    line=upload(table[:, 0].astype(np.int32)),
                    first=upload(table[:, 1].astype(np.int64)),
                )  # fmt: skip
