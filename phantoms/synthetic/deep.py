"""Deep grey matter, ventricles, cerebellum and brainstem, arteries and venous sinuses."""

from __future__ import annotations

from math import atan2, pi, sqrt

import numpy as np

from phantoms.synthetic.cortex import arch, midline
from phantoms.synthetic.draw import FINE, FINE2, FINE3, MIDDLE, MIDDLE2, Anatomy
from phantoms.synthetic.hull import brainstem, cerebellum
from phantoms.synthetic.names import CSF, GM, WM
from phantoms.synthetic.shapes import Array, chain, ellipsoid, kernel, ramp, smooth_min

PEDUNCLE = np.array([(9.0, -30.0, -33.0, 7.0), (15.0, -52.0, -36.0, 7.5)])  # middle cerebellar peduncle


@kernel
def deep_tissue(x: float, y: float, z: float, label: int, noise: Array, a: Anatomy) -> int:
    """Overwrite `label` with deep grey matter and ventricles where there are any."""
    ax = abs(x)
    if ax > 46 or y > 44 or y < -82 or z > 40 or z < -34:
        return label
    rough = 0.8 * noise[FINE]
    if ventricles(x, y, z, rough, a) < 0:
        return CSF
    thalamus = ellipsoid(ax - 11.5, y + 18 + 0.5 * (ax - 11), z - 7, 9.0, 15.0, 9.0) + 0.7 * rough
    caudate = chain(ax, y, z, a.caudate) + 0.5 * rough
    hippocampus = chain(ax, y, z, a.hippocampus) + 0.6 * rough
    tilt = ax - 25.5 + 0.17 * y
    putamen = ellipsoid(tilt, y - 1, z - 2, 6.8, 19.0, 12.5) + 0.7 * rough
    accumbens = ellipsoid(ax - 12, y - 12, z + 6, 7.0, 7.0, 5.0) + 0.6 * rough
    if min(min(thalamus, caudate), min(min(putamen, accumbens), hippocampus)) < 0:
        return GM
    pallidum = ellipsoid(ax - 19.0 + 0.25 * y, y + 4, z - 1, 4.2, 9.5, 6.5) + 0.5 * rough
    if pallidum < 0:
        return GM
    claustrum = ellipsoid(ax - 33.0 + 0.06 * y, y - 1, z - 3, 0.9, 14.0, 10.0)
    if claustrum < 0 and label == WM:
        return GM
    return label


@kernel
def ventricles(x: float, y: float, z: float, rough: float, a: Anatomy) -> float:
    """Distance to the lateral, third and fourth ventricles and the aqueduct; negative inside."""
    ax = abs(x)
    lateral = chain(ax + 0.6 * rough, y, z, a.lateral)
    lateral = min(lateral, chain(ax + 0.6 * rough, y, z, a.frontal_horn))
    lateral = min(lateral, chain(ax, y, z, a.body))
    septum = 0.6 - ax
    out = max(lateral, septum)
    out = min(out, chain(ax + 0.5 * rough, y, z, a.temporal_horn))
    slit = ellipsoid(x, y + 12, z - 0.2 * (y + 12), 2.2 * a.ventricle, 17.0, 13.0)
    commissure = ellipsoid(x, y + 12, z - 5, 5.0, 2.5, 2.5)
    out = min(out, max(slit, -commissure))
    aqueduct = sqrt(x * x + (y + 31 - 0.28 * (z + 14)) ** 2) - 1.1
    out = min(out, max(aqueduct, max(z + 2, -26 - z)))
    return min(out, ellipsoid(x, y + 43, z + 33, 7.5 * a.ventricle, 4.8 * a.ventricle, 10.0))


@kernel
def cisterns(x: float, y: float, z: float) -> float:
    """Distance to the quadrigeminal, ambient and suprasellar cisterns; negative inside."""
    ax = abs(x)
    galen = ellipsoid(x, y + 45, z + 2, 9.0, 7.0, 9.0)
    ambient = ellipsoid(ax - 17, y + 33, z + 8, 2.0, 10.0, 10.0)
    sella = ellipsoid(x, y - 1, z + 20, 13.0, 10.0, 6.0)
    return min(galen, min(ambient, sella))


@kernel
def fossa_tissue(x: float, y: float, z: float, label: int, hull: float, noise: Array, a: Anatomy) -> int:
    """Overwrite `label` with brainstem and cerebellum, below the tentorium; `hull`: cerebral distance."""
    if z > 4 or z < -95 or y > -2 or y < -104 or abs(x) > 62:
        return label
    stem = brainstem(x, y, z)
    bed = cerebellum(x, y, z)
    if bed < 0 and hull > 1.0:
        tissue = cerebellar_tissue(x, y, z, -bed, noise, a)
        if tissue != CSF or stem > 0:
            label = tissue
    if chain(abs(x), y, z, PEDUNCLE) < 0:
        label = WM
    if stem < 0 and (hull > -6 or abs(x) < 15):
        label = stem_tissue(x, y, z, stem, noise)
    elif (cisterns(x, y, z) < 0 and hull > -9) or (stem < 2.0 and -24 < z < -3 and y < -15):
        label = CSF
    if ventricles(x, y, z, 0.0, a) < 0:
        label = CSF
    return label


