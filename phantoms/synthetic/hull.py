"""The envelopes of the head: cerebrum, posterior fossa, cranial cavity and skin, and distances to them."""

from __future__ import annotations

from functools import partial
from math import sqrt
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from phantoms.synthetic.draw import Anatomy
from phantoms.synthetic.shapes import (
    Array,
    chain,
    clip,
    ellipsoid,
    kernel,
    over_slabs,
    ramp,
    smooth_min,
    superellipsoid,
)

STEP = 2.0  # [mm] node distance of the fixed canonical grid
START = (-84.0, -136.0, -100.0)  # [mm] first node, z y x
NODES = (101, 121, 101)  # z y x
CAVITY, SKIN, CEREBRUM, NORMAL_X, NORMAL_Y, NORMAL_Z = range(6)  # channels of Envelope.fields

TEMPORAL = np.array([(37.0, 9.0, -30.0, 16.5), (42.0, -8.0, -28.0, 18.5), (47.0, -30.0, -18.0, 19.0)])
PARAHIPPOCAMPAL = np.array([(20.0, -4.0, -21.0, 8.5), (22.0, -22.0, -19.0, 8.5), (22.0, -36.0, -12.0, 8.0)])


class Envelope(NamedTuple):
    """Fields on the fixed grid: (z, y, x, channel) float32.

    CAVITY SKIN CEREBRUM are signed distances [mm], negative inside;
    NORMAL_X..Z the smoothed outward unit normal of the cerebral hull.
    """

    fields: Array


@kernel
def cerebrum(x: float, y: float, z: float) -> float:
    """Hull of both hemispheres with the fissure closed; negative inside."""
    ax = abs(x)
    height = 76.0 if z > 5 else 47.0
    egg = superellipsoid(x, y + 15.5, z - 5, 69.0, 89.5, height, 2.2)
    front = -27.5 + 0.15 * min(ax, 45.0) + 6.5 * ramp(y, 14.0, -6.0)
    back = -12.5 - 0.13 * ax - 0.05 * clip(-60.0 - y, 0.0, 40.0)
    floor = front + (back - front) * ramp(y, -20.0, -38.0)
    lobe = chain(ax, y, z, TEMPORAL)
    medial = chain(ax, y, z, PARAHIPPOCAMPAL)
    return smooth_min(max(egg, 0.92 * (floor - z)), smooth_min(lobe, medial, 4.0), 6.0)


@kernel
def cerebellum(x: float, y: float, z: float) -> float:
    """Cerebellar hemispheres and vermis; negative inside."""
    ax = abs(x)
    lobes = superellipsoid(ax - 25, y + 62.5, z + 39.5, 28.0, 30.5, 25.5, 2.2)
    vermis = ellipsoid(x, y + 63, z + 33, 14.0, 23.0, 21.0)
    front = ellipsoid(ax - 17, y + 51, z + 27, 19.0, 16.0, 12.5)
    lobes = smooth_min(lobes, front, 5.0)
    notch = 3.0 * max(0.0, 1 - ax / 9.0) * ramp(y, -74.0, -88.0)
    return smooth_min(lobes, vermis, 5.0) + notch


@kernel
def brainstem(x: float, y: float, z: float) -> float:
    """Midbrain, pons and medulla; negative inside."""
    pons = ellipsoid(x, y + 27, z + 33, 17.0, 11.5, 14.0)
    peduncle = ellipsoid(abs(x) - 9, y + 20, z + 12, 9.0, 9.0, 13.0)
    tectum = ellipsoid(x, y + 28, z + 10, 12.0, 9.0, 11.0)
    top = smooth_min(smooth_min(peduncle, tectum, 4.0), pons, 5.0)
    length = clip((-42.0 - z) / 40.0, 0.0, 1.2)
    medulla = ellipsoid(x, y + 32 + 11 * length, 0.0, 10.0 - 2 * length, 8.0 - 1.5 * length, 1.0)
    medulla = max(medulla, max(z + 38, -95 - z))
    return smooth_min(top, medulla, 5.0)


@kernel
def cavity(x: float, y: float, z: float, brain: float, cistern: float) -> float:
    """Cranial cavity (inner table) around the cerebral distance `brain`, and spinal canal."""
    brain = brain - cistern
    if z > 24:  # the posterior fossa ends far below
        return brain
    fossa = smooth_min(cerebellum(x, y, z) - 1.6, brainstem(x, y, z) - 3.0, 10.0)
    roof = ellipsoid(x, y + 42, z + 14, 30.0, 20.0, 16.0)
    sella = ellipsoid(x, y + 4, z + 18, 24.0, 17.0, 10.0)
    return smooth_min(min(brain, min(roof, sella)), fossa, 9.0)


@kernel
def face(x: float, y: float, z: float) -> float:
    """Face, neck, nose and ears; negative inside."""
    if z > 30:
        return 99.0
    ax = abs(x)
    front = superellipsoid(x, y - 8, z + 52, 66.0, 76.0, 66.0, 2.6)
    neck = superellipsoid(x, y + 30, z + 70, 74.0, 78.0, 62.0, 2.6)
    nose = chain(ax, y, z, np.array([(0.0, 80.0, -14.0, 5.0), (0.0, 92.0, -44.0, 9.0)]))
    ear = ellipsoid(ax - 84, y + 26 - 0.25 * (z + 30), z + 28, 6.0, 14.0, 27.0)
    return smooth_min(smooth_min(smooth_min(front, neck, 14.0), nose, 10.0), ear, 3.0)


