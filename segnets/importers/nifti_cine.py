"""NIfTI files of cines: their sizes without reading them, and images and classes as a store has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segnets.importers.cine import Cine, oriented
from segnets.importers.volumes import METRES, ImportProblem, Volume, merged

SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6, "unknown": 1.0}
ENDINGS = (".nii.gz", ".nii")
INTERVALS = (2e-3, 0.2)  # [s] what can be the time between frames; headers also say 0, 1 or the beat


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """Sizes of a file: shape (X, Y, slice, frame), steps (X, Y) [m], interval of the frames [s] or 0.

    pitch : [m] from slice to slice
    """

    shape: tuple[int, int, int, int]
    steps: tuple[float, float]
    pitch: float
    interval: float

    @property
    def plane(self) -> tuple[int, int]:
        """(y, x) of the store."""
        return self.shape[:2]

    @property
    def times(self) -> tuple[float, ...]:
        """(frame,) [s] after the first frame; () where the file does not say it."""
        return tuple(i * self.interval for i in range(self.shape[3])) if self.interval else ()


def volume_file(home: Path, *stems: str) -> Path | None:
    """Return the first of these files that a folder has, packed or not; None where it has none."""
    paths = (home / (stem + ending) for stem in stems for ending in ENDINGS)
    return next((path for path in paths if path.is_file()), None)


def read_header(path: Path) -> Header:
    """Read sizes and steps; ImportProblem where the file is no image of three or four axes."""
    image = _opened(path)
    zooms = [float(z) for z in image.header.get_zooms()]
    sizes = (*image.shape, 1)[:4]
    if len(image.shape) not in (3, 4):
        raise ImportProblem(f"{path} must have three or four axes, got {len(image.shape)}")
    unit = SECONDS.get(str(image.header.get_xyzt_units()[1]), 1.0)
    interval = zooms[3] * unit if len(zooms) > 3 else 0.0
    return Header(
        shape=(sizes[0], sizes[1], sizes[2], sizes[3]),
        steps=(zooms[0] * METRES, zooms[1] * METRES),
        pitch=float(np.linalg.norm(image.affine[:3, 2])) * METRES,
        interval=interval if INTERVALS[0] <= interval <= INTERVALS[1] else 0.0,
    )


def read_values(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """(X, Y, slice, frame) values and affine [mm] of a file."""
    image = _opened(path)
    try:
        values = np.asarray(image.dataobj)
    except Exception as error:  # whatever nibabel makes of a damaged file
        raise ImportProblem(f"{path} cannot be read ({str(error) or type(error).__name__})") from None
    return values.reshape((*values.shape, 1)[:4]), np.asarray(image.affine, np.float64)


def _opened(path: Path) -> Any:  # noqa: ANN401
    import nibabel

    try:
        return nibabel.load(path)
    except Exception as error:
        raise ImportProblem(f"{path} cannot be read ({str(error) or type(error).__name__})") from None


def labelled_frames(path: Path) -> list[int]:
    """Return the frames of a label file that have any label."""
    values, _ = read_values(path)
    return np.flatnonzero((values > 0.5).any(axis=(0, 1, 2))).tolist()


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Frames of one pair of files: which frames of the image, and which of the labels belong to them."""

    image: Path
    labels: Path
    image_frames: tuple[int, ...] = (0,)
    label_frames: tuple[int, ...] = (0,)


def load_cine(parts: Sequence[Part], table: dict[int, int]) -> Cine:
    """Read the frames of one subject, part by part; table : label of the files -> class.

    ImportProblem for labels on another grid, unknown ones, and frames without any.
    """
    loaded = [_read_part(part, table) for part in parts]
    images, _ = oriented(np.concatenate([image for image, _, _ in loaded], axis=3), loaded[0][2])
    classes, affine = oriented(np.concatenate([named for _, named, _ in loaded], axis=3), loaded[0][2])
    return Cine(images=images.astype(np.float32), classes=classes, affine=affine)


def _read_part(
    part: Part, table: dict[int, int]
) -> tuple[NDArray[Any], NDArray[np.uint8], NDArray[np.float64]]:
    """Images and classes (X, Y, slice, frame), affine [mm]."""
    image, affine = read_values(part.image)
    labels, label_affine = read_values(part.labels)
    if image.shape[:3] != labels.shape[:3] or max(part.label_frames) >= labels.shape[3]:
        sizes = [" x ".join(map(str, shape)) for shape in (image.shape, labels.shape)]
        raise ImportProblem(f"{part.labels} must have the grid of the image, {sizes[0]}, got {sizes[1]}")
    if max(part.image_frames) >= image.shape[3]:
        raise ImportProblem(
            f"{part.image} must have {1 + max(part.image_frames)} frames, got {image.shape[3]}"
        )
    named = merged(Volume(labels[..., list(part.label_frames)], label_affine), table, str(part.labels))
    if not (there := named.any(axis=(0, 1, 2))).all():
        empty = part.label_frames[int(np.argmin(there))]
        raise ImportProblem(f"{part.labels} must have labels in every frame, got none in frame {empty}")
    return image[..., list(part.image_frames)], named, affine
