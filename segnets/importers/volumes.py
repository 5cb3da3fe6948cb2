"""Volumes from NIfTI, MINC, MetaImage and NumPy files, turned to RAS, and cut into slices of a store."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrsim.store import ORIENTATIONS

METRES = 1e-3  # [m/mm]
# orientation -> axes of a RAS volume that are x (readout), y (phase encode) and z (slice) of an image
IMAGE_AXES = {"axial": (1, 0, 2), "coronal": (2, 0, 1), "sagittal": (2, 1, 0)}
META_TYPES = {
    "MET_UCHAR": "u1",
    "MET_CHAR": "i1",
    "MET_USHORT": "u2",
    "MET_SHORT": "i2",
    "MET_UINT": "u4",
    "MET_INT": "i4",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}


class ImportProblem(Exception):  # noqa: N818 - mostly a folder that is another one
    """A folder or file that cannot be imported; the message is one sentence for the user."""


@dataclass(frozen=True, eq=False, slots=True)
class Volume:
    """values : (right, anterior, superior) ; affine : (4, 4) [m] index -> RAS."""

    values: NDArray[Any]
    affine: NDArray[np.float64]

    @property
    def steps(self) -> NDArray[np.float64]:
        """(3,) [m] distance of neighbouring voxels along R, A, S."""
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0))

    def slices(self, orientation: str, numbers: Sequence[int]) -> NDArray[Any]:
        """Cut slices across the orientation's axis, (slice, y, x) as a store has them."""
        x, y, z = IMAGE_AXES[orientation]
        cut: NDArray[Any] = self.values.transpose(z, y, x)[list(numbers)]
        return cut

    def slice_affine(self, orientation: str, number: int) -> NDArray[np.float64]:
        """(4, 4) [m] pixel index (x, y, 0, 1) of a slice -> RAS."""
        x, y, z = IMAGE_AXES[orientation]
        index = np.zeros(4)
        index[z], index[3] = number, 1
        columns = [self.affine[:, x], self.affine[:, y], self.affine[:, z], self.affine @ index]
        return np.stack(columns, axis=1)


def find(folder: Path, stem: str, endings: Sequence[str]) -> Path:
    """Return the file `stem` with one of the endings; ImportProblem where there is none."""
    for ending in endings:
        if (folder / f"{stem}{ending}").is_file():
            return folder / f"{stem}{ending}"
    raise ImportProblem(f"{folder} lacks {stem} ({' or '.join(endings)})")


def read_volume(path: Path, npy_affine: NDArray[np.float64] | None = None) -> Volume:
    """Read a volume and turn it to RAS; ImportProblem where the file cannot be read.

    npy_affine : (4, 4) [mm] of a .npy file, whose axes are (z, y, x); 1 mm voxels unless given
    """
    import nibabel

    try:
        if path.suffix == ".npy":
            values = np.load(path, allow_pickle=False).transpose(2, 1, 0)
            return Volume(values, _in_metres(np.eye(4) if npy_affine is None else npy_affine))
        image: Any = _metaimage(path) if path.suffix == ".mhd" else nibabel.load(path)
        image = _spatial(image)
        image = nibabel.as_closest_canonical(image)  # type: ignore[no-untyped-call]
        return Volume(np.asarray(image.dataobj), _in_metres(image.affine))
    except ImportProblem:
        raise
    except Exception as error:  # whatever nibabel makes of a damaged file
        raise ImportProblem(f"{path} cannot be read ({str(error) or type(error).__name__})") from None


def _in_metres(affine: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(np.diag([METRES, METRES, METRES, 1.0]) @ affine)


def _spatial(image: Any) -> Any:  # noqa: ANN401
    """Return a NIfTI image with three axes, whatever the format was."""
    import nibabel

    values = np.asarray(image.dataobj)
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim != 3:
        raise ImportProblem(f"a volume must have three axes, got {values.ndim} in {image.get_filename()}")
    return nibabel.Nifti1Image(values.astype(np.float32), image.affine)  # type: ignore[no-untyped-call]


def _metaimage(path: Path) -> Any:  # noqa: ANN401
    """Read a MetaImage: a text header beside raw numbers, x fastest, in LPS coordinates."""
    import nibabel

    lines = path.read_text(encoding="latin-1").splitlines()
    header = {k.strip(): v.strip() for k, _, v in (line.partition("=") for line in lines if "=" in line)}
    shape = tuple(int(n) for n in header["DimSize"].split())
    order = (
        ">" if header.get("BinaryDataByteOrderMSB", header.get("ElementByteOrderMSB", "")) == "True" else "<"
    )
    data = (path.parent / header["ElementDataFile"]).read_bytes()
    data = zlib.decompress(data) if header.get("CompressedData") == "True" else data
    values = np.frombuffer(data, order + META_TYPES[header["ElementType"]]).reshape(shape, order="F")
    lps = np.eye(4)
    directions = np.array(header.get("TransformMatrix", "1 0 0 0 1 0 0 0 1").split(), float).reshape(3, 3).T
    lps[:3, :3] = directions * np.array(header.get("ElementSpacing", "1 1 1").split(), float)
    lps[:3, 3] = np.array(header.get("Offset", header.get("Position", "0 0 0")).split(), float)
    return nibabel.Nifti1Image(values.astype(np.float32), np.diag([-1, -1, 1, 1]) @ lps)  # type: ignore[no-untyped-call]


def merged(labels: Volume, table: dict[int, int], what: str) -> NDArray[np.uint8]:
    """Give every voxel the class that `table` has for its label; ImportProblem for an unknown label."""
    values = np.rint(labels.values).astype(np.int64)
    unknown = sorted(set(np.unique(values).tolist()) - set(table))
    if unknown:
        known = ", ".join(map(str, sorted(table)))
        raise ImportProblem(f"labels of {what} must be {known}, got {', '.join(map(str, unknown))}")
    lookup = np.zeros(max(table) + 1, np.uint8)
    lookup[list(table)] = list(table.values())
    classes: NDArray[np.uint8] = lookup[values]
    return classes


def check_test(test: Sequence[int], patients: Sequence[int]) -> None:
    """Raise ImportProblem unless `test` names some of the patients, and not all."""
    known = set(patients)
    if not set(test) <= known or set(test) == known or not test:
        rule = f"name some of the patients {min(known)} to {max(known)} and leave others to train on"
        raise ImportProblem(f"test must {rule}, got {', '.join(map(str, test)) or 'none'}")


def check_same_grid(volumes: dict[str, Volume], what: str) -> None:
    """Raise ImportProblem unless all volumes have one shape."""
    first, *others = volumes
    for name in others:
        if volumes[name].values.shape != volumes[first].values.shape:
            shapes = [" x ".join(map(str, volumes[n].values.shape)) for n in (first, name)]
            raise ImportProblem(
                f"{name} of {what} must have the grid of {first}, {shapes[0]}, got {shapes[1]}"
            )


def scaled(values: NDArray[Any], *, eight_bit: bool) -> NDArray[np.float32]:
    """Bring a volume to [0, 1] by its smallest and largest value, in 255 steps where `eight_bit`."""
    low, high = float(values.min()), float(values.max())
    unit = (values.astype(np.float64) - low) / (high - low or 1.0)
    return (np.rint(255 * unit) / 255 if eight_bit else unit).astype(np.float32)


def orientation_code(orientation: str) -> int:
    """Return the number of an orientation in a store."""
    return ORIENTATIONS.index(orientation)
