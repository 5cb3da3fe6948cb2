"""A trained network and the cases of a store -> one row per slice (of cines per frame), one per subject."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrsim.store import Store, open_store
from segnets import metrics
from segnets.blocks.fourier import centred_ifft2, to_image
from segnets.cardiac.hearts import Heart, hearts_of
from segnets.checkpoint import load_model
from segnets.conditions import (
    MASK,
    EvaluateConfig,
    batch_of,
    check_fit,
    check_unseen,
    pick_device,
    seen_subjects,
)
from segnets.config import RunConfig
from segnets.controls import Control, prepare
from segnets.data import Batch, DataError, Pattern, read_cases, split_indices
from segnets.models.base import Output, SegmentationModel
from segnets.patterns import fingerprint
from segnets.pictures import Example
from segnets.scores import (
    NO_IMAGE,
    CaseScore,
    ClassScore,
    SubjectScore,
    by_subject,
    contrast,
    image_quality,
    score_labels,
)
from segnets.undersampling import evaluation_batches

__all__ = ["EvaluateConfig", "Evaluation", "batch_of", "evaluate", "pick_device"]

QUANTILES = (0.25, 0.5, 0.75)  # of the slices by mean Dice, or by PSNR, for the picture
Progress = Callable[[int, int], None]  # (slices done, slices in all)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Evaluation:
    """Everything that is said about one network under one condition.

    confusion : (oracle class, predicted class) pixels of all slices; zeros for a network without labels
    pattern : (ky, kx) the one sampling pattern of all slices, None = lines by slice
    seen : subjects among these that the network was trained on
    hearts : volumes over the beat of every subject; () of still stores
    """

    source: Path  # run directory or checkpoint file
    run_dir: Path
    run: RunConfig
    config: EvaluateConfig  # nothing left open
    n_parameters: int
    recipe_hash: str
    class_names: tuple[str, ...]
    cases: tuple[CaseScore, ...]
    subjects: tuple[SubjectScore, ...]
    confusion: NDArray[np.int64]
    examples: tuple[Example, ...]
    pattern: Pattern | None = None
    seen: tuple[int, ...] = ()
    hearts: tuple[Heart, ...] = ()

    @property
    def name(self) -> str:
        """Name of the run directory."""
        return self.run_dir.name

    @property
    def segments(self) -> bool:
        """Whether the network makes labels."""
        return any(case.tissues for case in self.cases)

    @property
    def n_slices(self) -> int:
        """Number of slices; each has a row, and of a cine one per frame."""
        return len({case.case for case in self.cases})

    @property
    def n_frames(self) -> int:
        """Number of frames of a cine; 0 of still slices."""
        return 1 + max(case.frame for case in self.cases)

    @property
    def makes_image(self) -> bool:
        """Whether the network makes an image, better than the zero-filled one or not."""
        return any(not math.isnan(case.psnr) for case in self.cases)

    @property
    def tissues(self) -> tuple[str, ...]:
        """Names of the classes that are scored: all but the background, none without labels."""
        return self.class_names[1:] if self.segments else ()

    @property
    def condition(self) -> str:
        """Split, noise, rate, mask and checkpoint in a form that can name a folder."""
        c = self.config
        inu = f"-inu{c.inu:g}" if c.inu else ""
        mask = f"-mask-{fingerprint(self.pattern)}" if c.sampling == MASK and self.pattern is not None else ""
        which = "" if c.which == "last" else f"-{c.which}"
        control = "" if c.control == "none" else f"-{c.control}"
        return f"{c.split}-noise{c.noise:g}{inu}-rate{c.rate:g}{mask}{which}{control}"

    @property
    def title(self) -> str:
        """One line that says what was evaluated on what."""
        c = self.config
        control = "" if c.control == "none" else f"Control, {c.control}, in place of "
        return control + (
            f"{self.name} ({self.run.train.model}, {self.n_parameters:,} parameters, {c.which} checkpoint) "
            f"on the {c.split} split of {Path(c.data).name}: {c.words}"
        )

    def mean(self, name: str) -> float:
        """Mean over slices of a number of theirs, such as "snr" or "psnr"; NaN where none has it."""
        return metrics.mean_present([getattr(case, name) for case in self.cases])

    @property
    def data_note(self) -> str:
        """Say how much noise the data have; nothing for data without."""
        if math.isnan(self.mean("snr")):
            return ""
        *_, before, last = self.class_names
        cnr = f", CNR({before}-{last}) {self.mean('cnr'):.1f}" if len(self.class_names) > 2 else ""
        return f"Data: SNR({last}) {self.mean('snr'):.1f}{cnr} (over sigma of one component)."

    @property
    def warning(self) -> str:
        """Say loudly that the test is none, where it is none."""
        if not self.seen:
            return ""
        return f"WARNING: the network was trained on subjects {', '.join(map(str, self.seen))} of these."


def evaluate(run_dir: Path, config: EvaluateConfig, progress: Progress | None = None) -> Evaluation:
    """Run every case of a split through the network in `run_dir` and score its labels and its image.

    Errors: StoreError, DataError, CheckpointError, ValueError, each with one sentence.
    """
    device = pick_device(config.device)
    model, run = load_model(run_dir, config.which, device)
    config = config.for_run(run, run_dir)
    store = open_store(config.data)
    check_fit(run_dir, run, store, config)
    seen = seen_subjects(run, store, config.split)
    check_unseen(run_dir, seen, config)
    indices = split_indices(store, config.split)
    peaks = volume_peaks(store, indices, config)
    cases: list[CaseScore] = []
    confusion = np.zeros((store.n_classes, store.n_classes), np.int64)
    control = prepare(config.control, store, config.split, config.crop)
    for first in range(0, len(indices), config.batch_size):
        some = indices[first : first + config.batch_size]
        batch, output, labels = respond(model, store, config, some, run, control)
        if labels is not None:
            confusion += metrics.confusion_matrix(labels, batch.labels.cpu().numpy(), store.n_classes)
        cases += score_batch(model, store, config, batch, output, labels, peaks)
        if progress:
            progress(first + len(some), len(indices))
    own = model.pattern()
    return Evaluation(
        source=Path(run_dir),
        run_dir=directory_of(run_dir),
        run=run,
        config=config,
        n_parameters=model.n_parameters(),
        recipe_hash=str(store.attrs.get("recipe_hash", "")),
        class_names=store.class_names,
        cases=tuple(cases),
        subjects=by_subject(cases),
        confusion=confusion,
        examples=show_cases(model, store, config, run, typical_cases(cases)),
        pattern=config.pattern(store.shape) if own is None else own[0, 0].cpu().numpy(),
        seen=seen,
        hearts=hearts_of(store, cases) if any(case.tissues for case in cases) else (),
    )


def directory_of(run: str | Path) -> Path:
    """Return the run directory of a path that may name a checkpoint file in it."""
    path = Path(run).resolve()
    return path.parent if path.is_file() else path


def batches(
    store: Store, config: EvaluateConfig, split: str, n_center: int, device: torch.device
) -> Iterator[Batch]:
    """Serve the cases of a split, in the order of the store, under the conditions of `config`."""
    conditions = config.conditions(store.shape, n_center)
    return evaluation_batches(store, split, conditions, batch_size=config.batch_size, device=device)


def answer(
    model: SegmentationModel, batch: Batch, run: str | Path
) -> tuple[Output, NDArray[np.uint8] | None]:
    """Run a network on a batch: its output, and (batch, [frame,] y, x) the likeliest class, or None.

    DataError where the answer is not finite, rather than a map of nothing.
    """
    with torch.inference_mode():
        output = model(batch.kspace, batch.mask)
    result = output.image if output.answer is None else output.answer
    finite = torch.isfinite(result).flatten(1).all(dim=1).cpu()
    if not bool(finite.all()):
        case = int(batch.index.cpu()[~finite][0])
        raise DataError(f"{run} answers case {case} with NaN or infinity: its weights are damaged")
    if output.answer is None:
        return output, None
    return output, output.answer.argmax(dim=1).to(torch.uint8).cpu().numpy()


class Response(NamedTuple):
    """What a network, or its control, answers: the batch that it is held against, output, labels."""

    batch: Batch
    output: Output
    labels: NDArray[np.uint8] | None


def respond(
    model: SegmentationModel,
    store: Store,
    config: EvaluateConfig,
    index: NDArray[np.int64],
    run: RunConfig,
    control: Control | None = None,
) -> Response:
    """Answer some cases of a store under the conditions of `config`.

    control : of `config` and the store, if it is known already
    """
    device, n_center = next(model.parameters()).device, run.train.n_center
    control = control or prepare(config.control, store, config.split, config.crop)
    batch = batch_of(store, index, config, n_center, device)
    if control.partner:
        theirs = batch_of(store, control.measured(index), config, n_center, device)
        batch = replace(theirs, labels=batch.labels, index=batch.index)
    output, labels = answer(model, batch, run.train.model)
    if labels is not None:
        labels = control.labels(labels, store.coords["slice"][index])
    return Response(batch, output, labels)


def reference_images(
    store: Store, index: NDArray[np.int64], config: EvaluateConfig, noise: float = 0.0
) -> NDArray[np.complex64]:
    """(case, [frame,] y, x) the fully sampled images, of the first contrast, noise-free unless asked for."""
    how = replace(config.reading, contrast=config.contrast[:1])
    kspace = read_cases(store, index, (noise,), how).kspace[0]
    images: NDArray[np.complex64] = centred_ifft2(kspace[:, 0] if store.contrasts else kspace).numpy()
    return images


def volume_peaks(store: Store, indices: NDArray[np.int64], config: EvaluateConfig) -> dict[int, float]:
    """Largest magnitude of each subject's reference images: the range of PSNR and SSIM."""
    peaks: dict[int, float] = {}
    for first in range(0, len(indices), config.batch_size):
        some = indices[first : first + config.batch_size]
        highest = np.abs(reference_images(store, some, config)).reshape(len(some), -1).max(axis=1)
        for subject, value in zip(store.coords["subject"][some], highest, strict=True):
            peaks[int(subject)] = max(peaks.get(int(subject), 0.0), float(value))
    return peaks


