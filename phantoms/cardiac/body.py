"""Kernels: the tissue of thorax and upper abdomen at a point of the patient frame [mm], without the heart."""

from __future__ import annotations

from math import atan2, sqrt
from typing import Any

from numpy.typing import NDArray

from phantoms.cardiac.names import (
    AIR,
    ARTERIAL,
    CARTILAGE,
    CORD,
    CORTICAL,
    CSF,
    FAT,
    FIBROUS,
    GLAND,
    LIVER,
    LUNG,
    MARROW,
    MUSCLE,
    SKIN,
    SPLEEN,
    STOMACH,
    VENOUS,
)
from phantoms.cardiac.torso import NOISE_STEP, SHELL, Torso
from phantoms.synthetic.shapes import bump, chain, clip, ellipsoid, kernel, noise_at, ramp, superellipsoid

Array = NDArray[Any]
SKIN_DEPTH = 2.2  # [mm]


@kernel
def paint_body(
    labels: Array,
    x: Array,
    y: Array,
    z: Array,
    axes: Array,
    origin: Array,
    t: Torso,
    arteries: Array,
    veins: Array,
    airways: Array,
    texture: Array,
) -> None:
    """Paint `labels` (z, y, x) at lattice coordinates x y z [mm] of the slice frame.

    axes : (3, 3) rows are the slice frame's axes in the patient frame; origin : (3,) of the slice frame there
    """
    noise = texture[0, 0, 0].copy()
    for i in range(z.size):
        for j in range(y.size):
            for k in range(x.size):
                px = origin[0] + axes[0, 0] * x[k] + axes[1, 0] * y[j] + axes[2, 0] * z[i]
                py = origin[1] + axes[0, 1] * x[k] + axes[1, 1] * y[j] + axes[2, 1] * z[i]
                pz = origin[2] + axes[0, 2] * x[k] + axes[1, 2] * y[j] + axes[2, 2] * z[i]
                labels[i, j, k] = _body(px, py, pz, t, arteries, veins, airways, texture, noise)


@kernel
def wall_depth(x: float, y: float, z: float, t: Torso) -> float:
    """Distance from the pleura [mm], negative inside the cavity; the chest narrows towards the neck."""
    up = ramp(z, 40.0, 190.0)
    narrow = 1 - 0.42 * up * up
    flat = 1 - 0.45 * up**1.5
    return superellipsoid(x, y + 14 * up, 0.0, t.half_width * narrow, t.half_depth * flat, 1.0, 2.3)


@kernel
def _body(
    x: float,
    y: float,
    z: float,
    t: Torso,
    arteries: Array,
    veins: Array,
    airways: Array,
    texture: Array,
    noise: Array,
) -> int:
    depth = wall_depth(x, y, z, t)
    outer = SHELL + _muscle(x, y, z, t) + t.fat * _fat_share(x, y, z)
    if depth > outer:
        bulge = _breast(x, y, z, t)
        if bulge > 0:
            return AIR
        return SKIN if bulge > -SKIN_DEPTH else _breast_tissue(x, y, z, bulge, t, texture, noise)
    noise_at(
        texture,
        (x + t.shift_x) / NOISE_STEP,
        (y + t.shift_y) / NOISE_STEP,
        (z + t.shift_z) / NOISE_STEP,
        noise,
    )
    spine = _spine(x, y, z, t)
    if spine >= 0:
        return spine
    if depth < 0:
        return _cavity(x, y, z, depth, t, arteries, veins, airways, texture, noise)
    if depth > outer - SKIN_DEPTH and _breast(x, y, z, t) > -SKIN_DEPTH:
        return SKIN
    return _wall(x, y, z, depth, t, noise)


@kernel
def _muscle(x: float, y: float, z: float, t: Torso) -> float:
    """Thickness of the muscle over the ribs: pectoral, lateral, and the erector beside the spine."""
    angle = atan2(y / t.half_depth, abs(x) / t.half_width)  # 0 lateral, pi/2 anterior
    back = 26 * bump(angle + 1.35, 0.33)
    pectoral = 0.9 * t.muscle * bump(angle - 0.85, 0.33) * ramp(z, -60.0, 30.0)
    side = 0.8 * t.muscle * bump(angle + 0.35, 0.45)
    return float(3.0 + back + pectoral + side)


@kernel
def _fat_share(x: float, y: float, z: float) -> float:
    """Thickness of subcutaneous fat over its mean."""
    low = ramp(-z, -20.0, 140.0)
    front = 1.0 if y > 0 else 0.8
    return front * (0.75 + 0.5 * low + 0.1 * (abs(x) > 60) * low)


