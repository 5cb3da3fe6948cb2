"""Cases of a store as files of their own: NIfTI, ISMRMRD (MRD) or NumPy archives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mrsim.scanner.scan import Scan, played
from mrsim.sequences import sequence_class
from mrsim.slices.plane import SlicePlane
from mrsim.store import Case, Store, StoreError
from phantoms.names import known

DRAWN = ("te", "tr", "flip")  # what a case has of its own


def export_cases(
    store: Store,
    cases: Iterable[int],
    folder: Path | str,
    kind: str = "nifti",
    *,
    noise: float = 0.0,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Path]:
    """Write cases into a folder, which is made; a contrast of a case is a file of its own.

    kind : "nifti" (magnitude image and labels), "mrd" (raw data, labels, sensitivities) or "npz" (all arrays)
    noise : level of the noise to add, see `Case.noisy`
    progress : called with the cases done
    StoreError for a case that the format cannot hold.
    """
    write = FORMATS[known("format", kind, FORMATS)]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for done, index in enumerate(cases, start=1):
        whole = store.case(index)
        for name, case in _contrasts(whole):
            stem = f"case-{index:05d}" + (f"-{name}" if name else "")
            case = replace(case, kspace=case.noisy(noise)) if noise else case
            written += write(folder / stem, case, store.attrs.get("recipe", {}), name)
        progress(done)
    return written


def _contrasts(case: Case) -> Iterator[tuple[str, Case]]:
    if not case.contrasts:
        yield "", case
    for name in case.contrasts:
        yield name, case.contrast(name)


def _nifti(stem: Path, case: Case, _recipe: Mapping[str, Any], _contrast: str) -> list[Path]:
    from mrsim.reconstruction.nifti import write_nifti

    if case.affine is None:
        raise StoreError(f"case {case.index} does not say where it lies, which NIfTI has to: take npz")
    image, labels = stem.with_name(f"{stem.name}.nii.gz"), stem.with_name(f"{stem.name}-labels.nii.gz")
    times = np.atleast_1d(case.coords.get("frame_time", 0.0))
    interval = float(times[1] - times[0]) if case.n_frames > 1 and np.isfinite(times).all() else 0.0
    write_nifti(image, np.abs(case.image).astype(np.float32), case.affine, interval=interval)
    write_nifti(labels, case.labels, case.affine, interval=interval)
    return [image, labels]


def _npz(stem: Path, case: Case, _recipe: Mapping[str, Any], _contrast: str) -> list[Path]:
    """Write every array of the case by its name in the store, and what was drawn."""
    path = stem.with_name(f"{stem.name}.npz")
    names = ("kspace", "labels", "tissue", "fractions", "affine", "b0", "csm")
    arrays: dict[str, Any] = {n: getattr(case, n) for n in names if getattr(case, n) is not None}
    arrays |= {name: value for name, value in case.coords.items() if name not in arrays}
    np.savez_compressed(path, class_names=np.array(case.class_names), **arrays)
    return [path]


def _mrd(stem: Path, case: Case, recipe: Mapping[str, Any], contrast: str) -> list[Path]:
    from mrsim.files.mrd import write_mrd

    if case.n_frames:
        raise StoreError(
            f"case {case.index} is a cine, whose lines MRD would have to time one by one: take nifti or npz"
        )
    path = stem.with_name(f"{stem.name}.mrd")
    write_mrd(path, scan_of_case(case, recipe, contrast))
    return [path]


def scan_of_case(case: Case, recipe: Mapping[str, Any], contrast: str = "") -> Scan:
    """Give the scan that the case was made by: its k-space as samples in the order of time.

    recipe : of the store; StoreError if it does not name the sequence, or that fills no Cartesian grid
    """
    told = recipe.get("contrasts", {}).get(contrast) or recipe.get("sequence") or {}
    plane = _plane(case)
    if "name" not in told or plane is None:
        raise StoreError(
            f"case {case.index} does not say how it was scanned, which MRD has to: take nifti or npz"
        )
    parameters = {key: value for key, value in told.items() if key != "name"}
    parameters |= {key: float(case.coords[key]) for key in DRAWN if key in parameters and key in case.coords}
    what = played(told["name"], sequence_class(told["name"])(**parameters))
    place = what.events.place
    if not place.size:
        raise StoreError(
            f"case {case.index} was sampled off the grid, and only its gridded k-space is stored"
        )
    samples = case.kspace.reshape(case.kspace.shape[0], -1)
    scanner, phantom = recipe.get("scanner", {}), recipe.get("phantom", {})
    maps = {"labels": case.labels, "tissue": case.tissue}
    return Scan(
        signal=np.where(place >= 0, samples[:, np.maximum(place, 0)], 0).astype(np.complex64),
        played=what,
        plane=plane,
        csm=case.csm,
        maps=maps if case.b0 is None else {**maps, "b0": case.b0},
        class_names=case.class_names,
        field_strength=float(scanner.get("field_strength", np.nan)),
        phantom=f"{phantom.get('source', 'phantom')} {case.subject}, case {case.index}",
        engine=str(recipe.get("engine", "")),
        reason="from a store",
        n_spins=0,
        seconds=0.0,
    )


def _plane(case: Case) -> SlicePlane | None:
    """Slice plane by the affine of the case."""
    if case.affine is None:
        return None
    n_y, n_x = case.labels.shape
    step_x, step_y, thickness = (float(s) for s in np.linalg.norm(case.affine[:3, :3], axis=0))
    centre = case.affine @ (n_x // 2, n_y // 2, 0, 1)
    return SlicePlane(
        orientation=case.orientation,
        centre=(float(centre[0]), float(centre[1]), float(centre[2])),
        fov=(n_y * step_y, n_x * step_x),
        matrix=(n_y, n_x),
        thickness=thickness,
    )


Writer = Callable[[Path, Case, Mapping[str, Any], str], list[Path]]
FORMATS: dict[str, Writer] = {"nifti": _nifti, "mrd": _mrd, "npz": _npz}
