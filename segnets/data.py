"""Stored cases -> batches on the device: noise by level, masks by sample, scaled by what was measured.

Several coils become one virtual coil first: the images of the coils, combined with the stored sensitivities
(least squares), are transformed back, and that k-space is what is undersampled. Several contrasts of a slice
are sampled under one mask, and each has a scale of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrsim.store import SPLITS, Case, Store, open_store
from mrsim.store.case import centred_fft2, centred_ifft2, combine_coils
from segnets.augment import Affine
from segnets.blocks import fourier
from segnets.config import check_choice
from segnets.masks import as_mask, count_lines, draw_lines, fixed_lines

Indices = NDArray[np.int64]
Pattern = NDArray[np.float32]  # (ky, kx) {0, 1}


class DataError(Exception):
    """A store that cannot serve; the message is one sentence for the user."""


@dataclass(frozen=True, eq=False, slots=True)
class Cases:
    """Fully sampled noisy cases, one realisation of the noise per level, before any mask.

    kspace : (level, batch, [contrast,] ky, kx) complex64, one (virtual) coil
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

    kspace : (batch, 2 * contrast, ky, kx) float32 measured samples / scale, zero where not sampled
    mask : (batch, 1, ky, 1 or kx) float32, 1 = sampled
    labels : (batch, y, x) int64 oracle classes
    image : (batch, 2 * contrast, y, x) float32 fully sampled image, with its noise, / scale
    scale : (batch, contrast) float32 largest magnitude of the zero-filled image: known from the measurement
    index : (batch,) int64 case of the store
    samples : fewest and most samples that a mask may keep, where the host knows without asking the device
    """

    kspace: Tensor
    mask: Tensor
    labels: Tensor
    image: Tensor
    scale: Tensor
    index: Tensor
    samples: tuple[int, int] | None = None


def undersample(
    kspace: Tensor, mask: Tensor, labels: Tensor, index: Tensor, samples: tuple[int, int] | None = None
) -> Batch:
    """Keep the samples under the mask and divide by max |x_zf|.

    kspace : (batch, [contrast,] ky, kx) complex64, fully sampled
    mask : (batch, 1, ky, 1 or kx)
    samples : see `Batch`
    """
    full = kspace[:, None] if kspace.ndim == 3 else kspace  # (batch, contrast, ky, kx)
    measured = full * mask
    peak = fourier.centred_ifft2(measured).abs().amax(dim=(2, 3))
    scale = peak.clamp_min(torch.finfo(torch.float32).tiny)  # an empty slice stays empty
    by = scale[:, :, None, None]
    image = fourier.centred_ifft2(full)
    return Batch(_channels(measured / by), mask, labels.long(), _channels(image / by), scale, index, samples)


def _channels(values: Tensor) -> Tensor:
    """(batch, contrast, y, x) complex -> (batch, 2 * contrast, y, x), real and imaginary part in turn."""
    return torch.view_as_real(values).movedim(-1, 2).flatten(1, 2).contiguous()


def read_cases(
    store: Store,
    indices: Sequence[int] | Indices,
    noise: Sequence[float],
    *,
    inu: float = 0.0,
    contrast: Sequence[str] = (),
) -> Cases:
    """Read cases in bulk, with the noise that each level draws for them, and combine their coils.

    inu : level of the intensity non-uniformity, before the noise
    contrast : those wanted, () = all; DataError for one that the store has not
    """
    wanted = np.asarray(indices, dtype=np.int64)
    names = known_contrasts(store, contrast)
    if store.n_coils > 1 and "csm" not in store.maps:
        raise DataError(
            f"{store.path} has {store.n_coils} coils but no sensitivities (csm) to combine them with"
        )
    cases = store.cases(wanted, maps=("csm", "inu", "affine") if inu else ("csm",))
    kspace = np.stack([[_kspace(case.biased(inu), level, names) for case in cases] for level in noise])
    labels = np.stack([case.labels for case in cases])
    return Cases(torch.from_numpy(kspace), torch.from_numpy(labels), torch.from_numpy(wanted))


def known_contrasts(store: Store, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the contrasts `wanted` of the store, () = all; DataError for one that it has not."""
    for name in wanted:
        if name not in store.contrasts:
            has = ", ".join(store.contrasts) or "a single one without a name"
            raise DataError(f"{store.path} has no contrast {name!r} (it has: {has})")
    return tuple(wanted) or store.contrasts


def _kspace(case: Case, level: float, contrasts: Sequence[str]) -> NDArray[np.complex64]:
    """([contrast,] ky, kx) of a case with its noise."""
    if contrasts:
        return np.stack([_virtual_coil(case.contrast(name), level) for name in contrasts])
    return _virtual_coil(case, level)