@kernel
def _implicit(cistern: float, phi: Array, first: int, last: int) -> None:
    """Fill slab first..last of phi (channel, z, y, x) with cavity, face and cerebrum."""
    _, _, ny, nx = phi.shape
    for i in range(first, last):
        for j in range(ny):
            for k in range(nx):
                z, y, x = START[0] + STEP * i, START[1] + STEP * j, START[2] + STEP * k
                brain = cerebrum(x, y, z)
                phi[0, i, j, k] = cavity(x, y, z, brain, cistern)
                phi[1, i, j, k] = face(x, y, z)
                phi[2, i, j, k] = brain


@kernel
def _seed_distance(phi: Array, step: float, big: float) -> Array:
    """|distance| at the nodes beside the zero level, phi / |grad phi|; `big` elsewhere."""
    nz, ny, nx = phi.shape
    out = np.full(phi.shape, big, np.float32)
    for i in range(1, nz - 1):
        for j in range(1, ny - 1):
            for k in range(1, nx - 1):
                p = phi[i, j, k]
                crosses = (
                    p * phi[i - 1, j, k] <= 0 or p * phi[i + 1, j, k] <= 0 or p * phi[i, j - 1, k] <= 0
                    or p * phi[i, j + 1, k] <= 0 or p * phi[i, j, k - 1] <= 0 or p * phi[i, j, k + 1] <= 0
                )  # fmt: skip
                if crosses:
                    gz = phi[i + 1, j, k] - phi[i - 1, j, k]
                    gy = phi[i, j + 1, k] - phi[i, j - 1, k]
                    gx = phi[i, j, k + 1] - phi[i, j, k - 1]
                    slope = sqrt(gx * gx + gy * gy + gz * gz) / (2 * step)
                    out[i, j, k] = abs(p) / max(slope, 0.2)
    return out


@kernel
def _eikonal(a: float, b: float, c: float, step: float) -> float:
    """Solve |grad d| = 1 upwind from the smallest neighbour along each axis."""
    low, high = min(a, b, c), max(a, b, c)
    middle = a + b + c - low - high
    d = low + step
    if d > middle:
        d = 0.5 * (low + middle + sqrt(max(0.0, 2 * step * step - (low - middle) ** 2)))
        if d > high:
            s = low + middle + high
            q = low * low + middle * middle + high * high
            d = (s + sqrt(max(0.0, s * s - 3 * (q - step * step)))) / 3
    return d


@kernel
def redistance(phi: Array, step: float) -> Array:
    """Signed distance (z, y, x) [mm] to the zero level of phi by fast sweeping (Zhao, Math. Comp. 2005)."""
    nz, ny, nx = phi.shape
    d = _seed_distance(phi, step, 1e4)
    fixed = d < 1e4
    for sweep in range(8):
        for ii in range(nz):
            i = nz - 1 - ii if sweep & 4 else ii
            for jj in range(ny):
                j = ny - 1 - jj if sweep & 2 else jj
                for kk in range(nx):
                    k = nx - 1 - kk if sweep & 1 else kk
                    if fixed[i, j, k]:
                        continue
                    a = min(d[max(i - 1, 0), j, k], d[min(i + 1, nz - 1), j, k])
                    b = min(d[i, max(j - 1, 0), k], d[i, min(j + 1, ny - 1), k])
                    c = min(d[i, j, max(k - 1, 0)], d[i, j, min(k + 1, nx - 1)])
                    d[i, j, k] = min(d[i, j, k], _eikonal(a, b, c, step))
    for i in range(nz):
        for j in range(ny):
            for k in range(nx):
                if phi[i, j, k] < 0:
                    d[i, j, k] = -d[i, j, k]
    return d


def envelope(a: Anatomy) -> Envelope:
    """Compute the envelopes of one subject on the fixed grid."""
    phi = np.empty((3, *NODES), np.float32)
    over_slabs(partial(_implicit, a.cistern, phi), NODES[0])
    fields = np.empty((*NODES, 6), np.float32)
    inner = redistance(phi[0], STEP)
    z = START[0] + STEP * np.arange(NODES[0], dtype=np.float32)[:, None, None]
    thickness = a.skull + a.scalp + 2.0 * np.clip((20 - z) / 60, 0, 1)
    skin = _smooth_union(inner - thickness, phi[1], 12.0)
    fields[..., CAVITY] = inner
    fields[..., SKIN] = redistance(skin, STEP)
    fields[..., CEREBRUM] = redistance(phi[2], STEP)
    smooth = ndimage.gaussian_filter(fields[..., CEREBRUM], 1.5)
    gradient = np.stack(list(np.gradient(smooth))[::-1], axis=-1)
    gradient /= np.sqrt((gradient**2).sum(axis=-1, keepdims=True)) + 1e-3
    fields[..., NORMAL_X:] = gradient
    return Envelope(fields=fields)


def _smooth_union(a: Array, b: Array, radius: float) -> Array:
    h = np.clip(0.5 + 0.5 * (b - a) / radius, 0, 1)
    return np.asarray(b * (1 - h) + a * h - radius * h * (1 - h), np.float32)
