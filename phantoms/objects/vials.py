"""Vials: a disk of water with vials of known T1 and T2, a vial of oil, and bars to count.

Every axial slice is the same, so one sees in any of them: contrast (MnCl2 vials, T2 from 8 to 600 ms),
chemical shift (oil), distortion (round outline, ring of vials), resolution (bars of 1, 1.5, 2 and 3 mm) and
which way is up: the oil lies in front (+y), T2 falls from there over the right (+x), where the pin is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from phantoms.objects.parts import Part, lattice_phantom, object_table, only_subject
from phantoms.objects.shapes import Box, Cylinder
from phantoms.phantom import Phantom
from phantoms.tissues import TissueTable

LENGTH = 100e-3  # [m] of everything
BODY_RADIUS, RING_RADIUS, VIAL_RADIUS = 90e-3, 58e-3, 12.5e-3  # [m]
PIN_RADIUS, PIN_AT = 3e-3, (80e-3, 0.0, 0.0)  # [m]
BARS_AT = {1e-3: (-13e-3, 11e-3), 1.5e-3: (-13e-3, -11e-3), 2e-3: (6e-3, 11e-3), 3e-3: (9e-3, -11e-3)}
BARS_IN_GROUP, BAR_LENGTH = 4, 16e-3
WATER = 1
RING = (2, 3, 4, 5, 6, 7, 8, 9)  # oil, then MnCl2 from the longest T2 to the shortest
PLASTIC = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Vials:
    """A cylinder of 18 cm with a ring of eight vials, bars in the middle and a pin on the right.

    spacing : [m] voxel size; 0.5e-3 or a fraction of it shows every bar as it is
    field_strength : [T] 1.5 or 3
    """

    name: ClassVar[str] = "vials"
    spacing: float = 1e-3
    field_strength: float = 1.5

    def __post_init__(self) -> None:
        self.table()

    def subjects(self) -> tuple[int, ...]:
        """There is one: 1."""
        return (1,)

    def parts(self) -> tuple[Part, ...]:
        """Water, vials, bars and pin; tissue classes are the rows of the table."""
        body = Part(shape=Cylinder(radius=BODY_RADIUS, length=LENGTH), label=WATER)
        pin = Cylinder(radius=PIN_RADIUS, length=LENGTH, centre=PIN_AT)
        return (body, *_ring(), *_bars(), Part(shape=pin, label=PLASTIC, within=WATER))

    def table(self) -> TissueTable:
        """Tissues at the field strength, by class."""
        return object_table(self.field_strength)

    def load(self, subject: int) -> Phantom:
        """Paint it; classes as in `objects-1.5T.toml`."""
        only_subject(subject)
        return lattice_phantom(self.name, self.parts(), self.table(), self.spacing)


def _ring() -> tuple[Part, ...]:
    """Vials from the front over the right."""
    angles = [math.pi / 2 - 2 * math.pi * i / len(RING) for i in range(len(RING))]
    centres = [(RING_RADIUS * math.cos(a), RING_RADIUS * math.sin(a), 0.0) for a in angles]
    return tuple(
        Part(shape=Cylinder(radius=VIAL_RADIUS, length=LENGTH, centre=centre), label=label, within=WATER)
        for label, centre in zip(RING, centres, strict=True)
    )


def _bars() -> tuple[Part, ...]:
    """Place groups of plates, side by side along x, as far apart as they are wide."""
    return tuple(
        Part(
            shape=Box(size=(width, BAR_LENGTH, LENGTH), centre=(x + 2 * width * (i - 1.5), y, 0.0)),
            label=PLASTIC,
            within=WATER,
        )
        for width, (x, y) in BARS_AT.items()
        for i in range(BARS_IN_GROUP)
    )
