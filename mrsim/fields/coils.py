"""Receive coils: complex sensitivities of loops around the object, by reciprocity."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ellipe, ellipk

from mrsim.slices.plane import SlicePlane
from phantoms.phantom import Spins

Real = NDArray[np.float64]
Complex = NDArray[np.complexfloating]
Extent = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]

GAP = 25e-3  # [m] between the object's ellipsoid and the loops
WIRE = 4e-3  # [m] radius of the conductor: no field is stronger than at its surface
COARSE = 5e-3  # [m] grid on which lattices are evaluated before interpolation
RING_SIZE = 8  # loops per ring around the head, at most


class Elements(Protocol):
    """The coil elements: their transverse fields, not normalised."""

    @property
    def n_coils(self) -> int:
        """Number of receive channels."""
        ...

    def transverse_field(self, points: Real) -> Complex:
        """Bx - iBy of each element at points (3, n) [m] RAS: (coil, n), any scale."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Loops:
    """Circular loops of one radius. centres, normals : (coil, 3) [m], [1] RAS."""

    centres: Real
    normals: Real
    radius: float  # [m]

    @property
    def n_coils(self) -> int:
        """Number of loops."""
        return len(self.centres)

    def transverse_field(self, points: Real) -> Complex:
        """Bx - iBy of a unit current (principle of reciprocity, B0 along z), (coil, n)."""
        field = np.empty((self.n_coils, points.shape[1]), dtype=np.complex128)
        for coil in range(self.n_coils):
            bx, by, _ = loop_field(points, self.centres[coil], self.normals[coil], self.radius)
            field[coil] = bx - 1j * by
        return field


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class BirdcageElements:
    """The birdcage formula of ISMRMRD and sigpy: 1/distance to a rung, phase its azimuth; constant along z.

    centre : R, A [m]; radius : distance of the rungs from it [m]
    """

    n_coils: int
    centre: tuple[float, float]
    radius: float

    def transverse_field(self, points: Real) -> Complex:
        """S_j = 1/|r - c_j| exp(i (phi_j(r) - theta_j)), (coil, n)."""
        theta = 2 * np.pi * np.arange(self.n_coils)[:, None] / self.n_coils
        dx = points[0] - self.centre[0] - self.radius * np.cos(theta)
        dy = points[1] - self.centre[1] - self.radius * np.sin(theta)
        distance = np.maximum(np.hypot(dx, dy), WIRE)
        phase = np.arctan2(dx, -dy) - theta
        field: Complex = np.exp(1j * phase) / distance
        return field


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Uniform:
    """One coil that hears every spin alike."""

    n_coils: int = 1

    def transverse_field(self, points: Real) -> Complex:
        """1 everywhere, (1, n)."""
        return np.ones((1, points.shape[1]), dtype=np.complex128)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Turned:
    """Elements of the patient, seen in a frame that is turned against it about the same origin.

    axes : (3, 3) rows: x, y and z of that frame in the frame of `elements`, where B0 lies along z
    """

    elements: Elements
    axes: Real

    @property
    def n_coils(self) -> int:
        """Number of receive channels."""
        return self.elements.n_coils

    def transverse_field(self, points: Real) -> Complex:
        """Bx - iBy, x and y across B0, at points (3, n) [m] of the turned frame: (coil, n)."""
        # einsum sums in one order on any number of threads; BLAS does not
        return self.elements.transverse_field(np.einsum("ji,jn->in", self.axes, points))


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class CoilMaps:
    """Receive sensitivities, scaled so that their root sum of squares is 1 at `centre`; independent noise."""

    elements: Elements
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)  # [m] RAS

    @property
    def n_coils(self) -> int:
        """Number of receive channels."""
        return self.elements.n_coils

    @property
    def scale(self) -> float:
        """What the elements' fields are multiplied with."""
        at_centre = self.elements.transverse_field(np.array(self.centre)[:, None])
        return float(1 / np.linalg.norm(at_centre))

    def turned(self, axes: Real) -> CoilMaps:
        """Return the same coils in a frame with these axes (3, 3), rows: see `Turned`."""
        return CoilMaps(elements=Turned(elements=self.elements, axes=axes), centre=_point(axes @ self.centre))

    def sensitivity(self, x: ArrayLike, y: ArrayLike, z: ArrayLike) -> NDArray[np.complex64]:
        """At points of any one shape [m] RAS: (coil, ...) complex64, exact."""
        x, y, z = np.broadcast_arrays(x, y, z)
        points = np.stack([np.asarray(c, dtype=np.float64).ravel() for c in (x, y, z)])
        field = self.elements.transverse_field(points)
        return (self.scale * field).astype(np.complex64).reshape(self.n_coils, *x.shape)

    def on_lattice(self, x: Real, y: Real, z: Real) -> NDArray[np.complex64]:
        """At every point of the lattice x * y * z [m] along R, A, S (each ascending): (coil, z, y, x).

        Exact on a 5 mm grid around it, cubic (four-point Lagrange) in between; in a head the error is below
        5e-4 of the largest sensitivity there (a test measures it).
        """
        nodes = [_nodes(c) for c in (x, y, z)]
        coarse = np.meshgrid(*nodes[::-1], indexing="ij")  # z, y, x
        maps = self.sensitivity(*coarse[::-1])
        for axis, (fine, node) in enumerate(zip((z, y, x), nodes[::-1], strict=True), start=1):
            maps = _cubic(maps, axis, node, fine)
        return maps

    def on_image(self, plane: SlicePlane) -> NDArray[np.complex64]:
        """At the pixel centres of the plane: (coil, y, x)."""
        x, y = plane.pixel_centres("x"), plane.pixel_centres("y")
        maps = self.on_lattice(*plane.ras_lattice(x, y, np.zeros(1)))
        return np.ascontiguousarray(plane.in_image_axes(maps)[:, 0])

    def on_spins(self, spins: Spins, plane: SlicePlane) -> NDArray[np.complex64]:
        """At the spins of a slab, whose positions are in the image frame of `plane`: (coil, spin).

        Interpolated as on the lattice that `slab_spins` lays; exact if the spins lie on none.
        """
        if spins.tissue.size == 0:
            return np.zeros((self.n_coils, 0), dtype=np.complex64)
        (x, ix), (y, iy), (z, iz) = (_levels(c) for c in spins.position)
        if x.size * y.size * z.size > 8 * spins.tissue.size:
            return self.sensitivity(*plane.to_ras(spins.position))
        maps = plane.in_image_axes(self.on_lattice(*plane.ras_lattice(x, y, z)))  # (coil, z, y, x)
        flat = np.ascontiguousarray(maps).reshape(self.n_coils, -1)
        at_spins: NDArray[np.complex64] = flat.take((iz * y.size + iy) * x.size + ix, axis=1)
        return at_spins


