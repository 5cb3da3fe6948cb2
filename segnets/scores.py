"""From label maps to scores: per slice, pooled per subject, summarised over subjects.

SERANet's convention (experiments.md A5): Dice per class over all slices of a subject together, then the mean
over subjects; "mean" is over the tissues, background left out. The mean over slices is kept beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segnets import metrics
from segnets.statistics import Interval, mean_interval

METRICS = {  # field of SubjectScore -> how a table calls it
    "dice": "Dice, pooled",
    "slice_dice": "Dice, per slice",
    "hausdorff": "Hausdorff",
    "hd95": "HD95",
    "assd": "ASSD",
}
IMAGE_METRICS = {"psnr": "PSNR", "ssim": "SSIM"}  # [dB], 1
NO_IMAGE = (math.nan, math.nan)
DISTANCES = ("hausdorff", "hd95", "assd")  # [m]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassScore:
    """One tissue in one slice; Dice and distances are NaN where the tissue is in neither map."""

    predicted: int  # pixels
    oracle: int  # pixels
    both: int  # pixels
    presence: str  # metrics.SCORED, BOTH_EMPTY, MISSED or SPURIOUS
    dice: float
    surface: metrics.Surface  # [m]


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseScore:
    """One slice, or one frame of it: where it comes from, what was done to it, how every tissue fared."""

    case: int
    subject: int
    slice: int
    noise: float
    rate: float
    tissues: tuple[ClassScore, ...]  # classes 1, 2, ...; the background is no tissue
    snr: float  # (mean image magnitude of the last tissue) / sigma of one noise component; NaN without noise
    cnr: float  # |difference of the last two tissues| / sigma
    psnr: float  # [dB] network's image against the noise-free fully sampled one; NaN where it makes none
    ssim: float
    zero_psnr: float = math.nan  # [dB] the same of the zero-filled image
    zero_ssim: float = math.nan
    frame: int = -1  # of a cine; a still slice has none

    @property
    def dice(self) -> float:
        """Mean Dice over the tissues of this slice that have one."""
        return metrics.mean_present([score.dice for score in self.tissues])

    @property
    def place(self) -> str:
        """Say in a few words where it comes from."""
        frame = f", frame {self.frame}" if self.frame >= 0 else ""
        return f"subject {self.subject}, slice {self.slice}{frame}"

    @property
    def figure(self) -> str:
        """Say in a few words how good it is."""
        return f"mean Dice {self.dice:.3f}" if self.tissues else f"PSNR {self.psnr:.1f} dB"


@dataclass(frozen=True, kw_only=True, slots=True)
class SubjectScore:
    """One subject; every tuple is (tissue,). Of a cine every frame of a slice counts as a slice."""

    subject: int
    n_slices: int
    dice: tuple[float, ...]  # pixels of all slices pooled
    slice_dice: tuple[float, ...]  # mean over the slices that have one
    hausdorff: tuple[float, ...]  # [m] mean over the slices that have one
    hd95: tuple[float, ...]  # [m]
    assd: tuple[float, ...]  # [m]
    absent: tuple[int, ...]  # slices left out: the tissue is in neither map
    missed: tuple[int, ...]  # slices where only the oracle has it: Dice 0, distance = image diagonal
    spurious: tuple[int, ...]  # slices where only the prediction has it: the same
    psnr: float = math.nan  # [dB] mean over the slices that have one
    ssim: float = math.nan
    zero_psnr: float = math.nan
    zero_ssim: float = math.nan

    def mean(self, metric: str) -> float:
        """Mean of a metric over the tissues that have it."""
        return metrics.mean_present(getattr(self, metric))


def score_labels(
    prediction: NDArray[np.integer],
    oracle: NDArray[np.integer],
    n_classes: int,
    spacing: metrics.Spacing,
    *,
    pooled: bool = False,
) -> tuple[ClassScore, ...]:
    """Score every tissue (classes 1 .. n_classes - 1) of one slice.

    prediction, oracle : (y, x) class numbers
    spacing : (y, x) [m]
    pooled : HD95 over both directed sets together
    """
    return tuple(_score(prediction == c, oracle == c, spacing, pooled) for c in range(1, n_classes))


def _score(
    prediction: metrics.Mask, oracle: metrics.Mask, spacing: metrics.Spacing, pooled: bool
) -> ClassScore:
    return ClassScore(
        predicted=int(np.count_nonzero(prediction)),
        oracle=int(np.count_nonzero(oracle)),
        both=int(np.count_nonzero(prediction & oracle)),
        presence=metrics.presence(prediction, oracle),
        dice=metrics.dice(prediction, oracle),
        surface=metrics.surface_metrics(prediction, oracle, spacing, pooled=pooled),
    )


def by_subject(cases: Sequence[CaseScore]) -> tuple[SubjectScore, ...]:
    """Pool the slices of each subject; subjects in ascending order."""
    return tuple(
        _pool(subject, [case for case in cases if case.subject == subject])
        for subject in sorted({case.subject for case in cases})
    )


def _pool(subject: int, cases: Sequence[CaseScore]) -> SubjectScore:
    columns = list(
        zip(*(case.tissues for case in cases), strict=True)
    )  # tissue -> its scores, slice by slice
    return SubjectScore(
        subject=subject,
        n_slices=len(cases),
        dice=tuple(_pooled_dice(column) for column in columns),
        slice_dice=tuple(metrics.mean_present([s.dice for s in column]) for column in columns),
        hausdorff=tuple(metrics.mean_present([s.surface.hausdorff for s in column]) for column in columns),
        hd95=tuple(metrics.mean_present([s.surface.hd95 for s in column]) for column in columns),
        assd=tuple(metrics.mean_present([s.surface.assd for s in column]) for column in columns),
        absent=tuple(_count(column, metrics.BOTH_EMPTY) for column in columns),
        missed=tuple(_count(column, metrics.MISSED) for column in columns),
        spurious=tuple(_count(column, metrics.SPURIOUS) for column in columns),
        **{
            name: metrics.mean_present([getattr(case, name) for case in cases])
            for name in ("psnr", "ssim", "zero_psnr", "zero_ssim")
        },
    )


def _pooled_dice(column: Sequence[ClassScore]) -> float:
    return metrics.dice_of_counts(
        sum(s.both for s in column), sum(s.predicted for s in column), sum(s.oracle for s in column)
    )


def _count(column: Sequence[ClassScore], presence: str) -> int:
    return sum(score.presence == presence for score in column)


def image_quality(
    image: NDArray[np.floating], reference: NDArray[np.floating], peak: float
) -> tuple[float, float]:
    """PSNR [dB] and SSIM of a slice (y, x), with the largest value of the subject's reference as range.

    NaN where the reference is empty; the SSIM also where the image is smaller than its window.
    """
    if not reference.any():
        return NO_IMAGE
    fits = min(reference.shape) >= metrics.SSIM_WINDOW
    return metrics.psnr(image, reference, peak), metrics.ssim(image, reference, peak) if fits else math.nan


def summarise_image(subjects: Sequence[SubjectScore], metric: str) -> Interval:
    """Interval over subjects of "psnr", "ssim", "zero_psnr" or "zero_ssim"."""
    return mean_interval([getattr(subject, metric) for subject in subjects])


def summarise(subjects: Sequence[SubjectScore], metric: str) -> tuple[Interval, ...]:
    """Interval over subjects of one metric: one per tissue, then one of the mean over tissues."""
    per_tissue = zip(*(getattr(s, metric) for s in subjects), strict=True)
    intervals = (*map(mean_interval, per_tissue), mean_interval([s.mean(metric) for s in subjects]))
    return tuple(interval.within(0, math.inf if metric in DISTANCES else 1) for interval in intervals)


def counts(subjects: Sequence[SubjectScore], what: str) -> tuple[int, ...]:
    """(tissue,) slices counted as `what` ("absent", "missed", "spurious") over all subjects."""
    return tuple(sum(column) for column in zip(*(getattr(s, what) for s in subjects), strict=True))


def contrast(
    image: NDArray[np.floating], labels: NDArray[np.integer], n_classes: int, sigma: float
) -> tuple[float, float]:
    """SNR of the last tissue and CNR of the last two (brain: WM, and GM against WM) of one slice.

    image : (y, x) magnitude of the noise-free, fully sampled image
    labels : (y, x) oracle classes
    sigma : standard deviation of the real (and of the imaginary) part of the noise in the image

    NaN without noise, or where the slice lacks a tissue.
    """
    if sigma <= 0:
        return math.nan, math.nan
    last, before = (image[labels == c] for c in (n_classes - 1, n_classes - 2))
    if last.size == 0:
        return math.nan, math.nan
    cnr = abs(float(last.mean()) - float(before.mean())) / sigma if before.size else math.nan
    return float(last.mean()) / sigma, cnr
