"""Slice planes: where the image lies in the patient, and how its axes are called.

Image frame: x = readout, y = phase encode, z = slice normal, relative to the plane's centre, where the centre
of pixel (n_y // 2, n_x // 2) lies. Patient frame: RAS metres.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phantoms.names import known
from phantoms.phantom import Phantom

Scalar = TypeVar("Scalar", bound=np.generic)

# orientation -> RAS axis (0 R, 1 A, 2 S) of image x, y, z; every image axis points along +R, +A or +S
AXES: dict[str, tuple[int, int, int]] = {"axial": (1, 0, 2), "coronal": (2, 0, 1), "sagittal": (2, 1, 0)}
RAS_NAMES = ("right", "anterior", "superior")

# BrainWeb's head overruns its published 180 mm field of view by one 1 mm column; that much skin may be lost
OVERRUN = 2e-3  # [m] on each side
SNAP = 1e-6  # relative: lengths closer than this are the same length, whatever the rounding of mm to m


@dataclass(frozen=True, kw_only=True, slots=True)
class SlicePlane:
    """A slice of `thickness` around a plane, with `matrix` pixels over `fov`."""

    orientation: str = "axial"
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)  # [m] RAS
    fov: tuple[float, float]  # [m] y, x
    matrix: tuple[int, int]  # y, x
    thickness: float  # [m]

    def __post_init__(self) -> None:
        known("orientation", self.orientation, AXES)
        if len(self.centre) != 3 or not all(math.isfinite(c) for c in self.centre):
            raise ValueError(f"centre must be three finite coordinates, got {self.centre} m")
        if len(self.fov) != 2 or not all(0 < f < math.inf for f in self.fov):
            raise ValueError(f"fov must be two positive lengths (y, x), got {self.fov} m")
        if len(self.matrix) != 2 or not all(n == int(n) and n >= 1 for n in self.matrix):
            raise ValueError(f"matrix must be two positive integers (y, x), got {self.matrix}")
        if not 0 < self.thickness < math.inf:
            raise ValueError(f"thickness must be positive, got {self.thickness} m")

    @property
    def axes(self) -> tuple[int, int, int]:
        """RAS axis (0 R, 1 A, 2 S) of image x, y, z."""
        return AXES[self.orientation]

    @property
    def pixel(self) -> tuple[float, float]:
        """Pixel size [m] y, x."""
        return self.fov[0] / self.matrix[0], self.fov[1] / self.matrix[1]

    def pixel_centres(self, axis: str) -> NDArray[np.float64]:
        """Centres of the pixels along image axis "y" or "x" [m], 0 at index n // 2."""
        i = ("y", "x").index(axis)
        n = self.matrix[i]
        return np.asarray((np.arange(n) - n // 2) * self.pixel[i], dtype=np.float64)

    def pixel_faces(self, axis: str) -> NDArray[np.float64]:
        """Faces of the pixels along "y" or "x", n + 1 of them, or the slice's two along "z" [m]."""
        if axis == "z":
            return np.array((-0.5, 0.5)) * self.thickness
        i = ("y", "x").index(axis)
        n = self.matrix[i]
        return np.asarray((np.arange(n + 1) - n // 2 - 0.5) * self.pixel[i], dtype=np.float64)

    def coordinates(self, ras: ArrayLike) -> NDArray[np.float64]:
        """Image frame coordinates (3, ...) x, y, z [m] of RAS points (3, ...) [m]."""
        points = np.asarray(ras, dtype=np.float64)
        return np.stack([points[axis] - self.centre[axis] for axis in self.axes])

    def to_ras(self, image: ArrayLike) -> NDArray[np.float64]:
        """RAS points (3, ...) [m] of image frame coordinates (3, ...) x, y, z [m]: undoes `coordinates`."""
        points = np.asarray(image, dtype=np.float64)
        return np.stack([points[self.axes.index(axis)] + self.centre[axis] for axis in range(3)])

    @property
    def affine(self) -> NDArray[np.float64]:
        """(4, 4) [m] pixel index (x, y, 0) -> RAS; one step along index z is the slice thickness."""
        affine = np.eye(4)
        affine[:3, :3] = 0
        first = self.to_ras((self.pixel_centres("x")[0], self.pixel_centres("y")[0], 0.0))
        for column, (axis, step) in enumerate(
            zip(self.axes, (*self.pixel[::-1], self.thickness), strict=True)
        ):
            affine[axis, column] = step
        affine[:3, 3] = first
        return affine

    def in_image_axes(self, volume: NDArray[Scalar]) -> NDArray[Scalar]:
        """View of `volume` (..., z, y, x) on RAS axes with its last three axes as image (z, y, x)."""
        lead = volume.ndim - 3
        order = tuple(lead + 2 - axis for axis in reversed(self.axes))  # image z, y, x
        return volume.transpose(*range(lead), *order)

    def ras_lattice(
        self, x: NDArray[np.float64], y: NDArray[np.float64], z: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Coordinates along R, A and S [m] of the lattice with image coordinates x, y, z [m]."""
        image = (x, y, z)
        r, a, s = (image[self.axes.index(axis)] + self.centre[axis] for axis in range(3))
        return r, a, s


def upright(image: NDArray[Any], orientation: str) -> NDArray[Any]:
    """`image` (..., y, x) as a radiologist sees it, (..., row, column); for pictures only, never stored.

    Anterior (axial) or superior (coronal, sagittal) on top; the patient's right on the left, sagittal:
    anterior on the left.
    """
    known("orientation", orientation, AXES)
    return image.swapaxes(-1, -2)[..., ::-1, ::-1]


def centred_plane(
    phantom: Phantom,
    orientation: str,
    position: float,
    fov: tuple[float, float],
    matrix: tuple[int, int],
    thickness: float,
) -> SlicePlane:
    """Plane at RAS `position` [m] along its normal, the phantom's grid in the middle of the field of view.

    Along each image axis the grid is centred; where pixel and voxel sizes divide each other, pixel faces fall
    on voxel faces, and an odd pixel is lost or added at the far (right, anterior, superior) end. So 180 x 216
    pixels of 1 mm on the BrainWeb grid are exactly `[:216, :180]` of its 2x2x2 reduction. An object that lies
    off the middle of its grid and would overrun the field of view by more than 2 mm is shifted in by whole
    pixels, if it fits.

    fov, matrix : y, x; thickness, position : [m]
    """
    plane = SlicePlane(orientation=orientation, fov=fov, matrix=matrix, thickness=thickness)
    extent = phantom.extent
    centre = [0.0, 0.0, 0.0]
    centre[plane.axes[2]] = position
    for i, axis in enumerate((plane.axes[1], plane.axes[0])):  # y, x
        first = _first_face(phantom, axis, extent[axis], fov[i], plane.pixel[i])
        centre[axis] = round(
            first + (matrix[i] // 2 + 0.5) * plane.pixel[i], 12
        )  # -0.018, not -0.018000000000000002
    return SlicePlane(
        orientation=orientation,
        centre=(centre[0], centre[1], centre[2]),
        fov=fov,
        matrix=matrix,
        thickness=thickness,
    )


def _first_face(phantom: Phantom, axis: int, extent: tuple[float, float], fov: float, pixel: float) -> float:
    """RAS coordinate [m] of the near face of pixel 0 along RAS `axis`."""
    voxel = float(phantom.spacing[axis])
    n_voxels = phantom.labels.shape[2 - axis]
    low = float(phantom.affine[axis, 3]) - voxel / 2
    pixels_over = (
        (n_voxels * voxel - fov) / 2 / pixel
    )  # pixels of the grid beyond the near face, if it were centred
    if _is_whole(pixel / voxel) or _is_whole(voxel / pixel):
        pixels_over = math.floor(pixels_over + SNAP)
    first: float = low + pixels_over * pixel
    near, far = extent
    if far - near <= fov * (1 + SNAP):
        if near < first - OVERRUN:
            first -= math.ceil((first - near) / pixel - SNAP) * pixel
        elif far > first + fov + OVERRUN:
            first += math.ceil((far - first - fov) / pixel - SNAP) * pixel
    return first


def _is_whole(ratio: float) -> bool:
    return round(ratio) >= 1 and abs(ratio - round(ratio)) < SNAP * ratio


def check_fov(phantom: Phantom, plane: SlicePlane) -> None:
    """ValueError when the phantom reaches out of the field of view, so that it would fold over.

    Rule: the object may overrun each side by at most 2 mm (`OVERRUN`), as BrainWeb's head (up to 181 mm wide)
    does in its published 180 mm field of view.
    """
    extent = phantom.extent
    for i, (name, axis) in enumerate(zip(("y", "x"), (plane.axes[1], plane.axes[0]), strict=True)):
        near, far = extent[axis]
        faces = plane.pixel_faces(name) + plane.centre[axis]
        if near < faces[0] - OVERRUN or far > faces[-1] + OVERRUN:
            raise ValueError(
                f"fov must cover the object along {name} ({RAS_NAMES[axis]}): the object spans "
                f"{near * 1e3:.1f} to {far * 1e3:.1f} mm ({(far - near) * 1e3:.1f} mm), "
                f"got {plane.fov[i] * 1e3:.1f} mm from {faces[0] * 1e3:.1f} to {faces[-1] * 1e3:.1f} mm "
                "(or let it wrap: --allow-wrap)"
            )
