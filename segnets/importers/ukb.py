"""UK Biobank's short-axis cines as ukbb_cardiac (Bai et al., JCMR 2018) leaves them: a folder per subject.

sa.nii.gz has all frames; seg_sa.nii.gz (a network's) or label_sa.nii.gz (contours) the labels, and the same
with _ED and _ES those two frames alone. 1 LV cavity, 2 myocardium, 3 RV cavity, as in the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np

from mrsim.store import Store
from segnets.importers.cine import (
    AS_PUBLISHED,
    FILE_ORDER,
    CineOptions,
    CineSet,
    Subject,
    nearest_frames,
    numbered,
    split_by_name,
    write_cines,
)
from segnets.importers.nifti_cine import (
    Part,
    labelled_frames,
    load_cine,
    read_header,
    read_values,
    volume_file,
)
from segnets.importers.volumes import ImportProblem
from segnets.importers.writing import Progress

TABLE = {0: 0, 1: 1, 2: 2, 3: 3}
LV = 1


def import_ukb(
    folder: Path,
    out: str | Path,
    wanted: CineOptions = AS_PUBLISHED,
    *,
    labels: str = "all",
    frames: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Store:
    """Import DIR/SUBJECT/sa.nii.gz with labels of all frames, or of end-diastole and end-systole.

    labels : "all", or "ed-es", a store of these two frames
    frames : of a beat, where labels are "all"; None is as many as there are
    Errors: ImportProblem and StoreError, one sentence.
    """
    found = {name: _parts(home, labels, frames) for name, home in subject_folders(folder).items()}
    split, numbers = split_by_name(list(found), wanted.test, wanted.validation), numbered(list(found))
    data = CineSet(
        name="ukb",
        title=f"UK Biobank short-axis cines, {len(found)} subjects",
        subjects=tuple(_subject(name, numbers[name], split[name], parts) for name, parts in found.items()),
        wanted=wanted,
        options={"labels": labels, "frames": frames, **asdict(wanted)},
        files=tuple(path for parts in found.values() for part in parts for path in (part.image, part.labels)),
        notes=(
            "two frames, end-diastole and end-systole" if labels == "ed-es" else "all frames of the beat",
            FILE_ORDER,
            "images: scaled to [0, 1] subject by subject; split by subject",
            "networks see real images: give them a phase in training",
        ),
        citation="Petersen et al., JCMR 18:8, 2016; Bai et al., JCMR 20:65, 2018",
        licence="UK Biobank: for approved projects; not to be passed on",
    )
    return write_cines(data, out, overwrite=overwrite, progress=progress)


def subject_folders(folder: Path) -> dict[str, Path]:
    """Return name -> folder of each subject; ImportProblem where there is none."""
    if not folder.is_dir():
        raise ImportProblem(f"{folder} does not exist")
    inside = [path for path in sorted(folder.iterdir()) if path.is_dir()]
    found = {path.name: path for path in inside if volume_file(path, "sa", "sa_ED")}
    if not found:
        raise ImportProblem(
            f"{folder} is not a folder of UK Biobank subjects: it must hold a folder for each with "
            f"sa.nii.gz, or sa_ED.nii.gz and sa_ES.nii.gz, but none of its {len(inside)} folders has one"
        )
    return found


def _parts(home: Path, labels: str, frames: int | None) -> tuple[Part, ...]:
    """Choose files and frames of a subject."""
    if labels == "all":
        return (_whole_beat(home, frames),)
    pairs = [
        (
            volume_file(home, f"sa_{moment}"),
            volume_file(home, f"label_sa_{moment}", f"seg_sa_{moment}"),
        )
        for moment in ("ED", "ES")
    ]
    two = tuple(Part(image=image, labels=drawn) for image, drawn in pairs if image and drawn)
    if len(two) == len(pairs):
        return two
    image, drawn = volume_file(home, "sa"), volume_file(home, "label_sa", "seg_sa")
    if image is None or drawn is None:
        raise ImportProblem(
            f"{home} lacks sa_ED and sa_ES with label_sa_ED and label_sa_ES, or sa with label_sa "
            "(.nii.gz or .nii)"
        )
    moments = ed_and_es(drawn)
    return (Part(image=image, labels=drawn, image_frames=moments, label_frames=moments),)


def _whole_beat(home: Path, frames: int | None) -> Part:
    image, drawn = volume_file(home, "sa"), volume_file(home, "seg_sa", "label_sa")
    if image is None or drawn is None:
        lacking = "sa.nii.gz" if image is None else "seg_sa.nii.gz and label_sa.nii.gz"
        raise ImportProblem(
            f"{home} lacks {lacking}: --labels ed-es takes end-diastole and end-systole alone"
        )
    n = read_header(image).shape[3]
    if drawn.name.startswith("label_") and len(there := labelled_frames(drawn)) < n:
        raise ImportProblem(
            f"{drawn} has labels in {len(there)} of {n} frames: --labels ed-es takes end-diastole and "
            "end-systole alone"
        )
    taken = nearest_frames(n, frames)
    return Part(image=image, labels=drawn, image_frames=taken, label_frames=taken)


def ed_and_es(labelled: Path) -> tuple[int, int]:
    """Return the first frame with labels, and that of the others whose left ventricle is smallest."""
    there = labelled_frames(labelled)
    if len(there) < 2:
        raise ImportProblem(
            f"{labelled} must have labels at end-diastole and end-systole, got {len(there)} frame(s)"
        )
    values, _ = read_values(labelled)
    volumes = (np.rint(values[..., there]) == LV).sum(axis=(0, 1, 2))
    return there[0], there[1 + int(np.argmin(volumes[1:]))]


def _subject(name: str, number: int, split: int, parts: Sequence[Part]) -> Subject:
    header = read_header(parts[0].image)
    known = header.times if len(parts) == 1 else ()
    taken = parts[0].image_frames
    return Subject(
        number=number,
        name=name,
        shape=header.plane,
        steps=header.steps,
        pitch=header.pitch,
        n_slices=header.shape[2],
        n_frames=sum(len(part.image_frames) for part in parts),
        split=split,
        load=partial(load_cine, parts, TABLE),
        times=tuple(known[frame] for frame in taken) if known else (),
        said={} if str(number) == name else {"name": name},
    )
