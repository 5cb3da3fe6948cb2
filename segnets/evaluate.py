"""A trained network and the cases of a store -> one row per slice, one per subject."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrsim.store import Store, open_store
from segnets import metrics
from segnets.blocks.fourier import as_channels, to_image
from segnets.checkpoint import load_model
from segnets.config import DEVICES, RunConfig, check, check_choice
from segnets.data import Batch, DataError, evaluation_batches, read_cases, split_indices, undersample
from segnets.masks import count_lines, fixed_lines
from segnets.models import model_class
from segnets.models.base import Output, SegmentationModel
from segnets.pictures import Example
from segnets.scores import CaseScore, SubjectScore, by_subject, contrast, score_labels

WHICH = ("last", "best")
QUANTILES = (0.25, 0.5, 0.75)  # of the slices by mean Dice, for the picture
Progress = Callable[[int, int], None]  # (slices done, slices in all)


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateConfig:
    """What a run is evaluated on; the defaults are what it was trained with."""

    data: str = ""  # store, "" = the one that the network was trained on
    split: str = "test"
    noise: float | None = (
        None  # share of the RMS of the noiseless k-space; None = first level of the training
    )
    rate: float | None = None  # share of phase-encode lines that is kept; None = first rate of the training
    which: str = "last"  # checkpoint
    pooled: bool = False  # HD95 over both directed sets together
    batch_size: int = 12
    device: str = "auto"

    def __post_init__(self) -> None:
        check_choice("which", self.which, WHICH)
        check_choice("device", self.device, DEVICES)
        check(self.noise is None or 0 <= self.noise < math.inf, "noise", "be >= 0", self.noise)
        check(self.rate is None or 0 < self.rate <= 1, "rate", "lie in (0, 1]", self.rate)
        check(self.batch_size >= 1, "batch_size", "be at least 1", self.batch_size)

    def for_run(self, run: RunConfig) -> EvaluateConfig:
        """Fill in from the run what was left open; a network with its own pattern gets all lines."""
        samples_itself = model_class(run.train.model).configure(run.train.options).samples_itself
        return replace(
            self,
            data=self.data or run.train.data,
            noise=run.train.noise[0] if self.noise is None else self.noise,
            rate=1.0 if samples_itself else run.train.rate[0] if self.rate is None else self.rate,
        )


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Evaluation:
    """Everything that is said about one network under one condition.

    confusion : (oracle class, predicted class) pixels of all slices
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

    @property
    def name(self) -> str:
        """Name of the run directory."""
        return self.run_dir.name

    @property
    def tissues(self) -> tuple[str, ...]:
        """Class names without the background."""
        return self.class_names[1:]

    @property
    def condition(self) -> str:
        """Split, noise, rate and checkpoint in a form that can name a folder."""
        c = self.config
        return f"{c.split}-noise{c.noise:g}-rate{c.rate:g}" + ("" if c.which == "last" else f"-{c.which}")

    @property
    def title(self) -> str:
        """One line that says what was evaluated on what."""
        c = self.config
        return (
            f"{self.name} ({self.run.train.model}, {self.n_parameters:,} parameters, {c.which} checkpoint) "
            f"on the {c.split} split of {Path(c.data).name}: noise {100 * (c.noise or 0):g} %, "
            f"{100 * (c.rate or 0):g} % of the lines"
        )

    def mean(self, name: str) -> float:
        """Mean of a figure of the slices ("snr", "cnr", "psnr", "ssim"); NaN where none has it."""
        return metrics.mean_present([getattr(case, name) for case in self.cases])

    @property
    def data_note(self) -> str:
        """Say how much noise the data have; nothing for data without."""
        if math.isnan(self.mean("snr")):
            return ""
        cnr = (
            f", CNR({self.tissues[-2]}-{self.tissues[-1]}) {self.mean('cnr'):.1f}"
            if len(self.tissues) > 1
            else ""
        )
        return f"Data: SNR({self.tissues[-1]}) {self.mean('snr'):.1f}{cnr} (over sigma of one component)."

    @property
    def image_note(self) -> str:
        """Say how near the image behind the answer comes to the noise-free fully sampled one."""
        if not math.isfinite(self.mean("psnr")):
            return ""
        return f"Image behind the answer: PSNR {self.mean('psnr'):.1f} dB, SSIM {self.mean('ssim'):.3f}."


