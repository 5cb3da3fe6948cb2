"""Objects as parts of one tissue each: painted on a lattice, and transformed in closed form."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phantoms.names import known
from phantoms.objects.shapes import Complex, Shape
from phantoms.phantom import OracleClasses, Phantom
from phantoms.tissues import OBJECT_TABLES, TissueTable, tissue_table

LICENCE = "Apache-2.0"
CITATION = "mrsim analytic test object"
FINEST, COARSEST = 0.05e-3, 20e-3  # [m]
EDGE = 1e-9  # [voxels] rounding that does not make a lattice longer


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A solid of tissue class `label` that lies wholly in tissue class `within`."""

    shape: Shape
    label: int
    within: int = 0  # the air


def lattice_phantom(name: str, parts: Sequence[Part], table: TissueTable, spacing: float) -> Phantom:
    """Paint the parts, later over earlier, on voxels of `spacing` [m] that lie symmetrically about 0.

    A voxel belongs to a part when its centre does. Every tissue is an oracle class of its own.
    """
    if not FINEST <= spacing <= COARSEST:
        raise ValueError(f"spacing must lie in [{FINEST}, {COARSEST}] m, got {spacing} m")
    reach = [max(abs(p.shape.centre[i]) + p.shape.half[i] for p in parts) for i in range(3)]
    counts = [max(1, 2 * math.ceil(r / spacing - EDGE)) for r in reach]
    axes = [np.asarray((np.arange(n) - (n - 1) / 2) * spacing, np.float64) for n in counts]  # x, y, z
    labels = np.zeros(counts[::-1], np.uint8)
    for part in parts:
        _paint(labels, axes, part)
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = [axis[0] for axis in axes]
    return Phantom(
        name=name,
        subject="1",
        labels=labels,
        affine=affine,
        tissues=table,
        oracle=object_oracle(table),
        citation=CITATION,
        licence=LICENCE,
    )


def object_oracle(table: TissueTable) -> OracleClasses:
    """Make every tissue a class of its own; of classes that share a pixel evenly the later one wins."""
    names = tuple(t.name for t in table.tissues)
    classes = tuple(range(len(names)))
    return OracleClasses(names=names, of_tissue=classes, priority=classes[::-1])


def _paint(labels: NDArray[np.uint8], axes: Sequence[NDArray[np.float64]], part: Part) -> None:
    """Give the voxels of a part its label, looking only at its bounding box."""
    centre, half = part.shape.centre, part.shape.half
    x, y, z = (
        slice(*np.searchsorted(axes[i], (centre[i] - half[i] - EDGE, centre[i] + half[i] + EDGE)))
        for i in range(3)
    )
    inside = part.shape.inside(axes[0][x], axes[1][y, None], axes[2][z, None, None])  # (z, y, x)
    labels[z, y, x][inside] = part.label


def transform(parts: Iterable[Part], values: Sequence[complex], k: ArrayLike) -> Complex:
    """Fourier transform of the object whose tissue class c has the signal density values[c].

    k : (3, ...) [1/m]
    returns : (...) complex128 integral of the signal exp(-i 2 pi k.r) d3r, exact
    """
    k = np.asarray(k, np.float64)
    total = np.zeros(k.shape[1:], np.complex128)
    for part in parts:
        total += (values[part.label] - values[part.within]) * part.shape.transform(k)
    return total


def object_table(field_strength: float, names: Sequence[str] = ()) -> TissueTable:
    """Tissues of test objects at `field_strength` [T]: all, or air and those of `names` in this order."""
    if field_strength not in OBJECT_TABLES:
        fields = " or ".join(f"{b:g}" for b in OBJECT_TABLES)
        raise ValueError(
            f"field_strength must be {fields} T, where there is a tissue table, got {field_strength} T"
        )
    table = tissue_table(OBJECT_TABLES[field_strength])
    if not names:
        return table
    rows = {t.name: t for t in table.tissues[1:]}
    return replace(table, tissues=(table.tissues[0], *(rows[known("tissue", name, rows)] for name in names)))


def only_subject(subject: int) -> None:
    """Refuse any subject but 1: an object is one."""
    if subject != 1:
        raise ValueError(f"subject must be 1, got {subject}")