@kernel
def _breast(x: float, y: float, z: float, t: Torso) -> float:
    """Distance to the breasts [mm], which lie flat in a supine woman."""
    if t.breast <= 0:
        return 1e3
    r = t.breast
    return ellipsoid(
        abs(x) - 0.62 * t.half_width, y - 0.62 * t.half_depth, z + 8, 1.15 * r, 1.05 * r + 6, 1.1 * r
    )


@kernel
def _breast_tissue(x: float, y: float, z: float, bulge: float, t: Torso, texture: Array, noise: Array) -> int:
    noise_at(texture, x / 5.0 + t.shift_x, y / 5.0, z / 5.0, noise)
    return GLAND if bulge < -9 and noise[0] + 0.5 * noise[1] > 0.55 - 0.02 * min(-bulge, 30.0) else FAT


@kernel
def _wall(x: float, y: float, z: float, depth: float, t: Torso, noise: Array) -> int:
    """Ribs with the muscles between them, sternum, the muscles over them, fat."""
    front = y > 0.55 * t.half_depth
    if front and abs(x) < 19 and -75 < z < 105 and 0.5 < depth < 13:
        edge = min(19 - abs(x), depth - 0.5, 13 - depth)
        return CORTICAL if edge < 1.3 else MARROW
    if depth < SHELL:
        return _rib(x, y, z, depth, t, front, noise)
    over = depth - SHELL
    if over < _muscle(x, y, z, t):
        seam = abs(over - 0.5 * t.muscle) < 0.9 and noise[1] > -0.2
        return FAT if seam or noise[0] > 2.2 else MUSCLE
    return FAT


@kernel
def _rib(x: float, y: float, z: float, depth: float, t: Torso, front: bool, noise: Array) -> int:
    if depth < 1.2:
        return FAT if noise[2] > 0.6 else MUSCLE  # endothoracic fat
    slope = t.rib_slope * (1.0 if not front else 0.25)
    phase = (z + slope * (y if not front else 0.55 * t.half_depth * 3) + t.rib_start) / t.rib_pitch
    off = (phase - round(phase)) * t.rib_pitch
    q = (off / 6.8) ** 2 + ((depth - 5.4) / 4.0) ** 2
    if q < 1:
        if front and abs(x) < 0.5 * t.half_width:
            return CARTILAGE
        return MARROW if q < 0.6 else CORTICAL
    if abs(abs(off) - 8.5) < 0.9 and depth > 3:
        return FAT
    return MUSCLE


@kernel
def _spine(x: float, y: float, z: float, t: Torso) -> int:
    """Vertebral bodies, discs, canal and arches; -1 elsewhere."""
    back = -t.half_depth
    if abs(x) > 34 or y > back + 26:
        return -1
    body = superellipsoid(x, y - (back + 4), 0.0, 19.0, 16.5, 1.0, 2.4)
    level = (z + t.vertebra_start) / 27.0
    off = (level - round(level)) * 27.0
    if body < 0:
        if abs(off) > 10.7:
            return CARTILAGE
        return CORTICAL if body > -1.2 or abs(off) > 9.8 else MARROW
    canal = sqrt(x * x + (y - back + 23) ** 2)
    if canal < 8.5:
        if canal < 4.8:
            return CORD
        return CSF if canal < 7.6 else FAT
    if canal < 12.5 and abs(off) < 9.5:
        return CORTICAL if canal < 9.8 or canal > 11.4 else MARROW
    spinous = abs(x) < 4 and back - 62 < y < back - 31 and abs(off + 5) < 7
    transverse = abs(y - back + 24) < 5 and abs(x) < 32 and abs(off - 3) < 5
    if spinous or transverse:
        edge = 4 - abs(x) if spinous else 5 - abs(y - back + 24)
        return CORTICAL if edge < 1.2 else MARROW
    return -1


@kernel
def diaphragm(x: float, y: float, t: Torso) -> float:
    """Height of the diaphragm [mm]: two domes and the central tendon under the heart."""
    w, d = t.half_width, t.half_depth
    right = t.dome - 85 * (((x - 0.5 * w) / (0.62 * w)) ** 2 + ((y + 2) / (0.95 * d)) ** 2) ** 1.25
    left = t.dome - 12 - 85 * (((x + 0.5 * w) / (0.62 * w)) ** 2 + ((y + 8) / (0.95 * d)) ** 2) ** 1.25
    middle = t.dome - 16 - 75 * ((x / (0.5 * w)) ** 2 + ((y - 12) / (0.8 * d)) ** 2) ** 1.25
    return float(max(right, left, middle) + t.breath)


