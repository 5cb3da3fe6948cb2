"""Stored cases -> batches on the device: noise by level, masks by sample, scaled by what was measured.

Several coils become one virtual coil first: the images of the coils, combined with the stored sensitivities
(least squares), are transformed back, and that k-space is what is undersampled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrsim.store import SPLITS, Case, Store, open_store
from mrsim.store.case import centred_ifft2, combine_coils
from segnets.blocks.fourier import as_channels, centred_fft2, to_image
from segnets.config import check_choice
from segnets.masks import count_lines, draw_lines, fixed_lines

Indices = NDArray[np.int64]


class DataError(Exception):
    """A store that cannot serve; the message is one sentence for the user."""


@dataclass(frozen=True, eq=False, slots=True)
class Cases:
    """Fully sampled noisy cases, one realisation of the noise per level, before any mask.

    kspace : (level, batch, ky, kx) complex64, one (virtual) coil
    labels : (batch, y, x) uint8
    index : (batch,) int64 case of the store
    """

    kspace: Tensor
    labels: Tensor
    index: Tensor

    def __getitem__(self, where: Tensor | slice) -> Cases:
        """Take some of the cases."""
        return Cases(self.kspace[:, where], self.labels[where], self.index[where])

    def to(self, device: torch.device | str) -> Cases:
        """Move to `device`, without waiting where the memory is pinned."""
        return Cases(*(t.to(device, non_blocking=True) for t in (self.kspace, self.labels, self.index)))

    def pinned(self) -> Cases:
        """Copy into memory that a GPU can fetch from by itself."""
        return Cases(self.kspace.pin_memory(), self.labels.pin_memory(), self.index.pin_memory())


@dataclass(frozen=True, eq=False, slots=True)
class Batch:
    """What a network trains on and is judged by, on the device.

    kspace : (batch, 2, ky, kx) float32 measured samples / scale, zero where not sampled
    mask : (batch, 1, ky, 1) float32, 1 = sampled
    labels : (batch, y, x) int64 oracle classes
    image : (batch, 2, y, x) float32 fully sampled image, with its noise, / scale
    scale : (batch,) float32 largest magnitude of the zero-filled image: known from the measurement alone
    index : (batch,) int64 case of the store
    """

    kspace: Tensor
    mask: Tensor
    labels: Tensor
    image: Tensor
    scale: Tensor
    index: Tensor


def undersample(kspace: Tensor, mask: Tensor, labels: Tensor, index: Tensor) -> Batch:
    """Keep the samples under the mask and divide by max |x_zf|.

    kspace : (batch, ky, kx) complex64, fully sampled
    """
    full = as_channels(kspace)
    measured = full * mask
    magnitude = to_image(measured).square().sum(dim=1).sqrt()
    scale = magnitude.amax(dim=(1, 2)).clamp_min(
        torch.finfo(torch.float32).tiny
    )  # an empty slice stays empty
    by = scale[:, None, None, None]
    return Batch(measured / by, mask, labels.long(), to_image(full) / by, scale, index)


def read_cases(store: Store, indices: Sequence[int] | Indices, noise: Sequence[float]) -> Cases:
    """Read cases in bulk, with the noise that each level draws for them, and combine their coils."""
    wanted = np.asarray(indices, dtype=np.int64)
    kspace, labels = store.kspace(wanted), store.labels(wanted)
    maps = _sensitivities(store, wanted)
    out = np.empty((len(noise), len(wanted), *store.shape), np.complex64)
    for i, index in enumerate(wanted):
        case = Case(
            index=int(index),
            kspace=kspace[i],
            labels=labels[i],
            tissue=labels[i],
            csm=maps[i],
            seed=store.seed,
            baked_noise=store.baked_noise,
        )
        for j, level in enumerate(noise):
            out[j, i] = _virtual_coil(case, level)
    return Cases(torch.from_numpy(out), torch.from_numpy(labels), torch.from_numpy(wanted))


def _sensitivities(store: Store, indices: Indices) -> Sequence[NDArray[Any] | None]:
    if store.n_coils == 1:
        return [None] * len(indices)
    if "csm" not in store.maps:
        raise DataError(
            f"{store.path} has {store.n_coils} coils but no sensitivities (csm) to combine them with"
        )
    return list(store.read("csm", indices))


def _virtual_coil(case: Case, level: float) -> NDArray[np.complex64]:
    kspace = case.noisy(level) if level else case.kspace
    if len(kspace) == 1:
        return np.asarray(kspace[0])
    image = combine_coils(centred_ifft2(kspace), case.csm)
    return np.asarray(centred_fft2(torch.from_numpy(image)).numpy())


def as_store(store: str | Store) -> Store:
    """Open a path; StoreError with one sentence where that fails."""
    return store if isinstance(store, Store) else open_store(store)


def split_indices(store: Store, split: str) -> Indices:
    """Cases of a split; DataError where there are none."""
    check_choice("split", split, SPLITS)
    indices = store.indices(split)
    if indices.size == 0:
        has = ", ".join(name for name in SPLITS if store.indices(name).size) or "none"
        raise DataError(f"{store.path} has no {split} split (it has: {has})")
    return indices


def data_hash(store: Store, indices: Indices) -> str:
    """Fingerprint of the cases: of their places, and of the checksums of their content in the store."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(indices.astype("<i8").tobytes())
    digest.update(store.read("checksum", indices).astype("<u8").tobytes())
    return digest.hexdigest()


def evaluation_batches(
    store: str | Store,
    split: str = "test",
    *,
    rate: float = 0.30,
    noise: float = 0.10,
    n_center: int = 16,
    batch_size: int = 12,
    device: torch.device | str = "cpu",
) -> Iterator[Batch]:
    """Yield every case of a split in the order of the store, with its noise and its fixed mask.

    They are the same for all models, on every machine.

    Errors: StoreError or DataError, one sentence; ValueError for a rate that keeps less than `n_center`.
    """
    store = as_store(store)
    indices = split_indices(store, split)
    subjects, slices = store.coords["subject"], store.coords["slice"]
    for first in range(0, len(indices), batch_size):
        some = indices[first : first + batch_size]
        cases = read_cases(store, some, (noise,)).to(device)
        mask = fixed_lines(subjects[some], slices[some], rate, store.shape[0], n_center).to(device)
        yield undersample(cases.kspace[0], mask, cases.labels, cases.index)


@dataclass(frozen=True, kw_only=True, slots=True)
class Undersampling:
    """Draws for every sample anew its noise level, its rate and its mask, on the device of the cases."""

    rate: tuple[float, ...]
    n_center: int
    n_ky: int

    def __post_init__(self) -> None:
        for rate in self.rate:
            count_lines(rate, self.n_ky, self.n_center)

    def draw(self, cases: Cases, generator: torch.Generator) -> Batch:
        """Undersample `cases` with draws from `generator`, which lives on their device."""
        device = cases.kspace.device
        n_levels, n = cases.kspace.shape[:2]
        level = torch.randint(n_levels, (n,), generator=generator, device=device)
        counts = [count_lines(rate, self.n_ky, self.n_center) for rate in self.rate]
        which = torch.randint(len(counts), (n,), generator=generator, device=device)
        mask = draw_lines(_pick(counts, which), self.n_ky, self.n_center, generator)
        kspace = cases.kspace[level, torch.arange(n, device=device)]
        return undersample(kspace, mask, cases.labels, cases.index)


def _pick(values: Sequence[int], which: Tensor) -> Tensor:
    """Return values[which] without a copy from the host, which would wait for the device."""
    out = torch.zeros_like(which)
    for i, value in enumerate(values):
        out = out.masked_fill(which == i, value)
    return out
