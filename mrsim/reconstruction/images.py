"""reconstruct: the images of a scan, each frame by the transform that its samples need."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mrsim.reconstruction.combine import METHODS, combine
from mrsim.reconstruction.grid import find_grid
from mrsim.reconstruction.transform import fft_images, nufft_images
from mrsim.slices.plane import SlicePlane
from phantoms.names import known

if TYPE_CHECKING:
    from mrsim.scanner.scan import Scan

FLAT = 0.05  # [cycles over the slice] encoding along z that a 2-D image may leave aside


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Images:
    """Images of a scan in the frame of its plane.

    data : (frame, y, x) complex64; of PD 1 that fills a pixel, the magnitude is that of the closed form
    plane : where they lie
    frames : counters of each
    method : "fft" or "nufft" (Cartesian or not)
    """

    data: NDArray[np.complex64]
    plane: SlicePlane
    frames: tuple[dict[str, int], ...]
    method: str

    @property
    def magnitude(self) -> NDArray[np.float32]:
        """(frame, y, x)."""
        return np.abs(self.data).astype(np.float32)


def reconstruct(scan: Scan, *, combination: str = "rss") -> Images:
    """Images of all frames of a scan.

    combination : "rss" (root sum of squares; one coil stays complex) or "maps" (least squares with the scan's
        csm)
    """
    known("combination", combination, METHODS)
    if not scan.frames():
        raise ValueError("sequence must receive to make an image, got no receiver samples for one")
    maps = scan.csm if combination == "maps" else None
    signal = scan.demodulated()
    found = [(counters, *_coil_images(scan, signal, samples)) for counters, samples in scan.frames()]
    return Images(
        data=np.stack([combine(images, maps=maps) for _, images, _ in found]),
        plane=scan.plane,
        frames=tuple(counters for counters, _, _ in found),
        method=found[0][2],
    )


def _coil_images(
    scan: Scan, signal: NDArray[np.complex64], samples: NDArray[np.bool_]
) -> tuple[NDArray[np.complex64], str]:
    """Images (coil, y, x) of some samples, and by which transform."""
    events, matrix = scan.events, scan.plane.matrix
    if events.place.size:
        place = np.where(samples, events.place, -1)
        return fft_images(replace(events, place=place).sorted_kspace(signal)), "fft"
    z = events.trajectory().k[samples, 2] * scan.plane.thickness
    if np.ptp(z) > FLAT:
        raise ValueError(
            "trajectory must be that of a 2-D image, "
            f"got encoding along the slice normal over {np.ptp(z):.3g} cycles"
        )
    k = scan.k()[samples]
    grid = find_grid(k, matrix)
    if grid is None:
        return nufft_images(signal[:, samples], k, matrix), "nufft"
    place = np.full(samples.size, -1, np.intp)
    place[samples] = grid.place
    images = fft_images(replace(events, place=place).sorted_kspace(signal))
    return (images * grid.ramp(matrix)).astype(np.complex64), "fft"
