"""Implicit shapes: approximate signed distances [mm], negative inside; smooth unions; sampling of grids.

Everything here is scalar code that the kernels of this package inline voxel by voxel, so no
array of the size of the head is ever made for a shape.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from math import exp, sqrt
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])
Array = NDArray[Any]


def kernel(function: F) -> F:
    """Compile scalar code; the machine code is kept on disk beside the module.

    Numba looks at a kernel's own file to see whether its machine code is still good, but the kernels it calls
    are compiled into it and lie in other files. So the stamp is a digest of the package instead.
    """
    compiled: Any = numba.njit(cache=True, error_model="numpy", nogil=True)(function)
    with suppress(AttributeError):  # no writable cache folder, or a Numba that stamps in another way
        compiled._cache._cache_file._source_stamp = package_digest(Path(function.__code__.co_filename).parent)
    return cast(F, compiled)


@cache
def package_digest(package: Path) -> str:
    """SHA-256 of the sources of `package` and of this one, on which it builds."""
    digest = hashlib.sha256()
    for path in sorted({*package.glob("*.py"), *Path(__file__).parent.glob("*.py")}):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def over_slabs(function: Callable[[int, int], None], n: int) -> None:
    """Call `function(first, last)` on slabs of range(n) from Numba's number of threads; kernels free the GIL.

    Threads of our own, since Numba's are not safe to start from several threads at once.
    """
    n_threads = min(n, numba.get_num_threads())
    edges = [
        n * i // (4 * n_threads) for i in range(4 * n_threads + 1)
    ]  # more slabs than threads: they differ
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(function, edges[:-1], edges[1:]))


@kernel
def clip(value: float, low: float, high: float) -> float:
    """Limit `value` to [low, high]."""
    return min(max(value, low), high)


@kernel
def ramp(value: float, start: float, end: float) -> float:
    """0 at `start`, 1 at `end`, linear between, constant outside."""
    return clip((value - start) / (end - start), 0.0, 1.0)


@kernel
def bump(value: float, width: float) -> float:
    """Gaussian of standard deviation `width`, 1 at 0."""
    return exp(-0.5 * (value / width) ** 2)


@kernel
def smooth_min(a: float, b: float, radius: float) -> float:
    """Union of two shapes with the crease filleted over `radius` (polynomial smooth minimum)."""
    h = clip(0.5 + 0.5 * (b - a) / radius, 0.0, 1.0)
    return b * (1 - h) + a * h - radius * h * (1 - h)


@kernel
def ellipsoid(dx: float, dy: float, dz: float, rx: float, ry: float, rz: float) -> float:
    """Distance to an ellipsoid with semi-axes rx ry rz, first order exact at the surface."""
    ux, uy, uz = dx / rx, dy / ry, dz / rz
    k0 = sqrt(ux * ux + uy * uy + uz * uz)
    if k0 < 1e-6:
        return -min(rx, ry, rz)
    k1 = sqrt((ux / rx) ** 2 + (uy / ry) ** 2 + (uz / rz) ** 2)
    return k0 * (k0 - 1) / k1


@kernel
def superellipsoid(dx: float, dy: float, dz: float, rx: float, ry: float, rz: float, power: float) -> float:
    """Distance scale of a superellipsoid: exact sign, roughly [mm] near the surface."""
    k = (abs(dx / rx) ** power + abs(dy / ry) ** power + abs(dz / rz) ** power) ** (1 / power)
    return float((k - 1) * sqrt(dx * dx + dy * dy + dz * dz) / max(k, 1e-6))


@kernel
def chain(x: float, y: float, z: float, points: Array) -> float:
    """Distance to a tube through `points`, (point, x y z radius) [mm], the radius linear between points."""
    best = 1e9
    for i in range(points.shape[0] - 1):
        ax, ay, az, ra = points[i, 0], points[i, 1], points[i, 2], points[i, 3]
        bx, by, bz = points[i + 1, 0] - ax, points[i + 1, 1] - ay, points[i + 1, 2] - az
        t = ((x - ax) * bx + (y - ay) * by + (z - az) * bz) / (bx * bx + by * by + bz * bz)
        t = clip(t, 0.0, 1.0)
        d = sqrt((x - ax - t * bx) ** 2 + (y - ay - t * by) ** 2 + (z - az - t * bz) ** 2)
        best = min(best, d - ra - t * (points[i + 1, 3] - ra))
    return best


@kernel
def sample(grid: Array, i: float, j: float, k: float, out: Array) -> None:
    """Trilinear `grid` (z, y, x, channel) at index (i, j, k), clamped, into `out` (channel,)."""
    nz, ny, nx, n_channels = grid.shape
    i, j, k = clip(i, 0.0, nz - 1.001), clip(j, 0.0, ny - 1.001), clip(k, 0.0, nx - 1.001)
    i0, j0, k0 = int(i), int(j), int(k)
    fi, fj, fk = i - i0, j - j0, k - k0
    for c in range(n_channels):
        out[c] = 0.0
    for corner in range(8):
        di, dj, dk = corner >> 2, (corner >> 1) & 1, corner & 1
        weight = (fi if di else 1 - fi) * (fj if dj else 1 - fj) * (fk if dk else 1 - fk)
        for c in range(n_channels):
            out[c] += weight * grid[i0 + di, j0 + dj, k0 + dk, c]


@kernel
def noise_at(noise: Array, x: float, y: float, z: float, out: Array) -> None:
    """Trilinear periodic `noise` (z, y, x, channel) at (x, y, z) in node units, into `out` (channel,)."""
    n = noise.shape[0]
    fx, fy, fz = x % n, y % n, z % n
    i0, j0, k0 = int(fz) % n, int(fy) % n, int(fx) % n
    fx, fy, fz = fx - int(fx), fy - int(fy), fz - int(fz)
    for c in range(noise.shape[3]):
        out[c] = 0.0
    for corner in range(8):
        di, dj, dk = corner >> 2, (corner >> 1) & 1, corner & 1
        weight = (fz if di else 1 - fz) * (fy if dj else 1 - fy) * (fx if dk else 1 - fx)
        node = noise[(i0 + di) % n, (j0 + dj) % n, (k0 + dk) % n]
        for c in range(noise.shape[3]):
            out[c] += weight * node[c]


@kernel
def grain(noise: Array, channel: int, x: float, y: float, z: float) -> float:
    """One channel of `noise` (z, y, x, channel) at (x, y, z) in units of its nodes: for finer texture."""
    n = noise.shape[0]
    fx, fy, fz = x % n, y % n, z % n
    i0, j0, k0 = int(fz) % n, int(fy) % n, int(fx) % n
    fx, fy, fz = fx - int(fx), fy - int(fy), fz - int(fz)
    i1, j1, k1, c = (i0 + 1) % n, (j0 + 1) % n, (k0 + 1) % n, channel
    low = (noise[i0, j0, k0, c] * (1 - fx) + noise[i0, j0, k1, c] * fx) * (1 - fy)
    low += (noise[i0, j1, k0, c] * (1 - fx) + noise[i0, j1, k1, c] * fx) * fy
    high = (noise[i1, j0, k0, c] * (1 - fx) + noise[i1, j0, k1, c] * fx) * (1 - fy)
    high += (noise[i1, j1, k0, c] * (1 - fx) + noise[i1, j1, k1, c] * fx) * fy
    return float(low * (1 - fz) + high * fz)
