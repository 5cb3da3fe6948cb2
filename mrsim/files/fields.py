"""Field maps and coil sensitivities of the user's own, from NIfTI files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrsim.fields.coils import CoilMaps
from mrsim.fields.field_map import FieldMap
from mrsim.fields.measured import measured_coils
from phantoms.phantom import PhantomError, one_line

MM = 1e-3
TILT = 1e-3  # largest direction cosine off the axes

Real = NDArray[np.float64]


def read_field(path: str | Path) -> FieldMap:
    """Read a map of B0 [Hz] or B1+ (relative) on a grid along R, A and S, or their opposites, in mm.

    PhantomError names the file and what is wrong with it.
    """
    values, affine = _volume(path, "field map")
    values = values[..., 0] if values.ndim == 4 and values.shape[-1] == 1 else values
    if values.ndim != 3 or np.iscomplexobj(values):
        raise PhantomError(
            f"field map {path} must be a volume of real numbers, got shape {values.shape} of {values.dtype}"
        )
    return FieldMap(values=np.ascontiguousarray(values.transpose(2, 1, 0), np.float32), affine=affine)


def read_coils(path: str | Path) -> CoilMaps:
    """Read sensitivities (x, y, z, coil), complex, on a grid along R, A and S, or their opposites, in mm.

    PhantomError names the file and what is wrong with it.
    """
    values, affine = _volume(path, "coil map")
    if values.ndim != 4 or not np.iscomplexobj(values):
        raise PhantomError(
            f"coil map {path} must be complex of shape (x, y, z, coil), "
            f"got shape {values.shape} of {values.dtype}"
        )
    return measured_coils(values.transpose(3, 2, 1, 0), affine)


def _volume(path: str | Path, what: str) -> tuple[NDArray[Any], Real]:
    """Values (x, y, z, ...) along R, A and S, finite, and the affine [m]; PhantomError."""
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    try:
        image = nibabel.as_closest_canonical(nibabel.load(path))  # type: ignore[no-untyped-call]
        values = np.asarray(image.dataobj)
    except (OSError, ImageFileError, EOFError, ValueError) as error:
        raise PhantomError(f"{what} {path} cannot be read: {one_line(error)}") from error
    steps = np.diagonal(image.affine)[:3]
    off = np.abs(image.affine[:3, :3] - np.diag(steps)).max()
    if off > TILT * np.abs(steps).max():
        raise PhantomError(
            f"{what} {path} must lie along right, anterior and superior, "
            f"got one tilted by {off / np.abs(steps).max():.3g}"
        )
    if not np.isfinite(values).all():
        raise PhantomError(f"{what} {path} must be finite, got NaN or infinite values")
    affine = np.diag([*(steps * MM), 1.0])
    affine[:3, 3] = image.affine[:3, 3] * MM
    return values, affine
