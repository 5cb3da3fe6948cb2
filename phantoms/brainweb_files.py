"""Read one crisp BrainWeb volume, whatever tool saved it: MINC 1, raw bytes or shorts, NIfTI, gzipped or not.

The format is told from the content, never from the name. Oddities: BrainWeb's raw shorts hold the label
times 16, with other low bits set now and then; its MINC files may be signed or scaled per slice, and may
end before the padding of their last variable; brainweb-dl puts (z, y, x) under an affine for (x, y, z).
"""

# nibabel annotates few of its functions
# mypy: allow-untyped-calls

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from phantoms._brainweb_sums import LABEL_SHA256
from phantoms.phantom import PhantomError, one_line

if TYPE_CHECKING:
    from scipy.io import netcdf_variable

Labels = NDArray[np.uint8]
Variables: TypeAlias = "dict[str, netcdf_variable]"

SHAPE = (362, 434, 362)  # z, y, x
START_MM = (-72.25, -126.25, -90.25)  # z, y, x of the first voxel's centre
STEP_MM = 0.5
N_VOXELS = 362 * 434 * 362
N_LABELS = 12
ROUNDING = 0.05  # labels scaled per slice to a byte come back within 11 / 255 / 2
NIFTI_HEADERS = (348, 540)  # [byte] NIfTI 1 and 2


class TruncatedError(PhantomError):
    """The file ends too early, as a download that was cut off does."""


def read_labels(path: Path) -> Labels:
    """Labels (z, y, x) of a crisp volume; PhantomError names the file and what is wrong with it."""
    try:
        labels = _decode(_contents(path))
    except (EOFError, TruncatedError) as error:
        raise TruncatedError(f"{path} is truncated: {error}") from error
    except (OSError, zlib.error, ValueError) as error:
        raise PhantomError(f"{path} is not a crisp BrainWeb volume that can be read: {error}") from error
    if (highest := int(labels.max())) >= N_LABELS:
        raise PhantomError(f"{path} must hold labels 0 to {N_LABELS - 1}, got {highest}")
    return labels


def check_subject(labels: Labels, subject: int, path: Path) -> None:
    """Refuse labels that are not, voxel by voxel, those of `subject`."""
    found = _sha256(labels)
    if found == LABEL_SHA256[subject]:
        return
    other = next(
        (f": they are those of subject {s:02d}" for s, sha in LABEL_SHA256.items() if sha == found), ""
    )
    raise PhantomError(
        f"{path} must hold the labels of BrainWeb subject {subject:02d}, got others (SHA-256 differs){other}"
    )


def _sha256(labels: Labels) -> str:
    return hashlib.sha256(np.ascontiguousarray(labels).data).hexdigest()


def _contents(path: Path) -> bytes:
    """Everything in the file, unzipped, up to what a BrainWeb volume can hold."""
    limit = 2 * N_VOXELS + 2**20  # raw shorts, or a volume with a generous header
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        data = gzip.GzipFile(fileobj=file).read(limit + 1) if zipped else file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"it holds more than {limit} bytes")
    return data


def _decode(data: bytes) -> Labels:
    if data[:3] == b"CDF":
        return _from_minc(data)
    if data[:8] == b"\x89HDF\r\n\x1a\n":
        raise ValueError("it is MINC 2 (HDF5), but BrainWeb serves MINC 1")
    if header := _nifti_header(data):
        return _from_nifti(data, header)
    if len(data) == N_VOXELS:
        return np.frombuffer(data, np.uint8).reshape(SHAPE)
    if len(data) == 2 * N_VOXELS:
        return _from_shorts(data)
    raise ValueError(
        f"{len(data)} bytes are neither MINC nor NIfTI nor raw bytes ({N_VOXELS}) or shorts ({2 * N_VOXELS})"
    )


def _from_shorts(data: bytes) -> Labels:
    labels = np.frombuffer(data, "<u2") >> 4
    if labels.max() >= N_LABELS:
        raise ValueError(
            f"raw shorts must hold 16 times the labels 0 to {N_LABELS - 1}, got label {labels.max()}"
        )
    return labels.astype(np.uint8).reshape(SHAPE)


def _from_minc(data: bytes) -> Labels:
    try:
        variables = _netcdf(data)
    except Exception as first:  # scipy's parser meets damage with almost any error
        try:
            variables = _netcdf(data + b"\0\0\0\0")  # BrainWeb leaves out the padding of the last variable
        except Exception:
            if len(data) < N_VOXELS:
                raise TruncatedError(f"{len(data)} bytes are too few for {N_VOXELS} voxels") from first
            raise ValueError(f"its NetCDF header is damaged ({one_line(first)})") from first
    image = variables["image"]
    if len(data) - image.data.nbytes > 2**20:
        raise ValueError("other data follow the volume")
    _check_grid(image, variables)
    return _unscaled(image, variables)


