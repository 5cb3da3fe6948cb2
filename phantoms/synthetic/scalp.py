"""Everything outside the cranial cavity: skull with diploe, scalp, face, orbits, air spaces."""

from __future__ import annotations

from math import sqrt

import numpy as np

from phantoms.synthetic.draw import BROAD, FINE, GRAIN, Anatomy
from phantoms.synthetic.names import AIR, CONNECTIVE, FAT, MARROW, MUSCLE, MUSCLE_SKIN, SKULL, WM
from phantoms.synthetic.shapes import Array, bump, chain, ellipsoid, kernel, ramp, superellipsoid

PETROUS = np.array([(12.0, -20.0, -36.0, 6.0), (38.0, -30.0, -38.0, 9.0), (60.0, -40.0, -42.0, 12.0)])
ZYGOMA = np.array([(44.0, 56.0, -52.0, 6.0), (60.0, 36.0, -47.0, 4.0), (68.0, 4.0, -44.0, 3.5)])
RAMUS = np.array([(51.0, -4.0, -46.0, 4.5), (49.0, 4.0, -60.0, 5.0), (46.0, 12.0, -90.0, 6.0)])
TEMPORALIS = np.array([(66.0, 22.0, 12.0, 5.0), (66.0, 16.0, -20.0, 8.0), (56.0, 16.0, -48.0, 8.0)])
MASSETER = np.array([(62.0, 24.0, -50.0, 6.0), (56.0, 14.0, -90.0, 9.0)])
PTERYGOID = np.array([(30.0, 22.0, -50.0, 7.0), (38.0, 8.0, -70.0, 9.0), (40.0, 4.0, -90.0, 8.0)])
NECK_DEEP = np.array([(10.0, -92.0, -40.0, 7.0), (14.0, -82.0, -62.0, 13.0), (15.0, -76.0, -95.0, 15.0)])
NECK_OUTER = np.array([(34.0, -90.0, -44.0, 6.0), (36.0, -74.0, -64.0, 12.0), (38.0, -66.0, -95.0, 14.0)])
STERNOMASTOID = np.array([(66.0, -40.0, -58.0, 7.0), (58.0, -26.0, -95.0, 9.0)])
OPTIC = np.array([(30.0, 50.0, -32.0, 1.9), (18.0, 26.0, -27.0, 2.0), (4.0, 4.0, -18.0, 2.2)])


@kernel
def outer_tissue(x: float, y: float, z: float, out: float, skin: float, noise: Array, a: Anatomy) -> int:
    """Tissue at `out` [mm] outside the inner table and `skin` [mm] below the surface of the head."""
    ax = abs(x)
    coarse = noise[FINE]
    fine = noise[GRAIN]
    bone = bone_thickness(x, y, z, noise[BROAD], a.skull)
    if z < 22:
        if y > 0:
            front = facial_tissue(ax, y, z, out, skin, coarse, fine)
            if front >= 0:
                return front
        base = base_bone(ax, y, z, skin, coarse, fine)
        if base >= 0:
            return base
    if out < bone and skin > 2.5:
        return vault_tissue(out, bone, coarse, z, a.marrow)
    return soft_tissue(ax, y, z, out - bone, skin, coarse, fine)


@kernel
def bone_thickness(x: float, y: float, z: float, broad: float, skull: float) -> float:
    """Thickness of the skull [mm]: thick at the occiput and forehead, thin at the temples and the base."""
    vary = 1 + 0.16 * broad
    vary += 0.25 * bump(x, 25.0) * bump(y + 112, 25.0) + 0.15 * bump(x, 30.0) * bump(y - 80, 25.0)
    vary -= 0.32 * bump(abs(x) - 70, 16.0) * bump(y - 5, 32.0) * bump(z + 5, 26.0)
    vary -= 0.22 * ramp(z, -15.0, -45.0)
    return max(skull * vary, 2.4)


@kernel
def vault_tissue(out: float, bone: float, coarse: float, z: float, marrow: float) -> int:
    """Inner table, diploe, outer table."""
    inner, outer = 1.5, 1.7
    patchy = coarse > -1.1 + marrow + 0.9 * ramp(z, -10.0, -45.0)
    return MARROW if inner < out < bone - outer and patchy else SKULL


