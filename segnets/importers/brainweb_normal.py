"""BrainWeb's simulated T1, T2 and PD images of the normal brain at 1 mm, as CRDN slices them (AAAI 2020).

One subject only, so that there is no split by subject: of the coronal, sagittal and axial slices in a row,
those of number 1 and 3 modulo 5 are for the test, and their neighbours are trained on.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from mrsim.store import Store
from segnets.importers.volumes import (
    IMAGE_AXES,
    ImportProblem,
    Volume,
    check_same_grid,
    find,
    merged,
    read_volume,
    scaled,
)
from segnets.importers.writing import DataSet, Loaded, Progress, Stack, stacks_of, write_store

CONTRASTS = ("T1", "T2", "PD")
ENDINGS = (".mnc", ".mnc.gz", ".nii.gz", ".nii", ".npy")
LABELS = "phantom_1.0mm_normal_crisp"
NOISE = (0, 1, 3, 5, 7, 9)  # [%]
INU = (0, 20, 40)  # [%]
CUT = 30  # slices left out at each end
TEST_OF_FIVE = (1, 3)
START = (-90.0, -126.0, -72.0)  # [mm] of the first voxel of a .npy file, RAS


def import_brainweb_normal(
    folder: Path,
    out: str | Path,
    *,
    noise: int = 0,
    inu: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Store:
    """Import {t1,t2,pd}_icbm_normal_1mm_pn<noise>_rf<inu> with the crisp labels; noise, inu : [%].

    Errors: ImportProblem and StoreError, one sentence.
    """
    for name, level, known in (("noise", noise, NOISE), ("inu", inu, INU)):
        if level not in known:
            raise ImportProblem(f"{name} must be one of {', '.join(map(str, known))} %, got {level} %")
    if not folder.is_dir():
        raise ImportProblem(f"{folder} does not exist")
    stems = {c: f"{c.lower()}_icbm_normal_1mm_pn{noise}_rf{inu}" for c in CONTRASTS}
    files = {name: find(folder, stem, ENDINGS) for name, stem in {**stems, "labels": LABELS}.items()}
    npy_affine = np.eye(4)
    npy_affine[:3, 3] = START

    def load(_: int) -> Loaded:
        volumes = {name: read_volume(path, npy_affine) for name, path in files.items()}
        check_same_grid(volumes, "BrainWeb's normal brain")
        table = {0: 0, 1: 1, 2: 2, 3: 3} | dict.fromkeys(range(4, 12), 0)
        classes = merged(volumes["labels"], table, "BrainWeb's normal brain")
        images = {c: scaled(volumes[c].values, eight_bit=True) * (classes > 0) for c in CONTRASTS}
        return Loaded(images=images, classes=classes, affine=volumes["labels"].affine)

    data = DataSet(
        name="brainweb-normal",
        title=f"BrainWeb normal brain, noise {noise} %, non-uniformity {inu} %, three views",
        class_names=("background", "CSF", "GM", "WM"),
        contrasts=CONTRASTS,
        stacks=with_split_by_slice(_stacks(read_volume(files["labels"], npy_affine))),
        load=load,
        options={"noise": noise, "inu": inu},
        files=tuple(files.values()),
        notes=(
            "one subject: split by slice as in CRDN's paper, neighbours of test slices are trained on",
            f"{CUT} slices cut off at each end of each axis; every view is centred in the largest image",
            "images: scaled to [0, 1] volume by volume in 8-bit steps, skull-stripped by label > 0",
            f"noise {noise} % and non-uniformity {inu} % are BrainWeb's own, in the magnitude images",
        ),
        citation="Cocosco et al., BrainWeb: online interface to a 3D MRI simulated brain database, 1997",
        licence="BrainWeb, McConnell Brain Imaging Centre: free with citation",
    )
    return write_store(data, out, overwrite=overwrite, progress=progress)


def _stacks(volume: Volume) -> tuple[Stack, ...]:
    sizes = volume.values.shape
    if min(sizes) <= 2 * CUT:
        raise ImportProblem(f"axes of the volume must be longer than {2 * CUT} slices, got {sizes}")
    views = ("coronal", "sagittal", "axial")
    cuts = [(view, range(CUT, sizes[IMAGE_AXES[view][2]] - CUT)) for view in views]
    return stacks_of(1, volume, cuts, 0)


def with_split_by_slice(stacks: tuple[Stack, ...]) -> tuple[Stack, ...]:
    """Put the slices of number 1 and 3 modulo 5, counted over all stacks, into the test."""
    return tuple(
        replace(
            stack,
            split=tuple(2 if (stack.first + i) % 5 in TEST_OF_FIVE else 0 for i in range(len(stack.numbers))),
        )
        for stack in stacks
    )
