"""The folding pattern: where sulci run on each hemisphere.

A Swift-Hohenberg pattern grows on the hull of the hemisphere (a cube-sphere mesh around its centre with
cotangent Laplacian), which gives stripes of one wavelength with the bends, branches and dead ends of sulci.
The primary sulci are held at their anatomical places while the pattern grows around them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from math import atan, pi, sqrt
from typing import NamedTuple, cast

import numpy as np
from scipy import sparse
from scipy.sparse import linalg
from scipy.spatial import cKDTree

from phantoms.synthetic.draw import Anatomy
from phantoms.synthetic.hull import cerebrum
from phantoms.synthetic.shapes import Array, clip, kernel

CENTRE = (28.0, -16.0, 10.0)  # [mm] centre of the right hemisphere's map, x y z
EXTENT = (36.0, 88.0, 62.0)  # [mm] half axes that make the hemisphere nearly round for the map
CELLS = 56  # mesh cells per cube face edge
PAD = 2  # rows of the neighbouring faces kept around each face for cubic interpolation
GROWTH, STEPS, TIME_STEP = 0.6, 30, 0.5
AMPLITUDE = sqrt(4 * GROWTH / 3)  # of saturated stripes
PRIMARY = {  # polylines (x y z) [mm] on the right hemisphere, and their depth [mm] above that of other sulci
    "central": (((4, -32, 74), (18, -28, 68), (34, -20, 56), (46, -10, 42), (56, -4, 26), (62, -2, 14)), 5.0),
    "cingulate": (((0, 30, -8), (0, 46, 6), (0, 34, 28), (0, 14, 38), (0, -32, 46), (0, -38, 66)), 1.0),
    "calcarine": (((0, -56, 4), (0, -75, 6), (3, -97, 4)), 6.0),
    "parieto-occipital": (((0, -58, 6), (0, -70, 24), (4, -80, 38)), 5.0),
    "lateral": (((54, 22, -12), (64, 0, -4), (68, -20, 3), (62, -40, 10)), 0.0),
    "superior temporal": (((48, 14, -26), (60, -8, -14), (66, -32, 0), (62, -52, 16), (50, -62, 32)), 4.0),
    "inferior temporal": (((46, 8, -42), (56, -18, -32), (58, -44, -18)), 0.0),
    "superior frontal": (((22, 56, 22), (26, 34, 44), (26, 4, 60)), 2.0),
    "inferior frontal": (((44, 42, 10), (50, 22, 26), (50, 8, 34)), 2.0),
    "intraparietal": (((48, -34, 42), (36, -50, 52), (26, -70, 44)), 5.0),
    "collateral": (((26, -14, -36), (28, -40, -20), (26, -70, -12)), 3.0),
    "olfactory": (((11, 58, -18), (12, 22, -24)), 0.0),
}  # fmt: skip


class Folding(NamedTuple):
    """Maps (hemisphere, cube face, row, column, channel) float32; channels: pattern in [-1, 1], depth [mm].

    hemisphere 0 is the right one; -1 in the pattern is the bottom of a sulcus, +1 the crown of a gyrus.
    """

    maps: Array


class Mesh(NamedTuple):
    """Triangulated hull of the right hemisphere around CENTRE."""

    nodes: Array  # (vertex, 3) [mm]
    laplacian: sparse.csr_matrix  # (vertex, vertex) [1/mm^2]
    vertex: Array  # (face, row, column) -> row of nodes


def grow_folding(a: Anatomy, rng: np.random.Generator) -> Folding:
    """Grow the folding pattern of both hemispheres."""
    mesh = hemisphere_mesh()
    n = len(mesh.nodes)
    k = 2 * pi / a.wavelength
    swift = sparse.identity(n) + mesh.laplacian / k**2
    system = sparse.csc_matrix(sparse.identity(n) * (1 - TIME_STEP * GROWTH) + TIME_STEP * (swift @ swift))
    solve = factorise(system)
    diffuse = factorise(sparse.csc_matrix(sparse.identity(n) - 36.0 * mesh.laplacian))
    maps = np.empty((2, 6, CELLS + 1 + 2 * PAD, CELLS + 1 + 2 * PAD, 2), np.float32)
    for side in range(2):
        pull, target, extra = primary_sulci(mesh, k, rng)
        u = 0.4 * rng.standard_normal(n)
        for _ in range(STEPS):
            u = solve(u + TIME_STEP * (pull * (target - u) - u**3))
        noise = smooth_on_mesh(diffuse, rng.standard_normal(n))
        depth = sulcal_depth(mesh, a.sulcal_depth, noise) + extra
        pattern = np.clip(u / AMPLITUDE, -1.15, 1.15)
        _store(maps[side], mesh, np.stack([pattern, depth], axis=-1))
    return Folding(maps=maps)


@lru_cache(maxsize=1)
def hemisphere_mesh() -> Mesh:
    """Cube-sphere mesh pushed out to the hull, with its Laplacian (lumped mass, cotangent weights)."""
    directions, index = cube_sphere()
    radius = np.empty(len(directions))
    _reach_hull(directions, radius)
    nodes = np.array(CENTRE) + directions * radius[:, None] * np.array(EXTENT)
    corner = index[:, :-1, :-1], index[:, 1:, :-1], index[:, 1:, 1:], index[:, :-1, 1:]
    a, b, c, d = (v.ravel() for v in corner)
    triangles = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    return Mesh(nodes=nodes, laplacian=cotangent_laplacian(nodes, triangles), vertex=index)


def cube_sphere() -> tuple[Array, Array]:
    """Return unit directions (vertex, 3), shared along edges, and the vertex at (face, row, column)."""
    t = np.tan(np.linspace(-pi / 4, pi / 4, CELLS + 1))
    faces = np.empty((6, CELLS + 1, CELLS + 1, 3))
    for face in range(6):
        axis = face // 2
        faces[face, :, :, axis] = 1 - 2 * (face % 2)
        faces[face, :, :, (axis + 1) % 3] = t[:, None]
        faces[face, :, :, (axis + 2) % 3] = t[None, :]
    _, first, index = np.unique(
        np.round(faces.reshape(-1, 3), 9), axis=0, return_index=True, return_inverse=True
    )
    directions = faces.reshape(-1, 3)[first]
    return directions / np.linalg.norm(directions, axis=1, keepdims=True), index.reshape(faces.shape[:3])


@kernel
def _reach_hull(directions: Array, radius: Array) -> None:
    """Radius, in units of EXTENT, of the outermost hull point along each direction; medial wall at x = 0."""
    for v in range(directions.shape[0]):
        dx, dy, dz = directions[v]
        t, step = 1.9, 0.03
        for _ in range(90):
            x, y, z = (
                CENTRE[0] + t * dx * EXTENT[0],
                CENTRE[1] + t * dy * EXTENT[1],
                CENTRE[2] + t * dz * EXTENT[2],
            )
            inside = max(cerebrum(x, y, z), -x) < 0
            if inside and step > 0.002:
                t, step = t + step, step / 4
            elif inside:
                break
            t = max(t - step, 0.1)
        radius[v] = t


def cotangent_laplacian(nodes: Array, triangles: Array) -> sparse.csr_matrix:
    """Laplace-Beltrami operator of the triangulated surface (Pinkall and Polthier 1993), lumped mass."""
    n = len(nodes)
    rows, columns, weights = [], [], []
    area = np.zeros(n)
    for i in range(3):
        o, p, q = triangles[:, i], triangles[:, (i + 1) % 3], triangles[:, (i + 2) % 3]
        u, v = nodes[p] - nodes[o], nodes[q] - nodes[o]
        double = np.linalg.norm(np.cross(u, v), axis=1) + 1e-9
        cotangent = np.clip((u * v).sum(axis=1) / double, -5.0, 5.0) / 2
        rows += [p, q]
        columns += [q, p]
        weights += [cotangent, cotangent]
        area += np.bincount(o, double / 6, n)
    matrix = sparse.csr_matrix(
        (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), shape=(n, n)
    )
    matrix = matrix - sparse.diags(np.asarray(matrix.sum(axis=1)).ravel())
    return sparse.csr_matrix(sparse.diags(1 / np.maximum(area, 0.3)) @ matrix)


def primary_sulci(mesh: Mesh, k: float, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """How strongly each vertex is held, to which pattern value, and the extra depth [mm] there."""
    nearest = np.full(len(mesh.nodes), 1e3)
    extra = np.zeros(len(mesh.nodes))
    for points, deeper in PRIMARY.values():
        line = np.array(points, np.float64) + rng.normal(0.0, 2.2, (len(points), 3))
        distance = polyline_distance(mesh.nodes, line)
        extra = np.where(distance < nearest, deeper * np.exp(-((distance * k / 3) ** 2)), extra)
        nearest = np.minimum(nearest, distance)
    pull = 1.2 * np.exp(-((nearest * k / 4) ** 2))
    return pull, -AMPLITUDE * np.cos(k * nearest), extra


def polyline_distance(nodes: Array, line: Array) -> Array:
    """Distance [mm] of each node to the nearest of densely sampled points of a polyline."""
    dense = np.concatenate([np.linspace(p, q, 24) for p, q in pairwise(line)])
    return np.asarray(cKDTree(dense).query(nodes)[0])


def factorise(matrix: sparse.csc_matrix) -> Callable[[Array], Array]:
    """Sparse LU of a matrix with symmetric pattern and dominant diagonal; returns its solver."""
    options = {"SymmetricMode": True}
    lu = linalg.splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)
    return cast("Callable[[Array], Array]", lu.solve)


def smooth_on_mesh(diffuse: Callable[[Array], Array], white: Array) -> Array:
    """Unit-variance noise on the surface: white noise after two implicit diffusions."""
    noise = diffuse(diffuse(white))
    return np.asarray((noise - noise.mean()) / noise.std())


def sulcal_depth(mesh: Mesh, depth: float, noise: Array) -> Array:
    """Depth of sulci [mm]: shallower on the medial wall and the base, and where the noise interrupts them."""
    x, y, z = mesh.nodes.T
    medial = 0.45 * np.clip(1 - x / 12.0, 0, 1)
    tentorial = (
        0.40 * np.clip((-38 - y) / 8, 0, 1) * np.clip((4 - z) / 10, 0, 1) * np.clip((58 - x) / 8, 0, 1)
    )
    orbital = 0.45 * np.clip((y - 12) / 8, 0, 1) * np.clip((-8 - z) / 8, 0, 1) * np.clip((44 - x) / 8, 0, 1)
    temporal = 0.20 * np.clip((y + 42) / 10, 0, 1) * np.clip((-14 - z) / 8, 0, 1)
    shallow = np.maximum.reduce([medial, tentorial, orbital, temporal])
    return np.asarray(depth * (1 - shallow) + 3.5 * noise)


def _store(maps: Array, mesh: Mesh, values: Array) -> None:
    """Write vertex values to the padded faces, the padding read from the neighbouring faces."""
    inner = maps[:, PAD:-PAD, PAD:-PAD]
    inner[:] = values[mesh.vertex]
    angle = (np.arange(-PAD, CELLS + 1 + PAD) / CELLS - 0.5) * (pi / 2)
    _fill_padding(maps, np.tan(angle))


@kernel
def _fill_padding(maps: Array, tangent: Array) -> None:
    """Fill the rows beyond each cube face by bilinear interpolation on the face that they lie on."""
    m = tangent.size
    out = np.empty(2)
    direction = np.empty(3)
    for face in range(6):
        axis = face // 2
        for i in range(m):
            for j in range(m):
                if PAD <= i < m - PAD and PAD <= j < m - PAD:
                    continue
                direction[axis] = 1.0 - 2 * (face % 2)
                direction[(axis + 1) % 3] = tangent[i]
                direction[(axis + 2) % 3] = tangent[j]
                other, u, v = face_of(direction)
                bilinear(maps[other], u, v, out)
                maps[face, i, j, 0], maps[face, i, j, 1] = out[0], out[1]


@kernel
def face_of(direction: Array) -> tuple[int, float, float]:
    """Cube face that a direction meets, and its row and column in the padded map of that face."""
    axis = 0
    for i in range(1, 3):
        if abs(direction[i]) > abs(direction[axis]):
            axis = i
    scale = 1.0 / max(abs(direction[axis]), 1e-6)
    u = atan(direction[(axis + 1) % 3] * scale) * (4 / pi)
    v = atan(direction[(axis + 2) % 3] * scale) * (4 / pi)
    face = 2 * axis + (1 if direction[axis] < 0 else 0)
    return face, PAD + CELLS * 0.5 * (u + 1), PAD + CELLS * 0.5 * (v + 1)


@kernel
def bilinear(face: Array, u: float, v: float, out: Array) -> None:
    """Bilinear value of every channel inside the unpadded part of one face."""
    u, v = clip(u, PAD, PAD + CELLS - 1e-3), clip(v, PAD, PAD + CELLS - 1e-3)
    i, j = int(u), int(v)
    fu, fv = u - i, v - j
    for c in range(out.size):
        low = face[i, j, c] * (1 - fv) + face[i, j + 1, c] * fv
        high = face[i + 1, j, c] * (1 - fv) + face[i + 1, j + 1, c] * fv
        out[c] = low * (1 - fu) + high * fu


@kernel
def cubic_weights(f: float, w: Array) -> None:
    """Catmull-Rom weights of the four nodes around fraction f."""
    w[0] = ((-0.5 * f + 1.0) * f - 0.5) * f
    w[1] = (1.5 * f - 2.5) * f * f + 1.0
    w[2] = ((-1.5 * f + 2.0) * f + 0.5) * f
    w[3] = (0.5 * f - 0.5) * f * f


@kernel
def look_up(maps: Array, direction: Array, wu: Array, wv: Array, out: Array) -> None:
    """Pattern and depth of one hemisphere along `direction` from its centre (bicubic); wu wv (4,) scratch."""
    face, u, v = face_of(direction)
    i, j = int(u), int(v)
    cubic_weights(u - i, wu)
    cubic_weights(v - j, wv)
    for c in range(2):
        total = 0.0
        for p in range(4):
            line = 0.0
            for q in range(4):
                line += wv[q] * maps[face, i + p - 1, j + q - 1, c]
            total += wu[p] * line
        out[c] = total
