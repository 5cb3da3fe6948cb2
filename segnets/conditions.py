"""Under which conditions a run is evaluated or applied: data, noise, sampling, and whether it may be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mrsim.store import Store
from segnets.config import CONTROLS, DEVICES, PHASES, RunConfig, check, check_choice
from segnets.data import (
    Batch,
    DataError,
    Pattern,
    Reading,
    data_hash,
    image_shape,
    known_contrasts,
    phantom_of,
    split_indices,
)
from segnets.models import model_class
from segnets.patterns import read_pattern, share
from segnets.undersampling import Conditions, evaluation_batch

WHICH = ("last", "best")
LINES, MASK, OWN = (
    "lines",
    "mask",
    "own",
)  # lines by slice, one mask for all, the network's


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateConfig:
    """What a run is evaluated on; the defaults are what it was trained with."""

    data: str = ""  # store, "" = the one that the network was trained on
    split: str = "test"
    noise: float | None = None  # share of the RMS of the noiseless k-space; None = the training's first
    rate: float | None = None  # share of phase-encode lines that is kept; None = the training's first
    lines: int | None = None  # or their number, of a series in every frame
    phase: str | None = None  # that the images get for their own; None = the training's
    mask: str = ""  # file or run whose pattern all slices get instead; "" = as the training
    inu: float | None = None  # level of the intensity non-uniformity; None = the training's
    which: str = "last"  # checkpoint
    pooled: bool = False  # HD95 over both directed sets together
    allow_seen: bool = False  # also subjects that the network was trained on
    control: str = "none"  # what answers in place of the network, segnets.controls
    batch_size: int = 12  # slices at a time; filled in: of series so many that their frames are no more
    device: str = "auto"
    contrast: tuple[str, ...] = ()  # filled in: the training's, as are the next three
    crop: tuple[int, ...] = ()
    density: str = ""
    center_from: int = 0
    sampling: str = ""  # filled in: LINES, MASK or OWN

    def __post_init__(self) -> None:
        check_choice("which", self.which, WHICH)
        check_choice("device", self.device, DEVICES)
        check_choice("control", self.control, CONTROLS)
        check(self.noise is None or 0 <= self.noise < math.inf, "noise", "be >= 0", self.noise)
        check(self.rate is None or 0 < self.rate <= 1, "rate", "lie in (0, 1]", self.rate)
        check(self.lines is None or self.lines >= 1, "lines", "be at least 1", self.lines)
        one = self.rate is None or self.lines is None or bool(self.sampling)
        check(one, "rate", "be left out where lines are given", self.rate)
        if self.phase is not None:
            check_choice("phase", self.phase, PHASES)
        check(self.inu is None or 0 <= self.inu < 2, "inu", "lie in [0, 2)", self.inu)
        check(self.batch_size >= 1, "batch_size", "be at least 1", self.batch_size)

    def for_run(self, run: RunConfig, source: str | Path) -> EvaluateConfig:
        """Fill in from the run at `source` what was left open; `rate` becomes what is really sampled.

        DataError where a network with its own pattern is to sample otherwise, and for too many lines.
        """
        train = run.train
        chosen = self.rate is not None or self.lines is not None
        mask = self.mask or (str(source) if run.mask and not chosen else "")
        wanted = rate = self.rate
        if self.lines is not None:
            n_ky = run.shape[0]
            if self.lines > n_ky:
                raise DataError(
                    f"lines must be at most the {n_ky} that {source} was trained on, got {self.lines}"
                )
            wanted = rate = self.lines / n_ky
        sampling = MASK if mask else LINES
        if model_class(train.model).configure(train.options).samples_itself:
            sampling, rate = OWN, float(train.options["rate"])
            if mask or wanted not in (None, rate):
                other = f"mask {mask}" if mask else f"rate {wanted:g}"
                raise DataError(f"{source} samples {rate:.3g} of k-space by its own pattern, got {other}")
        elif mask:
            rate = share(read_pattern(mask))
        return replace(
            self,
            data=self.data or train.data,
            noise=train.noise[0] if self.noise is None else self.noise,
            inu=train.inu if self.inu is None else self.inu,
            rate=train.rate[0] if rate is None else rate,
            mask=mask,
            batch_size=max(1, self.batch_size // max(1, run.n_frames)),
            phase=train.phase if self.phase is None else self.phase,
            contrast=train.contrast,
            crop=train.crop,
            density=train.density,
            center_from=train.center_from,
            sampling=sampling,
        )

    @property
    def reading(self) -> Reading:
        """How cases are read."""
        return Reading(inu=self.inu or 0.0, contrast=self.contrast, crop=self.crop)

    def conditions(self, shape: tuple[int, int], n_center: int, trial: int = 0) -> Conditions:
        """Say what cases with images of `shape` are measured under; nothing may be left open.

        n_center : central lines that are always kept
        trial : of series, another draw of masks than that of the tables
        """
        return Conditions(
            rate=self.rate or 1.0,
            noise=self.noise or 0.0,
            n_center=n_center,
            center_from=self.center_from,
            density=self.density or "gaussian",
            pattern=self.pattern(shape),
            phase=self.phase or "none",
            trial=trial,
            **asdict(self.reading),
        )

    @property
    def words(self) -> str:
        """Say noise and sampling in words."""
        rate = f"{100 * (self.rate or 1):.4g} %"
        sampled = {
            MASK: f"{rate} of k-space under the mask of {Path(self.mask).name}",
            OWN: f"{rate} of k-space in a pattern of its own",
        }.get(self.sampling, f"{rate} of the lines")
        inu = f", non-uniformity {100 * self.inu:g} %" if self.inu else ""
        return f"noise {100 * (self.noise or 0):g} %{inu}, {sampled}"

    def draws(self, n_center: int) -> str:
        """Say in words how lines and phases are drawn, of which the rate says nothing."""
        phase = f"phase {self.phase}"
        if self.sampling != LINES or self.rate == 1:
            return phase
        centre = f"{n_center} central" + (f" from {self.center_from} on" if self.center_from else "")
        return f"{self.density} lines, {centre}, {phase}"

    def pattern(self, shape: tuple[int, int]) -> Pattern | None:
        """Return the one mask of all slices of a store, (ky, kx) or (ky, 1); None where lines are drawn.

        A network that samples by itself is given all of k-space.
        """
        ny, nx = (min(n, m) for n, m in zip(shape, self.crop or shape, strict=True))
        if self.sampling == OWN:
            return np.ones((ny, 1), np.float32)
        return read_pattern(self.mask, (ny, nx)) if self.sampling == MASK else None


def pick_device(name: str) -> torch.device:
    """Resolve "auto" to the GPU where there is one; ValueError for a GPU that is not there."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device must be one that this machine has, got cuda but no CUDA device was found")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def check_fit(source: str | Path, run: RunConfig, store: Store, config: EvaluateConfig) -> None:
    """Raise DataError where the network, the store and the conditions do not fit each other."""
    if tuple(store.class_names) != tuple(run.class_names):
        raise DataError(
            f"{source} tells apart {', '.join(run.class_names)}, "
            f"but {store.path} holds {', '.join(store.class_names)}"
        )
    if len(known_contrasts(store, config.contrast)) != len(config.contrast):
        raise DataError(
            f"{source} reads one contrast, but {store.path} holds {', '.join(store.contrasts)}: "
            "train it on one of them with --contrast"
        )
    if bool(run.n_frames) != bool(store.n_frames):
        kinds = {False: "still images", True: "series of frames"}
        raise DataError(
            f"{source} was trained on {kinds[bool(run.n_frames)]}, "
            f"but {store.path} holds {kinds[bool(store.n_frames)]}"
        )
    check_grid(source, run, store, config)
    if config.sampling == LINES:
        try:
            conditions = config.conditions(store.shape, run.train.n_center)
            conditions.lines(image_shape(store, config.crop)[0]).count(conditions.rate)
        except ValueError as error:
            raise DataError(str(error)) from None


