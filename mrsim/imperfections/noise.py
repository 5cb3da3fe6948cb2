"""Receiver noise: white and Gaussian in k-space, its level a fraction of a named reference; numpy only.

The same (seed, case, level) has the same noise on every machine, in every process and in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phantoms.names import known

BRAIN_CLASSES = ("background", "CSF", "GM", "WM")
NOISE_REFERENCES = ("kspace_rms", "kspace_mean", "max", "std_image", "brightest_tissue", "parenchyma")
NOISE_STREAM = 1  # word 2 of the Philox counter; parameters are drawn from the same key in stream 0
LEVEL_STEP = 1e-6  # levels closer than this share their realisation


def add_noise(
    kspace: NDArray[np.complexfloating],
    level: float,
    *,
    seed: int,
    case: int,
    contrast: int = 0,
    reference: str = "kspace_rms",
    labels: NDArray[np.uint8] | None = None,
    class_names: Sequence[str] = BRAIN_CLASSES,
) -> NDArray[np.complex64]:
    """`kspace` + sigma (e1 + i e2), e ~ N(0, 1), with `noise_sigma` per real and per imaginary component.

    Add it to the fully sampled k-space, before masking, so that one slice has one noise at all rates. Philox
    is keyed by (seed, case) and counts from (contrast, level): two levels are independent, not scaled copies.

    kspace : (..., ky, kx) noise-free, centred, orthonormal; the whole of one contrast of one case
    contrast : its number among those of the case
    returns : the same shape, complex64
    """
    sigma = noise_sigma(kspace, level, reference=reference, labels=labels, class_names=class_names)
    clean = np.asarray(kspace, dtype=np.complex64)
    if sigma == 0:
        return clean.copy()
    rng = _generator(seed, case, contrast, level)
    unit = rng.standard_normal((*clean.shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
    return clean + np.float32(sigma) * unit


def noise_sigma(
    kspace: NDArray[np.complexfloating],
    level: float,
    *,
    reference: str = "kspace_rms",
    labels: NDArray[np.uint8] | None = None,
    class_names: Sequence[str] = BRAIN_CLASSES,
) -> float:
    """SD of the noise in each component of k-space and (orthonormal transform) image: level x reference.

    reference :
      "kspace_rms" root mean square of k-space over all samples and coils = that of the image (Parseval)
      "kspace_mean" mean of |k|;  "max" largest image magnitude;  "std_image" SD of the image magnitude
      "brightest_tissue" the largest of the mean signals of the classes of `labels` (background apart)
      "parenchyma" mean signal of GM and WM pixels together a class name, as "WM" or "wm": mean signal of that
      class (BrainWeb's own: WM for T1w, CSF for T2w and PDw)
    labels : (..., y, x) for the references that name tissue; coils are combined by root sum of squares
    """
    if not 0 <= level < np.inf:
        raise ValueError(f"level must not be negative, got {level}")
    reference = known(
        "reference", reference.lower(), (*NOISE_REFERENCES, *(c.lower() for c in class_names[1:]))
    )
    if not np.isfinite(kspace).all():
        raise ValueError("kspace must be finite, got NaN or infinite samples")
    if reference == "kspace_rms":
        value = np.sqrt(np.mean(np.abs(kspace).astype(np.float64) ** 2))
    elif reference == "kspace_mean":
        value = np.mean(np.abs(kspace), dtype=np.float64)
    elif reference == "max":
        value = magnitude(kspace).max()
    elif reference == "std_image":
        value = magnitude(kspace).std()
    else:
        value = _tissue_reference(kspace, reference, labels, class_names)
    return float(level * value)


def tissue_signals(
    kspace: NDArray[np.complexfloating], labels: NDArray[np.uint8], class_names: Sequence[str] = BRAIN_CLASSES
) -> dict[str, float]:
    """Mean image magnitude by class, background left out, NaN for a class without pixels.

    With sigma these are SNR = signal / sigma and CNR = difference / sigma.
    """
    image = _labelled_image(kspace, labels)
    return {
        name: float(image[labels == c].mean()) if (labels == c).any() else float("nan")
        for c, name in enumerate(class_names)
        if c > 0
    }


def magnitude(kspace: NDArray[np.complexfloating]) -> NDArray[Any]:
    """Magnitude image (..., y, x) of centred orthonormal k-space (..., coil, ky, kx) or (ky, kx)."""
    axes = (-2, -1)
    image = np.abs(np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace, axes), norm="ortho"), axes))
    return image if kspace.ndim == 2 else np.sqrt((image**2).sum(axis=-3))


def _labelled_image(kspace: NDArray[np.complexfloating], labels: NDArray[np.uint8]) -> NDArray[Any]:
    image = magnitude(kspace)
    if labels.shape != image.shape:
        raise ValueError(f"labels must have the shape of the image {image.shape}, got {labels.shape}")
    return image


def _tissue_reference(
    kspace: NDArray[np.complexfloating],
    reference: str,
    labels: NDArray[np.uint8] | None,
    class_names: Sequence[str],
) -> float:
    if labels is None:
        raise ValueError(f"labels must be given for the noise reference {reference!r}, got None")
    names = [name.lower() for name in class_names]
    if reference == "brightest_tissue":
        value = np.nanmax([*tissue_signals(kspace, labels, class_names).values(), 0.0])
    else:
        wanted = ("gm", "wm") if reference == "parenchyma" else (reference,)
        inside = np.isin(labels, [c for c, name in enumerate(names) if name in wanted])
        image = _labelled_image(kspace, labels)
        value = image[inside].mean() if inside.any() else 0.0
    if not value > 0:
        raise ValueError(
            f"labels must hold pixels of the noise reference {reference!r}, got none with signal"
        )
    return float(value)


def _generator(seed: int, case: int, contrast: int, level: float) -> np.random.Generator:
    """Philox keyed by (seed, case); contrasts and levels differ in high words of the counter."""
    if min(seed, case, contrast) < 0:
        raise ValueError(f"seed, case and contrast must not be negative, got {seed}, {case} and {contrast}")
    key = np.array((seed, case), dtype=np.uint64)
    counter = np.array((0, contrast, NOISE_STREAM, round(level / LEVEL_STEP)), dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