def score_batch(
    model: SegmentationModel,
    store: Store,
    config: EvaluateConfig,
    batch: Batch,
    output: Output,
    labels: NDArray[np.uint8] | None,
    peaks: dict[int, float],
) -> list[CaseScore]:
    """Score every slice of a batch, of a cine every frame of it.

    labels : (batch, [frame,] y, x) class numbers, None of a network that makes none
    peaks : subject -> range of PSNR and SSIM
    """
    index = batch.index.cpu().numpy()
    clean = reference_images(store, index, config)
    sigma = noise_sigma(store, index, config, clean) if config.noise else np.zeros(len(index))
    scale = units(batch, clean.ndim)
    made, zero_filled = (magnitude(i) * scale for i in (output.image, zero_filled_image(model, batch)))
    oracle = batch.labels.cpu().numpy().astype(np.uint8)
    rows = []
    for i, frame in np.ndindex(len(index), store.n_frames or 1):
        at = (i, frame) if store.n_frames else (i,)
        case, reference = index[i], np.abs(clean[at])
        subject = int(store.coords["subject"][case])
        snr, cnr = contrast(reference, oracle[at], store.n_classes, float(sigma[i]))
        psnr, ssim = NO_IMAGE
        if model.config.makes_image:
            psnr, ssim = image_quality(made[at], reference, peaks[subject])
        zero_psnr, zero_ssim = image_quality(zero_filled[at], reference, peaks[subject])
        tissues: tuple[ClassScore, ...] = ()
        if labels is not None:
            tissues = score_labels(
                labels[at], oracle[at], store.n_classes, store.pixel_spacing, pooled=config.pooled
            )
        rows.append(
            CaseScore(
                case=int(case),
                subject=subject,
                slice=int(store.coords["slice"][case]),
                frame=frame if store.n_frames else -1,
                noise=config.noise or 0.0,
                rate=config.rate or 1.0,
                tissues=tissues,
                snr=snr,
                cnr=cnr,
                psnr=psnr,
                ssim=ssim,
                zero_psnr=zero_psnr,
                zero_ssim=zero_ssim,
            )
        )
    return rows


