"""Undersampling masks of centred k-space: pure functions of sizes and a generator, numpy only.

Every mask is float32 {0, 1} with DC at n // 2 and exactly the number of samples asked for. Draws without
replacement are sequential, each from the weights of what is left (as `Generator.choice`); see `_draw`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from phantoms.names import known

Mask = NDArray[np.float32]
Generator = np.random.Generator


def gaussian_lines(n: int, n_lines: int, n_center: int, sigma: float, rng: Generator) -> Mask:
    """Centre block, and other lines drawn without replacement by exp(-(k - n/2)^2 / (2 sigma^2)).

    The mask of SERANet; with `n_center` 0 also the density of DiSK, which draws round(N(n/2, sigma^2)) again
    until all lines differ.

    n : phase encodes; n_lines : lines kept, with the centre block [n//2 - n_center//2, + n_center)
    returns : (n,)
    """
    if not 0 < sigma < np.inf:
        raise ValueError(f"sigma must be positive, got {sigma} lines")
    k = np.arange(n)
    return _lines(n, n_lines, n_center, -(((k - n / 2) / sigma) ** 2) / 2, rng)


def ktfocuss_lines(n: int, acceleration: float, n_center: int, rng: Generator) -> Mask:
    """int(n / acceleration) lines: centre block, and draws from a Gaussian on a floor.

    Weights exp(-(k - n/2)^2 / (2 (n/10)^2)) + 1/(2 acceleration): k-t FOCUSS as in Schlemper's code, whose
    demos use `n_center` 8 or 10.

    returns : (n,)
    """
    if not 1 <= acceleration < np.inf:
        raise ValueError(f"acceleration must be at least 1, got {acceleration}")
    k = np.arange(n)
    weight = np.exp(-((k - n / 2) ** 2) / (2 * (n / 10) ** 2)) + 1 / (2 * acceleration)
    n_lines = int(n / acceleration + 1e-9)  # n / (n / 20) is 20 lines, not 19.999
    return _lines(n, n_lines, n_center, np.log(weight), rng)


def frame_lines(
    n_frames: int, n: int, n_lines: int, rng: Generator, *, n_center: int = 0, sigma: float | None = None
) -> Mask:
    """Gaussian lines about DC drawn afresh for every frame (DiSK); `sigma` is n / 6 unless given.

    returns : (frame, n)
    """
    sigma = n / 6 if sigma is None else sigma
    return np.stack([gaussian_lines(n, n_lines, n_center, sigma, rng) for _ in range(n_frames)])


def fixed_frame_lines(
    n_frames: int,
    n: int,
    n_lines: int,
    *,
    subject: int,
    slice_index: int,
    density: str = "gaussian",
    n_center: int = 0,
    trial: int = 0,
) -> Mask:
    """Lines that this cine is always tested with, each frame's by a hash of (subject, slice, frame, n_lines).

    So a frame has its mask whatever the number of frames, and another for every number of lines.

    density : of `DENSITIES`
    trial : another draw of the same kind; 0 is the one that tables are made with
    returns : (frame, n)
    """
    draw = DENSITIES[known("density", density, DENSITIES)]
    name = f"{int(subject)}/{int(slice_index)}/{{}}/{int(n_lines)}" + (f"/{int(trial)}" if trial else "")
    return np.stack([draw(n, n_lines, n_center, _generator(name.format(t))) for t in range(n_frames)])


def radial2d(shape: tuple[int, int], n_points: int, rng: Generator) -> Mask:
    """Straight spokes through DC at equal angles, on the nearest samples; exactly `n_points` of them.

    The fewest spokes that reach `n_points`; random samples that only the last spoke holds are then taken away
    (and, should those not suffice, the last but one's).

    returns : (ky, kx)
    """
    ny, nx = _checked_points(shape, n_points)
    n_spokes = max(1, n_points // (2 * max(ny, nx)))
    while ((spoke := _first_spoke(ny, nx, n_spokes)) < n_spokes).sum() < n_points:
        n_spokes += 1
    order = np.lexsort((rng.random(ny * nx), spoke.ravel()))  # by spoke, at random within a spoke
    return _mask_of(order[:n_points], shape)


def random2d(shape: tuple[int, int], n_points: int, rng: Generator, *, radius: float = 8.0) -> Mask:
    """Full disc about DC, and points with weight exp(-r^2 / (2 (0.18 n)^2)) + 0.02 around it.

    r and the disc's radius are in samples; on a grid that is not square, n is each axis' own.

    returns : (ky, kx)
    """
    ny, nx = _checked_points(shape, n_points)
    ky, kx = np.ogrid[-(ny // 2) : ny - ny // 2, -(nx // 2) : nx - nx // 2]
    disc = np.hypot(ky, kx) <= radius
    if n_points < disc.sum():
        raise ValueError(
            f"n_points must be at least {disc.sum()} (the disc of radius {radius}), got {n_points}"
        )
    weight = np.exp(-((ky / ny) ** 2 + (kx / nx) ** 2) / (2 * 0.18**2)) + 0.02
    log_weight = np.where(disc, np.inf, np.log(weight)).ravel()
    return _mask_of(_draw(log_weight, n_points, rng), shape)


def line_mask(
    shape: tuple[int, int], rate: float, n_center: int = 16, sigma: float | None = None, *, rng: Generator
) -> Mask:
    """Phase-encode lines as SERANet samples them: round(rate ny) Gaussian lines, `n_center` in the centre.

    For 180 lines at 0.3 these are 54, with sigma = ny / 6 = 30.

    returns : (ky, kx), constant along kx
    """
    ny = shape[0]
    sigma = ny / 6 if sigma is None else sigma
    return _as_plane(gaussian_lines(ny, _count(rate, ny), n_center, sigma, rng), shape)


def ktfocuss_mask(shape: tuple[int, int], rate: float, n_center: int = 8, *, rng: Generator) -> Mask:
    """`ktfocuss_lines` of acceleration 1 / rate as (ky, kx)."""
    _count(rate, shape[0])
    return _as_plane(ktfocuss_lines(shape[0], 1 / rate, n_center, rng), shape)


def radial_mask(shape: tuple[int, int], rate: float, *, rng: Generator) -> Mask:
    """`radial2d` with round(rate ny nx) points."""
    return radial2d(shape, _count(rate, shape[0] * shape[1]), rng)


def random_mask(shape: tuple[int, int], rate: float, *, rng: Generator) -> Mask:
    """`random2d` with round(rate ny nx) points."""
    return random2d(shape, _count(rate, shape[0] * shape[1]), rng)


# how the lines of the frames of a cine lie about DC: (n, n_lines, n_center, rng) -> (n,)
DENSITIES: dict[str, Callable[[int, int, int, Generator], Mask]] = {
    "gaussian": lambda n, n_lines, n_center, rng: gaussian_lines(n, n_lines, n_center, n / 6, rng),
    "ktfocuss": lambda n, n_lines, n_center, rng: ktfocuss_lines(n, n / n_lines, n_center, rng),
}

# every entry: (shape, rate, *, rng) -> (ky, kx)
MASKS: dict[str, Callable[..., Mask]] = {
    "lines": line_mask,
    "ktfocuss": ktfocuss_mask,
    "radial": radial_mask,
    "random": random_mask,
}


def fixed_mask(
    shape: tuple[int, int],
    rate: float,
    *,
    subject: int,
    slice_index: int,
    pattern: str = "lines",
    **options: float,
) -> Mask:
    """Mask that this slice is always tested with, seeded by a hash of (subject, slice, rate).

    options : passed on to `MASKS[pattern]`
    returns : (ky, kx)
    """
    known("pattern", pattern, MASKS)
    rng = _generator(f"{int(subject)}/{int(slice_index)}/{rate:.6f}")
    return MASKS[pattern](shape, rate, rng=rng, **options)


def _generator(name: str) -> Generator:
    """Make the generator that is seeded by a hash of `name`."""
    digest = hashlib.blake2b(name.encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


def _lines(n: int, n_lines: int, n_center: int, log_weight: NDArray[np.float64], rng: Generator) -> Mask:
    if not 0 < n_lines <= n:
        raise ValueError(f"n_lines must lie in 1 to {n}, the number of phase encodes, got {n_lines}")
    if not 0 <= n_center <= n_lines:
        raise ValueError(f"n_center must lie in 0 to {n_lines}, the number of lines kept, got {n_center}")
    first = n // 2 - n_center // 2
    log_weight[first : first + n_center] = np.inf
    return _mask_of(_draw(log_weight, n_lines, rng), (n,))


def _draw(log_weight: NDArray[np.float64], count: int, rng: Generator) -> NDArray[np.intp]:
    """`count` different indices, drawn one by one from the weights of those left; inf is certain.

    The `count` largest of log_weight + Gumbel noise have just that distribution (Yellott 1977, J Math Psychol
    15:109; Efraimidis & Spirakis 2006), in one step, and no weight is too small for it.
    """
    keys = log_weight + rng.gumbel(size=log_weight.size)
    return np.argsort(-keys, kind="stable")[:count]


def _mask_of(indices: NDArray[np.intp], shape: tuple[int, ...]) -> Mask:
    mask = np.zeros(shape, dtype=np.float32)
    mask.reshape(-1)[indices] = 1
    return mask


def _as_plane(lines: Mask, shape: tuple[int, int]) -> Mask:
    return np.repeat(lines[:, None], shape[1], axis=1)  # (ky, kx)


def _count(rate: float, n: int) -> int:
    if not 0 < rate <= 1:
        raise ValueError(f"rate must lie in (0, 1], got {rate}")
    return max(1, round(rate * n))


def _checked_points(shape: tuple[int, int], n_points: int) -> tuple[int, int]:
    ny, nx = shape
    if not 0 < n_points <= ny * nx:
        raise ValueError(f"n_points must lie in 1 to {ny * nx}, the number of samples, got {n_points}")
    return ny, nx


def _first_spoke(ny: int, nx: int, n_spokes: int) -> NDArray[np.intp]:
    """(ky, kx) first of `n_spokes` equally spaced spokes that passes over each sample, else `n_spokes`."""
    reach = int(np.ceil(np.hypot(ny, nx)))
    along = np.arange(-reach, reach + 1) / 2  # half a sample apart: no gap on the raster
    angle = np.pi * np.arange(n_spokes) / n_spokes
    ky = np.rint(np.outer(np.sin(angle), along)).astype(np.intp) + ny // 2  # (spoke, sample)
    kx = np.rint(np.outer(np.cos(angle), along)).astype(np.intp) + nx // 2
    on_grid = (ky >= 0) & (ky < ny) & (kx >= 0) & (kx < nx)
    spoke = np.full((ny, nx), n_spokes)
    np.minimum.at(spoke, (ky[on_grid], kx[on_grid]), np.nonzero(on_grid)[0])
    return spoke
