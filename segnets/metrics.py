"""Overlap, surface distance and image quality: pure functions of arrays.

The policy, once, for every table of this package (no library among those we tried follows all of it):

* Dice is of hard labels (argmax), never of probabilities.
* A class absent from the oracle **and** from the prediction has no score: NaN, left out of means, counted.
* A class absent from only one of them scores Dice 0 and distances of the image diagonal, and is counted.
* The surface of a mask is its pixels that touch the outside over an edge (4-neighbourhood; outside the image
  is outside the mask); distances run between pixel centres, in the unit of `spacing`.
* HD95 is the larger of the two directed 95th percentiles (as MONAI); `pooled=True` takes one percentile of
  both directed sets together (as MedPy).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Mask = NDArray[np.bool_]
Labels = NDArray[np.integer]
Spacing = tuple[float, ...]

SSIM_WINDOW = 11  # [pixels]
SCORED, BOTH_EMPTY, MISSED, SPURIOUS = "scored", "both empty", "missed", "spurious"


@dataclass(frozen=True, kw_only=True, slots=True)
class Surface:
    """Distances between two surfaces, in the unit of the spacing; NaN where both masks are empty."""

    hausdorff: float  # largest distance from a surface pixel to the other surface
    hd95: float  # the same, leaving out the worst twentieth
    assd: float  # average symmetric surface distance: mean over both directed sets together
    md: float  # mean contour distance: average of the two directed means


def presence(prediction: Mask, oracle: Mask) -> str:
    """Say which rule scores a pair: scored, both empty, missed (only the oracle has it) or spurious."""
    found, there = bool(prediction.any()), bool(oracle.any())
    if found == there:
        return SCORED if found else BOTH_EMPTY
    return MISSED if there else SPURIOUS


def dice(prediction: Mask, oracle: Mask) -> float:
    """2 |A and B| / (|A| + |B|); NaN where both are empty."""
    both, predicted, there = (int(np.count_nonzero(m)) for m in (prediction & oracle, prediction, oracle))
    return dice_of_counts(both, predicted, there)


def dice_of_counts(both: int, predicted: int, oracle: int) -> float:
    """Dice of pixel counts: slices pool into a subject by adding theirs; NaN where all are 0."""
    return 2 * both / (predicted + oracle) if predicted + oracle else math.nan


def surface(mask: Mask) -> Mask:
    """Keep the pixels of a mask that touch its outside over a pixel edge (a face in 3-D)."""
    from scipy.ndimage import binary_erosion

    return np.asarray(mask & ~binary_erosion(mask))


def surface_distances(prediction: Mask, oracle: Mask, spacing: Spacing) -> tuple[NDArray[np.float64], ...]:
    """Directed distances of two masks that both exist: prediction's surface to the oracle's, and back.

    prediction, oracle : ([z,] y, x) bool
    spacing : distance of neighbouring pixels per axis; its unit is the unit of the answer
    """
    from scipy.ndimage import distance_transform_edt

    window = _bounding_box(prediction | oracle)  # nearest surfaces lie inside it, and it is small
    a, b = surface(_padded(prediction[window])), surface(_padded(oracle[window]))
    to_b = distance_transform_edt(~b, sampling=spacing)[a]
    to_a = distance_transform_edt(~a, sampling=spacing)[b]
    return to_b, to_a


def surface_metrics(prediction: Mask, oracle: Mask, spacing: Spacing, *, pooled: bool = False) -> Surface:
    """Hausdorff distance, HD95, ASSD and MD between two masks, under the policy of this module.

    prediction, oracle : ([z,] y, x) bool
    spacing : per axis; its unit is the unit of the answer
    pooled : take the 95th percentile over both directed sets together, instead of the larger of the two
    """
    _check_pair(prediction, oracle, spacing)
    match presence(prediction, oracle):
        case "both empty":
            return Surface(hausdorff=math.nan, hd95=math.nan, assd=math.nan, md=math.nan)
        case "missed" | "spurious":
            far = diagonal(prediction.shape, spacing)
            return Surface(hausdorff=far, hd95=far, assd=far, md=far)
    there, back = surface_distances(prediction, oracle, spacing)
    both = np.concatenate([there, back])
    hd95 = np.percentile(both, 95) if pooled else max(np.percentile(there, 95), np.percentile(back, 95))
    return Surface(
        hausdorff=float(both.max()),
        hd95=float(hd95),
        assd=float(both.mean()),
        md=float((there.mean() + back.mean()) / 2),
    )


def diagonal(shape: tuple[int, ...], spacing: Spacing) -> float:
    """Diagonal of the image from outer corner to outer corner, in the unit of the spacing."""
    return math.hypot(*(n * step for n, step in zip(shape, spacing, strict=True)))


def confusion_matrix(prediction: Labels, oracle: Labels, n_classes: int) -> NDArray[np.int64]:
    """Pixel counts (oracle class, predicted class), pooled over every axis of the arrays."""
    if prediction.shape != oracle.shape:
        raise ValueError(f"prediction must have the oracle's shape {oracle.shape}, got {prediction.shape}")
    pairs = oracle.astype(np.int64).ravel() * n_classes + prediction.astype(np.int64).ravel()
    counts = np.bincount(pairs, minlength=n_classes**2)
    if counts.size > n_classes**2 or prediction.max(initial=0) >= n_classes:
        raise ValueError(f"labels must lie below n_classes = {n_classes}")
    return counts.reshape(n_classes, n_classes)


def pixel_accuracy(confusion: NDArray[np.int64]) -> float:
    """PA: the share of pixels on the diagonal of the confusion matrix."""
    return float(np.trace(confusion) / confusion.sum())


def class_dice(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Dice per class, (class,), from a pooled confusion matrix; NaN for a class that occurs nowhere."""
    hit, total = np.diag(confusion), confusion.sum(axis=0) + confusion.sum(axis=1)
    return np.asarray(np.divide(2 * hit, total, out=np.full(len(confusion), np.nan), where=total > 0))


