"""Cardiac: the phantom source of beating hearts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from phantoms.cardiac.case import PATHOLOGIES, Case, draw_case
from phantoms.cardiac.names import CARDIAC_ORACLE
from phantoms.names import known
from phantoms.phantom import Phantom
from phantoms.tissues import CARDIAC_TABLES, tissue_table

if TYPE_CHECKING:
    from phantoms.cardiac.heart import Heart

FOV = (0.3366, 0.3744)  # [m] x (phase encode), y (readout): 187 x 208 pixels of 1.8 mm
LICENCE = "Apache-2.0"
CITATION = "mrsim procedural heart (synthetic, not a real anatomy)"


@dataclass(frozen=True, kw_only=True)
class Cardiac:
    """Hearts in their thorax; subject k of a seed is the same everywhere.

    spacing : [m] of the voxels in the short-axis plane, by default two to a UK Biobank pixel
    layer : [m] of the voxels along the long axis
    field_strength : [T] 1.5 or 3
    pathology : "" draws one of `PATHOLOGIES` for each subject, 80 % normal; else all have this one
    """

    seed: int = 0
    spacing: float = 0.9e-3
    layer: float = 2e-3
    field_strength: float = 1.5
    pathology: str = ""
    n_subjects: int = 20
    name: str = field(default="cardiac", init=False)

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**64:
            raise ValueError(f"seed must lie in [0, 2**64), got {self.seed}")
        for key in ("spacing", "layer"):
            if not 0.25e-3 <= getattr(self, key) <= 10e-3:
                raise ValueError(f"{key} must lie in [0.25e-3, 10e-3] m, got {getattr(self, key)} m")
        if self.field_strength not in CARDIAC_TABLES:
            raise ValueError(f"field_strength must be 1.5 or 3 T, got {self.field_strength} T")
        if self.pathology:
            known("pathology", self.pathology, PATHOLOGIES)
        if self.n_subjects < 1:
            raise ValueError(f"n_subjects must be at least 1, got {self.n_subjects}")

    def subjects(self) -> tuple[int, ...]:
        """Subject numbers, 0 to n_subjects - 1."""
        return tuple(range(self.n_subjects))

    def case(self, subject: int) -> Case:
        """Who the subject is: everything that was drawn."""
        if subject not in range(self.n_subjects):
            raise ValueError(f"subject must lie in 0 to {self.n_subjects - 1}, got {subject}")
        return draw_case(self.seed, subject, pathology=self.pathology or None)

    def heart(self, subject: int) -> Heart:
        """Return the beating heart: labels at any moment on any lattice."""
        from phantoms.cardiac.heart import Heart  # Numba only when a heart is made

        return Heart(self.case(subject))

    def load(self, subject: int, phase: float = 0.0) -> Phantom:
        """Return the heart at `phase` of the cycle, by default end-diastole, on the field of view."""
        heart = self.heart(subject)
        ends = heart.slice_positions()[[-1, 0]] + np.array([-15e-3, 25e-3])
        x, y = (_centres(-fov / 2, fov / 2, self.spacing) for fov in FOV)
        z = _centres(float(ends[0]), float(ends[1]), self.layer)
        affine = np.diag([self.spacing, self.spacing, self.layer, 1.0])
        affine[:3, 3] = x[0], y[0], z[0]
        return Phantom(
            name=self.name,
            subject=str(subject),
            labels=heart.labels(phase, x, y, z),
            affine=affine,
            tissues=tissue_table(CARDIAC_TABLES[self.field_strength]),
            oracle=CARDIAC_ORACLE,
            citation=CITATION,
            licence=LICENCE,
        )


def _centres(low: float, high: float, step: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Voxel centres that fill [low, high] from its middle."""
    n = max(1, round((high - low) / step))
    return np.asarray((low + high) / 2 + (np.arange(n) - (n - 1) / 2) * step)
