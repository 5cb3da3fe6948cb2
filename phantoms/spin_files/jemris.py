"""JEMRIS's sample: a lattice of isochromats in HDF5.

    sample/data        (z, y, x, 5), or without leading axes of length 1: M0, R1, R2, R2* [1/ms], DB [rad/s]
    sample/resolution  (3,) x y z [mm] lattice steps
    sample/offset      (3,) x y z [mm] centre of the lattice, 0 if missing

Without `resolution` it is a list of spins, (spin, 9): x, y, z [mm], the same five, a number.

The spin n of N along an axis lies at (n - (N - 1) / 2) * step + offset. Spins with M0 = 0 are left out. R = 0
is no relaxation; R2* counts where it exceeds R2. DB is an angular frequency that adds to gamma G.r, so
positive is a higher Larmor frequency and freq = DB / 2 pi: JEMRIS multiplies it by 1e-3 to rad/ms, and
KomaMRI's reader takes it as rad/s, though a comment of JEMRIS calls it Hz. JEMRIS moves every spin at random
by 1 % of the lattice step and draws one Lorentzian frequency per spin from R2* - R2; here spins lie where
the file has them and decay with exp(-|t| / T2').
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from phantoms.cloud import SpinCloud, rate_of, t2prime_of, time_of
from phantoms.spin_files.fields import numbers, subgroup

if TYPE_CHECKING:
    import h5py

Real = NDArray[np.float64]
MM, PER_MS = 1e-3, 1e3
PROPERTIES, LIST_COLUMNS = 5, 9  # M0 R1 R2 R2* DB; with x y z in front and a number behind
ON_LATTICE = 1e-6  # [steps] how far off a spin may lie to be on it
MOST_NODES = 2**27  # of a lattice that is written


def read(file: h5py.File, name: str) -> SpinCloud:
    """Cloud of an open file, called `name`: the spins with M0 > 0."""
    sample = subgroup(file, "sample")
    data = numbers(sample, "data").astype(np.float64)
    on_lattice = "resolution" in sample
    position, values = (_lattice if on_lattice else _list)(sample, data)
    if not np.isfinite(values).all():
        raise ValueError("sample/data must be finite, got NaN or infinite values")
    if (values[1:4] < 0).any():
        raise ValueError(f"R1, R2 and R2* must not be negative, got {values[1:4].min()} 1/ms")
    if (values[0] < 0).any():
        raise ValueError(f"M0 must not be negative, got {values[0].min()}")
    kept = values[0] > 0
    if not kept.any():
        raise ValueError("M0 must be positive for at least one spin, got none")
    pd, r1, r2, r2star, omega = values[:, kept]
    return SpinCloud(
        name=name,
        position=position[:, kept],
        pd=pd,
        t1=time_of(r1 * PER_MS),
        t2=time_of(r2 * PER_MS),
        t2prime=t2prime_of(r2star * PER_MS, r2 * PER_MS),
        freq=omega / (2 * math.pi),
    )


def _lattice(sample: h5py.Group, data: Real) -> tuple[Real, Real]:
    """Positions (3, spin) [m] and the five properties (5, spin), x fastest."""
    if not 1 <= data.ndim <= 4 or data.shape[-1] != PROPERTIES or not data.size:
        raise ValueError(f"sample/data must have shape (z, y, x, {PROPERTIES}), got {data.shape}")
    data = data.reshape((1,) * (4 - data.ndim) + data.shape)  # (z, y, x, property)
    counts = data.shape[2::-1]  # x y z
    step = _triple(sample, "resolution")
    if any(n > 1 and not s > 0 for n, s in zip(counts, step, strict=True)):
        raise ValueError(f"sample/resolution must be positive, got {(step / MM).tolist()} mm")
    offset = _triple(sample, "offset") if "offset" in sample else np.zeros(3)
    x, y, z = ((np.arange(n) - (n - 1) / 2) * s + o for n, s, o in zip(counts, step, offset, strict=True))
    grid = np.broadcast_arrays(x, y[:, None], z[:, None, None])
    return np.stack([g.ravel() for g in grid]), data.reshape(-1, PROPERTIES).T


def _list(sample: h5py.Group, data: Real) -> tuple[Real, Real]:
    del sample
    if data.ndim != 2 or data.shape[1] != LIST_COLUMNS:
        raise ValueError(
            f"sample/data must have shape (spin, {LIST_COLUMNS}) where there is no sample/resolution, "
            f"got {data.shape}"
        )
    return data[:, :3].T * MM, data[:, 3 : 3 + PROPERTIES].T


def _triple(sample: h5py.Group, name: str) -> Real:
    """Three lengths [m]."""
    values = numbers(sample, name).ravel().astype(np.float64)
    if values.size != 3 or not np.isfinite(values).all():
        raise ValueError(f"sample/{name} must be three finite lengths, got {values.tolist()} mm")
    return values * MM


def write(file: h5py.File, cloud: SpinCloud) -> None:
    """Write a cloud, as a lattice if it lies on one; ValueError for motion or B1, which have no place."""
    if cloud.motion or cloud.b1 is not None:
        raise ValueError("cloud must be at rest and without b1 for a JEMRIS sample: write layout 'koma'")
    values = np.stack(  # (spin, 5)
        [
            cloud.pd,
            rate_of(cloud.t1) / PER_MS,
            rate_of(cloud.t2) / PER_MS,
            (rate_of(cloud.t2) + rate_of(cloud.t2prime)) / PER_MS,
            2 * math.pi * cloud.freq,
        ],
        axis=1,
    )
    found = _find_lattice(cloud.position)
    if found is None:
        number = np.arange(cloud.pd.size)[:, None]
        file["sample/data"] = np.hstack([cloud.position.T / MM, values, number])
        return
    index, counts, step, centre = found
    data = np.zeros((*counts[::-1], PROPERTIES))  # (z, y, x, property)
    data[tuple(index[::-1])] = values
    file["sample/data"] = data
    file["sample/resolution"] = step / MM
    file["sample/offset"] = centre / MM


def _find_lattice(position: Real) -> tuple[NDArray[np.intp], list[int], Real, Real] | None:
    """Index (3, spin), counts, steps [m] and centre [m] of the lattice under the spins, if there is one."""
    low, high = position.min(axis=1), position.max(axis=1)
    step = np.array([_smallest_step(values) for values in position])
    flat = ~np.isfinite(step)
    step[flat] = step[~flat].min(initial=1e-3 if flat.all() else math.inf)  # an axis with one layer
    exact = (position - low[:, None]) / step[:, None]
    index = np.rint(exact).astype(np.intp)
    counts = [int(n) for n in np.rint((high - low) / step).astype(np.intp) + 1]
    nodes = np.ravel_multi_index(tuple(index), counts) if math.prod(counts) <= MOST_NODES else None
    if nodes is None or np.abs(exact - index).max() > ON_LATTICE or np.unique(nodes).size < nodes.size:
        return None
    return index, counts, step, (low + high) / 2


def _smallest_step(values: Real) -> float:
    """Smallest distance of different coordinates [m]; inf where all are one."""
    distances = np.diff(np.unique(values))
    real = distances[distances > 1e-9 * max(1e-3, float(np.abs(values).max()))]  # above rounding
    return float(real.min()) if real.size else math.inf
