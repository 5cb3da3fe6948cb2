"""Short-axis cines of many subjects -> a store with an axis of frames, on one grid of pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrsim.store import Layout, Store, StoreWriter
from mrsim.store.case import centred_fft2
from segnets.importers.resample import Grid, Window, onto, window_of
from segnets.importers.volumes import METRES, ImportProblem, orientation_code, scaled
from segnets.importers.writing import UNUSED, About, Arrays, Progress, attributes, fill

CLASSES = ("background", "LV", "myocardium", "RV")
SAME = 0.01  # relative difference of pixels that are left as they are
ROUNDING = 0.01  # [pixel] of sizes in files
FILE_ORDER = (
    "arrays are taken to lie as DICOM pictures do, first axis to the right and second down, and are stored "
    "with y to the left of the picture and x up"
)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Cine:
    """One subject.

    images, classes : (frame, slice, y, x) float32 and uint8
    affine : (4, 4) [m] index (x, y, slice) -> RAS
    """

    images: NDArray[np.float32]
    classes: NDArray[np.uint8]
    affine: NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Subject:
    """One subject before anything but headers and texts are read.

    shape : (y, x) of the images, steps : (y, x) [m] of their pixels
    pitch : [m] from slice to slice
    times : (frame,) [s] after the R wave; () where no file says it
    split : 0 train, 1 validation, 2 test
    said : what the files say about the subject, for the attributes of the store
    """

    number: int
    name: str
    shape: tuple[int, int]
    steps: tuple[float, float]
    pitch: float
    n_slices: int
    n_frames: int
    split: int
    load: Callable[[], Cine]
    times: tuple[float, ...] = ()
    said: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class CineOptions:
    """What all imports of cines may be asked for.

    matrix : (y, x) pixels, None = the largest image; pixel [m], None = the median of the subjects
    centre : "image", or "heart": the middle of the box around the labels of all frames and slices
    slices : "all", or "mid": the middle one of those with all three classes at end-diastole
    test, validation : shares of the subjects
    """

    matrix: tuple[int, int] | None = None
    pixel: float | None = None
    centre: str = "image"
    slices: str = "all"
    test: float = 0.2
    validation: float = 0.0


AS_PUBLISHED = CineOptions()


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class CineSet(About):
    """All subjects, and what is made of them."""

    subjects: tuple[Subject, ...]
    wanted: CineOptions

    @property
    def mid(self) -> bool:
        """Whether the middle slices are wanted alone."""
        return self.wanted.slices == "mid"


def split_by_name(names: Sequence[str], test: float, validation: float) -> dict[str, int]:
    """Split subjects by shares, 0 train, 1 validation, 2 test; who goes where hangs on the names alone."""
    for what, share in (("test", test), ("validation", validation)):
        if not 0 <= share < 1 or test + validation >= 1:
            raise ImportProblem(
                f"the shares of test and validation must leave subjects to train on, got {what} {share:g}"
            )
    ranked = sorted(names, key=lambda name: hashlib.blake2b(name.encode(), digest_size=8).digest())
    n_test, n_validation = round(test * len(names)), round(validation * len(names))
    split = dict.fromkeys(ranked, 0)
    split |= dict.fromkeys(ranked[n_test : n_test + n_validation], 1)
    return split | dict.fromkeys(ranked[:n_test], 2)


def numbered(names: Sequence[str]) -> dict[str, int]:
    """Give each name the number in it; names that give no different numbers are counted from 1."""
    digits = ["".join(c for c in name if c.isdigit()) for name in names]
    numbers = [int(d) if d and len(d) < 10 else -1 for d in digits]
    if min(numbers) < 0 or max(numbers) >= 2**31 or len(set(numbers)) < len(numbers):
        numbers = list(range(1, 1 + len(names)))
    return dict(zip(names, numbers, strict=True))


def write_cines(data: CineSet, out: str | Path, *, overwrite: bool, progress: Progress | None) -> Store:
    """Write the subjects, one shard each; an interrupted import goes on.

    Shorter stacks end in empty slices that belong to no split. StoreError as `StoreWriter` raises it.
    """
    grid, subjects = common_grid(data), data.subjects
    layout = Layout(
        n_subjects=len(subjects),
        n_slices=1 if data.mid else max(subject.n_slices for subject in subjects),
        shape=grid.shape,
        pixel_spacing=grid.steps,
        class_names=CLASSES,
        tissue_names=CLASSES,
        n_frames=same_frames(subjects),
        codec="zstd",
    )
    said = {str(subject.number): subject.said for subject in subjects if subject.said}
    attrs = {**attributes(data), **({"subjects": said} if said else {})}
    writer = StoreWriter.create(out, layout, _coords(data, layout), attrs, overwrite=overwrite)
    return fill(writer, lambda rank: _arrays(data, subjects[rank], grid, layout), progress)


def common_grid(data: CineSet) -> Grid:
    """Return the pixels of the store."""
    steps = np.array([subject.steps for subject in data.subjects])
    pixel = data.wanted.pixel
    y, x = (pixel, pixel) if pixel else np.median(steps, axis=0)
    sizes = np.ceil(np.array([s.shape for s in data.subjects]) * _ratios(steps, (y, x)) - ROUNDING)
    shape = data.wanted.matrix or (int(sizes[:, 0].max()), int(sizes[:, 1].max()))
    return Grid(shape=shape, steps=(float(y), float(x)))


def _ratios(steps: NDArray[np.floating], target: tuple[float, float]) -> NDArray[np.float64]:
    """(subject, 2) pixels of the store per pixel of a file: 1 where they are nearly the same."""
    ratio = np.asarray(steps, np.float64) / target
    alike = np.all(np.abs(ratio - 1) <= SAME, axis=-1, keepdims=True)
    return np.where(alike, 1.0, ratio)


def same_frames(subjects: Sequence[Subject]) -> int:
    """Return the number of frames that all subjects have; ImportProblem where they differ."""
    first = subjects[0]
    for other in subjects:
        if other.n_frames != first.n_frames:
            raise ImportProblem(
                f"all subjects must have as many frames, got {first.n_frames} of {first.name} and "
                f"{other.n_frames} of {other.name}: --frames N takes the nearest ones of each"
            )
    return first.n_frames


def nearest_frames(n: int, wanted: int | None) -> tuple[int, ...]:
    """Return which of the `n` frames of a beat lie nearest to `wanted` evenly spaced ones; None is all."""
    wanted = n if wanted is None else wanted
    return tuple(round(i * n / wanted) % n for i in range(wanted))


def _arrays(data: CineSet, subject: Subject, grid: Grid, layout: Layout) -> Arrays:
    """All arrays of one subject, (slice, ...)."""
    cine = subject.load()
    chosen = [mid_slice(cine, subject.name)] if data.mid else list(range(cine.classes.shape[1]))
    classes = cine.classes[:, chosen]
    centre = heart_centre(classes, subject.name) if data.wanted.centre == "heart" else None
    window = window_of(subject.shape, centre, _ratios(np.array([subject.steps]), grid.steps)[0], grid)
    images = onto(window, scaled(cine.images, eight_bit=False)[:, chosen])
    n, frames, shape = len(chosen), layout.n_frames, layout.shape
    kspace = np.zeros((layout.n_slices, frames, 1, *shape), np.complex64)
    labels = np.zeros((layout.n_slices, frames, *shape), np.uint8)
    for i in range(n):
        kspace[i, :, 0] = centred_fft2(images[:, i].astype(np.complex64))
        labels[i] = _labels_onto(window, classes[:, i])
    affine = np.tile(np.eye(4), (layout.n_slices, 1, 1))
    affine[:n] = [_slice_affine(cine.affine, number) @ window.affine for number in chosen]
    return {"kspace": kspace, "labels": labels, "tissue": labels, "affine": affine}


def _labels_onto(window: Window, classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(frame, y, x) class with the largest share of each pixel."""
    if window.whole:
        return onto(window, classes)
    shares = np.stack([onto(window, classes == c, linear=True) for c in range(1, len(CLASSES))])
    shares = np.concatenate([1 - shares.sum(axis=0, keepdims=True), shares])
    largest: NDArray[np.uint8] = shares.argmax(axis=0).astype(np.uint8)
    return largest


