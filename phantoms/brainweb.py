"""BrainWeb's 20 normal anatomical models: crisp label volumes of 0.5 mm, found on this machine.

The volumes are not part of this package: `phantoms.download.fetch_brainweb` gets them from BrainWeb.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from phantoms.brainweb_files import START_MM, STEP_MM, check_subject, read_labels
from phantoms.phantom import BRAIN_ORACLE, Phantom, PhantomError
from phantoms.tissues import tissue_table

MM = 1e-3

SUBJECTS = (4, 5, 6, 18, 20, 38, *range(41, 55))
CITATION = (
    "Cocosco, Kollokian, Kwan, Evans, NeuroImage 5(4):S425, 1997; "
    "Aubert-Broche, Griffin, Pike, Evans, Collins, IEEE TMI 25(11):1410-1416, 2006, "
    "doi:10.1109/TMI.2006.883453; "
    "Aubert-Broche, Evans, Collins, NeuroImage 32(1):138-145, 2006"
)
LICENCE = (
    "BrainWeb: no formal licence; free of charge, with the request to cite; volumes not to be redistributed"
)

NAMES = (  # BrainWeb and this package; brainweb-dl; brainweb
    "subject{0:02d}_crisp_v",
    "subject{0:02d}_crisp",
    "brainweb_s{0:02d}_crisp",
    "subject_{0:02d}",
)
SUFFIXES = (".mnc", ".nii", ".rawb", ".raws", ".raw", ".bin", ".byte", ".short")
DIRECTORY_VARIABLE = "MRSIM_BRAINWEB_DIR"
REMEDY = f"set {DIRECTORY_VARIABLE} or --phantom-dir to a folder that holds the crisp volumes"


def affine() -> NDArray[np.float64]:
    """BrainWeb's grid, (4, 4) [m]: index (x, y, z) -> RAS."""
    grid = np.diag((STEP_MM * MM, STEP_MM * MM, STEP_MM * MM, 1.0))
    grid[:3, 3] = [start * MM for start in START_MM[::-1]]
    return grid


@dataclass(frozen=True, kw_only=True, slots=True)
class BrainWeb:
    """The 20 subjects, from `directory` or wherever BrainWeb's volumes are usually kept.

    directory : the only folder to look in; None looks in `folders_searched()`
    tissues : tissue table of the twelve classes
    verify : refuse a volume that differs in any voxel from the one that BrainWeb serves
    """

    name: ClassVar[str] = "brainweb"
    directory: Path | str | None = None
    tissues: str = "brainweb-1.5T"
    verify: bool = True

    def __post_init__(self) -> None:
        if len(tissue_table(self.tissues).tissues) != len(BRAIN_ORACLE.of_tissue):
            raise ValueError(f"tissues must be a table of the twelve BrainWeb classes, got {self.tissues!r}")

    def subjects(self) -> tuple[int, ...]:
        """Numbers of the 20 subjects, whether their volumes are here or not."""
        return SUBJECTS

    def path(self, subject: int) -> Path:
        """Where the volume of `subject` lies; PhantomError with the remedies when it lies nowhere."""
        if subject not in SUBJECTS:
            raise ValueError(f"subject must be one of {', '.join(map(str, SUBJECTS))}, got {subject}")
        folders = folders_searched(self.directory)
        for path in _candidates(folders, subject):
            if path.is_file():
                return path
        raise PhantomError(
            f"BrainWeb subject {subject:02d} is not in {', '.join(map(str, folders))}: {REMEDY}, "
            "or run `mrsim fetch brainweb`"
        )

    def load(self, subject: int) -> Phantom:
        """One subject; about half a second."""
        path = self.path(subject)
        labels = read_labels(path)
        if self.verify:
            check_subject(labels, subject, path)
        return Phantom(
            name=self.name,
            subject=f"{subject:02d}",
            labels=labels,
            affine=affine(),
            tissues=tissue_table(self.tissues),
            oracle=BRAIN_ORACLE,
            citation=CITATION,
            licence=LICENCE,
        )


def cache_directory() -> Path:
    """Where `mrsim fetch brainweb` puts the volumes."""
    from platformdirs import user_cache_path

    return user_cache_path("mrsim") / "brainweb"


def folders_searched(directory: Path | str | None = None) -> list[Path]:
    """`directory` alone, or the folders of this package and of the other BrainWeb tools, in this order."""
    if directory is not None:
        return [_existing(Path(directory).expanduser(), "phantom directory")]
    folders = []
    if own := os.environ.get(DIRECTORY_VARIABLE):
        folders.append(_existing(Path(own).expanduser(), DIRECTORY_VARIABLE))
    folders.append(cache_directory())
    if other := os.environ.get("BRAINWEB_DIR"):  # brainweb-dl
        folders.append(Path(other).expanduser())
    return [*folders, Path.home() / ".cache" / "brainweb", Path.home() / ".brainweb"]


def _existing(folder: Path, name: str) -> Path:
    if not folder.is_dir():
        raise PhantomError(f"{name} must be a folder that holds BrainWeb volumes, got {folder}")
    return folder


def _candidates(folders: list[Path], subject: int) -> Iterator[Path]:
    for folder in folders:
        for name in NAMES:
            for suffix in SUFFIXES:
                yield folder / f"{name.format(subject)}{suffix}.gz"
                yield folder / f"{name.format(subject)}{suffix}"
