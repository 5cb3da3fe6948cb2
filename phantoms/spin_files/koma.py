"""KomaMRI's `.phantom` (KomaMRIFiles 0.9 and later): spins as vectors, motion as a list of groups.

    attributes  Version, Name, Ns (spins), Dims
    position/   x y z                        [m] each (spin,)
    contrast/   rho T1 T2 T2s Δw [B1]        [1] [s] [s] [s] [rad/s] [1] each (spin,)
    motion/motion_N/{action,time,spins}      see `koma_motion`

The name rho is the Greek letter. What is missing has KomaMRI's default: 0 for places and Δw, 1 for rho, 1e6 s
for times. Δw > 0 is a higher Larmor frequency (its fat has Δw < 0), so freq = Δw / 2 pi. T2s shorter than T2
becomes T2' here; KomaMRI itself stores T2s but simulates with T2 alone, and `read_spins` does so too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from phantoms.cloud import SpinCloud, rate_of, t2prime_of, time_of
from phantoms.names import known
from phantoms.spin_files.fields import number, numbers, subgroup, text
from phantoms.spin_files.koma_motion import read_motions, write_motions

if TYPE_CHECKING:
    import h5py

Real = NDArray[np.float64]
Reader = Callable[["h5py.File", str], SpinCloud]

VERSION = "0.9.0"  # the layout written; KomaMRI compares the first number only
PLACES = ("x", "y", "z")
LONG = 1e6  # [s] KomaMRI's "never"
DEFAULTS = {"ρ": 1.0, "T1": LONG, "T2": LONG, "T2s": LONG, "Δw": 0.0}  # noqa: RUF001  a Greek rho
DIFFUSION = ("Dλ1", "Dλ2", "Dθ")  # KomaMRI keeps them, and simulates none


def read(file: h5py.File, name: str) -> SpinCloud:
    """Cloud of an open file; `name` serves where it has none."""
    position, contrast = subgroup(file, "position"), subgroup(file, "contrast")
    places = {key: numbers(position, known("data set of position", key, PLACES)) for key in position}
    allowed = (*DEFAULTS, *DIFFUSION, "B1")
    values = {key: numbers(contrast, known("data set of contrast", key, allowed)) for key in contrast}
    n = _count(file, places | values)
    for key in DIFFUSION:
        if np.any(values.pop(key, 0.0)):
            raise ValueError(f"{key} must be 0, for diffusion tensors are not simulated")
    b1 = values.pop("B1", None)
    pd, t1, t2, t2star, omega = (_real(key, values.get(key, np.full(n, d))) for key, d in DEFAULTS.items())
    return SpinCloud(
        name=text(file, "Name") if "Name" in file.attrs else name,
        position=np.stack([_real(axis, places.get(axis, np.zeros(n))) for axis in PLACES]),
        pd=pd,
        t1=t1,
        t2=t2,
        t2prime=t2prime_of(rate_of(t2star), rate_of(t2)),
        freq=omega / (2 * math.pi),
        b1=None if b1 is None or (b1 == 1).all() else b1.astype(np.complex64),
        motion=read_motions(subgroup(file, "motion"), n) if "motion" in file else (),
    )


def write(file: h5py.File, cloud: SpinCloud) -> None:
    """Write a cloud; infinite times become KomaMRI's 1e6 s."""
    n = cloud.pd.size
    file.attrs["Version"] = VERSION
    file.attrs["Name"] = cloud.name
    file.attrs["Ns"] = np.int64(n)
    file.attrs["Dims"] = np.int64(np.any(cloud.position != 0, axis=1).sum())
    for axis, values in zip(PLACES, cloud.position, strict=True):
        file[f"position/{axis}"] = values
    t2star = time_of(rate_of(cloud.t2) + rate_of(cloud.t2prime))
    columns = (cloud.pd, *(np.minimum(t, LONG) for t in (cloud.t1, cloud.t2, t2star)))
    for key, values in zip(DEFAULTS, (*columns, 2 * math.pi * cloud.freq), strict=True):
        file[f"contrast/{key}"] = values
    if cloud.b1 is not None:
        file["contrast/B1"] = cloud.b1
    if cloud.motion:
        write_motions(file.create_group("motion"), cloud.motion, n)


def _count(file: h5py.File, columns: dict[str, NDArray[np.generic]]) -> int:
    """Return the number of spins, on which all columns and the attribute Ns must agree."""
    sizes = {key: values.shape for key, values in columns.items()}
    first = next(iter(sizes.values()), ())
    if len(first) != 1 or any(shape != first for shape in sizes.values()):
        shapes = ", ".join(f"{key} {shape}" for key, shape in sizes.items()) or "none"
        raise ValueError(f"data sets must be vectors with one number per spin, got {shapes}")
    if "Ns" in file.attrs and number(file, "Ns") != first[0]:
        raise ValueError(f"Ns must be the number of spins, {first[0]}, got {number(file, 'Ns'):g}")
    return int(first[0])


def _real(key: str, values: NDArray[np.generic]) -> Real:
    if values.dtype.kind == "c":
        raise ValueError(f"{key} must hold real numbers, got {values.dtype}")
    return values.astype(np.float64)