@kernel
def _cavity(
    x: float,
    y: float,
    z: float,
    depth: float,
    t: Torso,
    arteries: Array,
    veins: Array,
    airways: Array,
    texture: Array,
    noise: Array,
) -> int:
    """Great vessels, mediastinum and lungs above the diaphragm, the upper abdomen below."""
    for i in range(arteries.shape[0]):
        d = chain(x, y, z, arteries[i])
        if d < 1.3:
            return ARTERIAL if d < 0 else MUSCLE
    for i in range(veins.shape[0]):
        d = chain(x, y, z, veins[i])
        if d < 1.2:
            return VENOUS if d < 0 else MUSCLE
    below = diaphragm(x, y, t) + 1.5 * noise[1] - z
    if below > 0:
        return _abdomen(x, y, z, depth, below, t, texture, noise)
    for i in range(airways.shape[0]):
        d = chain(x, y, z, airways[i])
        if d < 1.5:
            return AIR if d < 0 else CARTILAGE
    gullet = sqrt((x + 4) ** 2 + (y + t.half_depth - 36) ** 2)
    if gullet < 8:
        return MUSCLE if gullet > 2.5 or noise[2] < 0.3 else AIR
    if _mediastinum(x, y, z, t) + 2 * noise[0] > 0:
        return FAT
    return _lung(x, y, z, t, texture, noise)


@kernel
def _mediastinum(x: float, y: float, z: float, t: Torso) -> float:
    """Positive between the lungs [mm]: wide before the spine and at the hila, thin behind the sternum."""
    back = y + t.half_depth
    wide = 26 * bump(back - 25, 24.0) + 30 * bump(y + 22, 22.0) * bump(z - 55, 40.0)
    thin = 4 + 14 * bump(y - t.half_depth, 10.0) + 10 * ramp(z, 70.0, 130.0)
    return max(wide, thin) - abs(x + 6)


@kernel
def _lung(x: float, y: float, z: float, t: Torso, texture: Array, noise: Array) -> int:
    """Parenchyma and its vessels: filaments that leave the hilum and divide."""
    hx = 38.0 if x > 0 else -40.0
    dx, dy, dz = x - hx, y + 28, z - 34
    r = sqrt(dx * dx + dy * dy + dz * dz) + 1e-6
    for level in range(3):
        start, scale = 12.0 + 22 * level, (20.0, 34.0, 54.0)[level]
        if r < start or r > start + 62:
            continue
        s = scale / r  # one direction is one place of the texture: filaments are radial
        u, v, w = (
            s * dx / 6 + 0.02 * r + 9 * level,
            s * dy / 6 + 5 * level,
            s * dz / 6 + 0.03 * r + (x > 0) * 7,
        )
        noise_at(texture, u + t.shift_x, v + t.shift_y, w + t.shift_z, noise)
        near = sqrt(noise[0] ** 2 + noise[1] ** 2) * 2.2 * r / scale * 6
        if near < max(5.0 - 0.034 * r, 1.0) * (1.0 if level == 0 else 0.85):
            return VENOUS if noise[2] > 0 else ARTERIAL
    return LUNG


@kernel
def _abdomen(
    x: float, y: float, z: float, depth: float, below: float, t: Torso, texture: Array, noise: Array
) -> int:
    """Diaphragm, liver with its veins, stomach, spleen, bowel, fat."""
    if below < 2.2:
        return FIBROUS if below < 0.8 else MUSCLE
    if depth > -2.5:
        return MUSCLE
    z = z - t.breath
    if _liver(x, y, z, t) + 3 * noise[0] > 0:
        s = 13.0
        noise_at(texture, x / s + t.shift_x, y / s + 3.3, z / s + t.shift_z, noise)
        vein = sqrt(noise[0] ** 2 + noise[1] ** 2)
        if vein < 0.13 + 0.08 * bump(below - 45, 40.0):
            return VENOUS
        return LIVER
    spleen = ellipsoid(x + 0.72 * t.half_width, y + 0.45 * t.half_depth, z - t.dome + 62, 24.0, 38.0, 46.0)
    if spleen + noise[1] < 0:
        return SPLEEN
    stomach = ellipsoid(
        x + 0.46 * t.half_width, y - 0.08 * t.half_depth, z - t.dome + 58, t.stomach, t.stomach, t.stomach
    )
    if stomach + 2.5 * noise[0] < 0:
        if stomach + 2.5 * noise[0] > -4:
            return MUSCLE
        return AIR if y > t.gas else STOMACH
    bowel = z + 0.3 * abs(x) < t.dome - 90 and noise[3] > 0.0
    if bowel:
        return MUSCLE if noise[3] < 0.28 else (AIR if noise[3] > 1.3 and y > 20 else STOMACH)
    return FAT


@kernel
def _liver(x: float, y: float, z: float, t: Torso) -> float:
    """Positive in the liver [mm]: all of the right side, its left lobe tapering in front of the stomach."""
    down = t.dome - z
    edge = -0.52 * t.half_width + 0.75 * clip(down - 25, 0.0, 150.0) + 0.35 * clip(20 - y, 0.0, 80.0)
    behind = y + t.half_depth - 22 - 0.1 * down
    return min(x - edge, behind, 160 - down + 0.4 * x)