def _virtual_coil(case: Case, level: float) -> NDArray[np.complex64]:
    kspace = case.noisy(level) if level else case.kspace
    if len(kspace) == 1:
        return np.asarray(kspace[0])
    return centred_fft2(combine_coils(centred_ifft2(kspace), case.csm))


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


def phantom_of(store: Store) -> str:
    """Name whose subjects the numbers of a store count; "" where the store cannot tell."""
    source = str(store.attrs.get("recipe", {}).get("phantom", {}).get("source", ""))
    return "" if source == "nifti" else source  # any folder of label maps has a subject 1


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
    pattern: Pattern | None = None,
    inu: float = 0.0,
    contrast: Sequence[str] = (),
    batch_size: int = 12,
    device: torch.device | str = "cpu",
) -> Iterator[Batch]:
    """Yield every case of a split in the order of the store, with its noise and its fixed mask.

    They are the same for all models, on every machine.

    pattern : one mask for all slices, instead of lines at `rate`
    inu, contrast : see `read_cases`
    Errors: StoreError or DataError, one sentence; ValueError for a rate that keeps less than `n_center`.
    """
    store = as_store(store)
    indices = split_indices(store, split)
    for first in range(0, len(indices), batch_size):
        some = indices[first : first + batch_size]
        cases = read_cases(store, some, (noise,), inu=inu, contrast=contrast).to(device)
        mask = evaluation_masks(store, some, rate, n_center, pattern).to(device)
        yield undersample(cases.kspace[0], mask, cases.labels, cases.index)


def evaluation_masks(
    store: Store, indices: Indices, rate: float, n_center: int, pattern: Pattern | None
) -> Tensor:
    """Return the masks that these cases are tested with, (batch, 1, ky, 1 or kx) float32 on the CPU."""
    if pattern is not None:
        return as_mask(pattern).expand(len(indices), -1, -1, -1)
    subjects, slices = store.coords["subject"][indices], store.coords["slice"][indices]
    return fixed_lines(subjects, slices, rate, store.shape[0], n_center)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Undersampling:
    """Draws for every sample anew its noise level, movement, rate and mask, on the device of the cases.

    pattern : (1, 1, ky, 1 or kx) one mask for all samples, on the device of the cases; None = lines
    kept : samples that the pattern keeps, where that is known
    affine : how slices move, None = they stay; noise is added after that, so it stays white
    clean : whether the first level of the cases is no level to draw, but the noise-free slices that move
    """

    rate: tuple[float, ...]
    n_center: int
    n_ky: int
    pattern: Tensor | None = None
    kept: int | None = None
    affine: Affine | None = None
    clean: bool = False

    def __post_init__(self) -> None:
        for rate in self.rate if self.pattern is None else ():
            count_lines(rate, self.n_ky, self.n_center)

    def draw(self, cases: Cases, generator: torch.Generator) -> Batch:
        """Undersample `cases` with draws from `generator`, which lives on their device."""
        device = cases.kspace.device
        n_levels, n = len(cases.kspace) - self.clean, cases.kspace.shape[1]
        level = torch.randint(n_levels, (n,), generator=generator, device=device) + int(self.clean)
        kspace, labels = cases.kspace[level, torch.arange(n, device=device)], cases.labels
        if self.affine is not None:
            still = cases.kspace[0] if self.clean else kspace
            moved, labels = self.affine.move(still, labels, generator)
            kspace = moved + (kspace - still)
        mask, samples = self._masks(n, kspace.shape[-1], generator)
        return undersample(kspace, mask, labels, cases.index, samples)

    def _masks(self, n: int, n_kx: int, generator: torch.Generator) -> tuple[Tensor, tuple[int, int] | None]:
        """Return the masks of n samples, and how many samples they keep where the host knows."""
        if self.pattern is not None:
            return self.pattern.expand(n, -1, -1, -1), None if self.kept is None else (self.kept, self.kept)
        counts = [count_lines(rate, self.n_ky, self.n_center) for rate in self.rate]
        which = torch.randint(len(counts), (n,), generator=generator, device=generator.device)
        lines = draw_lines(_pick(counts, which), self.n_ky, self.n_center, generator)
        return lines, (min(counts) * n_kx, max(counts) * n_kx)


def levels_to_read(noise: tuple[float, ...], affine: Affine | None) -> tuple[float, ...]:
    """Noise levels that training on `noise` needs of every case: to move it, also the one without noise."""
    return (0.0, *noise) if affine is not None and any(noise) else noise


def _pick(values: Sequence[int], which: Tensor) -> Tensor:
    """Return values[which] without a copy from the host, which would wait for the device."""
    out = torch.zeros_like(which)
    for i, value in enumerate(values):
        out = out.masked_fill(which == i, value)
    return out
