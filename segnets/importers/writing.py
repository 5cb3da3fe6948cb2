"""Stacks of slices -> a store, with the k-space that their magnitude images would have."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrsim.store import Layout, Store, StoreWriter, open_store
from mrsim.store.case import centred_fft2
from mrsim.versions import versions
from segnets.importers.volumes import IMAGE_AXES, Volume, orientation_code

UNUSED = 255  # split of a slice that only fills up a stack: no split has it
KSPACE = (
    "discrete Fourier transform of magnitude images: no measured k-space, without phase, coils or the noise "
    "of a receiver"
)
Progress = Callable[[int, int], None]  # (stacks done, stacks in all)
Arrays = dict[str, NDArray[Any]]  # of a shard: (slice, ...) by name


@dataclass(frozen=True, kw_only=True, slots=True)
class Stack:
    """Slices of one subject in one orientation, before anything but the header is read.

    shape : (y, x) of the slices, steps : (y, x) [m]
    numbers : of the volume's slices, first : number of the first one within the subject
    split : (slice,) 0 train, 1 validation, 2 test
    """

    subject: int
    orientation: str
    shape: tuple[int, int]
    steps: tuple[float, float]
    numbers: tuple[int, ...]
    first: int
    split: tuple[int, ...]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Loaded:
    """One subject: images by contrast (R, A, S) float32 in [0, 1], classes (R, A, S) uint8, affine [m]."""

    images: dict[str, NDArray[np.float32]]
    classes: NDArray[np.uint8]
    affine: NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class About:
    """What a store says about the data set that it was made from.

    files : all that are read, whose content makes the hash of the data set
    """

    name: str
    title: str
    options: dict[str, Any]
    files: tuple[Path, ...]
    notes: tuple[str, ...]
    citation: str
    licence: str


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class DataSet(About):
    """What an importer found: where the slices are, how to load a subject, and what to say about it all.

    contrasts : () is a single one without a name
    """

    class_names: tuple[str, ...]
    contrasts: tuple[str, ...]
    stacks: tuple[Stack, ...]
    load: Callable[[int], Loaded]


def stacks_of(
    subject: int, volume: Volume, cuts: Iterable[tuple[str, Sequence[int]]], split: int
) -> tuple[Stack, ...]:
    """Describe the stacks of a subject, all in one split; cuts : orientation and slice numbers."""
    stacks, first = [], 0
    for orientation, numbers in cuts:
        x, y, _ = IMAGE_AXES[orientation]
        size, steps = volume.values.shape, volume.steps
        stacks.append(
            Stack(
                subject=subject,
                orientation=orientation,
                shape=(size[y], size[x]),
                steps=(float(steps[y]), float(steps[x])),
                numbers=tuple(numbers),
                first=first,
                split=(split,) * len(numbers),
            )
        )
        first += len(numbers)
    return tuple(stacks)


def write_store(data: DataSet, out: str | Path, *, overwrite: bool, progress: Progress | None) -> Store:
    """Write the stacks, one shard each; an interrupted import goes on. StoreError as `StoreWriter` raises it.

    Images of different sizes are centred in the largest one, and shorter stacks are filled up with empty
    slices that belong to no split.
    """
    sizes = np.array([stack.shape for stack in data.stacks])
    layout = Layout(
        n_subjects=len(data.stacks),
        n_slices=max(len(stack.numbers) for stack in data.stacks),
        shape=(int(sizes[:, 0].max()), int(sizes[:, 1].max())),
        pixel_spacing=_median([stack.steps for stack in data.stacks]),
        class_names=data.class_names,
        tissue_names=data.class_names,
        contrasts=data.contrasts,
        codec="zstd",
    )
    loaded: dict[int, Loaded] = {}

    def arrays(rank: int) -> Arrays:
        stack = data.stacks[rank]
        if stack.subject not in loaded:  # its stacks follow one another
            loaded.clear()
            loaded[stack.subject] = data.load(stack.subject)
        return stack_arrays(stack, loaded[stack.subject], layout)

    writer = StoreWriter.create(out, layout, _coords(data, layout), attributes(data), overwrite=overwrite)
    return fill(writer, arrays, progress)


def fill(writer: StoreWriter, arrays: Callable[[int], Arrays], progress: Progress | None) -> Store:
    """Write what is not there yet, shard by shard, and open the finished store.

    arrays : place in the store -> all arrays of the shard
    """
    pending = writer.pending()
    for done, rank in enumerate(pending):
        writer.write_subject(rank, arrays(rank))
        if progress:
            progress(done + 1, len(pending))
    if not writer.complete:
        writer.finish()
    return open_store(writer.path)


def stack_arrays(stack: Stack, loaded: Loaded, layout: Layout) -> Arrays:
    """All arrays of one stack, (slice, ...): k-space, labels and affine."""
    n = len(stack.numbers)
    images = np.zeros((layout.n_slices, len(loaded.images), *layout.shape), np.float32)
    labels = np.zeros((layout.n_slices, *layout.shape), np.uint8)
    window, offset = _window(stack.shape, layout.shape)
    for c, image in enumerate(loaded.images.values()):
        cut = Volume(image, loaded.affine).slices(stack.orientation, stack.numbers)
        images[(slice(n), c, *window)] = cut
    volume = Volume(loaded.classes, loaded.affine)
    labels[(slice(n), *window)] = volume.slices(stack.orientation, stack.numbers)
    shift = np.eye(4)
    shift[:2, 3] = -offset[1], -offset[0]  # pixel (0, 0) of the larger image lies outside the slice
    affine = np.tile(np.eye(4), (layout.n_slices, 1, 1))
    affine[:n] = [volume.slice_affine(stack.orientation, number) @ shift for number in stack.numbers]
    kspace = centred_fft2(images.astype(np.complex64))[:, :, None]  # (slice, contrast, coil, ky, kx)
    kspace = kspace if layout.contrasts else kspace[:, 0]
    return {"kspace": kspace, "labels": labels, "tissue": labels, "affine": affine}


def _window(shape: tuple[int, int], full: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[int, int]]:
    """Where an image lies in a larger one, pixel n // 2 on pixel n // 2, and its first pixel there."""
    y, x = (big // 2 - small // 2 for small, big in zip(shape, full, strict=True))
    return (slice(y, y + shape[0]), slice(x, x + shape[1])), (y, x)


def _median(steps: Sequence[tuple[float, float]]) -> tuple[float, float]:
    y, x = np.median(np.array(steps), axis=0)
    return float(y), float(x)


def _coords(data: DataSet, layout: Layout) -> dict[str, NDArray[Any]]:
    """(case, ...) of all slices; echo and repetition times are not known."""
    n = layout.n_slices
    unknown = np.full(layout.shape_of(layout.coords["te"]), np.nan)
    coords = {
        "subject": np.repeat([stack.subject for stack in data.stacks], n),
        "slice": np.full(layout.n_cases, -1),
        "orientation": np.repeat([orientation_code(stack.orientation) for stack in data.stacks], n),
        "te": unknown,
        "tr": unknown,
        "split": np.full(layout.n_cases, UNUSED),
    }
    for rank, stack in enumerate(data.stacks):
        used = slice(rank * n, rank * n + len(stack.numbers))
        coords["slice"][used] = stack.first + np.arange(len(stack.numbers))
        coords["split"][used] = stack.split
    return coords


def attributes(about: About) -> dict[str, Any]:
    """Root attributes that say where the data are from, and how they were made."""
    recipe = {
        "name": about.name,
        "phantom": {"source": about.name},
        "import": about.options,
        "output": {"noise": 0.0, "noise_reference": "kspace_rms"},
    }
    return {
        "title": about.title,
        "recipe": recipe,
        "recipe_hash": _hash(recipe, about.files),
        "seed": 0,
        "versions": versions(),
        "citation": about.citation,
        "licence": about.licence,
        "kspace_origin": KSPACE,
        "notes": [*about.notes, f"slices of split {UNUSED} are empty and fill up a stack"],
    }


def _hash(recipe: dict[str, Any], files: Iterable[Path]) -> str:
    """Fingerprint of the options and of the content of all files."""
    digest = hashlib.blake2b(json.dumps(recipe, sort_keys=True).encode(), digest_size=8)
    for path in sorted(files):
        digest.update(path.read_bytes())
    return digest.hexdigest()
