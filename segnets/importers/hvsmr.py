"""HVSMR 2016: ten hearts with myocardium and blood pool, as CRDN slices them (Pace et al., MICCAI 2015).

Three views of every patient, 20 slices cut off at each end of each axis.
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
    merged,
    read_volume,
    scaled,
)
from segnets.importers.writing import DataSet, Loaded, Progress, Stack, stacks_of, write_store

PATIENTS = tuple(range(10))
TEST = (6, 7, 8, 9)  # CRDN's
VARIANTS = ("axial_crop", "axial_full", "sa_crop")
CUT = 20  # slices left out at each end
VIEWS = {"sagittal": 0, "coronal": 1, "axial": 2}  # view -> axis of the RAS volume
CLASSES = ("background", "myocardium", "blood pool")
# lengths of the three axes of the copies that CRDN's authors used, smallest first: kept slices + 40
PUBLISHED = (
    (127, 141, 207),
    (127, 144, 206),
    (118, 174, 231),
    (140, 148, 165),
    (83, 95, 119),
    (97, 102, 164),
    (130, 140, 165),
    (165, 181, 239),
    (118, 133, 187),
    (142, 153, 200),
)


def import_hvsmr(
    folder: Path,
    out: str | Path,
    *,
    variant: str = "axial_crop",
    test: Sequence[int] = TEST,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Store:
    """Import training_<variant>_pat0 .. 9 with their labels; the patients of `test` are for the test.

    Errors: ImportProblem and StoreError, one sentence.
    """
    if variant not in VARIANTS:
        raise ImportProblem(f"variant must be one of {', '.join(VARIANTS)}, got {variant}")
    check_test(test, PATIENTS)
    files = {(p, part): _find(folder, variant, p, part) for p in PATIENTS for part in ("", "-label")}
    shapes: dict[int, tuple[int, ...]] = {}

    def load(patient: int) -> Loaded:
        volumes = {
            name: read_volume(files[patient, part]) for name, part in (("image", ""), ("label", "-label"))
        }
        check_same_grid(volumes, f"patient {patient}")
        classes = merged(volumes["label"], {0: 0, 1: 1, 2: 2}, f"patient {patient}")
        image = scaled(volumes["image"].values, eight_bit=True)
        return Loaded(images={"": image}, classes=classes, affine=volumes["image"].affine)

    def stacks(patient: int) -> tuple[Stack, ...]:
        volume = read_volume(files[patient, "-label"])
        shapes[patient] = volume.values.shape
        return stacks_of(patient, volume, cuts(volume, patient), 2 if patient in test else 0)

    found = tuple(stack for patient in PATIENTS for stack in stacks(patient))
    same = all(tuple(sorted(shapes[p])) == PUBLISHED[p] for p in PATIENTS)
    data = DataSet(
        name="hvsmr",
        title="HVSMR 2016, 10 hearts, three views",
        class_names=CLASSES,
        contrasts=(),
        stacks=found,
        load=load,
        options={"variant": variant, "test": sorted(test)},
        files=tuple(files.values()),
        notes=(
            f"{CUT} slices cut off at each end of each axis; every view is centred in the largest image",
            f"the volumes {'have' if same else 'have not'} the sizes of those that CRDN's authors used",
            "pixel_spacing is the median over patients; the affine of a case has its own",
            "images: scaled to [0, 1] volume by volume in 8-bit steps; split by patient",
        ),
        citation="Pace et al., Interactive whole-heart segmentation in congenital heart disease, MICCAI 2015",
        licence="as of the challenge; not to be passed on",
    )
    return write_store(data, out, overwrite=overwrite, progress=progress)


def cuts(volume: Volume, patient: int) -> list[tuple[str, range]]:
    """List the three views with the slices that are kept; ImportProblem for a volume too small for that."""
    sizes = volume.values.shape
    if min(sizes) <= 2 * CUT:
        raise ImportProblem(f"axes of patient {patient} must be longer than {2 * CUT} slices, got {sizes}")
    return [(view, range(CUT, sizes[axis] - CUT)) for view, axis in VIEWS.items()]


def _find(folder: Path, variant: str, patient: int, part: str) -> Path:
    name = f"training_{variant}_pat{patient}{part}"
    for home in (folder, folder / "Training", folder / "Ground truth", folder / "training"):
        for ending in (".nii.gz", ".nii"):
            if (home / f"{name}{ending}").is_file():
                return home / f"{name}{ending}"
    raise ImportProblem(
        f"{folder} is not the training data of HVSMR 2016 ({variant}): it must hold "
        f"training_{variant}_pat0 to 9 and the same with -label, as .nii.gz or .nii, but lacks {name}"
    )
