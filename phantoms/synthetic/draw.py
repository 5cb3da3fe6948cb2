"""The anatomy of one subject: everything that is drawn at random, before anything is computed.

Lengths are millimetres in the canonical frame (RAS, origin at the anterior commissure): anatomy is
written in the numbers of an atlas, and `source.py` converts to metres where the phantom is made.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
NOISE_NODES = 64  # nodes per side of the periodic noise
NOISE_STEP = 4.0  # [mm] between its nodes
SMOOTHNESS = (6.0, 6.0, 6.0, 10.0, 10.0, 22.0)  # [mm] Gaussian standard deviation behind each noise channel
FINE, FINE2, FINE3, MIDDLE, MIDDLE2, BROAD = range(6)  # channels of Anatomy.noise
GRAIN = len(SMOOTHNESS)  # a finer one, which kernels make from FINE2


class Anatomy(NamedTuple):
    """One subject as numbers; kernels take it `packed`, under the same names.

    scale : (3,) canonical -> subject axes
    rotation : (3, 3) small head tilt
    warp : (z, y, x, 3) float32 [mm] smooth displacement along x, y, z on the noise grid
    noise : (z, y, x, channel) float32 unit-variance periodic noise
    ventricle cortex sulcus wavelength : relative calibre; thickness, sulcal half width, gyral spacing [mm]
    cistern skull scalp : [mm] subarachnoid space, bone and soft tissue thickness
    sulcal_depth : [mm] depth of secondary sulci
    marrow : offset of the diploe's share
    lateral frontal_horn body temporal_horn caudate hippocampus carotid middle anterior posterior basilar :
        tubes (point, x y z radius) [mm], right side
    """

    scale: Array
    rotation: Array
    warp: Array
    noise: Array
    ventricle: float
    cortex: float
    sulcus: float
    wavelength: float
    sulcal_depth: float
    cistern: float
    skull: float
    scalp: float
    marrow: float
    lobule_angles: Array
    lateral: Array
    frontal_horn: Array
    body: Array
    temporal_horn: Array
    caudate: Array
    hippocampus: Array
    carotid: Array
    middle: Array
    anterior: Array
    posterior: Array
    basilar: Array


LATERAL = ((8, 29, 5, 3.2), (8, 22, 10, 4.6), (8.5, 10, 15, 4.8), (9, -6, 20, 4.6), (13, -22, 22, 5.0),
           (22, -37, 17, 6.6), (25, -54, 10, 4.2), (22, -70, 6, 2.0))  # fmt: skip
FRONTAL_HORN = ((7, 9, 12, 3.2), (7, 17, 6, 4.0), (8.5, 29, 2, 3.0))
BODY = ((5.5, 10, 15.5, 2.8), (5.5, -6, 19, 3.1), (8.5, -20, 20.5, 3.2))
TEMPORAL_HORN = ((23, -38, 14, 5.0), (32, -36, 0, 3.4), (35, -22, -13, 2.4), (31, -9, -20, 1.8))
CAUDATE = ((11, 16, 0, 6.5), (13.5, 12, 9, 6.4), (16, 2, 17, 5.0), (19, -14, 21, 3.4), (26, -30, 19, 2.3),
           (33, -33, 4, 1.5))  # fmt: skip
HIPPOCAMPUS = ((22, -4, -19, 8.0), (25, -12, -18, 6.2), (29, -24, -12, 5.0), (27, -35, -3, 3.8))
CAROTID = ((14, 0, -60, 2.4), (13, 4, -42, 2.4), (12, 2, -28, 2.2), (11, 5, -17, 2.0))
MIDDLE_CEREBRAL = (
    (11, 5, -17, 1.7),
    (24, 6, -15, 1.6),
    (37, 6, -10, 1.4),
    (41, -4, -2, 1.2),
    (44, -22, 8, 1.0),
)
ANTERIOR_CEREBRAL = ((11, 5, -17, 1.4), (3, 20, -10, 1.3), (2, 38, 4, 1.2), (2, 30, 28, 1.1), (2, 2, 37, 1.0))
POSTERIOR_CEREBRAL = ((2, -17, -19, 1.4), (15, -26, -15, 1.3), (17, -42, -5, 1.1), (12, -66, 3, 0.9))
BASILAR = ((0, -24, -50, 1.9), (0, -17, -34, 1.8), (0, -15, -19, 1.6))


def subject_rng(seed: int, subject: int) -> np.random.Generator:
    """Everything random about subject `subject` of `seed` comes from this generator."""
    return np.random.Generator(np.random.Philox(key=np.array([seed, subject], np.uint64)))


def draw_anatomy(rng: np.random.Generator) -> Anatomy:
    """Draw one healthy adult head."""
    noise = np.stack([smooth_noise(rng, sigma) for sigma in SMOOTHNESS], axis=-1)
    moves = [1.5 * smooth_noise(rng, 22.0) + 0.9 * smooth_noise(rng, 11.0) for _ in range(3)]
    calibre = float(np.exp(rng.normal(0.0, 0.13)))
    return Anatomy(
        scale=rng.uniform(0.98, 1.02, 3),
        rotation=tilt(rng.normal(0.0, np.deg2rad(1.6), 3)),
        warp=np.stack(moves, axis=-1).astype(np.float32),
        noise=noise,
        ventricle=calibre,
        cortex=float(rng.normal(3.45, 0.06)),
        sulcus=float(rng.normal(1.15, 0.06)),
        wavelength=float(rng.normal(13.4, 0.2)),
        sulcal_depth=float(rng.normal(19.5, 0.6)),
        cistern=float(rng.normal(2.3, 0.2)),
        skull=float(rng.normal(6.0, 0.5)),
        scalp=float(rng.normal(8.2, 0.7)),
        marrow=float(rng.normal(0.0, 0.1)),
        lobule_angles=lobules(rng),
        lateral=tube(rng, LATERAL, 0.6, calibre),
        frontal_horn=tube(rng, FRONTAL_HORN, 0.5, calibre),
        body=tube(rng, BODY, 0.5, calibre),
        temporal_horn=tube(rng, TEMPORAL_HORN, 0.7, calibre),
        caudate=tube(rng, CAUDATE, 0.4),
        hippocampus=tube(rng, HIPPOCAMPUS, 0.6),
        carotid=tube(rng, CAROTID, 0.8),
        middle=tube(rng, MIDDLE_CEREBRAL, 1.2),
        anterior=tube(rng, ANTERIOR_CEREBRAL, 0.5),
        posterior=tube(rng, POSTERIOR_CEREBRAL, 0.9),
        basilar=tube(rng, BASILAR, 0.7),
    )


def packed(anatomy: Anatomy) -> Any:  # noqa: ANN401 - a NumPy record has no static type
    """Return all but the noise as one NumPy record, which Numba passes from kernel to kernel as a pointer."""
    fields = {name: np.asarray(value) for name, value in anatomy._asdict().items()}
    fields = {name: value for name, value in fields.items() if value.ndim < 3}
    record = np.zeros((), [(name, np.float64, value.shape) for name, value in fields.items()])
    for name, value in fields.items():
        record[name] = value
    return record[()]


def smooth_noise(rng: np.random.Generator, sigma: float) -> Array:
    """White noise blurred by `sigma` [mm]: (z, y, x) float32, periodic, unit variance."""
    n = NOISE_NODES
    white = np.fft.rfftn(rng.standard_normal((n, n, n), dtype=np.float32))
    k, kr = np.fft.fftfreq(n, NOISE_STEP), np.fft.rfftfreq(n, NOISE_STEP)  # [1/mm]
    k2 = k[:, None, None] ** 2 + k[None, :, None] ** 2 + kr[None, None, :] ** 2
    field = np.fft.irfftn(white * np.exp(-2 * (np.pi * sigma) ** 2 * k2), s=(n, n, n), axes=(0, 1, 2))
    return np.asarray((field - field.mean()) / field.std(), np.float32)


def tilt(angles: Array) -> Array:
    """Rotation matrix of three small angles about x, y, z [rad]."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)


def tube(
    rng: np.random.Generator, points: tuple[tuple[float, ...], ...], jitter: float, calibre: float = 1.0
) -> Array:
    """Tube (point, x y z radius) [mm], its points moved by N(0, jitter), its radii times `calibre`."""
    out = np.array(points, np.float64)
    out[:, :3] += rng.normal(0.0, jitter, (len(points), 3))
    out[:, 3] *= calibre
    return out


def lobules(rng: np.random.Generator, n: int = 9) -> Array:
    """Angles of the fissures between the cerebellar lobules about the fastigium [rad], increasing."""
    angles = np.linspace(-np.pi, np.pi, n, endpoint=False) + rng.normal(0.0, 0.07, n)
    return np.sort(angles)
