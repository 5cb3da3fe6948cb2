"""A trained network and some hearts of a split: shapes and codes under many masks, answers to look at.

Table 2, Figures 3 and 4 of Schlemper et al. (experiments.md D3 to D5), Figure 2 of DiSK (E2). Each subject is
there with its middle slice; masks are those of `segnets evaluate` and further draws of the same kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrsim.store import Store, open_store
from segnets import metrics
from segnets.blocks.fourier import to_image
from segnets.cardiac import latents as codes_of
from segnets.cardiac import shapes
from segnets.cardiac.clinical import ED, LV, MYOCARDIUM, RV, end_systole, has_heart
from segnets.cardiac.time_average import time_average
from segnets.checkpoint import load_model
from segnets.conditions import EvaluateConfig, batch_of, check_fit, pick_device
from segnets.data import Batch, DataError, image_shape, split_indices
from segnets.evaluate import answer, magnitude
from segnets.models.base import SegmentationModel
from segnets.statistics import mean_interval
from segnets.tables import MM, interval_values

LINES = (1, 5, 10, 15, 20)  # per frame, of Figure 4
MOMENTS = ("ED", "ES")  # of a beat, that overlays show


@runtime_checkable
class HasCode(Protocol):
    """A network that has a latent code."""

    def latent(self, kspace: Tensor) -> Tensor:
        """(batch, 2, frame, ky, kx) -> (batch, ...) code."""


class Found(NamedTuple):
    """What an analysis says, for JSON, and what pictures are drawn from."""

    values: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Scans:
    """A network and the scans that it is asked about.

    index : (subject,) cases of the store
    """

    model: SegmentationModel
    store: Store
    config: EvaluateConfig  # nothing left open
    n_center: int
    index: NDArray[np.int64]

    @property
    def subjects(self) -> NDArray[np.int64]:
        """(subject,) their numbers."""
        return np.asarray(self.store.coords["subject"][self.index])

    def batches(self, trial: int) -> Iterator[Batch]:
        """Serve all scans under one draw of their masks."""
        device, size = next(self.model.parameters()).device, self.config.batch_size
        for first in range(0, len(self.index), size):
            some = self.index[first : first + size]
            yield batch_of(self.store, some, self.config, self.n_center, device, trial=trial)

    def end_diastole(self, trial: int) -> NDArray[np.uint8]:
        """(subject, y, x) answers for the frame of end-diastole."""
        found = [answer(self.model, batch, "the network")[1] for batch in self.batches(trial)]
        return np.concatenate([labels[:, ED] for labels in found if labels is not None])

    def codes(self, trial: int) -> NDArray[np.float32]:
        """(subject, feature) latent codes, long ones sketched."""
        if not isinstance(self.model, HasCode):
            name = type(self.model).__name__
            raise DataError(f"{name} has no latent code to look at: Syn-net and LI-net have one")
        with torch.inference_mode():
            found = [self.model.latent(batch.kspace) for batch in self.batches(trial)]
        return np.asarray(codes_of.sketch(torch.cat(found).flatten(1).float().cpu().numpy()))


def open_scans(run_dir: Path, config: EvaluateConfig, n_subjects: int | None = None) -> Scans:
    """Open a network and the middle slices of the first subjects of a split, None = of all.

    DataError where these are no hearts; else the errors of `evaluate`.
    """
    model, run = load_model(run_dir, config.which, pick_device(config.device))
    config = config.for_run(run, run_dir)
    store = open_store(config.data)
    check_fit(run_dir, run, store, config)
    if not store.n_frames or not has_heart(store.class_names):
        raise DataError(f"{store.path} holds no cines of the heart, whose shapes and codes are looked at")
    index = middle_slices(store, config.split)[:n_subjects]
    return Scans(model=model, store=store, config=config, n_center=run.train.n_center, index=index)


def middle_slices(store: Store, split: str) -> NDArray[np.int64]:
    """(subject,) case of the middle slice of every subject of a split."""
    indices = split_indices(store, split)
    owner = store.coords["subject"][indices]
    stacks = [indices[owner == subject] for subject in np.unique(owner)]
    return np.array([stack[len(stack) // 2] for stack in stacks])


def distances(
    run_dir: Path,
    config: EvaluateConfig,
    *,
    n_trials: int = 100,
    n_subjects: int = 100,
    centre: bool = False,
) -> Found:
    """Measure how far answers for a subject lie from their mean, and the subjects' means from one another.

    centre : shift every answer so that its left ventricle lies in the middle, so that subjects differ by
        shape, not by place
    values : within, between -> hd_mm, md_mm -> class -> interval over subjects, and `subjects`, one by one
    """
    scans = open_scans(run_dir, config, n_subjects)
    labels = np.stack([scans.end_diastole(trial) for trial in range(n_trials)])  # (trial, subject, y, x)
    names, spacing = scans.store.class_names, scans.store.pixel_spacing
    if centre:
        flat = shapes.centred(labels.reshape(-1, *labels.shape[2:]), names.index(LV))
        labels = flat.reshape(labels.shape).astype(np.uint8)
    values: dict[str, Any] = {
        "n_trials": n_trials,
        "n_subjects": len(scans.index),
        "centre": centre,
        "within": {"hd_mm": {}, "md_mm": {}, "empty": {}},
        "between": {"hd_mm": {}, "md_mm": {}, "empty": {}},
    }
    for name in (MYOCARDIUM, RV):
        masks = labels == names.index(name)
        each = [shapes.within_subject(masks[:, i], spacing) for i in range(len(scans.index))]
        within = shapes.Distances(
            hd=np.array([one.hd.mean() for one in each]),
            md=np.array([one.md.mean() for one in each]),
            empty=sum(one.empty for one in each),
        )
        between = shapes.between_subjects(masks.mean(axis=0), spacing)
        for kind, found in (("within", within), ("between", between)):
            values[kind]["hd_mm"][name] = _over_subjects(MM * found.hd)
            values[kind]["md_mm"][name] = _over_subjects(MM * found.md)
            values[kind]["empty"][name] = found.empty
    return Found(values, {"subject": scans.subjects, "average": _averages(labels, len(names))})


def _over_subjects(found: NDArray[np.float64]) -> dict[str, Any]:
    return {**interval_values(mean_interval(found)), "subjects": found.tolist()}


def _averages(labels: NDArray[np.uint8], n_classes: int) -> NDArray[np.float32]:
    """(subject, class, y, x) share of the trials (trial, subject, y, x) that answer a class."""
    return np.stack([(labels == c).mean(axis=0) for c in range(n_classes)], axis=1).astype(np.float32)


def latents(
    run_dir: Path,
    config: EvaluateConfig,
    *,
    n_trials: int = 50,
    n_subjects: int = 5,
    lines: Sequence[int] = LINES,
) -> Found:
    """Lay out the codes of some subjects under many masks, and say by what they cluster.

    values : the fields of `segnets.cardiac.latents.Spread` but for the places, which are arrays: pca, tsne
        (point, 2), subject, lines (point,), the fully sampled scans last, with `lines` 0; and `pca_ratio`,
        the distance of the fewest lines over that of the most
    """
    scans = open_scans(run_dir, replace(config, rate=None, lines=lines[0]), n_subjects)
    n_ky = image_shape(scans.store, scans.config.crop)[0]
    points, owner, count = [], [], []
    for n in lines:
        some = replace(scans, config=replace(scans.config, rate=n / n_ky))
        for trial in range(n_trials):
            points.append(some.codes(trial))
            owner.append(scans.subjects)
            count.append(np.full(len(scans.index), n))
    full = replace(scans, config=replace(scans.config, rate=1.0)).codes(0)
    subject, number = np.concatenate(owner), np.concatenate(count)
    found = codes_of.spread(np.concatenate(points), subject, number, full)
    arrays = {
        "pca": found.pca,
        "tsne": found.tsne,
        "subject": np.concatenate([subject, scans.subjects]),
        "lines": np.concatenate([number, np.zeros(len(full), int)]),
    }
    values = {name: value for name, value in asdict(found).items() if name not in arrays}
    ratio = found.pca_distance[min(lines)] / found.pca_distance[max(lines)]
    return Found({"n_trials": n_trials, "n_subjects": len(full), "pca_ratio": ratio, **values}, arrays)


def overlays(run_dir: Path, config: EvaluateConfig) -> Found:
    """Ask about a typical heart of the split at end-diastole and end-systole, for pictures.

    End-systole is the frame where the oracle's left ventricle is smallest in the slice that is shown.
    values : subject; frame and dice, by moment; Dice is the mean over the classes
    arrays : zero_filled, fully_sampled (moment, y, x) float32 magnitudes and average (y, x) of all frames, in
        one unit; oracle, labels (moment, y, x) uint8 classes
    """
    scans = typical(open_scans(run_dir, config))
    (batch,) = scans.batches(trial=0)
    _, labels = answer(scans.model, batch, run_dir)
    if labels is None:
        raise DataError(f"{run_dir} makes no labels to lay over an image")
    oracle = batch.labels[0].cpu().numpy().astype(np.uint8)
    lv = (oracle == scans.store.class_names.index(LV)).sum(axis=(1, 2))
    shown = [ED, end_systole(lv)]
    arrays = {
        "zero_filled": magnitude(to_image(batch.kspace))[0, shown],
        "average": magnitude(to_image(time_average(batch.kspace, batch.mask)))[0],
        "fully_sampled": magnitude(batch.image)[0, shown],
        "oracle": oracle[shown],
        "labels": labels[0, shown],
    }
    dice = [_dice(*pair, scans.store.n_classes) for pair in zip(arrays["labels"], oracle[shown], strict=True)]
    values = {
        "subject": int(scans.subjects[0]),
        "frame": dict(zip(MOMENTS, shown, strict=True)),
        "dice": dict(zip(MOMENTS, dice, strict=True)),
    }
    return Found(values, arrays)


def typical(scans: Scans) -> Scans:
    """Keep the heart whose left ventricle contracts as that of the median one, whatever a network answers."""
    lv = scans.store.class_names.index(LV)
    areas = [(scans.store.labels([case])[0] == lv).sum(axis=(1, 2)) for case in scans.index.tolist()]
    contraction = [1 - area.min() / max(area[ED], 1) for area in areas]
    middle = np.argsort(contraction, kind="stable")[(len(areas) - 1) // 2]
    return replace(scans, index=scans.index[[middle]])


def _dice(labels: NDArray[np.uint8], oracle: NDArray[np.uint8], n_classes: int) -> float:
    """Mean Dice over the classes but the background."""
    return metrics.mean_present([metrics.dice(labels == c, oracle == c) for c in range(1, n_classes)])


ANALYSES: dict[str, Callable[..., Found]] = {
    "distances": distances,
    "latents": latents,
    "overlays": overlays,
}
