"""SyntheticBrain: the phantom source of the procedural head."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from phantoms.phantom import BRAIN_ORACLE, Phantom
from phantoms.tissues import tissue_table

FACES = ((-90.5, 90.5), (-126.5, 90.5), (-72.5, 108.5))  # [mm] BrainWeb's field of view, x y z
MM = 1e-3
LICENCE = "Apache-2.0"
CITATION = "mrsim procedural head (synthetic, not a real anatomy)"


@dataclass(frozen=True, kw_only=True)
class SyntheticBrain:
    """Procedural heads on BrainWeb's field of view; subject k of a seed is the same everywhere.

    The anatomy does not depend on `spacing`, which only says where it is sampled. It is invented: shaped
    after the BrainWeb normals in its proportions and volumes, it is nobody's brain.
    """

    seed: int = 0
    spacing: float = 1e-3  # [m]
    n_subjects: int = 20
    name: str = field(default="synthetic", init=False)

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**64:
            raise ValueError(f"seed must lie in [0, 2**64), got {self.seed}")
        if not 0.25e-3 <= self.spacing <= 10e-3:
            raise ValueError(f"spacing must lie in [0.25e-3, 10e-3] m, got {self.spacing} m")
        if self.n_subjects < 1:
            raise ValueError(f"n_subjects must be at least 1, got {self.n_subjects}")

    def subjects(self) -> tuple[int, ...]:
        """Subject numbers, 0 to n_subjects - 1."""
        return tuple(range(self.n_subjects))

    def load(self, subject: int) -> Phantom:
        """Return one head; the same bytes for the same (seed, subject, spacing)."""
        if subject not in range(self.n_subjects):
            raise ValueError(f"subject must lie in 0 to {self.n_subjects - 1}, got {subject}")
        from phantoms.synthetic.head import head_labels  # Numba and SciPy only when a head is made

        start, shape = self.grid()
        labels = head_labels(self.seed, subject, start, self.spacing / MM, shape)
        affine = np.diag([self.spacing, self.spacing, self.spacing, 1.0])
        affine[:3, 3] = start * MM
        return Phantom(
            name=self.name,
            subject=str(subject),
            labels=labels,
            affine=affine,
            tissues=tissue_table("brainweb-1.5T"),
            oracle=BRAIN_ORACLE,
            citation=CITATION,
            licence=LICENCE,
        )

    def grid(self) -> tuple[NDArray[np.float64], tuple[int, int, int]]:
        """First voxel centre (x, y, z) [mm] and shape (z, y, x), voxels counted from the lower faces up."""
        step = self.spacing / MM
        lengths = [high - low for low, high in FACES]
        nx, ny, nz = (max(1, int(np.floor(length / step + 1e-6))) for length in lengths)
        start = np.array([low + step / 2 for low, _ in FACES])
        return start, (nz, ny, nx)