def loop_array(n_coils: int, extent: Extent) -> CoilMaps:
    """Loops on an ellipsoid 25 mm outside the object, facing its middle; one coil is uniform.

    Up to eight in one ring about the z axis, more in two or more rings, up to the crown and turned against
    each other. The radius lets neighbours of a ring touch, within 35 to 60 mm.

    extent : ((x0, x1), (y0, y1), (z0, z1)) [m] RAS of the object
    """
    _checked(n_coils)
    low, high = np.array(extent).T
    middle = (low + high) / 2
    if n_coils == 1:
        return CoilMaps(elements=Uniform(), centre=_point(middle))
    half = (high - low) / 2 + GAP
    n_rings = math.ceil(n_coils / RING_SIZE)
    sizes = [len(ring) for ring in np.array_split(np.arange(n_coils), n_rings)]
    elevations = np.radians([0.0] if n_rings == 1 else np.linspace(-15.0, 50.0, n_rings))
    directions = []
    for ring, (size, elevation) in enumerate(zip(sizes, elevations, strict=True)):
        azimuth = 2 * np.pi * (np.arange(size) + 0.5 * (ring % 2)) / size
        across = np.cos(elevation) * np.ones(size)
        directions.append(
            np.stack(
                [across * np.cos(azimuth), across * np.sin(azimuth), np.sin(elevation) * np.ones(size)], 1
            )
        )
    direction = np.concatenate(directions)
    inward = -direction / half  # normal of the ellipsoid
    radius = float(np.clip(np.pi * half[:2].mean() / max(sizes), 35e-3, 60e-3))
    loops = Loops(
        centres=middle + half * direction,
        normals=inward / np.linalg.norm(inward, axis=1, keepdims=True),
        radius=radius,
    )
    return CoilMaps(elements=loops, centre=_point(middle))