def noise_sigma(
    store: Store, index: NDArray[np.int64], config: EvaluateConfig, clean: NDArray[np.complex64]
) -> NDArray[np.float64]:
    """(case,) standard deviation of the real (and of the imaginary) part of the noise in the images."""
    noise = (reference_images(store, index, config, config.noise or 0.0) - clean).reshape(len(index), -1)
    return np.asarray(np.std(np.concatenate([noise.real, noise.imag], axis=1), axis=1, dtype=np.float64))


def units(batch: Batch, n_axes: int) -> NDArray[np.float32]:
    """(batch, 1, ...) what images of a batch are multiplied by, to be in the units of the store."""
    scale: NDArray[np.float32] = batch.scale[:, 0].float().cpu().numpy()
    return scale.reshape(-1, *(1,) * (n_axes - 1))


def zero_filled_image(model: SegmentationModel, batch: Batch) -> Tensor:
    """(batch, 2, [frame,] y, x) the image of what the network is really given, in the first contrast."""
    pattern = model.pattern()
    kspace = batch.kspace[:, :2]
    return to_image(kspace if pattern is None else kspace * pattern)


def magnitude(image: Tensor) -> NDArray[np.float32]:
    """(batch, 2 * contrast, [frame,] y, x) -> (batch, [frame,] y, x) magnitude of the first contrast."""
    values: NDArray[np.float32] = image[:, :2].float().cpu().square().sum(dim=1).sqrt().numpy()
    return values


