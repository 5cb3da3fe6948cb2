"""What a scan can be written as, by the suffix of the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mrsim.reconstruction.images import Images
from mrsim.scanner.scan import Scan
from mrsim.slices.plane import upright
from phantoms.names import known

INCHES = 4.0  # of a picture


def check_suffix(path: Path | str) -> str:
    """Suffix of a file that a scan can be written as; ValueError lists them."""
    name = Path(path).name
    suffix = next((s for s in sorted(WRITERS, key=len, reverse=True) if name.endswith(s)), None)
    return suffix or known("suffix of an output", Path(path).suffix, WRITERS)


def needs_images(path: Path | str) -> bool:
    """Whether the file holds reconstructed images."""
    return check_suffix(path) not in RAW


def write_scan(path: Path | str, scan: Scan, images: Images | None) -> None:
    """Write a scan as MRD, or its images as NIfTI (magnitude), NumPy archive or picture.

    images : its reconstruction, where `needs_images`
    """
    WRITERS[check_suffix(path)](Path(path), scan, images)


def _mrd(path: Path, scan: Scan, _: Images | None) -> None:
    from mrsim.files.mrd import write_mrd

    write_mrd(path, scan)


def _nifti(path: Path, _: Scan, images: Images | None) -> None:
    from mrsim.reconstruction.nifti import write_nifti

    if images is not None:
        write_nifti(path, images.magnitude, images.plane.affine)


def _npz(path: Path, scan: Scan, images: Images | None) -> None:
    """Write arrays: signal, k and time of each sample, complex images, coil and label maps, affine."""
    trajectory = scan.events.trajectory()
    arrays: dict[str, Any] = {
        "signal": scan.demodulated(),
        "k": trajectory.k,
        "time": trajectory.time,
        "window": trajectory.adc,
        "affine": scan.plane.affine,
        **scan.maps,
    }
    if scan.csm is not None:
        arrays["csm"] = scan.csm
    if images is not None:
        arrays["image"] = images.data
    np.savez_compressed(path, **arrays)


def _picture(path: Path, scan: Scan, images: Images | None) -> None:
    """Magnitudes side by side, as a radiologist sees them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if images is None:
        return
    shown = upright(images.magnitude, images.plane.orientation)
    figure = Figure(figsize=(INCHES * len(shown), INCHES * 1.08), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, image, frame in zip(
        figure.subplots(1, len(shown), squeeze=False)[0], shown, images.frames, strict=True
    ):
        axes.imshow(image, cmap="gray", vmin=0, aspect=images.plane.pixel[1] / images.plane.pixel[0])
        counted = ", ".join(f"{name} {n}" for name, n in frame.items() if n)
        axes.set_title(counted or f"{scan.played.name}, {scan.phantom}", fontsize=9)
        axes.set_axis_off()
    figure.savefig(path, dpi=150)


WRITERS: dict[str, Callable[[Path, Scan, Images | None], None]] = {
    ".mrd": _mrd,
    ".h5": _mrd,
    ".nii": _nifti,
    ".nii.gz": _nifti,
    ".npz": _npz,
    ".png": _picture,
}
RAW = (".mrd", ".h5")