def _netcdf(data: bytes) -> Variables:
    from scipy.io import netcdf_file

    with netcdf_file(io.BytesIO(data), mmap=False) as file:
        return dict(file.variables)


def _check_grid(image: netcdf_variable, variables: Variables) -> None:
    names = ("zspace", "yspace", "xspace")
    if tuple(image.dimensions) != names or image.data.shape != SHAPE:
        raise ValueError(f"image must be {names} {SHAPE}, got {tuple(image.dimensions)} {image.data.shape}")
    for name, start in zip(names, START_MM, strict=True):
        found = tuple(float(getattr(variables[name], key, np.nan)) for key in ("start", "step"))
        if not np.allclose(found, (start, STEP_MM), atol=1e-3):
            raise ValueError(f"{name} must start at {start} mm in steps of {STEP_MM} mm, got {found}")


def _unscaled(image: netcdf_variable, variables: Variables) -> Labels:
    """Apply MINC's rule: the stored integers' valid_range spans image-min to image-max of each slice."""
    raw: NDArray[Any] = image.data
    if raw.dtype.kind != "i":
        raise ValueError(f"image must hold integers, got {raw.dtype}")
    if getattr(image, "signtype", b"unsigned").startswith(b"unsigned"):
        raw = raw.view(np.dtype(raw.dtype.str.replace("i", "u")))
    bounds = np.iinfo(raw.dtype)
    low, high = (float(v) for v in getattr(image, "valid_range", (bounds.min, bounds.max)))
    floor, top = (np.broadcast_to(variables[key].data, SHAPE[:1]) for key in ("image-min", "image-max"))
    if raw.dtype == np.uint8 and (floor == low).all() and (top == high).all():
        return raw
    labels = np.empty(SHAPE, np.uint8)
    for z in range(SHAPE[0]):
        labels[z] = _whole((raw[z] - low) / (high - low) * (top[z] - floor[z]) + floor[z])
    return labels


def _whole(values: NDArray[np.floating[Any]]) -> Labels:
    rounded: NDArray[np.floating[Any]] = np.rint(values)
    if not (np.abs(values - rounded) < ROUNDING).all() or rounded.min() < 0 or rounded.max() > 255:
        raise ValueError("it holds fractions, not labels: take the crisp volume, not a fuzzy one")
    return rounded.astype(np.uint8)


def _nifti_header(data: bytes) -> int:
    """Size of the NIfTI header that the file starts with, in either byte order, or 0."""
    sizes = struct.unpack("<i", data[:4]) + struct.unpack(">i", data[:4]) if len(data) > 4 else ()
    return next((size for size in sizes if size in NIFTI_HEADERS), 0)


def _from_nifti(data: bytes, header: int) -> Labels:
    import nibabel

    try:
        image = (nibabel.Nifti1Image if header == 348 else nibabel.Nifti2Image).from_bytes(data)
        values = np.asanyarray(image.dataobj)
    except Exception as error:  # nibabel meets damage with errors of its own and of NumPy
        raise ValueError(f"its NIfTI header or data are damaged ({one_line(error)})") from error
    labels = values if values.dtype == np.uint8 else _whole(values)
    if sorted(labels.shape) != sorted(SHAPE):
        raise ValueError(f"a crisp volume must have {SHAPE} voxels, got {labels.shape}")
    if labels.shape == SHAPE and _sha256(labels) in LABEL_SHA256.values():
        return labels  # as brainweb-dl saves it
    return _oriented(labels, image.affine)


def _oriented(labels: Labels, affine: NDArray[np.float64]) -> Labels:
    """Turn the file's axes into (z, y, x) by its affine, which must be BrainWeb's grid."""
    from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation

    turn = io_orientation(affine)
    oriented = apply_orientation(labels, turn)
    found = affine @ inv_ornt_aff(turn, labels.shape)
    expected = np.diag((STEP_MM, STEP_MM, STEP_MM, 1.0))
    expected[:3, 3] = START_MM[::-1]
    if oriented.shape != SHAPE[::-1] or not np.allclose(found, expected, atol=1e-3):
        raise ValueError(f"its affine must be BrainWeb's 0.5 mm grid, got {found.tolist()}")
    return np.ascontiguousarray(oriented.T)  # (z, y, x)
