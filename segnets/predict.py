"""A trained network and a store -> label maps or images, as NIfTI volumes in patient space or as Zarr."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrsim.store import ORIENTATIONS, SPLITS, Store, open_store
from segnets.checkpoint import load_model
from segnets.conditions import EvaluateConfig, check_fit, pick_device
from segnets.config import check_choice
from segnets.data import DataError, image_shape, middle, split_indices
from segnets.evaluate import Progress, answer, batches, directory_of, magnitude
from segnets.models import RECONSTRUCTORS
from segnets.tables import MM, write_json

FORMATS = ("nifti", "zarr")
EVERY_SPLIT = "all"
EVEN = 1e-3  # relative: slice pitches and pixel steps closer than this are the same


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Prediction:
    """Label maps, or images, of some cases, with what places them in space.

    index : (case,) case of the store
    labels : (case, [frame,] y, x) uint8 class numbers; or, from a network that ends at the image,
    images : (case, y, x) float32 magnitude in the units of the store; the other one is None
    affine : (case, 4, 4) [m] pixel index (x, y, 0, 1) -> RAS
    coords : name -> (case,) coordinates of the store, metres
    pixel_spacing : (y, x) [m]
    source : what made them: run, store, condition, class names
    frame_time : (case, frame) [s] after the R wave, of series
    """

    index: NDArray[np.int64]
    labels: NDArray[np.uint8] | None
    affine: NDArray[np.float64]
    coords: Mapping[str, NDArray[Any]]
    pixel_spacing: tuple[float, float]
    orientation: str
    source: dict[str, Any]
    images: NDArray[np.float32] | None = None
    frame_time: NDArray[np.float64] | None = None

    @property
    def kind(self) -> str:
        """What is in it: "labels" or "image"."""
        return "image" if self.labels is None else "labels"

    @property
    def maps(self) -> NDArray[Any]:
        """(case, [frame,] y, x) whichever of both there is."""
        maps = self.images if self.labels is None else self.labels
        assert maps is not None
        return maps

    def subjects(self) -> list[int]:
        """Subjects in ascending order."""
        return [int(subject) for subject in np.unique(self.coords["subject"])]

    def stacks(self) -> dict[str, NDArray[np.int64]]:
        """Name of every stack of parallel slices -> its places among the cases, (slice,).

        A stack is a subject, `subject-02`; where the slices of some are cut in several views, a subject and a
        view, `subject-02_axial`.
        """
        subject = self.coords["subject"]
        view = self.coords.get("orientation", np.zeros(len(subject), np.uint8))
        several = np.unique(view).size > 1
        return {
            f"subject-{s:02d}{f'_{ORIENTATIONS[v]}' if several else ''}": where
            for s in self.subjects()
            for v in np.unique(view)
            if (where := np.flatnonzero((subject == s) & (view == v))).size
        }


def predict(run_dir: Path, config: EvaluateConfig, progress: Progress | None = None) -> Prediction:
    """Segment or reconstruct the cases of a split ("all" takes every one) as `evaluate` would.

    Errors: StoreError, DataError, CheckpointError, ValueError, each with one sentence.
    """
    device = pick_device(config.device)
    model, run = load_model(run_dir, config.which, device)
    config = config.for_run(run, run_dir)
    store = open_store(config.data)
    check_fit(run_dir, run, store, config)
    index = np.sort(np.concatenate([split_indices(store, split) for split in _splits(store, config.split)]))
    frames = (store.n_frames,) if store.n_frames else ()
    shape = (len(index), *frames, *image_shape(store, config.crop))
    labels, images = np.zeros(shape, np.uint8), np.zeros(shape, np.float32)
    done, segments = 0, run.train.model not in RECONSTRUCTORS
    for split in _splits(store, config.split):
        for batch in batches(store, config, split, run.train.n_center, device):
            where = np.searchsorted(index, batch.index.cpu().numpy())
            output, classes = answer(model, batch, run_dir)
            if classes is None:
                images[where] = magnitude(output.image) * batch.scale[:, 0].cpu().numpy()[:, None, None]
            else:
                labels[where] = classes
            done += len(where)
            if progress:
                progress(done, len(index))
    return Prediction(
        index=index,
        labels=labels if segments else None,
        images=None if segments else images,
        affine=cropped(np.asarray(store.read("affine", index), dtype=np.float64), store, config.crop),
        frame_time=store.coords["frame_time"][index] if "frame_time" in store.coords else None,
        coords={name: values[index] for name, values in store.coords.items() if values.ndim == 1},
        pixel_spacing=store.pixel_spacing,
        orientation=_orientation(store),
        source={
            "run": directory_of(run_dir).name,
            "model": run.train.model,
            "class_names": list(store.class_names),
            "recipe_hash": str(store.attrs.get("recipe_hash", "")),
            **asdict(config),
        },
    )


def cropped(affine: NDArray[np.float64], store: Store, crop: tuple[int, ...]) -> NDArray[np.float64]:
    """(case, 4, 4) affines of what `crop` leaves of the images."""
    first = [part.start for part in middle(store.shape, image_shape(store, crop))[1:]]  # (y, x)
    moved = affine.copy()
    moved[:, :3, 3] += affine[:, :3, :2] @ np.array(first[::-1], np.float64)
    return moved


def _splits(store: Store, split: str) -> tuple[str, ...]:
    check_choice("split", split, (*SPLITS, EVERY_SPLIT))
    return tuple(s for s in SPLITS if store.indices(s).size) if split == EVERY_SPLIT else (split,)


def _orientation(store: Store) -> str:
    """Read the orientation in the recipe that the store carries; a store without one is taken as axial."""
    return str(store.attrs.get("recipe", {}).get("slices", {}).get("orientation", "axial"))


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
    """Write `subject-<n>_labels.nii.gz` (RAS, mm) for every subject, and labels.json with the class names.

    Frames are the fourth axis, in s. Several views are a volume each, `subject-<n>_<view>_labels.nii.gz`.
    Images have "image" for "labels".
    """
    import nibabel

    folder.mkdir()
    for name, where in prediction.stacks().items():
        volume, affine = stack_volume(prediction, name, where)
        image: Any = nibabel.Nifti1Image(volume, affine)  # type: ignore[no-untyped-call]
        image.set_sform(affine, code="scanner")
        image.set_qform(affine, code="scanner")
        image.header.set_xyzt_units("mm", "sec" if volume.ndim == 4 else None)
        if volume.ndim == 4:
            image.header.set_zooms((*image.header.get_zooms()[:3], frame_step(prediction, where)))
        image.header["descrip"] = f"segnets {prediction.source['model']}"[:79].encode()
        nibabel.save(image, folder / f"{name}_{prediction.kind}.nii.gz")
    names = dict(enumerate(prediction.source["class_names"]))
    write_json(folder / f"{prediction.kind}.json", {"classes": names, **prediction.source})


def frame_step(prediction: Prediction, where: NDArray[np.int64]) -> float:
    """Mean time from one frame to the next [s]; 0 where it is not known."""
    times = prediction.frame_time
    return 0.0 if times is None or times.shape[1] < 2 else float(np.diff(times[where], axis=1).mean())


def stack_volume(
    prediction: Prediction, name: str, where: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Stack the slices of `Prediction.stacks`: (right, anterior, superior[, frame]), index -> RAS [mm].

    DataError where the slices are not evenly spaced in one stack, which is all that a NIfTI affine can say.
    """
    import nibabel

    affine = prediction.affine[where]
    normal = affine[0, :3, 2] / np.linalg.norm(affine[0, :3, 2])
    order = np.argsort(affine[:, :3, 3] @ normal)
    affine = affine[order]
    maps = prediction.maps[where[order]]
    stack = (
        maps.transpose(3, 2, 0, 1) if maps.ndim == 4 else maps.transpose(2, 1, 0)
    )  # (x, y, slice[, frame])
    whole = affine[0].copy()
    if where.size > 1:  # a single slice is as thick as its own affine says
        whole[:3, 2] = _pitch(affine, name)
    whole[:3] *= MM
    image: Any = nibabel.Nifti1Image(stack, whole)  # type: ignore[no-untyped-call]
    image = nibabel.as_closest_canonical(image)  # type: ignore[no-untyped-call]
    return np.ascontiguousarray(image.dataobj), image.affine


