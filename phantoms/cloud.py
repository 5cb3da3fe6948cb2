"""SpinCloud: spins at any place with properties of their own, as the files of other simulators hold them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phantoms.motion import Motion, Path, moved
from phantoms.phantom import POINT, Spins

Real = NDArray[np.float64]
ROUNDING = 1e-5  # a T2* shorter than T2 by less than this share is T2: files in float32


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class SpinCloud:
    """Spins in the frame of the scanner, whose x, y and z are those of the gradients.

    position : (3, spin) float64 [m] at rest
    pd t1 t2 t2prime : (spin,) float64 [1] [s] [s] [s]; the times may be inf
    freq : (spin,) float64 [Hz] off-resonance; positive is a higher Larmor frequency
    b1 : (spin,) complex64 transmit field relative to the nominal one, or None for 1
    motion : how they move
    """

    name: str
    position: Real
    pd: Real
    t1: Real
    t2: Real
    t2prime: Real
    freq: Real
    b1: NDArray[np.complex64] | None = None
    motion: tuple[Motion, ...] = ()

    def __post_init__(self) -> None:
        n = np.size(self.pd)
        if n == 0:
            raise ValueError("pd must hold at least one spin, got none")
        shapes = {"position": (3, n)} | dict.fromkeys(("pd", "t1", "t2", "t2prime", "freq"), (n,))
        for name, shape in shapes.items():
            values = np.array(getattr(self, name), np.float64)
            if values.shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {values.shape}")
            object.__setattr__(self, name, values)
        self._check_values()
        if self.b1 is not None and np.shape(self.b1) != (n,):
            raise ValueError(f"b1 must have shape {(n,)}, got {np.shape(self.b1)}")
        for motion in self.motion:
            _check_motion(motion, n)

    def _check_values(self) -> None:
        for name in ("position", "pd", "freq"):
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"{name} must be finite, got NaN or infinite values")
        if (self.pd < 0).any():
            raise ValueError(f"pd must not be negative, got {self.pd.min()}")
        for name in ("t1", "t2", "t2prime"):
            bad = self._first(name)
            if bad is not None:
                raise ValueError(f"{name} must be positive where pd is, got {bad} s")

    def _first(self, name: str) -> float | None:
        """Give the first time that is not positive, of a spin with signal."""
        values = getattr(self, name)[self.pd > 0]
        bad = values[~(values > 0)]
        return float(bad[0]) if bad.size else None

    def at(self, times: ArrayLike) -> Real:
        """Positions (time, 3, spin) [m] at `times` (time,) [s]."""
        return moved(self.position, self.motion, times)

    def reordered(self, order: NDArray[np.intp]) -> SpinCloud:
        """Return the same cloud whose spin i is spin order[i] of this one; `order` is a permutation."""
        where = np.empty(order.size, np.intp)
        where[order] = np.arange(order.size)
        each = {name: getattr(self, name)[order] for name in ("pd", "t1", "t2", "t2prime", "freq")}
        return replace(
            self,
            position=self.position[:, order],
            b1=None if self.b1 is None else self.b1[order],
            motion=tuple(_renumbered(m, where) for m in self.motion),
            **each,
        )

    def by_y(self) -> SpinCloud:
        """Return the cloud sorted by y, stable: the order of `spins()`."""
        return self.reordered(np.argsort(self.position[1], kind="stable"))

    def spins(self, *, cell: tuple[float, float, float] = POINT) -> Spins:
        """Spins at rest for the simulator, sorted by y as `by_y()`, which has the motion for them.

        cell : [m] size of the cell that a spin stands for; points by default, each of weight PD
        """
        cloud = self.by_y()
        first, tissue = _rows((cloud.pd, cloud.t1, cloud.t2, cloud.t2prime))
        return Spins(
            position=cloud.position,
            tissue=tissue.astype(np.uint32),
            freq=cloud.freq.astype(np.float32),
            cell=cell,
            pd=cloud.pd[first],
            t1=cloud.t1[first],
            t2=cloud.t2[first],
            t2prime=cloud.t2prime[first],
            b1=cloud.b1,
        )


def rate_of(time: Real) -> Real:
    """1 / time [1/s]; 0 where there is none, time 0 or inf."""
    return np.asarray(np.divide(1, time, out=np.zeros(time.shape), where=time > 0))


def time_of(rate: Real) -> Real:
    """1 / rate [s]; inf where it is 0."""
    return np.asarray(np.divide(1, rate, out=np.full(rate.shape, math.inf), where=rate > 0))


def t2prime_of(r2star: Real, r2: Real) -> Real:
    """T2' [s] of spins with the rates R2* and R2 [1/s]; inf where R2* is not larger, but for rounding."""
    extra = r2star - r2
    return time_of(np.where(extra > ROUNDING * r2star, extra, 0.0))


def _rows(columns: tuple[Real, ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Distinct rows of `columns`, each (spin,): a spin that has it (row,), and the row of each spin (spin,).

    Column by column, because sorting numbers is several times faster than sorting rows.
    """
    row = first = np.zeros(columns[0].size, np.intp)
    for values in columns:
        _, rank = np.unique(values, return_inverse=True)
        _, first, row = np.unique(row * (rank.max() + 1) + rank, return_index=True, return_inverse=True)
    return first, row


def _check_motion(motion: Motion, n_spins: int) -> None:
    chosen = motion.spins
    count = n_spins
    if chosen is not None:
        count = np.unique(chosen).size
        if not count or count != np.size(chosen) or np.min(chosen) < 0 or np.max(chosen) >= n_spins:
            raise ValueError(f"spins of a motion must be different numbers below {n_spins}, got others")
    if isinstance(motion.action, Path) and motion.action.offset.shape[2] != count:
        raise ValueError(
            f"offset of a path must have one column for each of its {count} spins, "
            f"got {motion.action.offset.shape[2]}"
        )


def _renumbered(motion: Motion, where: NDArray[np.intp]) -> Motion:
    """Return the motion of spins whose new numbers are `where` of the old ones."""
    if motion.spins is None and not isinstance(motion.action, Path):
        return motion
    return replace(motion, spins=where if motion.spins is None else where[motion.spins])