def check_grid(source: str | Path, run: RunConfig, store: Store, config: EvaluateConfig) -> None:
    """Raise DataError for another grid than the training's where network or lines hang on it."""
    here, there = (store.n_frames, *image_shape(store, config.crop)), (run.n_frames, *run.shape)
    network = model_class(run.train.model)
    own_pattern = network.configure(run.train.options).samples_itself
    first = 3 - max(network.fixed_axes, 2 * own_pattern)
    if here[first:] != there[first:]:
        wanted, got = (" x ".join(map(str, grid[first:])) for grid in (there, here))
        axes = ("frames x ky x kx", "ky x kx")[first]
        raise DataError(
            f"{source} answers on the grid alone that it was trained on, {wanted} ({axes}), "
            f"but {store.path} has {got}"
        )
    if config.lines is not None and here[1] != there[1]:
        raise DataError(
            f"lines must be given as a rate where images have another size than those of {source}: "
            f"{store.path} has {here[1]} phase encodes, not {there[1]}, so {config.lines} lines are a "
            f"rate of {config.lines / here[1]:.4g}"
        )


def seen_subjects(run: RunConfig, store: Store, split: str) -> tuple[int, ...]:
    """Subjects of a split that the run was trained on, as far as run and store can tell.

    None for the training split, which is asked for by name; and of its own training none in the store of
    that, which divides its cases as it does. What its first weights were trained on counts as well.
    """
    phantom = phantom_of(store)
    if split == "train" or not phantom:
        return ()
    train = store.indices("train")
    same = train.size and data_hash(store, train[: run.train.n_cases or len(train)]) == run.data_hash
    seen = run.before if same else run.seen()
    subjects = store.coords["subject"][split_indices(store, split)]
    return tuple(sorted({int(subject) for subject in subjects} & set(seen.get(phantom, ()))))


def check_unseen(source: str | Path, seen: Sequence[int], config: EvaluateConfig) -> None:
    """Raise DataError where the network has been trained on subjects that it is to be tested on."""
    if seen and not config.allow_seen:
        raise DataError(
            f"{source} was trained on subjects {', '.join(map(str, seen))} of the {config.split} split of "
            f"{config.data}; evaluate it on others, or say --allow-seen"
        )


def batch_of(
    store: Store,
    index: NDArray[np.int64],
    config: EvaluateConfig,
    n_center: int,
    device: torch.device,
    trial: int = 0,
) -> Batch:
    """Any cases of a store under the conditions of `config`; `n_center` and `trial` as there."""
    return evaluation_batch(store, index, config.conditions(store.shape, n_center, trial), device)