def class_iou(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Intersection over union (Jaccard) per class, (class,); its mean is the JS of the CRDN tables."""
    hit = np.diag(confusion)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - hit
    return np.asarray(np.divide(hit, union, out=np.full(len(confusion), np.nan), where=union > 0))


def mean_present(values: ArrayLike) -> float:
    """Mean of the scores that exist (NaN marks one that does not); NaN where none does."""
    scores = np.asarray(values, dtype=np.float64)
    scores = scores[~np.isnan(scores)]
    return float(scores.mean()) if scores.size else math.nan


def psnr(
    image: NDArray[np.floating], reference: NDArray[np.floating], data_range: float | None = None
) -> float:
    """Peak signal-to-noise ratio, 20 log10(range / RMSE) [dB]; range = reference maximum by default."""
    peak = float(reference.max()) if data_range is None else data_range
    rmse = math.sqrt(float(np.mean((image.astype(np.float64) - reference) ** 2)))
    return math.inf if rmse == 0 else 20 * math.log10(peak / rmse)


def ssim(
    image: NDArray[np.floating], reference: NDArray[np.floating], data_range: float | None = None
) -> float:
    """Structural similarity of two (y, x) images (Wang et al. 2004), Gaussian window 11 x 11, sigma 1.5.

    The mean is over pixels whose window lies inside the image; K1 = 0.01, K2 = 0.03; the range is the maximum
    of the reference unless given. ValueError for an image that is smaller than the window.
    """
    if min(reference.shape) < SSIM_WINDOW:
        raise ValueError(f"image must be at least {SSIM_WINDOW} pixels wide and high, got {reference.shape}")
    peak = float(reference.max()) if data_range is None else data_range
    a, b = image.astype(np.float64), reference.astype(np.float64)
    mean_a, mean_b = _window(a), _window(b)
    var_a, var_b = _window(a * a) - mean_a**2, _window(b * b) - mean_b**2
    covariance = _window(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (var_a + var_b + c2)
    return float(np.mean((luminance * structure)[5:-5, 5:-5]))


def _window(image: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(image, sigma=1.5, radius=5))


def _bounding_box(mask: Mask) -> tuple[slice, ...]:
    axes = range(mask.ndim)
    hits = [np.flatnonzero(mask.any(axis=tuple(a for a in axes if a != axis))) for axis in axes]
    return tuple(slice(int(hit[0]), int(hit[-1]) + 1) for hit in hits)


def _padded(mask: Mask) -> Mask:
    return np.pad(mask, 1)


def _check_pair(prediction: Mask, oracle: Mask, spacing: Spacing) -> None:
    if prediction.shape != oracle.shape:
        raise ValueError(f"prediction must have the oracle's shape {oracle.shape}, got {prediction.shape}")
    if len(spacing) != oracle.ndim:
        raise ValueError(f"spacing must name {oracle.ndim} axes, got {len(spacing)}")