def birdcage(n_coils: int, extent: Extent) -> CoilMaps:
    """Birdcage formula with its rungs at 1.5 times the object's largest half width in the axial plane."""
    _checked(n_coils)
    low, high = np.array(extent).T
    middle = (low + high) / 2
    if n_coils == 1:
        return CoilMaps(elements=Uniform(), centre=_point(middle))
    radius = 1.5 * float((high - low)[:2].max()) / 2
    elements = BirdcageElements(n_coils=n_coils, centre=(float(middle[0]), float(middle[1])), radius=radius)
    return CoilMaps(elements=elements, centre=_point(middle))


# every entry: (n_coils, extent of the object) -> CoilMaps
COILS: dict[str, Callable[[int, Extent], CoilMaps]] = {"loops": loop_array, "birdcage": birdcage}


def loop_field(points: Real, centre: Real, normal: Real, radius: float) -> Real:
    """B of a circular loop (3, n) in units of mu0 I / pi; right-handed about `normal`.

    The Biot-Savart integral in closed form with complete elliptic integrals (Simpson et al.,
    NASA/TM-2013-217919), which a sum over straight segments approaches; kept finite on the conductor by
    `WIRE`.

    points : (3, n) [m]; centre, normal : (3,); radius : [m]
    """
    offset = points - centre[:, None]
    h = np.einsum("i,in->n", normal, offset)
    across = offset - normal[:, None] * h
    rho2 = np.einsum("in,in->n", across, across)
    rho = np.sqrt(rho2)
    r2 = rho2 + h**2
    alpha2 = np.maximum(radius**2 + r2 - 2 * radius * rho, WIRE**2)
    beta2 = radius**2 + r2 + 2 * radius * rho
    k2 = 1 - alpha2 / beta2
    e, k = ellipe(k2), ellipk(k2)
    common = 1 / (2 * alpha2 * np.sqrt(beta2))
    along = common * ((radius**2 - r2) * e + alpha2 * k)
    outward = (
        common * h * ((radius**2 + r2) * e - alpha2 * k) / np.maximum(rho2, (1e-9 * radius) ** 2)
    )  # over rho
    field: Real = normal[:, None] * along + across * outward
    return field


def _checked(n_coils: int) -> None:
    if n_coils != int(n_coils) or n_coils < 1:
        raise ValueError(f"n_coils must be a positive integer, got {n_coils}")


def _point(values: Real) -> tuple[float, float, float]:
    x, y, z = (float(v) for v in values)
    return x, y, z


def _levels(values: Real) -> tuple[Real, NDArray[np.intp]]:
    """Distinct `values` [m] to 0.1 micrometre, ascending, and which of them each value is."""
    step, low = 1e-7, values.min()
    key = np.rint((values - low) / step).astype(np.intp)
    present = np.zeros(key.max() + 1, dtype=bool)
    present[key] = True
    return low + step * np.flatnonzero(present), (np.cumsum(present) - 1)[key]


def _nodes(fine: Real) -> Real:
    """5 mm grid with at least two nodes beyond each end of the ascending coordinates `fine`."""
    first = math.floor(fine[0] / COARSE) - 1
    last = math.floor(fine[-1] / COARSE) + 2
    return COARSE * np.arange(first, last + 1)


def _cubic(maps: NDArray[np.complex64], axis: int, nodes: Real, fine: Real) -> NDArray[np.complex64]:
    """Four-point Lagrange interpolation along `axis` from equidistant `nodes` to `fine`."""
    t = (fine - nodes[0]) / COARSE
    low = np.clip(np.floor(t).astype(np.intp), 1, nodes.size - 3)
    t = t - low
    shape = [1] * maps.ndim
    shape[axis] = -1
    lagrange = (
        -t * (t - 1) * (t - 2) / 6,
        (t + 1) * (t - 1) * (t - 2) / 2,
        -(t + 1) * t * (t - 2) / 2,
        (t + 1) * t * (t - 1) / 6,
    )
    total = np.zeros(maps.shape[:axis] + fine.shape + maps.shape[axis + 1 :], dtype=np.complex64)
    for i, weight in enumerate(lagrange):
        total += maps.take(low + i - 1, axis=axis) * weight.astype(np.float32).reshape(shape)
    return total
