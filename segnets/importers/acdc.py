"""ACDC (Bernard et al., IEEE TMI 2018): short-axis cines with contours at end-diastole and end-systole.

patientNNN/Info.cfg says which frames these are, patientNNN_frameXX.nii.gz and _gt.nii.gz hold them;
patientNNN_4d.nii.gz, which has no more labels, serves where the image of a frame is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from mrsim.store import Store
from segnets.importers.cine import (
    AS_PUBLISHED,
    FILE_ORDER,
    CineOptions,
    CineSet,
    Subject,
    numbered,
    split_by_name,
    write_cines,
)
from segnets.importers.nifti_cine import Part, load_cine, read_header, volume_file
from segnets.importers.volumes import ImportProblem
from segnets.importers.writing import Progress

TABLE = {0: 0, 1: 3, 2: 2, 3: 1}  # ACDC: 1 RV cavity, 2 myocardium, 3 LV cavity
SPLITS = {"training": 0, "testing": 2}  # folder -> split, where there are both


@dataclass(frozen=True, kw_only=True, slots=True)
class Patient:
    """The frames of one patient, and what Info.cfg says."""

    home: Path
    parts: tuple[Part, ...]
    info: dict[str, str]


def import_acdc(
    folder: Path,
    out: str | Path,
    wanted: CineOptions = AS_PUBLISHED,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Store:
    """Import patientNNN in DIR, or in its folders training and testing: a store of two frames, ED and ES.

    wanted : where there is a folder `testing`, it is the test, whatever share is wanted
    Errors: ImportProblem and StoreError, one sentence.
    """
    found = {home.name: _patient(home) for home in patient_folders(folder)}
    split, numbers = _split(found, wanted.test, wanted.validation), numbered(list(found))
    data = CineSet(
        name="acdc",
        title=f"ACDC, {len(found)} patients at end-diastole and end-systole",
        subjects=tuple(_subject(numbers[name], split[name], found[name]) for name in found),
        wanted=wanted,
        options=asdict(wanted),
        files=tuple(path for p in found.values() for part in p.parts for path in (part.image, part.labels)),
        notes=(
            "two frames: end-diastole and end-systole, the only ones with labels",
            FILE_ORDER,
            "images: scaled to [0, 1] patient by patient; split by patient",
            "networks see real images: give them a phase in training",
        ),
        citation="Bernard et al., IEEE Transactions on Medical Imaging 37:2514, 2018",
        licence="as of the data set; not to be passed on",
    )
    return write_cines(data, out, overwrite=overwrite, progress=progress)


def patient_folders(folder: Path) -> list[Path]:
    """Find patientNNN in a folder, or up to two below; ImportProblem where there is none."""
    if not folder.is_dir():
        raise ImportProblem(f"{folder} does not exist")
    for depth in ("", "*/", "*/*/"):
        found = sorted((p for p in folder.glob(f"{depth}patient*") if p.is_dir()), key=lambda p: p.name)
        if found:
            return found
    raise ImportProblem(
        f"{folder} is not ACDC: it, or folders training and testing in it, must hold patient001 and so on, "
        "each with Info.cfg, but there is no folder patient..."
    )


def _split(found: dict[str, Patient], test: float, validation: float) -> dict[str, int]:
    above = {patient.home.parent.name for patient in found.values()}
    if not above >= set(SPLITS):
        return split_by_name(list(found), test, validation)
    given = {name: SPLITS.get(patient.home.parent.name, 0) for name, patient in found.items()}
    return given | split_by_name([name for name, place in given.items() if place == 0], 0.0, validation)


def _patient(home: Path) -> Patient:
    info = read_info(home / "Info.cfg")
    return Patient(home=home, parts=tuple(_part(home, int(info[m])) for m in ("ED", "ES")), info=info)


def read_info(path: Path) -> dict[str, str]:
    """Read `NAME: VALUE` lines; ImportProblem where ED or ES, frames counted from 1, are missing."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        raise ImportProblem(f"{path.parent} lacks {path.name}") from None
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    info = {name.strip(): value.strip() for name, _, value in pairs}
    for moment in ("ED", "ES"):
        if not info.get(moment, "").isdigit() or int(info[moment]) < 1:
            raise ImportProblem(
                f"{path} must say {moment}: and the number of a frame, got {info.get(moment) or 'none'}"
            )
    return info


def _part(home: Path, frame: int) -> Part:
    """Return the files of a frame, counted from 1."""
    stem = f"{home.name}_frame{frame:02d}"
    image, drawn, whole = (volume_file(home, name) for name in (stem, f"{stem}_gt", f"{home.name}_4d"))
    if drawn is None:
        raise ImportProblem(f"{home} lacks {stem}_gt (.nii.gz or .nii), the labels of the frame in Info.cfg")
    if image is not None:
        return Part(image=image, labels=drawn)
    if whole is None:
        raise ImportProblem(f"{home} lacks {stem} and {home.name}_4d (.nii.gz or .nii)")
    return Part(image=whole, labels=drawn, image_frames=(frame - 1,))


def _subject(number: int, split: int, patient: Patient) -> Subject:
    header = read_header(patient.parts[0].image)
    frames: Sequence[int] = [int(patient.info[moment]) for moment in ("ED", "ES")]
    said = {"name": patient.home.name, "frames": list(frames)}
    if "Group" in patient.info:
        said["group"] = patient.info["Group"]
    return Subject(
        number=number,
        name=patient.home.name,
        shape=header.plane,
        steps=header.steps,
        pitch=header.pitch,
        n_slices=header.shape[2],
        n_frames=len(patient.parts),
        split=split,
        load=partial(load_cine, patient.parts, TABLE),
        said=said,
    )