@kernel
def facial_tissue(ax: float, y: float, z: float, out: float, skin: float, coarse: float, fine: float) -> int:
    """Air spaces, orbits and facial bones; -1 where there is none of them."""
    if skin < 2.0 or out < 0.8:
        return -1
    optic = chain(ax, y, z, OPTIC)
    if optic < 0:
        return WM
    eye = ellipsoid(ax - 32, y - 62, z + 33, 12.0, 12.0, 12.0)
    if eye < 0:
        lens = ellipsoid(ax - 32, y - 71, z + 33, 4.5, 2.2, 4.5)
        return MUSCLE if lens < 0 or eye > -1.0 else MUSCLE_SKIN
    orbit = superellipsoid(ax - 30 - 0.32 * (y - 50), y - 48, z + 32, 17.0, 26.0, 16.0, 2.2)
    if orbit < 0:
        rectus = abs(eye_cone(ax, y, z) - 0.62) < 0.12 and y < 62
        if rectus:
            return MUSCLE
        return FAT if fine > -0.9 else CONNECTIVE
    maxillary = ellipsoid(ax - 29, y - 47, z + 60, 13.0, 15.0, 13.0)
    nasal = max(superellipsoid(ax - 6.5, y - 46, z + 54, 5.5, 34.0, 17.0, 2.4), -turbinate(ax, y, z))
    frontal = ellipsoid(ax - 9, y - 80, z + 6, 9.0, 5.0, 9.0) + 1.5 * coarse
    sphenoid = ellipsoid(ax - 5, y - 14, z + 38, 7.5, 9.0, 8.0) + 0.6 * coarse
    ethmoid = ellipsoid(ax - 7, y - 42, z + 33, 5.5, 18.0, 8.0) + 0.9 * abs(fine)
    pharynx = ellipsoid(ax, y - 6, z + 86, 14.0, 9.0, 26.0)
    air = min(min(maxillary, nasal), min(min(frontal, sphenoid), min(ethmoid, pharynx)))
    if air < 0:
        return AIR
    wall = min(min(maxillary, frontal), min(sphenoid, ethmoid))
    if wall < 1.5 or orbit < 1.4 or (ax < 1.2 and nasal < 3 and z > -66):
        return SKULL
    palate = ellipsoid(ax, y - 50, z + 74, 24.0, 26.0, 3.5)
    return SKULL if palate < 0 else -1


@kernel
def eye_cone(ax: float, y: float, z: float) -> float:
    """Relative radius about the axis of the orbit: the straight muscles lie at 0.62."""
    centre = 32 - 0.45 * (62 - y)
    return sqrt((ax - centre) ** 2 + (z + 33) ** 2) / max(12 - 0.16 * (62 - y), 3.0)


@kernel
def turbinate(ax: float, y: float, z: float) -> float:
    """Distance to the nasal conchae; negative inside."""
    lower = ellipsoid(ax - 9, y - 46, z + 63, 3.4, 24.0, 4.0)
    return min(lower, ellipsoid(ax - 8.5, y - 42, z + 50, 2.6, 19.0, 4.5))


@kernel
def base_bone(ax: float, y: float, z: float, skin: float, coarse: float, fine: float) -> int:
    """Skull base, cheek bone and jaw; -1 where there is none of them."""
    if skin < 3.0:
        return -1
    petrous = chain(ax, y, z, PETROUS)
    if petrous < 0:
        return AIR if petrous < -3 and ax > 50 and fine > 1.1 else SKULL
    sphenoid = ellipsoid(ax, y - 8, z + 40, 15.0, 19.0, 13.0)
    wing = ellipsoid(ax - 34, y - 22, z + 38, 24.0, 8.0, 16.0)
    clivus = ellipsoid(ax, y + 10, z + 48, 12.0, 11.0, 17.0)
    condyle = ellipsoid(ax - 17, y + 32, z + 68, 8.0, 12.0, 11.0)
    body = min(min(sphenoid, clivus), condyle)
    shaft = min(chain(ax, y, z, ZYGOMA), chain(ax, y, z, RAMUS))
    alveolus = ellipsoid(ax - 14, y - 66, z + 82, 22.0, 14.0, 12.0)
    solid = min(min(body, alveolus), min(shaft, wing + 1.0))
    if solid >= 0:
        return -1
    return MARROW if solid < -1.8 and coarse > -0.7 else SKULL


@kernel
def soft_tissue(ax: float, y: float, z: float, above: float, skin: float, coarse: float, fine: float) -> int:
    """Scalp, muscles and fat, `above` [mm] over the bone and `skin` [mm] below the surface."""
    lobule = fine + 0.35 * coarse
    if skin < 2.2:
        return MUSCLE_SKIN
    if skin < 5.5 and lobule > 0.85:
        return FAT if lobule > 1.0 else CONNECTIVE
    muscle = muscles(ax, y, z)
    if muscle < 0:
        if lobule > 1.9:
            return FAT
        return MUSCLE if lobule > -0.4 else MUSCLE_SKIN
    if muscle < 1.6 and lobule > 0.5:
        return CONNECTIVE if lobule < 0.8 else FAT
    if above < 2.0 and lobule > 1.1:
        return CONNECTIVE
    if z < -10 and lobule > 1.3:
        return FAT if lobule > 1.45 else CONNECTIVE
    return MUSCLE if lobule < -1.1 else MUSCLE_SKIN


@kernel
def muscles(ax: float, y: float, z: float) -> float:
    """Distance to the chewing and neck muscles; negative inside."""
    if z > 26:
        return 99.0
    if y > -20:
        out = min(chain(ax, y, z, TEMPORALIS), chain(ax, y, z, MASSETER))
        return min(out, chain(ax, y, z, PTERYGOID)) if z < -30 else out
    out = min(chain(ax, y, z, NECK_DEEP), chain(ax, y, z, NECK_OUTER))
    return min(out, chain(ax, y, z, STERNOMASTOID))
