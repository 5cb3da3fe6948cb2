"""Where a heart lies in its thorax, and where the field of view is put around both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phantoms.cardiac.body import paint_body
from phantoms.cardiac.case import MM, Case
from phantoms.cardiac.torso import Torso, texture

Array = NDArray[Any]
MAX_WIDTH = 318.0  # [mm] of a body that a field of view of 337 mm holds
_texture = cache(texture)


@dataclass(frozen=True, eq=False)
class Pose:
    """A thorax and where the slice frame lies in it [mm].

    place : (3,) origin of the slice frame in the patient frame
    centre : (3,) middle of the long axis in the slice frame
    tubes : arteries, veins and airways
    """

    torso: Torso
    place: Array
    centre: Array
    tubes: tuple[Array, Array, Array]

    def paint(self, axes: Array, x: Array, y: Array, z: Array, breath: float) -> Array:
        """Labels (z, y, x) of everything but the heart on a lattice of the slice frame [mm]."""
        labels = np.empty((z.size, y.size, x.size), np.uint8)
        torso = self.torso._replace(breath=breath)
        paint_body(labels, x, y, z, axes, self.place, torso, *self.tubes, _texture())
        return labels

    def centred(self, axes: Array, case: Case) -> Pose:
        """Move the frame so that the body fills the field of view from side to side, as a scan is planned."""
        side, up = np.arange(-250.0, 250.0, 5.0), np.arange(-170.0, 190.0, 12.0)
        columns = np.flatnonzero(self.paint(axes, side, up, np.array([-30.0, 0, 30]), 0.0).any(axis=(0, 1)))
        left, right = side[columns[-1]], side[columns[0]]
        width = left - right
        if width > MAX_WIDTH:
            torso = self.torso._replace(fat=max(self.torso.fat - (width - MAX_WIDTH) / 2, 4.0))
            torso = torso._replace(breast=0.85 * torso.breast)
            if torso.fat < self.torso.fat:
                return replace(self, torso=torso).centred(axes, case)
        shift = np.array([(left + right) / 2 + case.offset[0] / MM, -4 - case.offset[1] / MM, 0.0])
        return replace(self, place=self.place + axes.T @ shift, centre=self.centre - shift)