@kernel
def stem_tissue(x: float, y: float, z: float, stem: float, noise: Array) -> int:
    """White matter with the red nucleus, substantia nigra, periaqueductal and tegmental grey, and olives."""
    ax = abs(x)
    red = ellipsoid(ax - 5.0, y + 20, z + 9, 2.8, 3.0, 4.5)
    nigra = ellipsoid(ax - 9.0, y + 14 - 0.6 * (ax - 9), z + 12, 5.5, 1.8, 5.0)
    grey = sqrt(x * x + (y + 31 - 0.28 * (z + 14)) ** 2) - 4.2
    grey = max(grey, max(z - 1, -22 - z))
    tegmentum = ellipsoid(ax - 4, y + 37, z + 33, 5.0, 2.0, 12.0)
    olive = ellipsoid(ax - 5.5, y + 33, z + 54, 2.0, 2.5, 6.0)
    if min(min(red, nigra), min(grey, min(tegmentum, olive))) + 0.5 * noise[FINE] < 0 and stem < -1.0:
        return GM
    if noise[FINE2] > 1.7 and stem < -3.0 and z < -20:
        return GM
    return WM


@kernel
def cerebellar_tissue(x: float, y: float, z: float, depth: float, noise: Array, a: Anatomy) -> int:
    """Folia around the arbor vitae: fissures are sheets of constant angle about the fastigium."""
    ax = abs(x)
    dy, dz = y + 50 + 0.14 * ax, z + 35 + 0.06 * ax
    radius = sqrt(dy * dy + 1.15 * dz * dz) + 1e-3
    angle = atan2(dz, -dy) + 0.16 * noise[MIDDLE] + 0.05 * noise[FINE] + 0.004 * ax
    gap, half = lobule(angle, a.lobule_angles)
    primary = sheet(radius * gap, depth - 16.0 - 3.0 * noise[MIDDLE2])
    secondary = sheet(radius * (half - gap), depth - 8.0 - 2.0 * noise[FINE2])
    tertiary = sheet(radius * abs(gap - 0.5 * half), depth - 4.0 - 1.5 * noise[FINE3])
    open_ = 0.5 * ramp(depth, 12.0, 1.0)
    walls = min(primary - open_, min(secondary - 0.4 * open_, tertiary))
    pial = smooth_min(depth, walls, 1.2)
    nucleus = ellipsoid(ax - 15, y + 56, z + 36, 7.0, 6.0, 4.0)
    if abs(nucleus + 0.8 + 0.4 * noise[FINE]) < 0.8:
        return GM  # dentate nucleus
    if pial < 0:
        return CSF
    return GM if pial < 2.3 + 0.3 * noise[FINE2] else WM


@kernel
def sheet(distance: float, beyond: float) -> float:
    """Distance to a sheet that ends `beyond` [mm] above this point when positive."""
    below = max(0.0, beyond)
    return sqrt(distance * distance + below * below)


@kernel
def lobule(angle: float, edges: Array) -> tuple[float, float]:
    """Angle to the nearest lobule edge, and half the width of the lobule [rad]."""
    n = edges.size
    turned = angle
    while turned < edges[0]:
        turned += 2 * pi
    while turned >= edges[0] + 2 * pi:
        turned -= 2 * pi
    low, high = edges[n - 1], edges[0] + 2 * pi
    for i in range(n - 1):
        if edges[i] <= turned < edges[i + 1]:
            low, high = edges[i], edges[i + 1]
    return min(turned - low, high - turned), 0.5 * (high - low)


@kernel
def arteries(x: float, y: float, z: float, a: Anatomy) -> float:
    """Distance to the circle of Willis and its main branches; negative inside."""
    ax = abs(x)
    out = chain(x, y, z, a.basilar)
    if ax < 22 and z < -12:
        out = min(out, chain(ax, y, z, a.carotid))
    if z > -32 and z < 22:
        out = min(out, chain(ax, y, z, a.middle))
        out = min(out, chain(ax, y, z, a.posterior))
    if ax < 16:
        out = min(out, chain(ax, y, z, a.anterior))
    return out


@kernel
def venous(x: float, y: float, z: float, inner: float, hull: float, noise: Array) -> float:
    """Distance to the sagittal, straight and transverse sinuses; `inner` is the depth below the skull."""
    xm = midline(x, noise)
    out = 99.0
    if z > 2 and arch(y, z) > 1.4:
        out = abs(xm) * 1.1 + 0.62 * inner - 3.4 - 0.8 * ramp(y, 30.0, -60.0)
    straight = sqrt(xm * xm + (z - 3 - 0.16 * (y + 42)) ** 2) - 2.0
    if y < -44:
        out = min(out, max(straight, -20.0))
    if y < -38 and abs(x) > 3 and cerebellum(x, y, z) < 9:
        lateral = sqrt((hull - 2.6) ** 2 + (inner - 2.6) ** 2) - 3.0
        out = min(out, lateral)
    return out
