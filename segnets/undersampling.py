"""Fully sampled cases -> batches: fresh draws for training, for evaluation the same ones whenever it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mrsim.store import Store
from segnets.augment import Affine
from segnets.data import (
    Batch,
    Cases,
    Indices,
    Pattern,
    Reading,
    as_store,
    image_shape,
    levels_to_read,
    read_cases,
    split_indices,
    undersample,
)
from segnets.masks import Lines, as_mask, of_samples
from segnets.phase import draw_phase, fixed_phase, with_phase


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Conditions(Reading):
    """How cases are read, and the noise, mask and phase that each of them always gets.

    They are the same for all models, on every machine.

    rate, n_center, center_from, density : see `Lines`
    pattern : one mask for all slices and frames, instead of lines at `rate`
    phase : that the images get for their own, see `segnets.phase`
    trial : of series, another draw of masks than that of the tables
    """

    rate: float = 0.30
    noise: float = 0.10
    n_center: int = 16
    center_from: int = 0
    density: str = "gaussian"
    pattern: Pattern | None = None
    phase: str = "none"
    trial: int = 0

    def lines(self, n_ky: int) -> Lines:
        """How lines are drawn where there is no pattern."""
        return Lines(n_ky=n_ky, n_center=self.n_center, center_from=self.center_from, density=self.density)


def evaluation_batches(
    store: str | Store,
    split: str,
    conditions: Conditions,
    *,
    batch_size: int = 12,
    device: torch.device | str = "cpu",
) -> Iterator[Batch]:
    """Yield every case of a split, in the order of the store. Errors are those of `evaluation_batch`."""
    store = as_store(store)
    indices = split_indices(store, split)
    for first in range(0, len(indices), batch_size):
        yield evaluation_batch(store, indices[first : first + batch_size], conditions, device)


def evaluation_batch(
    store: Store, indices: Indices, conditions: Conditions, device: torch.device | str = "cpu"
) -> Batch:
    """Any cases of a store under fixed conditions.

    Errors: StoreError or DataError, one sentence; ValueError for a rate that keeps less than `n_center`.
    """
    c = conditions
    cases = read_cases(store, indices, levels_to_read((c.noise,), None, c.phase), c)
    subjects, slices = store.coords["subject"][indices], store.coords["slice"][indices]
    shape = image_shape(store, c.crop)
    if c.pattern is None:
        lines = c.lines(shape[0])
        mask = lines.fixed(subjects, slices, c.rate, n_frames=cases.n_frames, trial=c.trial)
    else:
        mask = of_samples(as_mask(c.pattern), len(indices), cases.n_frames)
    cases, mask = cases.to(device), mask.to(device)
    kspace = cases.kspace[-1]
    if c.phase != "none":
        still = cases.kspace[0]
        drawn = fixed_phase(c.phase, subjects, slices, (max(1, cases.n_frames), *shape))
        kspace = with_phase(still, drawn.to(device)) + (kspace - still)
    return undersample(kspace, mask, cases.labels, cases.index)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Undersampling:
    """Draws for every sample anew its noise, movement, phase, rate and masks, on the device of the cases.

    lines : how they are drawn
    pattern : (1, 1, ky, 1 or kx) one mask for all samples, on the device of the cases; None = lines
    kept : samples that the pattern keeps, where that is known
    affine : how slices move, None = they stay; noise is added after that, so it stays white
    phase : that the images get for their own before the noise, see `segnets.phase`
    clean : whether the first level of the cases is no level to draw, but the noise-free slices that move
    window : so many successive frames of a series are left in the end, from a random one on, the beat being a
        circle; 0 = all
    """

    rate: tuple[float, ...]
    lines: Lines
    pattern: Tensor | None = None
    kept: int | None = None
    affine: Affine | None = None
    clean: bool = False
    phase: str = "none"
    window: int = 0

    def __post_init__(self) -> None:
        for rate in self.rate if self.pattern is None else ():
            self.lines.count(rate)

    def draw(self, cases: Cases, generator: torch.Generator) -> Batch:
        """Undersample `cases` with draws from `generator`, which lives on their device."""
        device = cases.kspace.device
        n_levels, n = len(cases.kspace) - self.clean, cases.kspace.shape[1]
        level = torch.randint(n_levels, (n,), generator=generator, device=device) + int(self.clean)
        kspace, labels = cases.kspace[level, torch.arange(n, device=device)], cases.labels
        still = changed = cases.kspace[0] if self.clean else kspace
        if self.affine is not None:
            changed, labels = self.affine.move(changed, labels, generator)
        if self.phase != "none":
            shape = (max(1, cases.n_frames), kspace.shape[-2], kspace.shape[-1])
            changed = with_phase(changed, draw_phase(self.phase, n, shape, generator))
        if changed is not still:
            kspace = changed + (kspace - still)
        mask, samples = self._masks(n, cases.n_frames, kspace.shape[-1], generator)
        batch = undersample(kspace, mask, labels, cases.index, samples)
        return window_of(batch, self.window, generator) if self.window else batch

    def _masks(
        self, n: int, n_frames: int, n_kx: int, generator: torch.Generator
    ) -> tuple[Tensor, tuple[int, int] | None]:
        """Return the masks of n samples, and how many samples they keep where the host knows."""
        per_line = n_kx * max(1, n_frames)
        if self.pattern is not None:
            kept = None if self.kept is None else self.kept * max(1, n_frames)
            return of_samples(self.pattern, n, n_frames), None if kept is None else (kept, kept)
        counts = [self.lines.count(rate) for rate in self.rate]
        which = torch.randint(len(counts), (n,), generator=generator, device=generator.device)
        mask = self.lines.draw(_pick(counts, which), generator, n_frames=n_frames)
        return mask, (min(counts) * per_line, max(counts) * per_line)


def window_of(batch: Batch, n_frames: int, generator: torch.Generator) -> Batch:
    """Cut `n_frames` successive frames out of every series, from a random one on, around the beat."""
    n, whole = len(batch.labels), batch.labels.shape[1]
    first = torch.randint(whole, (n, 1), generator=generator, device=generator.device)
    frames = (first + torch.arange(n_frames, device=first.device)) % whole  # (batch, frame)
    rows = torch.arange(n, device=first.device)[:, None]

    def cut(series: Tensor) -> Tensor:
        return series.movedim(2, 1)[rows, frames].movedim(1, 2)  # (batch, channel, frame, ...)

    samples = None
    if batch.samples is not None:
        samples = (batch.samples[0] // whole * n_frames, batch.samples[1] // whole * n_frames)
    return replace(
        batch,
        kspace=cut(batch.kspace),
        mask=cut(batch.mask),
        labels=batch.labels[rows, frames],
        image=cut(batch.image),
        samples=samples,
    )


def _pick(values: Sequence[int], which: Tensor) -> Tensor:
    """Return values[which] without a copy from the host, which would wait for the device."""
    out = torch.zeros_like(which)
    for i, value in enumerate(values):
        out = out.masked_fill(which == i, value)
    return out