def typical_cases(cases: Sequence[CaseScore]) -> list[CaseScore]:
    """Pick slices at the quartiles of the mean Dice, or of the PSNR: neither the best nor the worst."""
    scored = [(case.dice if case.tissues else case.psnr, case) for case in cases]
    ranked = sorted((pair for pair in scored if not math.isnan(pair[0])), key=lambda pair: pair[0])
    picks = {round(q * (len(ranked) - 1)) for q in QUANTILES} if ranked else set()
    return [ranked[i][1] for i in sorted(picks)] or list(cases[:1])


def show_cases(
    model: SegmentationModel, store: Store, config: EvaluateConfig, run: RunConfig, cases: Sequence[CaseScore]
) -> tuple[Example, ...]:
    """Run a few cases again, for the picture; of a cine the frame of each."""
    index = np.array([case.case for case in cases])
    batch, output, labels = respond(model, store, config, index, run)
    oracle = batch.labels.cpu().numpy()
    scale = units(batch, oracle.ndim)  # alike for all networks
    zero_filled, full, made = (
        magnitude(image) * scale for image in (zero_filled_image(model, batch), batch.image, output.image)
    )
    name = run.train.model
    return tuple(
        Example(
            case=case.case,
            title=f"{case.place}\n{case.figure}",
            zero_filled=zero_filled[at],
            fully_sampled=full[at],
            predictions={} if labels is None else {name: labels[at]},
            images={name: made[at]} if model.config.makes_image else {},
            oracle=oracle[at],
        )
        for i, case in enumerate(cases)
        for at in [(i, case.frame) if store.n_frames else (i,)]
    )
