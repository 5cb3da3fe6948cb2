"""Bring your own phantom: NIfTI label maps and a tissue table, which `phantoms.table_file` documents."""

# nibabel annotates few of its functions
# mypy: allow-untyped-calls

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from phantoms.phantom import Phantom, PhantomError, one_line
from phantoms.table_file import MAX_LABEL, TableFile, read_table

UNIT = {
    "meter": 1.0,
    "mm": 1e-3,
    "micron": 1e-6,
    "unknown": 1e-3,
}  # [m]; nibabel's names; most writers mean mm
UNASSIGNED = 255  # tissue class that no table reaches, which `_classes` checks


@dataclass(frozen=True, kw_only=True, slots=True)
class NiftiPhantom:
    """Label maps as subjects 1, 2, ...: one file, or all `.nii` and `.nii.gz` of a folder by name.

    path : label map, or folder of label maps
    tissues : tissue table, whose `label` keys say which labels of the map are which tissue
    max_tilt : [rad] up to which the voxel axes of an oblique map are taken as the axes of the patient
    """

    name: ClassVar[str] = "nifti"
    path: Path | str
    tissues: Path | str
    max_tilt: float = math.radians(15)

    def __post_init__(self) -> None:
        if not 0 <= self.max_tilt < math.pi / 4:
            raise ValueError(f"max_tilt must lie in [0, pi/4) rad, got {self.max_tilt} rad")

    def subjects(self) -> tuple[int, ...]:
        """Numbers from 1; PhantomError when there is no label map."""
        return tuple(range(1, len(self._files()) + 1))

    def load(self, subject: int) -> Phantom:
        """One label map, turned to RAS; `Phantom.subject` is its file name."""
        files = self._files()
        if not 1 <= subject <= len(files):
            raise ValueError(
                f"subject must be 1 to {len(files)}, the label maps in {self.path}, got {subject}"
            )
        return read_phantom(files[subject - 1], read_table(Path(self.tissues)), max_tilt=self.max_tilt)

    def _files(self) -> list[Path]:
        path = Path(self.path).expanduser()
        if path.is_file():
            return [path]
        if not path.is_dir():
            raise PhantomError(
                f"path must be a NIfTI label map or a folder of them, got {path}, which does not exist"
            )
        files = sorted(p for p in path.iterdir() if p.name.endswith((".nii", ".nii.gz")))
        if not files:
            raise PhantomError(f"path must be a folder that holds .nii or .nii.gz label maps, got {path}")
        return files


def read_phantom(path: Path, table: TableFile, *, max_tilt: float = math.radians(15)) -> Phantom:
    """Read one label map; PhantomError names the file and what is wrong with it."""
    try:
        values, affine = _read(path)
        return Phantom(
            name=NiftiPhantom.name,
            subject=path.name.removesuffix(".gz").removesuffix(".nii"),
            labels=_classes(values, table).T,  # (z, y, x)
            affine=_straightened(affine, values.shape, max_tilt),
            tissues=table.table,
            oracle=table.oracle,
        )
    except PhantomError:
        raise
    except ValueError as error:
        raise PhantomError(f"label map {path}: {error}") from error


def _read(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Values (x, y, z) with axes nearest to RAS, and their affine [m]."""
    import nibabel

    try:
        image: Any = nibabel.load(path)
        header = image.header
        if not isinstance(image, nibabel.Nifti1Image | nibabel.Nifti2Image):
            raise ValueError("it is not NIfTI")
        if not (header["sform_code"] or header["qform_code"]):
            raise ValueError("its header must say how it is oriented, got sform_code 0 and qform_code 0")
        image = nibabel.squeeze_image(image)
        if len(image.shape) != 3:
            raise ValueError(f"it must have three dimensions, got shape {image.shape}")
        image = nibabel.as_closest_canonical(image)
        values = np.asanyarray(image.dataobj)
        unit = UNIT[header.get_xyzt_units()[0]]
    except Exception as error:  # nibabel meets damage with errors of its own, of zlib and of NumPy
        raise PhantomError(f"label map {path} cannot be read: {one_line(error)}") from error
    affine = np.array(image.affine, dtype=np.float64)
    affine[:3] *= unit
    return values, affine


def _classes(values: NDArray[Any], table: TableFile) -> NDArray[np.uint8]:
    """Tissue class of every voxel; refuses fractions and labels that the table does not list."""
    if values.dtype.kind not in "iuf":
        raise ValueError(f"it must hold whole numbers, got {values.dtype}")
    if values.dtype.kind == "f" and not (values == np.rint(values)).all():
        raise ValueError("it must hold whole numbers, got fractions or NaN")
    if values.min() < 0 or values.max() > MAX_LABEL:
        raise ValueError(f"labels must be 0 to {MAX_LABEL}, got {values.min()} to {values.max()}")
    labels = values.astype(np.uint16)
    lookup = np.full(MAX_LABEL + 1, UNASSIGNED, np.uint8)
    for tissue, own in enumerate(table.labels):
        lookup[list(own)] = tissue
    classes: NDArray[np.uint8] = lookup[labels]
    if (classes == UNASSIGNED).any():
        foreign = np.unique(labels[classes == UNASSIGNED])
        listed = ", ".join(map(str, foreign[:10])) + (", ..." if foreign.size > 10 else "")
        raise ValueError(f"labels must be in the tissue table {table.table.name!r}, got {listed}")
    return classes


def _straightened(
    affine: NDArray[np.float64], shape: tuple[int, ...], max_tilt: float
) -> NDArray[np.float64]:
    """Turn the affine about the volume's centre until axis-aligned; refuse large turns and shear."""
    if not np.isfinite(affine).all():
        raise ValueError("its affine must be finite, got NaN or infinite values")
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if not (spacing > 0).all():
        raise ValueError(f"voxel sizes must be positive, got {spacing.tolist()} m")
    axes = affine[:3, :3] / spacing
    skew = np.abs(axes.T @ axes - np.eye(3)).max()
    if skew > 1e-3:
        raise ValueError(f"its voxel axes must be orthogonal, got a cosine of {skew:.3g} between two of them")
    tilt = math.acos(min(1.0, (np.trace(axes) - 1) / 2))  # angle of the rotation that is left
    if tilt > max_tilt:
        raise ValueError(
            f"its voxel axes must lie within {math.degrees(max_tilt):.3g} degrees of the patient's, got "
            f"{math.degrees(tilt):.3g} degrees: resample it to RAS first"
        )
    centre = (np.array(shape) - 1) / 2
    straight = np.diag([*spacing, 1.0])
    straight[:3, 3] = affine[:3, :3] @ centre + affine[:3, 3] - spacing * centre
    return straight
