"""The label map: one pass over the voxels of the requested grid."""

from __future__ import annotations

from functools import partial

import numpy as np

from phantoms.synthetic.cortex import arch, cerebral_tissue, midline
from phantoms.synthetic.deep import arteries, cisterns, deep_tissue, fossa_tissue, venous
from phantoms.synthetic.draw import FINE, FINE2, GRAIN, NOISE_STEP, Anatomy, draw_anatomy, packed, subject_rng
from phantoms.synthetic.folding import grow_folding
from phantoms.synthetic.hull import START, STEP, envelope
from phantoms.synthetic.names import CSF, DURA, GM, VESSELS
from phantoms.synthetic.scalp import outer_tissue
from phantoms.synthetic.shapes import Array, grain, kernel, noise_at, over_slabs, sample

AIR_STRIDE = 0.6  # of the distance to the skin may be skipped in air: the warp stretches less than 1 / 0.6


def head_labels(seed: int, subject: int, start: Array, spacing: float, shape: tuple[int, int, int]) -> Array:
    """Labels (z, y, x) uint8 of one subject at voxel centres start (x y z) + index * spacing [mm]."""
    rng = subject_rng(seed, subject)
    anatomy = draw_anatomy(rng)
    folding = grow_folding(anatomy, rng)
    fields = envelope(anatomy).fields
    labels = np.zeros(shape, np.uint8)
    to_canonical = np.linalg.inv(anatomy.rotation @ np.diag(anatomy.scale))
    first = np.asarray(start, np.float64)
    drawn = packed(anatomy), anatomy.warp, anatomy.noise
    fill = partial(_label, *drawn, fields, folding.maps, to_canonical, first, spacing, labels)
    over_slabs(fill, shape[0])
    return labels


@kernel
def _label(
    a: Anatomy,
    warp: Array,
    texture: Array,
    fields: Array,
    maps: Array,
    matrix: Array,
    start: Array,
    spacing: float,
    labels: Array,
    first: int,
    last: int,
) -> None:
    """Fill slab first..last of `labels` (z, y, x), which starts as air.

    warp texture : the noise fields of Anatomy
    matrix : (3, 3) from warped subject coordinates to the canonical frame
    start : (3,) x y z of the first voxel centre [mm]
    """
    _, ny, nx = labels.shape
    origin = int(np.floor(start[0] / NOISE_STEP))
    n_nodes = int(np.ceil(nx * spacing / NOISE_STEP)) + 2
    scratch, values, noise = np.empty(14), np.empty(6), np.zeros(GRAIN + 1)
    line = np.empty((n_nodes, 3))
    for i in range(first, last):
        z = start[2] + spacing * i
        for j in range(ny):
            y = start[1] + spacing * j
            for node in range(n_nodes):
                noise_at(warp, float(origin + node), y / NOISE_STEP, z / NOISE_STEP, line[node])
            k = -1
            while k < nx - 1:
                k += 1
                x = start[0] + spacing * k
                place = x / NOISE_STEP - origin
                node = int(place)
                f = place - node
                u = x + line[node, 0] * (1 - f) + line[node + 1, 0] * f
                v = y + line[node, 1] * (1 - f) + line[node + 1, 1] * f
                w = z + line[node, 2] * (1 - f) + line[node + 1, 2] * f
                xc = matrix[0, 0] * u + matrix[0, 1] * v + matrix[0, 2] * w
                yc = matrix[1, 0] * u + matrix[1, 1] * v + matrix[1, 2] * w
                zc = matrix[2, 0] * u + matrix[2, 1] * v + matrix[2, 2] * w
                sample(fields, (zc - START[0]) / STEP, (yc - START[1]) / STEP, (xc - START[2]) / STEP, values)
                if values[1] >= 0:
                    k += int(AIR_STRIDE * values[1] / spacing)
                    continue
                u, v, w = xc / NOISE_STEP, yc / NOISE_STEP, zc / NOISE_STEP
                noise_at(texture, u, v, w, noise)
                if values[0] > -13:
                    noise[GRAIN] = grain(texture, FINE2, 2.6 * u, 2.6 * v, 2.6 * w)
                labels[i, j, k] = tissue(xc, yc, zc, values, noise, a, maps, scratch)


@kernel
def tissue(
    x: float, y: float, z: float, fields: Array, noise: Array, a: Anatomy, maps: Array, scratch: Array
) -> int:
    """Return the tissue class at one canonical point [mm] inside the skin.

    fields : (channel,) the envelope there; noise : (channel,) the noise there; scratch : (14,) work space
    """
    if fields[0] >= 0:
        return outer_tissue(x, y, z, fields[0], -fields[1], noise, a)
    inner, hull = -fields[0], fields[2]
    label = CSF
    if hull < 0:
        label = cerebral_tissue(x, y, z, fields, noise, a, maps, scratch)
        if hull > -9 and cisterns(x, y, z) < 0:
            label = CSF
        label = deep_tissue(x, y, z, label, noise, a)
    label = fossa_tissue(x, y, z, label, hull, noise, a)
    if label == CSF or label == GM:
        label = coverings(x, y, z, label, inner, hull, noise, a)
    return label


@kernel
def coverings(
    x: float, y: float, z: float, label: int, inner: float, hull: float, noise: Array, a: Anatomy
) -> int:
    """Vessels and dura where they lie in CSF or at its border; `inner` is the depth below the skull [mm]."""
    if label == CSF and venous(x, y, z, inner, hull, noise) < 0:
        return VESSELS
    if abs(x) < 50 and z < 45 and hull > -32 and arteries(x, y, z, a) < 0:
        return VESSELS
    if label != CSF:
        return label
    if inner < 0.75 + 0.25 * noise[FINE]:
        return DURA
    falx = arch(y, z) > 1.8 and (y < -40 or z > 15 or y > 30)
    if falx and inner < 18 and abs(midline(x, noise)) < 0.4:
        return DURA
    if y < -40 and 0.6 < hull < 1.4 and z < 4 and abs(x) > 8:
        return DURA  # tentorium
    if inner < 12 and noise[GRAIN] > 2.1:
        return VESSELS  # cortical veins and arteries
    return label