def _pitch(affine: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """Vector from one slice to the next [m], of affines (slice, 4, 4) in their order along the normal."""
    gaps = np.diff(affine[:, :3, 3], axis=0)  # (slice - 1, 3)
    distance = np.linalg.norm(gaps, axis=1)
    step = gaps.mean(axis=0)
    uneven = np.abs(gaps - step).max() > EVEN * distance.mean()
    turned = np.abs(affine[:, :3, :3] - affine[0, :3, :3]).max() > EVEN * np.abs(affine[0, :3, :3]).max()
    if uneven or turned or distance.min() == 0:
        raise DataError(
            f"{name}: slices lie {MM * distance.min():g} to {MM * distance.max():g} mm apart, and "
            "a NIfTI volume holds evenly spaced parallel slices only: write zarr instead of nifti"
        )
    return np.asarray(step)


def write_zarr(prediction: Prediction, path: Path) -> None:
    """Write `labels` or `image` (case, y, x) and the coordinates of all cases; for xarray and zarr."""
    import xarray

    *frames, n_y, n_x = prediction.maps.shape[1:]
    dy, dx = prediction.pixel_spacing
    metres = {"units": "m", "long_name": "distance from the image centre"}
    dataset = xarray.Dataset(
        {
            prediction.kind: (
                ("case", *["frame"] * len(frames), "y", "x"),
                prediction.maps,
                {"classes": prediction.source["class_names"]} if prediction.kind == "labels" else {},
            )
        },
        coords={
            "case": ("case", prediction.index, {"long_name": "case of the store"}),
            "y": ("y", (np.arange(n_y) - n_y // 2) * dy, metres),
            "x": ("x", (np.arange(n_x) - n_x // 2) * dx, metres),
            **{name: ("case", values) for name, values in prediction.coords.items()},
            **(
                {}
                if prediction.frame_time is None
                else {"frame_time": (("case", "frame"), prediction.frame_time)}
            ),
        },
        attrs={"orientation": prediction.orientation, **prediction.source},
    )
    dataset.to_zarr(path, mode="w", zarr_format=3, consolidated=False)
