"""Feeding the training loop: the whole set on the device when it fits, else shards read ahead by a thread."""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import psutil
import torch

from mrsim.store import Store
from segnets.config import RESIDENT, check_choice
from segnets.data import (
    AS_STORED,
    Cases,
    Indices,
    Reading,
    as_store,
    image_shape,
    known_contrasts,
    read_cases,
    split_indices,
)

SHARE_OF_MEMORY = 0.4  # of what is free; the rest is for the network
SHARDS_AT_ONCE = 8  # shards that are shuffled into one another
BATCHES_AHEAD = 4


class Feed(Protocol):
    """Cases of a training set, epoch by epoch; an epoch is a pure function of (seed, epoch)."""

    n_cases: int
    summary: str

    def n_steps(self, batch_size: int, world: int = 1) -> int:
        """Return the number of batches of `batch_size` in an epoch, for each of `world` devices."""

    def epoch(
        self, batch_size: int, *, seed: int, epoch: int, first: int = 0, rank: int = 0, world: int = 1
    ) -> Iterator[Cases]:
        """Yield the batches of an epoch from step `first` on; the last one may be smaller."""


def open_data(
    store: str | Store,
    *,
    split: str = "train",
    noise: Sequence[float] = (0.10,),
    device: torch.device | str = "cpu",
    resident: str = "auto",
    n_cases: int = 0,
    how: Reading = AS_STORED,
) -> Feed:
    """Open the cases of a split for training, with one noise realisation per case and level.

    resident : "yes" the whole set in the memory of the device, "no" streamed, "auto" resident where it fits
    n_cases : the first so many cases, 0 = all
    Errors: StoreError and DataError, one sentence.
    """
    store = as_store(store)
    check_choice("resident", resident, RESIDENT)
    indices = split_indices(store, split)
    indices = indices[: n_cases or len(indices)]
    device = torch.device(device)
    read = partial(read_cases, store, noise=tuple(noise), how=how)
    shards = shards_of(store, indices)
    n_copies = len(noise) * max(1, len(known_contrasts(store, how.contrast)))
    size = set_bytes(store, len(indices), n_copies, how.crop)
    if resident == "yes" or (resident == "auto" and size <= SHARE_OF_MEMORY * free_memory(device)):
        return ResidentFeed(read(indices).to(device), shards)
    return StreamedFeed(read, shards, device, store.path)


def shards_of(store: Store, indices: Indices) -> list[Indices]:
    """Divide cases by the shard that they lie in."""
    shard = indices // store.slices_per_subject
    return [indices[shard == s] for s in np.unique(shard)]


def set_bytes(store: Store, n_cases: int, n_copies: int, crop: Sequence[int] = ()) -> int:
    """Return the memory that so many cases need on the device, in all levels and contrasts [byte]."""
    n_pixels = math.prod(image_shape(store, crop)) * max(1, store.n_frames)
    return n_cases * n_pixels * (8 * n_copies + 1)


