"""The thorax around the heart: what a case's torso consists of, before anything is painted.

Patient frame [mm]: x to the right, y to anterior, z to superior; the origin lies in the middle of the
thoracic cavity at the level of the heart.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from phantoms.cardiac.case import MM, Case, case_rng

Array = NDArray[Any]
HEART = (-40.0, 14.0, 0.0)  # middle of the left ventricle before it is fitted into the chest
NOISE_NODES, NOISE_STEP = 32, 8.0  # periodic texture: nodes per side, [mm] between them
SHELL = 10.0  # [mm] thickness of the layer of ribs


class Torso(NamedTuple):
    """Numbers of the thorax; all [mm] but shares.

    half_width half_depth : of the cavity at the level of the heart
    fat muscle : thickness under the skin and over the ribs
    """

    half_width: float
    half_depth: float
    fat: float
    muscle: float
    breast: float
    dome: float  # height of the right dome of the diaphragm
    breath: float  # superior displacement of what moves with breathing
    rib_pitch: float
    rib_slope: float
    rib_start: float
    vertebra_start: float
    stomach: float  # radius
    gas: float  # level of the gas in the stomach
    shift_x: float  # of the texture
    shift_y: float
    shift_z: float


def heart_axes(case: Case) -> Array:
    """Rows: the slice frame's x (image left), y (image up) and z (apex to base) in the patient frame."""
    az, el = case.azimuth, case.elevation
    z = np.array([np.cos(el) * np.sin(az), -np.cos(el) * np.cos(az), np.sin(el)])
    y = np.array([0.0, 0.0, 1.0]) - z[2] * z
    y /= np.linalg.norm(y)
    return np.stack([np.cross(y, z), y, z])


def torso_of(case: Case) -> Torso:
    """Thorax of a case in quiet end-expiration, before it is fitted around the heart."""
    u = case_rng(case.seed, case.index, 2).uniform(-1, 1, 12).tolist()
    return Torso(
        half_width=case.half_width / MM,
        half_depth=case.half_depth / MM,
        fat=case.fat / MM,
        muscle=(13.0 if case.sex == "male" else 10.0) + 2 * u[0],
        breast=case.breast / MM,
        dome=-22 + case.diaphragm / MM,
        breath=0.0,
        rib_pitch=27 + 2 * u[1],
        rib_slope=0.42 + 0.08 * u[2],
        rib_start=13 * u[3],
        vertebra_start=13 * u[4],
        stomach=44 + 8 * u[5],
        gas=22 + 14 * u[6],
        shift_x=128 * u[7],
        shift_y=128 * u[8],
        shift_z=128 * u[9],
    )


def texture(n_channels: int = 4) -> Array:
    """Smooth periodic noise (z, y, x, channel) float32 of unit variance, the same for all; cases shift it."""
    rng = np.random.Generator(np.random.Philox(key=2021))
    n = NOISE_NODES
    k, kr = np.fft.fftfreq(n, NOISE_STEP), np.fft.rfftfreq(n, NOISE_STEP)
    k2 = k[:, None, None] ** 2 + k[None, :, None] ** 2 + kr[None, None, :] ** 2
    white = np.fft.rfftn(rng.standard_normal((n_channels, n, n, n)), axes=(1, 2, 3))
    field = np.fft.irfftn(white * np.exp(-2 * (np.pi * 9.0) ** 2 * k2), s=(n, n, n), axes=(1, 2, 3))
    field = (field - field.mean(axis=(1, 2, 3), keepdims=True)) / field.std(axis=(1, 2, 3), keepdims=True)
    return np.ascontiguousarray(np.moveaxis(field, 0, -1), dtype=np.float32)


def vessels(torso: Torso, root: Array) -> tuple[Array, Array, Array]:
    """Great vessels as tubes (point, x y z radius): ascending aorta and arch from `root`, its branches, ...

    returns : arterial tubes, venous tubes, airways; each (tube, point, 4), tubes of four points
    """
    back = -torso.half_depth
    rx, ry, rz = root.tolist()
    aorta = (
        (rx, ry, rz, 14.0),
        (rx + 8, ry + 6, rz + 26, 14.5),
        (4, 0, 92, 13.5),
        (-14, back + 34, 96, 12.5),
    )
    down = ((-14, back + 34, 96, 12.5), (-20, back + 27, 60, 11.5), (-18, back + 27, -20, 11.0),
            (-8, back + 32, -220, 10.0))  # fmt: skip
    neck = ((6, 2, 100, 6.0), (12, 6, 130, 5.0), (16, 8, 160, 4.5), (18, 10, 200, 4.0))
    upper = ((26, 14, 40, 9.5), (30, 14, 80, 9.0), (30, 12, 110, 8.0), (26, 10, 180, 7.0))
    lower = (
        (20, -8, 10, 11.5),
        (22, -14, -30, 12.0),
        (20, back + 46, -80, 11.0),
        (14, back + 40, -220, 10.5),
    )
    trunk = (
        (rx - 16, ry + 14, rz + 18, 13.0),
        (rx - 14, ry - 2, 58, 12.5),
        (8, -14, 60, 10.0),
        (52, -22, 52, 6.5),
    )
    left = ((rx - 14, ry - 2, 58, 11.0), (-34, -22, 62, 9.5), (-56, -32, 54, 7.5), (-76, -38, 44, 5.0))
    veins = (
        ((8, -32, 28, 7.0), (34, -32, 28, 6.5), (52, -34, 20, 5.0), (72, -36, 8, 3.5)),
        ((-16, -38, 30, 7.0), (-44, -38, 28, 6.0), (-62, -40, 18, 4.5), (-80, -44, 6, 3.0)),
    )
    trachea = ((0, -14, 200, 8.0), (0, -16, 120, 8.0), (2, -22, 78, 7.5), (2, -24, 72, 7.0))
    bronchi = (
        ((2, -24, 72, 6.5), (24, -28, 52, 6.0), (40, -32, 40, 4.5), (60, -38, 20, 3.0)),
        ((2, -24, 72, 6.0), (-22, -30, 52, 5.5), (-42, -36, 42, 4.5), (-60, -44, 20, 3.0)),
    )
    return (
        np.array([aorta, down, neck, *veins], np.float64),
        np.array([upper, lower, trunk, left], np.float64),
        np.array([trachea, *bronchi], np.float64),
    )


def fitted(torso: Torso, sac: Array) -> Torso:
    """Chest around the points of the pericardium `sac` (3, point) [mm], the diaphragm just under it."""
    from phantoms.cardiac.body import diaphragm

    reach = (np.abs(sac[0]) / torso.half_width) ** 2.3 + (np.abs(sac[1]) / torso.half_depth) ** 2.3
    factor = min(max(1.0, float(reach.max() ** (1 / 2.3)) / 0.97), 1.3)
    torso = torso._replace(half_width=torso.half_width * factor, half_depth=torso.half_depth * factor)
    gap = min(z - diaphragm(x, y, torso) for x, y, z in sac[:, ::7].T.tolist())
    return torso._replace(dome=torso.dome + min(max(gap + 7.0, -40.0), 40.0))
