"""Kernel: which tissue of the heart lies at each point of a lattice, from the outlines of the moment."""

from __future__ import annotations

from math import atan2, pi, sqrt
from typing import Any, NamedTuple

from numpy.typing import NDArray

from phantoms.cardiac.names import (
    ARTERIAL,
    FAT,
    FIBROUS,
    LUNG,
    LV_BLOOD,
    MYOCARDIUM,
    PAPILLARY,
    RV_BLOOD,
    RV_TRABECULA,
    THIN_WALL,
    VENOUS,
)
from phantoms.cardiac.ventricles import ENDO, EPI, N_ANGLES, PAD, PERICARDIUM, RV, RV_WALL, TRABECULA
from phantoms.cardiac.ventricles import RV_TRABECULA as RV_FRONT
from phantoms.synthetic.shapes import kernel

Array = NDArray[Any]
N_COLUMNS = 8
SAC = 0.7  # [mm] thickness of the pericardium
PER_RADIAN = N_ANGLES / (2 * pi)


class Moment(NamedTuple):
    """Numbers of one moment that the kernel needs besides the outlines [mm] [rad]."""

    first: float  # height of row 0
    step: float  # between rows
    annulus: float  # height of the mitral annulus
    apex: float  # height of the epicardial apex
    papillary: float  # radius of a papillary muscle
    anterior: float  # angle of the anterolateral papillary muscle
    inferior: float  # angle of the posteromedial one
    band: float  # height of the moderator band
    band_angle: float
    root: float  # distance of the aortic root from the axis
    root_radius: float


@kernel
def paint_heart(
    labels: Array,
    x: Array,
    y: Array,
    z: Array,
    matrix: Array,
    table: Array,
    twist: Array,
    top: Array,
    m: Moment,
) -> None:
    """Paint the heart over `labels` (z, y, x), which hold the thorax without it.

    x y z : [mm] of the lattice, relative to the origin of the heart frame
    matrix : (3, 3) from them to the heart frame
    table : (row, angle, column) squared radii of `Ventricles.outlines`
    twist : (row,) [rad]; top : (angle,) [mm] height of the tricuspid annulus
    """
    n_rows = table.shape[0]
    for i in range(z.size):
        for j in range(y.size):
            for k in range(x.size):
                hz = matrix[2, 0] * x[k] + matrix[2, 1] * y[j] + matrix[2, 2] * z[i]
                row = (hz - m.first) / m.step
                if row < 0 or row >= n_rows - 1:
                    continue
                hx = matrix[0, 0] * x[k] + matrix[0, 1] * y[j] + matrix[0, 2] * z[i]
                hy = matrix[1, 0] * x[k] + matrix[1, 1] * y[j] + matrix[1, 2] * z[i]
                r2 = hx * hx + hy * hy
                if r2 > 14400.0:
                    continue
                r0 = int(row)
                f = row - r0
                angle = atan2(hy, hx) + twist[r0] * (1 - f) + twist[r0 + 1] * f
                a = angle * PER_RADIAN
                if a < 0:
                    a += N_ANGLES
                elif a >= N_ANGLES:
                    a -= N_ANGLES
                a0 = min(int(a), N_ANGLES - 1)
                g = a - a0
                w00, w01, w10, w11 = (1 - f) * (1 - g), (1 - f) * g, f * (1 - g), f * g
                p, q = table[r0], table[r0 + 1]
                pad = w00 * p[a0, PAD] + w01 * p[a0 + 1, PAD] + w10 * q[a0, PAD] + w11 * q[a0 + 1, PAD]
                if r2 >= pad:
                    continue
                sac = (
                    w00 * p[a0, PERICARDIUM]
                    + w01 * p[a0 + 1, PERICARDIUM]
                    + w10 * q[a0, PERICARDIUM]
                    + w11 * q[a0 + 1, PERICARDIUM]
                )
                if r2 >= sac:
                    if labels[i, j, k] != LUNG and labels[i, j, k] != ARTERIAL:
                        continue
                    thick = sqrt(pad) - sqrt(sac)
                    if thick > 1.5:
                        labels[i, j, k] = FIBROUS if sqrt(r2) - sqrt(sac) < SAC else FAT
                    continue
                labels[i, j, k] = _tissue(hx, hy, hz, r2, sac, angle, p, q, a0, w00, w01, w10, w11, top, m)


@kernel
def _at(column: int, p: Array, q: Array, a0: int, w00: float, w01: float, w10: float, w11: float) -> float:
    return float(
        w00 * p[a0, column] + w01 * p[a0 + 1, column] + w10 * q[a0, column] + w11 * q[a0 + 1, column]
    )


