"""MRBrainS13: five patients, 240 x 240 x 48, T1, T1-IR and T2-FLAIR with labels (Mendrik et al., 2015).

"regions" are SemuNet's eight classes of LabelsForTraining, in which lesions join the white matter. "tissues"
are the four of LabelsForTesting as CRDN uses them: what is not CSF, GM or WM is taken out of the images.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mrsim.store import Store
from segnets.importers.volumes import (
    ImportProblem,
    Volume,
    check_same_grid,
    check_test,
    find,
    merged,
    read_volume,
    scaled,
)
from segnets.importers.writing import DataSet, Loaded, Progress, Stack, stacks_of, write_store

PATIENTS = (1, 2, 3, 4, 5)
CONTRASTS = ("T1", "T1_IR", "T2_FLAIR")
ENDINGS = (".nii", ".nii.gz", ".mhd")
REGIONS = (
    "background",
    "cortical GM",
    "basal ganglia",
    "WM",
    "extracerebral CSF",
    "ventricles",
    "cerebellum",
    "brainstem",
)
# kind -> file of the labels, class names, label -> class
LABELS = {
    "regions": ("LabelsForTraining", REGIONS, {0: 0, 1: 1, 2: 2, 3: 3, 4: 3, 5: 4, 6: 5, 7: 6, 8: 7}),
    "tissues": ("LabelsForTesting", ("background", "CSF", "GM", "WM"), {0: 0, 1: 1, 2: 2, 3: 3}),
}


def import_mrbrains(
    folder: Path,
    out: str | Path,
    *,
    labels: str = "regions",
    test: Sequence[int] = (5,),
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Store:
    """Import TrainingData/1 .. 5; the patients of `test` are for the test, the others are trained on.

    Errors: ImportProblem and StoreError, one sentence.
    """
    if labels not in LABELS:
        raise ImportProblem(f"labels must be one of {', '.join(LABELS)}, got {labels}")
    check_test(test, PATIENTS)
    file, class_names, table = LABELS[labels]
    homes = {patient: patient_folder(folder, patient) for patient in PATIENTS}
    files = {(p, stem): find(homes[p], stem, ENDINGS) for p in PATIENTS for stem in (*CONTRASTS, file)}

    def load(patient: int) -> Loaded:
        volumes = {stem: read_volume(files[patient, stem]) for stem in (*CONTRASTS, file)}
        check_same_grid(volumes, f"patient {patient}")
        classes = merged(volumes[file], table, f"patient {patient}")
        kept = classes > 0 if labels == "tissues" else 1
        images = {c: scaled(volumes[c].values, eight_bit=labels == "tissues") * kept for c in CONTRASTS}
        return Loaded(images=images, classes=classes, affine=volumes[file].affine)

    def stacks(patient: int) -> tuple[Stack, ...]:
        volume: Volume = read_volume(files[patient, file])
        cut = ("axial", range(volume.values.shape[2]))
        return stacks_of(patient, volume, [cut], 2 if patient in test else 0)

    stripped = "skull-stripped by label > 0, 8-bit steps; " if labels == "tissues" else ""
    data = DataSet(
        name="mrbrains",
        title=f"MRBrainS13, 5 patients, {len(class_names)} classes",
        class_names=class_names,
        contrasts=CONTRASTS,
        stacks=tuple(stack for patient in PATIENTS for stack in stacks(patient)),
        load=load,
        options={"labels": labels, "test": sorted(test)},
        files=tuple(files.values()),
        notes=(f"images: {stripped}scaled to [0, 1] volume by volume", "split by patient"),
        citation="Mendrik et al., Computational Intelligence and Neuroscience 2015; doi:10.34894/645ZIN",
        licence="as of the data set; not to be passed on",
    )
    return write_store(data, out, overwrite=overwrite, progress=progress)


def patient_folder(folder: Path, patient: int) -> Path:
    """Find the folder of a patient in DIR or DIR/TrainingData."""
    for home in (folder / "TrainingData" / str(patient), folder / str(patient)):
        if home.is_dir():
            return home
    raise ImportProblem(
        f"{folder} is not the training data of MRBrainS13: it must hold the folders 1 to 5, or "
        f"TrainingData with them, but lacks {patient}"
    )
