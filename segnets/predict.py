"""A trained network and a store -> label maps, as NIfTI volumes in patient space or as one Zarr group."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mrsim.store import SPLITS, Store, open_store
from segnets.checkpoint import load_model
from segnets.config import check_choice
from segnets.data import DataError, evaluation_batches, split_indices
from segnets.evaluate import (
    EvaluateConfig,
    Progress,
    check_classes,
    check_condition,
    directory_of,
    pick_device,
    segment,
)
from segnets.tables import MM, write_json

T = TypeVar("T", str, float)
FORMATS = ("nifti", "zarr")
EVERY_SPLIT = "all"
# RAS axis of the image axes (x, y, slice), as docs/architecture.md defines the orientations of a store
RAS_AXES = {"axial": (1, 0, 2), "coronal": (2, 0, 1), "sagittal": (2, 1, 0)}
EVEN = 1e-3  # relative: slice pitches closer than this are the same pitch


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Prediction:
    """Label maps of some cases, with what places them in space.

    index : (case,) case of the store
    labels : (case, y, x) uint8 class numbers
    coords : name -> (case,) coordinates of the store, metres
    pixel_spacing : (y, x) [m]
    source : what made them: run, store, condition, class names
    """

    index: NDArray[np.int64]
    labels: NDArray[np.uint8]
    coords: Mapping[str, NDArray[Any]]
    pixel_spacing: tuple[float, float]
    orientation: str
    thickness: float  # [m] slice thickness, 0 where the store does not say
    source: dict[str, Any]

    def subjects(self) -> list[int]:
        """Subjects in ascending order."""
        return [int(subject) for subject in np.unique(self.coords["subject"])]


def predict(run_dir: Path, config: EvaluateConfig, progress: Progress | None = None) -> Prediction:
    """Segment the cases of a split ("all" takes every one) as `evaluate` would.

    Errors: StoreError, DataError, CheckpointError, ValueError, each with one sentence.
    """
    device = pick_device(config.device)
    model, run = load_model(run_dir, config.which, device)
    config = config.for_run(run)
    store = open_store(config.data)
    check_classes(run_dir, run, store)
    check_condition(store, config, run)
    index = np.sort(np.concatenate([split_indices(store, split) for split in _splits(store, config.split)]))
    labels = np.zeros((len(index), *store.shape), np.uint8)
    done = 0
    for split in _splits(store, config.split):
        for batch in evaluation_batches(
            store,
            split,
            rate=config.rate or 1.0,
            noise=config.noise or 0.0,
            n_center=run.train.n_center,
            batch_size=config.batch_size,
            device=device,
        ):
            labels[np.searchsorted(index, batch.index.cpu().numpy())] = segment(model, batch, run_dir)[1]
            done += len(batch.index)
            if progress:
                progress(done, len(index))
    return Prediction(
        index=index,
        labels=labels,
        coords={name: values[index] for name, values in store.coords.items() if values.ndim == 1},
        pixel_spacing=store.pixel_spacing,
        orientation=recipe_value(store, "slices", "orientation", "axial"),
        thickness=recipe_value(store, "sequence", "thickness", 0.0),
        source={
            "run": directory_of(run_dir).name,
            "model": run.train.model,
            "class_names": list(store.class_names),
            "recipe_hash": str(store.attrs.get("recipe_hash", "")),
            **asdict(config),
        },
    )


def _splits(store: Store, split: str) -> tuple[str, ...]:
    check_choice("split", split, (*SPLITS, EVERY_SPLIT))
    return tuple(s for s in SPLITS if store.indices(s).size) if split == EVERY_SPLIT else (split,)


def recipe_value(store: Store, section: str, name: str, default: T) -> T:
    """Look a parameter up in the recipe that the store carries; `default` where it carries none."""
    values = store.attrs.get("recipe", {}).get(section, {})
    return type(default)(values.get(name, default))


def write_prediction(prediction: Prediction, out: Path, form: str, *, overwrite: bool = False) -> list[Path]:
    """Write `out` whole or not at all: a folder of NIfTI volumes, or a Zarr group; returns what was written.

    Errors: FileExistsError unless `overwrite`; DataError for slices that no NIfTI volume can hold.
    """
    check_choice("format", form, FORMATS)
    if out.exists() and not overwrite:
        raise FileExistsError(f"{out} exists; choose another --out or replace it with --overwrite")
    write: Callable[[Prediction, Path], None] = write_zarr if form == "zarr" else write_nifti
    part = out.with_name(out.name + ".partial")
    shutil.rmtree(part, ignore_errors=True)
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        write(prediction, part)
        if out.is_dir():
            shutil.rmtree(out)
        part.replace(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return [out] if form == "zarr" else sorted(out.glob("*.nii.gz"))


def write_nifti(prediction: Prediction, folder: Path) -> None:
    """Write `subject-<n>_labels.nii.gz` (RAS, mm) for every subject, and labels.json with the class names."""
    import nibabel

    folder.mkdir()
    for subject in prediction.subjects():
        volume, affine = subject_volume(prediction, subject)
        image: Any = nibabel.Nifti1Image(volume, affine)  # type: ignore[no-untyped-call]
        image.set_sform(affine, code="scanner")
        image.set_qform(affine, code="scanner")
        image.header.set_xyzt_units("mm")
        image.header["descrip"] = f"segnets {prediction.source['model']}"[:79].encode()
        nibabel.save(image, folder / f"subject-{subject:02d}_labels.nii.gz")
    names = dict(enumerate(prediction.source["class_names"]))
    write_json(folder / "labels.json", {"classes": names, **prediction.source})


def subject_volume(prediction: Prediction, subject: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Stack a subject's slices: (right, anterior, superior) uint8, and the index -> RAS affine [mm].

    DataError where the slices are not evenly spaced in one stack, which is all that a NIfTI affine can say.
    """
    where = np.flatnonzero(prediction.coords["subject"] == subject)
    position = _positions(prediction, subject, where)
    order = np.argsort(position)
    stack = prediction.labels[where[order]]  # (slice, y, x)
    steps = (*prediction.pixel_spacing[::-1], _pitch(prediction, subject, position[order]))  # x, y, slice
    n_y, n_x = stack.shape[1:]
    first = (
        _centre(prediction, "centre_x", subject, where) - (n_x // 2) * steps[0],
        _centre(prediction, "centre_y", subject, where) - (n_y // 2) * steps[1],
        position[order[0]],
    )
    axes = RAS_AXES[prediction.orientation]
    affine = np.eye(4)
    affine[axes, axes] = MM * np.array(steps)
    affine[axes, 3] = MM * np.array(first)
    return np.ascontiguousarray(stack.transpose(2, 1, 0).transpose(np.argsort(axes))), affine


def _positions(prediction: Prediction, subject: int, where: NDArray[np.intp]) -> NDArray[np.float64]:
    if "slice_position" not in prediction.coords:
        raise DataError(f"subject {subject}: the store has no slice_position, so write zarr instead of nifti")
    return np.asarray(prediction.coords["slice_position"][where], dtype=np.float64)


def _pitch(prediction: Prediction, subject: int, position: NDArray[np.float64]) -> float:
    """Distance between the centres of neighbouring slices [m]; a single one takes its thickness."""
    if position.size == 1:
        return prediction.thickness or prediction.pixel_spacing[0]
    gaps = np.diff(position)
    if gaps.min() <= 0 or np.ptp(gaps) > EVEN * gaps.mean():
        raise DataError(
            f"subject {subject}: slices lie {MM * gaps.min():g} to {MM * gaps.max():g} mm apart, and a NIfTI "
            "volume holds evenly spaced slices only: write zarr instead of nifti"
        )
    return float(gaps.mean())


def _centre(prediction: Prediction, name: str, subject: int, where: NDArray[np.intp]) -> float:
    """RAS position [m] of the image centre along an axis: 0 where the store does not say."""
    if name not in prediction.coords:
        return 0.0
    values = np.asarray(prediction.coords[name][where], dtype=np.float64)
    if np.ptp(values) > EVEN * min(prediction.pixel_spacing):
        raise DataError(f"subject {subject}: {name} differs between slices, so write zarr instead of nifti")
    return float(values[0])


def write_zarr(prediction: Prediction, path: Path) -> None:
    """Write labels (case, y, x) uint8 and the coordinates of every case; opens with xarray and with zarr."""
    import xarray

    n_y, n_x = prediction.labels.shape[1:]
    dy, dx = prediction.pixel_spacing
    metres = {"units": "m", "long_name": "distance from the image centre"}
    dataset = xarray.Dataset(
        {"labels": (("case", "y", "x"), prediction.labels, {"classes": prediction.source["class_names"]})},
        coords={
            "case": ("case", prediction.index, {"long_name": "case of the store"}),
            "y": ("y", (np.arange(n_y) - n_y // 2) * dy, metres),
            "x": ("x", (np.arange(n_x) - n_x // 2) * dx, metres),
            **{name: ("case", values) for name, values in prediction.coords.items()},
        },
        attrs={"orientation": prediction.orientation, **prediction.source},
    )
    dataset.to_zarr(path, mode="w", zarr_format=3, consolidated=False)
