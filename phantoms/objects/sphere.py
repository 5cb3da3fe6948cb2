"""Sphere: a ball of one tissue, the simplest object with a known image, field and k-space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from phantoms.objects.parts import Part, lattice_phantom, object_table, only_subject
from phantoms.objects.shapes import Ellipsoid
from phantoms.phantom import Phantom
from phantoms.tissues import TissueTable


@dataclass(frozen=True, kw_only=True, slots=True)
class Sphere:
    """A uniform ball about the origin.

    radius : [m]
    tissue : a tissue of the table `objects-1.5T` or `objects-3T`
    spacing : [m] voxel size
    field_strength : [T] 1.5 or 3
    """

    name: ClassVar[str] = "sphere"
    radius: float = 50e-3
    tissue: str = "water"
    spacing: float = 1e-3
    field_strength: float = 1.5

    def __post_init__(self) -> None:
        self.parts()
        self.table()

    def subjects(self) -> tuple[int, ...]:
        """There is one: 1."""
        return (1,)

    def parts(self) -> tuple[Part, ...]:
        """Return the ball, tissue class 1."""
        return (Part(shape=Ellipsoid(half=(self.radius, self.radius, self.radius)), label=1),)

    def table(self) -> TissueTable:
        """Tissues at the field strength, by class."""
        return object_table(self.field_strength, (self.tissue,))

    def load(self, subject: int) -> Phantom:
        """Paint it; classes: 0 air, 1 the tissue."""
        only_subject(subject)
        return lattice_phantom(self.name, self.parts(), self.table(), self.spacing)