def free_memory(device: torch.device) -> int:
    """Return the free memory of the device [byte]."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def n_steps(n_cases: int, batch_size: int, world: int) -> int:
    """Return the steps that every one of `world` devices can make: the one with the fewest cases decides."""
    return -(-(n_cases // world) // batch_size)


@dataclass(frozen=True, slots=True)
class Draw:
    """One case leaves the shuffle buffer, after the shards in `load` have come in."""

    load: tuple[int, ...]
    case: int


def shuffle_through_buffer(shards: Sequence[Indices], rng: np.random.Generator) -> Iterator[Draw]:
    """Shuffle cases while only SHARDS_AT_ONCE shards are in memory, each read once and whole.

    The shards come in random order, one more whenever the buffer has room for all of it; every draw takes any
    case of the buffer.
    """
    waiting = [int(s) for s in rng.permutation(len(shards))]
    buffer: list[int] = []
    capacity = SHARDS_AT_ONCE * max(map(len, shards))
    while buffer or waiting:
        load = []
        while waiting and len(buffer) + len(shards[waiting[0]]) <= capacity:
            load.append(waiting.pop(0))
            buffer.extend(int(i) for i in shards[load[-1]])
        at = int(rng.integers(len(buffer)))
        buffer[at], buffer[-1] = buffer[-1], buffer[at]
        yield Draw(tuple(load), buffer.pop())


def draws_of_epoch(shards: Sequence[Indices], seed: int, epoch: int) -> Iterator[Draw]:
    """Order the cases of an epoch, in the one way that both feeds serve them."""
    return shuffle_through_buffer(shards, np.random.default_rng([seed, epoch]))


class ResidentFeed:
    """The whole set on the device; an epoch is a permutation of it, and a batch costs one gather."""

    def __init__(self, cases: Cases, shards: Sequence[Indices]) -> None:
        self.cases, self.shards = cases, shards
        self.n_cases = len(cases.index)
        self.place = {int(case): place for place, case in enumerate(np.concatenate(list(shards)))}
        mebibytes = (cases.kspace.nbytes + cases.labels.nbytes) / 2**20
        self.summary = (
            f"{self.n_cases} cases, {mebibytes:.0f} MiB, all in the memory of {cases.kspace.device}"
        )

    def n_steps(self, batch_size: int, world: int = 1) -> int:
        """See `Feed.n_steps`."""
        return n_steps(self.n_cases, batch_size, world)

    def epoch(
        self, batch_size: int, *, seed: int, epoch: int, first: int = 0, rank: int = 0, world: int = 1
    ) -> Iterator[Cases]:
        """See `Feed.epoch`."""
        order = [self.place[draw.case] for draw in draws_of_epoch(self.shards, seed, epoch)]
        mine = torch.tensor(order[rank::world], device=self.cases.index.device)
        for step in range(first, self.n_steps(batch_size, world)):
            yield self.cases[mine[step * batch_size : (step + 1) * batch_size]]


class StreamedFeed:
    """Whole shards, read by a thread ahead of the training and shuffled in a buffer.

    Every device reads all shards and trains on its own part of the cases.
    """

    def __init__(
        self, read: Callable[[Indices], Cases], shards: Sequence[Indices], device: torch.device, path: str
    ) -> None:
        self.read, self.shards, self.device = read, shards, device
        self.n_cases = sum(map(len, shards))
        self.summary = f"{self.n_cases} cases, streamed from {path} to {device}"

    def n_steps(self, batch_size: int, world: int = 1) -> int:
        """See `Feed.n_steps`."""
        return n_steps(self.n_cases, batch_size, world)

    def epoch(
        self, batch_size: int, *, seed: int, epoch: int, first: int = 0, rank: int = 0, world: int = 1
    ) -> Iterator[Cases]:
        """See `Feed.epoch`."""
        draws = draws_of_epoch(self.shards, seed, epoch)
        n_mine = min(self.n_steps(batch_size, world) * batch_size, len(range(rank, self.n_cases, world)))
        wanted = range(rank + first * batch_size * world, rank + n_mine * world, world)
        for batch in read_ahead(self._batches(draws, wanted, batch_size), BATCHES_AHEAD):
            yield batch.to(self.device)

    def _batches(self, draws: Iterator[Draw], wanted: range, batch_size: int) -> Iterator[Cases]:
        """Yield the draws at the places `wanted` of the epoch, in batches."""
        held: dict[int, Cases] = {}  # the buffer: case -> its data
        batch: list[Cases] = []
        for place, draw in enumerate(draws):
            for shard in draw.load:
                held |= self._held(self.shards[shard])
            case = held.pop(draw.case)
            if place in wanted:
                batch.append(case)
            if len(batch) == batch_size or (batch and place == wanted[-1]):
                yield self._joined(batch)
                batch = []

    def _held(self, indices: Indices) -> dict[int, Cases]:
        cases = self.read(indices)
        # indexed by a tensor: a copy, which does not keep the whole shard in memory
        return {int(case): cases[torch.tensor([i])] for i, case in enumerate(indices)}

    def _joined(self, batch: list[Cases]) -> Cases:
        joined = Cases(
            torch.cat([c.kspace for c in batch], dim=1),
            torch.cat([c.labels for c in batch]),
            torch.cat([c.index for c in batch]),
        )
        return joined.pinned() if self.device.type == "cuda" else joined


def read_ahead(batches: Iterator[Cases], n_ahead: int) -> Iterator[Cases]:
    """Run an iterator in a thread, `n_ahead` items ahead; its errors come out here, and leaving stops it."""
    ready: queue.Queue[Cases | BaseException | None] = queue.Queue(maxsize=n_ahead)
    stop = threading.Event()

    def put(item: Cases | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for batch in batches:
                if not put(batch):
                    return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=work, name="segnets-read-ahead", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