def pick_device(name: str) -> torch.device:
    """Resolve "auto" to the GPU where there is one; ValueError for a GPU that is not there."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device must be one that this machine has, got cuda but no CUDA device was found")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def evaluate(run_dir: Path, config: EvaluateConfig, progress: Progress | None = None) -> Evaluation:
    """Segment every case of a split with the network in `run_dir` and score it.

    Errors: StoreError, DataError, CheckpointError, ValueError, each with one sentence.
    """
    device = pick_device(config.device)
    model, run = load_model(run_dir, config.which, device)
    config = config.for_run(run)
    store = open_store(config.data)
    check_classes(run_dir, run, store)
    check_condition(store, config, run)
    total = len(split_indices(store, config.split))
    cases: list[CaseScore] = []
    confusion = np.zeros((store.n_classes, store.n_classes), np.int64)
    for batch in _batches(store, config, run.train.n_center, device):
        output, labels = segment(model, batch, run_dir)
        confusion += metrics.confusion_matrix(labels, batch.labels.cpu().numpy(), store.n_classes)
        cases += score_batch(store, config, batch, output, labels)
        if progress:
            progress(len(cases), total)
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
    )


def directory_of(run: str | Path) -> Path:
    """Return the run directory of a path that may name a checkpoint file in it."""
    path = Path(run).resolve()
    return path.parent if path.is_file() else path


def check_classes(run_dir: Path, run: RunConfig, store: Store) -> None:
    """Raise DataError where the store's classes are not those that the network was trained on."""
    if tuple(store.class_names) != tuple(run.class_names):
        raise DataError(
            f"{run_dir} tells apart {', '.join(run.class_names)}, "
            f"but {store.path} holds {', '.join(store.class_names)}"
        )


def check_condition(store: Store, config: EvaluateConfig, run: RunConfig) -> None:
    """Raise DataError where the rate keeps fewer lines of this store than the network's centre block."""
    try:
        count_lines(config.rate or 1.0, store.shape[0], run.train.n_center)
    except ValueError as error:
        raise DataError(str(error)) from None


def _batches(store: Store, config: EvaluateConfig, n_center: int, device: torch.device) -> Iterable[Batch]:
    return evaluation_batches(
        store,
        config.split,
        rate=config.rate or 1.0,
        noise=config.noise or 0.0,
        n_center=n_center,
        batch_size=config.batch_size,
        device=device,
    )


def segment(model: SegmentationModel, batch: Batch, run: str | Path) -> tuple[Output, NDArray[np.uint8]]:
    """Run a network on a batch: its output, and (batch, y, x) the class of the largest logit.

    DataError where a logit is not finite, rather than a label map of nothing.
    """
    with torch.inference_mode():
        output = model(batch.kspace, batch.mask)
    if output.answer is None:
        raise DataError(f"{run} holds a network that ends at the image: there are no labels to look at")
    finite = torch.isfinite(output.segmentation).all(dim=(1, 2, 3)).cpu()
    if not bool(finite.all()):
        case = int(batch.index.cpu()[~finite][0])
        raise DataError(f"{run} answers case {case} with NaN or infinity: its weights are damaged")
    return output, output.segmentation.argmax(dim=1).to(torch.uint8).cpu().numpy()