@kernel
def _tissue(
    hx: float,
    hy: float,
    hz: float,
    r2: float,
    sac: float,
    angle: float,
    p: Array,
    q: Array,
    a0: int,
    w00: float,
    w01: float,
    w10: float,
    w11: float,
    top: Array,
    m: Moment,
) -> int:
    """Tissue inside the pericardium."""
    epi = _at(EPI, p, q, a0, w00, w01, w10, w11)
    if hz > m.annulus:
        root = sqrt((hx - 0.88 * m.root) ** 2 + (hy - 0.47 * m.root) ** 2) - m.root_radius
        in_rv = epi <= r2 < _at(RV, p, q, a0, w00, w01, w10, w11) and hz < top[a0]
        if root < 2.0 and not in_rv:
            return ARTERIAL if root < 0 else THIN_WALL
        if r2 < epi:
            return _left_atrium(hz - m.annulus, sqrt(epi) - sqrt(r2))
    if r2 < epi:
        endo = _at(ENDO, p, q, a0, w00, w01, w10, w11)
        if r2 >= endo:
            return MYOCARDIUM
        if r2 >= _at(TRABECULA, p, q, a0, w00, w01, w10, w11):
            return PAPILLARY
        s = (m.annulus - hz) / (m.annulus - m.apex)
        if 0.26 < s < 0.8 and _papillary(s, sqrt(r2), sqrt(endo), angle, m):
            return PAPILLARY
        return LV_BLOOD
    rv = _at(RV, p, q, a0, w00, w01, w10, w11)
    if r2 < rv:
        above = hz - top[a0]
        if above > 0:
            return _right_atrium(angle, sqrt(r2), sqrt(rv) - sqrt(r2))
        if r2 >= _at(RV_FRONT, p, q, a0, w00, w01, w10, w11):
            return RV_TRABECULA
        across = (r2 - epi) / (rv - epi)  # from the septum to the free wall
        if abs(hz - m.band - 8 * across) < 2.5 and abs(angle - m.band_angle + 0.5 * across) * sqrt(r2) < 2.5:
            return RV_TRABECULA
        return RV_BLOOD
    if r2 < _at(RV_WALL, p, q, a0, w00, w01, w10, w11):
        return THIN_WALL
    return _groove(hz, sqrt(r2), sqrt(sac), angle, m)


@kernel
def _papillary(s: float, r: float, endo: float, angle: float, m: Moment) -> bool:
    """Whether a point of the cavity lies in a papillary muscle: two heads above, rooted in the wall below."""
    size = min((s - 0.26) / 0.12, 1.0, (0.8 - s) / 0.1)
    for i in range(2):
        centre = m.anterior if i == 0 else m.inferior
        apart = angle - centre
        if apart > pi:
            apart -= 2 * pi
        elif apart < -pi:
            apart += 2 * pi
        if abs(apart) > 1.2:
            continue
        radius = min(m.papillary * (1.0 if i == 0 else 0.92), 0.30 * endo) * sqrt(max(size, 0.0))
        at = (0.60 + 0.45 * max(s - 0.45, 0.0)) * endo
        along, across = r - at, apart * r
        heads = 0.75 * radius * max(0.55 - s, 0.0) / 0.29
        across = abs(across) - heads if abs(across) > heads else 0.0
        if (along / (1.12 * radius + 1e-6)) ** 2 + (across / (0.9 * radius + 1e-6)) ** 2 < 1:
            return True
    return False


@kernel
def _left_atrium(above: float, depth: float) -> int:
    """Left atrium at `depth` below its outside, over the fibrous annulus of the mitral valve."""
    if depth < 2.0:
        return THIN_WALL
    return FIBROUS if above < 1.2 and depth < 9.0 else ARTERIAL


@kernel
def _right_atrium(angle: float, r: float, depth: float) -> int:
    """Right atrium below, pulmonary trunk before, their walls; `depth` is the distance from the outside."""
    if angle > pi:
        angle -= 2 * pi
    return THIN_WALL if depth < 2.0 or abs(angle - 0.42) * r < 1.4 else VENOUS


@kernel
def _groove(hz: float, r: float, sac: float, angle: float, m: Moment) -> int:
    """Epicardial fat and the coronary vessels in it."""
    if angle > pi:
        angle -= 2 * pi
    for i in range(2):
        groove = 1.36 if i == 0 else -1.29
        if ((angle - groove) * r) ** 2 + (sac - 3.4 - r) ** 2 < (3.2 if i == 0 else 2.4):
            return ARTERIAL
    if abs(hz - m.annulus - 3.0) < 10.0:  # right coronary artery, its end, circumflex artery
        for i in range(3):
            at = (0.45, -0.95, 2.9)[i]
            if ((angle - at) * r) ** 2 + (sac - 4.0 - r) ** 2 < 3.2:
                return ARTERIAL
    return FAT
