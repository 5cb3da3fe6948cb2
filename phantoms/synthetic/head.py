"""The label map: one pass over the voxels of the requested grid."""

from __future__ import annotations

import numba
import numpy as np

from phantoms.synthetic.cortex import arch, cerebral_tissue
from phantoms.synthetic.deep import arteries, cisterns, deep_tissue, fossa_tissue, venous
from phantoms.synthetic.draw import FINE, MIDDLE, NOISE_STEP, Anatomy, draw_anatomy, subject_rng
from phantoms.synthetic.folding import grow_folding
from phantoms.synthetic.hull import START, STEP, envelope
from phantoms.synthetic.names import AIR, CSF, DURA, GM, VESSELS
from phantoms.synthetic.scalp import outer_tissue
from phantoms.synthetic.shapes import Array, kernel, parallel_kernel, sample, texture


def head_labels(seed: int, subject: int, start: Array, spacing: float, shape: tuple[int, int, int]) -> Array:
    """Labels (z, y, x) uint8 of one subject at voxel centres start (x y z) + index * spacing [mm]."""
    rng = subject_rng(seed, subject)
    anatomy = draw_anatomy(rng)
    folding = grow_folding(anatomy, rng)
    fields = envelope(anatomy).fields
    labels = np.empty(shape, np.uint8)
    to_canonical = np.linalg.inv(anatomy.rotation @ np.diag(anatomy.scale))
    _label(anatomy, fields, folding.maps, to_canonical, np.asarray(start, np.float64), spacing, labels)
    return labels


@parallel_kernel
def _label(
    a: Anatomy, fields: Array, maps: Array, matrix: Array, start: Array, spacing: float, labels: Array
) -> None:
    nz, ny, nx = labels.shape
    for i in numba.prange(nz):
        scratch, values, shift = np.empty(14), np.empty(6), np.empty(3)
        z = start[2] + spacing * i
        for j in range(ny):
            y = start[1] + spacing * j
            for k in range(nx):
                x = start[0] + spacing * k
                n = NOISE_STEP
                for c in range(3):
                    shift[c] = texture(a.warp, c, x / n, y / n, z / n)
                u, v, w = x + shift[0], y + shift[1], z + shift[2]
                xc = matrix[0, 0] * u + matrix[0, 1] * v + matrix[0, 2] * w
                yc = matrix[1, 0] * u + matrix[1, 1] * v + matrix[1, 2] * w
                zc = matrix[2, 0] * u + matrix[2, 1] * v + matrix[2, 2] * w
                sample(fields, (zc - START[0]) / STEP, (yc - START[1]) / STEP, (xc - START[2]) / STEP, values)
                labels[i, j, k] = tissue(xc, yc, zc, values, a, maps, scratch)


@kernel
def tissue(x: float, y: float, z: float, fields: Array, a: Anatomy, maps: Array, scratch: Array) -> int:
    """Tissue class at one canonical point [mm], `fields` being the envelope there."""
    if fields[1] >= 0:
        return AIR
    if fields[0] >= 0:
        return outer_tissue(x, y, z, fields[0], -fields[1], a)
    inner, hull = -fields[0], fields[2]
    label = CSF
    if hull < 0:
        label = cerebral_tissue(x, y, z, fields, a, maps, scratch)
        if cisterns(x, y, z) < 0 and hull > -9:
            label = CSF
        label = deep_tissue(x, y, z, label, a)
    label = fossa_tissue(x, y, z, label, hull, a)
    if label == CSF or label == GM:
        label = coverings(x, y, z, label, inner, hull, a)
    return label


@kernel
def coverings(x: float, y: float, z: float, label: int, inner: float, hull: float, a: Anatomy) -> int:
    """Vessels and dura where they lie in CSF or at its border."""
    n = NOISE_STEP
    if label == CSF and venous(x, y, z, inner, hull, a) < 0:
        return VESSELS
    if abs(x) < 50 and z < 45 and hull > -32 and arteries(x, y, z, a) < 0:
        return VESSELS
    if label != CSF:
        return label
    rough = texture(a.noise, FINE, x / n, y / n, z / n)
    if inner < 0.95 + 0.25 * rough:
        return DURA
    xm = x - 0.9 * texture(a.noise, MIDDLE, x / n, y / n, z / n)
    if abs(xm) < 0.4 and arch(y, z) > 1.35 and z > -15 and (y < -30 or z > 10 or y > 30):
        return DURA
    if y < -36 and 0.6 < hull < 1.5 and z < 6:
        return DURA
    return label
