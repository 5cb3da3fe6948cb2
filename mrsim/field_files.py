"""Field maps of the user's own, from NIfTI files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mrsim.fields.field_map import FieldMap
from phantoms.phantom import PhantomError, one_line

MM = 1e-3
TILT = 1e-3  # largest direction cosine off the axes


def read_field(path: str | Path) -> FieldMap:
    """Read a map of B0 [Hz] or B1+ (relative) on a grid along R, A and S, or their opposites, in mm.

    PhantomError names the file and what is wrong with it.
    """
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    try:
        image = nibabel.as_closest_canonical(nibabel.load(path))  # type: ignore[no-untyped-call]
        values = np.asarray(image.get_fdata(dtype=np.float32))
    except (OSError, ImageFileError, EOFError, ValueError) as error:
        raise PhantomError(f"field map {path} cannot be read: {one_line(error)}") from error
    values = values[..., 0] if values.ndim == 4 and values.shape[-1] == 1 else values
    steps = np.diagonal(image.affine)[:3]
    off = np.abs(image.affine[:3, :3] - np.diag(steps)).max()
    if values.ndim != 3 or off > TILT * np.abs(steps).max():
        raise PhantomError(
            f"field map {path} must be a volume along right, anterior and superior, got shape {values.shape} "
            f"tilted by {off / np.abs(steps).max():.3g}"
        )
    if not np.isfinite(values).all():
        raise PhantomError(f"field map {path} must be finite, got NaN or infinite values")
    affine = np.diag([*(steps * MM), 1.0])
    affine[:3, 3] = image.affine[:3, 3] * MM
    return FieldMap(values=np.ascontiguousarray(values.transpose(2, 1, 0)), affine=affine)
