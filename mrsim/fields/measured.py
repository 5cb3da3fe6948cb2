"""Receive coils whose sensitivities were measured: complex maps on a grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrsim.fields.coils import CoilMaps
from mrsim.fields.field_map import FieldMap

Real = NDArray[np.float64]
Complex = NDArray[np.complexfloating]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class MeasuredElements:
    """Maps of the real and imaginary part of each coil, (coil,) each, on one grid."""

    real: tuple[FieldMap, ...]
    imaginary: tuple[FieldMap, ...]

    @property
    def n_coils(self) -> int:
        """Number of receive channels."""
        return len(self.real)

    def transverse_field(self, points: Real) -> Complex:
        """Sensitivity at points (3, n) [m] RAS, trilinear: (coil, n)."""
        pairs = zip(self.real, self.imaginary, strict=True)
        return np.stack([real.at(points) + 1j * imaginary.at(points) for real, imaginary in pairs])


@dataclass(frozen=True, eq=False, kw_only=True)
class MeasuredCoils(CoilMaps):
    """Sensitivities as they were measured: not scaled, trilinear, held beyond the grid."""

    elements: MeasuredElements

    @property
    def scale(self) -> float:
        """Measured maps keep their scale."""
        return 1.0

    def on_lattice(self, x: Real, y: Real, z: Real) -> NDArray[np.complex64]:
        """At every point of the lattice x * y * z [m] along R, A, S: (coil, z, y, x)."""
        real, imaginary = (
            np.stack([field.on_lattice(x, y, z) for field in fields])
            for fields in (self.elements.real, self.elements.imaginary)
        )
        return np.asarray(real + 1j * imaginary, np.complex64)


def measured_coils(values: NDArray[np.complexfloating], affine: Real) -> MeasuredCoils:
    """Coils from sensitivities `values` (coil, z, y, x) with `affine` (4, 4) [m] index (x, y, z) -> RAS."""
    return MeasuredCoils(
        elements=MeasuredElements(
            real=tuple(FieldMap(values=v.real.astype(np.float32), affine=affine) for v in values),
            imaginary=tuple(FieldMap(values=v.imag.astype(np.float32), affine=affine) for v in values),
        )
    )