def _slice_affine(affine: NDArray[np.float64], number: int) -> NDArray[np.float64]:
    """(4, 4) [m] pixel index (x, y, 0, 1) of a slice -> RAS; z steps to the next slice."""
    moved = affine.copy()
    moved[:3, 3] += number * affine[:3, 2]
    return moved


def mid_slice(cine: Cine, name: str) -> int:
    """Return the middle one of the slices that show all three classes at end-diastole."""
    full = [k for k, labels in enumerate(cine.classes[0]) if set(np.unique(labels)) >= {1, 2, 3}]
    if not full:
        raise ImportProblem(f"{name} must have a slice with LV, myocardium and RV at end-diastole, got none")
    return full[len(full) // 2]


def heart_centre(classes: NDArray[np.uint8], name: str) -> tuple[int, int]:
    """(y, x) pixel in the middle of the box around all labels."""
    there: NDArray[np.bool_] = np.any(classes > 0, axis=(0, 1))
    if not there.any():
        raise ImportProblem(f"{name} must have labels to be centred on the heart, got none")
    y, x = (np.flatnonzero(there.any(axis=axis)) for axis in (1, 0))
    return int(y[0] + y[-1] + 1) // 2, int(x[0] + x[-1] + 1) // 2


def _coords(data: CineSet, layout: Layout) -> dict[str, NDArray[Any]]:
    """(case, ...) of all slices; echo and repetition times are not known."""
    n = layout.n_slices
    counts = [1 if data.mid else subject.n_slices for subject in data.subjects]
    used = [np.arange(n) < count for count in counts]
    coords = {
        "subject": np.repeat([subject.number for subject in data.subjects], n),
        "slice": np.concatenate([np.where(there, np.arange(n), -1) for there in used]),
        "orientation": np.full(layout.n_cases, orientation_code("axial")),
        "te": np.full(layout.n_cases, np.nan),
        "tr": np.full(layout.n_cases, np.nan),
        "split": np.concatenate(
            [np.where(t, s.split, UNUSED) for t, s in zip(used, data.subjects, strict=True)]
        ),
    }
    unknown = (np.nan,) * layout.n_frames
    coords["frame_time"] = np.repeat([subject.times or unknown for subject in data.subjects], n, axis=0)
    pitch = np.repeat([subject.pitch for subject in data.subjects], n)
    return {**coords, "slice_position": pitch * np.maximum(coords["slice"], 0)}


def oriented(
    values: NDArray[Any], affine_mm: NDArray[np.float64]
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """(X, Y, slice, frame) of a file -> (frame, slice, y, x), affine [m] of (x, y, slice). See FILE_ORDER."""
    n_right, n_down = values.shape[:2]
    turned = values.transpose(3, 2, 0, 1)[..., ::-1, ::-1]
    index = np.zeros((4, 4))
    index[0, 1] = index[1, 0] = -1  # y runs against X, x against Y
    index[0, 3], index[1, 3], index[2, 2], index[3, 3] = n_right - 1, n_down - 1, 1, 1
    return turned, np.diag([METRES, METRES, METRES, 1.0]) @ affine_mm @ index