def score_batch(
    store: Store, config: EvaluateConfig, batch: Batch, output: Output, labels: NDArray[np.uint8]
) -> list[CaseScore]:
    """Score every slice of a batch; labels : (batch, y, x) class numbers."""
    index = batch.index.cpu().numpy()
    clean = to_image(
        as_channels(read_cases(store, index, (0.0,)).kspace[0])
    )  # (batch, 2, y, x) without noise
    scale = batch.scale.cpu()[:, None, None, None]
    sigma = (batch.image.cpu() * scale - clean).std(dim=(1, 2, 3)).numpy()  # of one component
    reference, image = magnitude(clean), magnitude(output.image.float().cpu() * scale)
    oracle = batch.labels.cpu().numpy().astype(np.uint8)
    return [
        _score_case(store, config, int(case), labels[i], oracle[i], reference[i], image[i], float(sigma[i]))
        for i, case in enumerate(index)
    ]


def _score_case(
    store: Store,
    config: EvaluateConfig,
    case: int,
    labels: NDArray[np.uint8],
    oracle: NDArray[np.uint8],
    reference: NDArray[np.float32],
    image: NDArray[np.float32],
    sigma: float,
) -> CaseScore:
    snr, cnr = contrast(reference, oracle, store.n_classes, sigma if config.noise else 0.0)
    comparable = min(store.shape) >= metrics.SSIM_WINDOW and reference.max() > 0
    return CaseScore(
        case=case,
        subject=int(store.coords["subject"][case]),
        slice=int(store.coords["slice"][case]),
        noise=config.noise or 0.0,
        rate=config.rate or 1.0,
        tissues=score_labels(labels, oracle, store.n_classes, store.pixel_spacing, pooled=config.pooled),
        snr=snr,
        cnr=cnr,
        psnr=metrics.psnr(image, reference) if comparable else math.nan,
        ssim=metrics.ssim(image, reference) if comparable else math.nan,
    )


def magnitude(image: Tensor) -> NDArray[np.float32]:
    """(batch, 2, y, x) real and imaginary part -> (batch, y, x) magnitude."""
    values: NDArray[np.float32] = image.float().cpu().square().sum(dim=1).sqrt().numpy()
    return values


def typical_cases(cases: Sequence[CaseScore]) -> list[CaseScore]:
    """Pick slices at the quartiles of the mean Dice: the picture shows neither the best nor the worst."""
    ranked = sorted((case for case in cases if not math.isnan(case.dice)), key=lambda case: case.dice)
    picks = {round(q * (len(ranked) - 1)) for q in QUANTILES} if ranked else set()
    return [ranked[i] for i in sorted(picks)] or list(cases[:1])


def show_cases(
    model: SegmentationModel, store: Store, config: EvaluateConfig, run: RunConfig, cases: Sequence[CaseScore]
) -> tuple[Example, ...]:
    """Segment a few cases again, for the picture."""
    device = next(model.parameters()).device
    index = np.array([case.case for case in cases])
    batch = batch_of(store, index, config, run.train.n_center, device)
    _, labels = segment(model, batch, run.train.model)
    zero_filled, full = magnitude(to_image(batch.kspace)), magnitude(batch.image)
    return tuple(
        Example(
            case=case.case,
            title=f"subject {case.subject}, slice {case.slice}\nmean Dice {case.dice:.3f}",
            zero_filled=zero_filled[i],
            fully_sampled=full[i],
            predictions={run.train.model: labels[i]},
            oracle=batch.labels[i].cpu().numpy(),
        )
        for i, case in enumerate(cases)
    )


def batch_of(
    store: Store, index: NDArray[np.int64], config: EvaluateConfig, n_center: int, device: torch.device
) -> Batch:
    """Any cases of a store with the noise and the fixed masks that `evaluation_batches` gives them."""
    subjects, slices = store.coords["subject"][index], store.coords["slice"][index]
    cases = read_cases(store, index, (config.noise or 0.0,)).to(device)
    mask = fixed_lines(subjects, slices, config.rate or 1.0, store.shape[0], n_center).to(device)
    return undersample(cases.kspace[0], mask, cases.labels, cases.index)
