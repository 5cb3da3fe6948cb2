"""What a slice of a beating heart consists of: spins at rest, and those of a box that the heart moves in.

Image frame as everywhere: x is the readout, y the phase encode. The slice frame of `phantoms.cardiac` lies in
it as an axial slice in the patient: its x is image y, its y is image x. Spin arrays are (layer, x, y), as the
phantom paints.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mrsim.cine.encode import Axis
from mrsim.slices.plane import SlicePlane

if TYPE_CHECKING:
    from mrsim.fields import FieldMap
    from phantoms.cardiac.heart import Heart

Real = NDArray[np.float64]
Labels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """Pixels y[0] to y[1] and x[0] to x[1] of an image, the ends not included."""

    y: tuple[int, int]
    x: tuple[int, int]

    @property
    def pixels(self) -> tuple[slice, slice]:
        """Index of images (..., y, x)."""
        return slice(*self.y), slice(*self.x)


@dataclass(frozen=True, eq=False, kw_only=True)
class Scene:
    """One slice: the heart, the plane of the full field of view, and how many spins make a pixel.

    cuts : spins to a pixel and slice (layer, y, x)
    breath : [m] superior displacement during the breath-hold
    phases : (frame,) moments that the box of what moves is made for
    """

    heart: Heart
    plane: SlicePlane
    cuts: tuple[int, int, int]
    phases: Real
    breath: float = 0.0

    @cached_property
    def places(self) -> tuple[Real, Real, Real]:
        """Places of all spins [m] in the slice frame: (x,), (y,) of the image and (layer,)."""
        n, centre, along = self.cuts[0], self.plane.centre, []
        for name, i in (("x", 1), ("y", 0)):
            cuts, pixel = self.cuts[1 + i], self.plane.pixel[i]
            inside = ((np.arange(cuts) + 0.5) / cuts - 0.5) * pixel
            along.append((self.plane.pixel_centres(name)[:, None] + inside).ravel() + centre[i])
        layers = centre[2] + ((np.arange(n) + 0.5) / n - 0.5) * self.plane.thickness
        return along[0], along[1], layers

    @property
    def whole(self) -> Box:
        """The full field of view."""
        return Box(y=(0, self.plane.matrix[0]), x=(0, self.plane.matrix[1]))

    @cached_property
    def moving(self) -> Box:
        """Whole pixels around everything that differs between moments; one pixel where nothing does."""
        x, y, z = self.places
        low, high = self.heart.reach(self.phases, (float(z[0]), float(z[-1])), breath=self.breath)
        spans = []
        for i, places in ((0, y), (1, x)):
            cuts, n = self.cuts[1 + i], self.plane.matrix[i]
            first, last = np.searchsorted(places, (low[i], high[i]))
            begin = min(max(int(first) // cuts - 1, 0), n - 1)
            spans.append((begin, max(min(-(-int(last) // cuts) + 1, n), begin + 1)))
        return Box(y=spans[0], x=spans[1])

    def spins(self, box: Box) -> tuple[slice, slice]:
        """Index of arrays (..., x, y) of all spins that selects those of a box."""
        _, cy, cx = self.cuts
        return slice(box.x[0] * cx, box.x[1] * cx), slice(box.y[0] * cy, box.y[1] * cy)

    def labels(self, phase: ArrayLike, box: Box) -> Labels:
        """Tissues ([frame,] layer, x, y) of the spins of a box."""
        (x, y, z), (in_x, in_y) = self.places, self.spins(box)
        return self.heart.labels(phase, y[in_y], x[in_x], z, breath=self.breath)

    @cached_property
    def at_rest(self) -> Labels:
        """Tissues (layer, x, y) of the full field of view at end-diastole, which hold outside of `moving`."""
        return self.labels(0.0, self.whole)

    def field(self, b0: FieldMap | None, box: Box) -> NDArray[np.float32]:
        """Off-resonance (layer, x, y) [Hz] of the spins of a box."""
        (x, y, z), (in_x, in_y) = self.places, self.spins(box)
        if b0 is None:
            return np.zeros((z.size, in_x.stop - in_x.start, in_y.stop - in_y.start), np.float32)
        return b0.on_lattice(y[in_y], x[in_x], z)  # (z, slice frame y, x) is (layer, x, y)

    def axes(self, crop: Box | None = None) -> tuple[Axis, Axis]:
        """Return the encoding along (y, x)."""
        spans = (crop.y, crop.x) if crop else (None, None)
        return tuple(  # type: ignore[return-value]
            Axis(pixels=n, cuts=cuts, crop=(span[0], span[1] - span[0]) if span else None)
            for n, cuts, span in zip(self.plane.matrix, self.cuts[1:], spans, strict=True)
        )


def full_plane(
    position: float, fov: tuple[float, float], matrix: tuple[int, int], thickness: float
) -> SlicePlane:
    """Put the field of view on the middle of the slice frame, faces of pixels at its ends."""
    centre = [0.5 * side / n * (1 - n % 2) for side, n in zip(fov, matrix, strict=True)]
    return SlicePlane(centre=(centre[0], centre[1], position), fov=fov, matrix=matrix, thickness=thickness)


def cropped(plane: SlicePlane, crop: Box) -> SlicePlane:
    """Plane of the pixels of a crop."""
    centre, sizes = list(plane.centre), []
    for i, (name, span) in enumerate((("y", crop.y), ("x", crop.x))):
        sizes.append(span[1] - span[0])
        centre[i] += float(plane.pixel_centres(name)[span[0] + sizes[i] // 2])
    pixel = plane.pixel
    return SlicePlane(
        centre=(centre[0], centre[1], centre[2]),
        fov=(sizes[0] * pixel[0], sizes[1] * pixel[1]),
        matrix=(sizes[0], sizes[1]),
        thickness=plane.thickness,
    )
