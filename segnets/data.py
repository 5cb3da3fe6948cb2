"""Stored cases -> what networks see: noise by level, coils combined, scaled by what was measured.

Several coils become one virtual coil first: the images of the coils, combined with the stored sensitivities
(least squares), are transformed back, and that k-space is what is undersampled. Several contrasts of a slice
are sampled under one mask, and each has a scale of its own. The frames of a cine are a series: one noise
level, movement, phase and number of lines for all, a mask for each, and one scale.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrsim.store import SPLITS, Case, Store, open_store
from mrsim.store.case import centred_fft2, centred_ifft2, combine_coils
from segnets.augment import Affine
from segnets.blocks import fourier
from segnets.config import check_choice

Indices = NDArray[np.int64]
Pattern = NDArray[np.float32]  # (ky, kx) {0, 1}


class DataError(Exception):
    """A store that cannot serve; the message is one sentence for the user."""


@dataclass(frozen=True, eq=False, slots=True)
class Cases:
    """Fully sampled noisy cases, one realisation of the noise per level, before any mask.

    kspace : (level, batch, [contrast or frame,] ky, kx) complex64, one (virtual) coil
    labels : (batch, [frame,] y, x) uint8
    index : (batch,) int64 case of the store
    """

    kspace: Tensor
    labels: Tensor
    index: Tensor

    @property
    def n_frames(self) -> int:
        """Number of frames of a series; 0 of still images."""
        return self.labels.shape[1] if self.labels.ndim == 4 else 0

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

    kspace : (batch, 2 * contrast, [frame,] ky, kx) float32 measured samples / scale, zero where not sampled
    mask : (batch, 1, [frame,] ky, 1 or kx) float32, 1 = sampled
    labels : (batch, [frame,] y, x) int64 oracle classes
    image : (batch, 2 * contrast, [frame,] y, x) float32 fully sampled image, with its noise, / scale
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

    kspace : (batch, [contrast,] ky, kx) or (batch, frame, ky, kx) complex64, fully sampled
    mask : (batch, 1, ky, 1 or kx), of series (batch, 1, frame, ky, 1 or kx)
    samples : see `Batch`
    """
    full = kspace if kspace.ndim == mask.ndim == 4 else kspace[:, None]  # (batch, contrast, [frame,] ky, kx)
    measured = full * mask
    peak = fourier.centred_ifft2(measured).abs().flatten(2).amax(dim=2)
    scale = peak.clamp_min(torch.finfo(torch.float32).tiny)  # an empty slice stays empty
    by = scale.reshape(*scale.shape, *[1] * (mask.ndim - 2))
    image = fourier.centred_ifft2(full)
    return Batch(_channels(measured / by), mask, labels.long(), _channels(image / by), scale, index, samples)


def _channels(values: Tensor) -> Tensor:
    """(batch, contrast, ...) complex -> (batch, 2 * contrast, ...), real and imaginary part in turn."""
    return torch.view_as_real(values).movedim(-1, 2).flatten(1, 2).contiguous()


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Reading:
    """What is done to cases as they are read.

    inu : level of the intensity non-uniformity, before the noise
    contrast : those wanted, () = all
    crop : (y, x) [pixel] larger images are cut to this around pixel n // 2, after the noise; () = not
    """

    inu: float = 0.0
    contrast: tuple[str, ...] = ()
    crop: tuple[int, ...] = ()


AS_STORED = Reading()


def read_cases(
    store: Store, indices: Sequence[int] | Indices, noise: Sequence[float], how: Reading = AS_STORED
) -> Cases:
    """Read cases in bulk, with the noise that each level draws for them, and combine their coils.

    DataError for a contrast that the store has not.
    """
    wanted = np.asarray(indices, dtype=np.int64)
    names = known_contrasts(store, how.contrast)
    if store.n_coils > 1 and "csm" not in store.maps:
        raise DataError(
            f"{store.path} has {store.n_coils} coils but no sensitivities (csm) to combine them with"
        )
    cases = store.cases(wanted, maps=("csm", "inu", "affine") if how.inu else ("csm",))
    shape = image_shape(store, how.crop)
    kspace = np.stack(
        [[_kspace(case.biased(how.inu), level, names, shape) for case in cases] for level in noise]
    )
    labels = np.ascontiguousarray(np.stack([case.labels for case in cases])[middle(store.shape, shape)])
    return Cases(torch.from_numpy(kspace), torch.from_numpy(labels), torch.from_numpy(wanted))


def known_contrasts(store: Store, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the contrasts `wanted` of the store, () = all; DataError for one that it has not."""
    for name in wanted:
        if name not in store.contrasts:
            has = ", ".join(store.contrasts) or "a single one without a name"
            raise DataError(f"{store.path} has no contrast {name!r} (it has: {has})")
    return tuple(wanted) or store.contrasts


def image_shape(store: Store, crop: Sequence[int] = ()) -> tuple[int, int]:
    """(y, x) of the images of a store after `crop`, which leaves smaller ones as they are."""
    ny, nx = store.shape
    return (min(ny, crop[0]), min(nx, crop[1])) if crop else (ny, nx)


def middle(shape: tuple[int, int], inner: tuple[int, int]) -> tuple[Any, ...]:
    """Index of the `inner` pixels of the last two axes: pixel n // 2 stays that."""
    first = [n // 2 - m // 2 for n, m in zip(shape, inner, strict=True)]
    return (..., *(slice(f, f + m) for f, m in zip(first, inner, strict=True)))


def _kspace(
    case: Case, level: float, contrasts: Sequence[str], shape: tuple[int, int]
) -> NDArray[np.complex64]:
    """([contrast or frame,] ky, kx) of a case with its noise, of the middle `shape` of its image."""
    if contrasts:
        kspace = np.stack([_virtual_coil(case.contrast(name), level) for name in contrasts])
    else:
        kspace = _virtual_coil(case, level)
    whole = (kspace.shape[-2], kspace.shape[-1])
    return kspace if whole == shape else centred_fft2(centred_ifft2(kspace)[middle(whole, shape)])


def _virtual_coil(case: Case, level: float) -> NDArray[np.complex64]:
    kspace = case.noisy(level) if level else case.kspace  # ([frame,] coil, ky, kx)
    if kspace.shape[-3] == 1:
        return np.asarray(kspace[..., 0, :, :])
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


def levels_to_read(noise: tuple[float, ...], affine: Affine | None, phase: str = "none") -> tuple[float, ...]:
    """Noise levels that training on `noise` needs of every case: to change it, also the one without noise."""
    return (0.0, *noise) if (affine is not None or phase != "none") and any(noise) else noise
