"""Images as NIfTI files, placed in the patient."""

# nibabel annotates few of its functions
# mypy: allow-untyped-calls

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

MM = 1e-3
SCANNER = 1  # NIfTI code: coordinates of the scanner


def write_nifti(
    path: Path | str, images: NDArray[Any], affine: NDArray[np.float64], *, interval: float = 0.0
) -> None:
    """Write images (y, x) or (frame, y, x) as (x, y, 1[, frame]), in mm RAS.

    affine : (4, 4) [m] index (x, y, 0) -> RAS, see `SlicePlane.affine`
    interval : [s] from frame to frame, 0 where frames are no times
    """
    stack = np.asarray(images)
    volume = stack.reshape(-1, *stack.shape[-2:]).transpose(2, 1, 0)[:, :, None]  # (x, y, 1, frame)
    affine = affine.copy()
    affine[:3] /= MM
    image = nibabel.Nifti1Image(volume[..., 0] if stack.ndim == 2 or len(stack) == 1 else volume, affine)
    image.set_sform(affine, SCANNER)
    image.set_qform(affine, SCANNER)
    image.header.set_xyzt_units("mm", "sec")
    if interval:
        image.header.set_zooms((*image.header.get_zooms()[:3], interval))
    nibabel.save(image, path)
