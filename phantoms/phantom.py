"""Phantom: a label map on a physical grid with its tissue table; Spins: what the simulator sums over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from phantoms.tissues import TissueTable

Interval = tuple[float, float]
POINT = (0.0, 0.0, 0.0)  # cell of spins that stand for themselves only


class PhantomError(ValueError):
    """Phantom data that is missing, damaged or foreign; the message is one sentence for the user."""


def one_line(error: Exception) -> str:
    """Return what `error` says, without the line breaks that some libraries put in."""
    return " ".join(str(error).split())


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class OracleClasses:
    """How tissue classes are grouped into the classes that a network has to find.

    names : oracle classes, background first
    of_tissue : oracle class of each tissue class
    priority : oracle classes, the winner of a tie first
    """

    names: tuple[str, ...]
    of_tissue: tuple[int, ...]
    priority: tuple[int, ...]

    def __post_init__(self) -> None:
        n = len(self.names)
        if n < 2 or len(set(self.names)) != n:
            raise ValueError(f"names must be two or more different oracle classes, got {self.names}")
        if not self.of_tissue or not all(0 <= c < n for c in self.of_tissue):
            raise ValueError(f"of_tissue must hold oracle classes 0 to {n - 1}, got {self.of_tissue}")
        if sorted(self.priority) != list(range(n)):
            raise ValueError(f"priority must hold each of 0 to {n - 1} once, got {self.priority}")


BRAIN_ORACLE = OracleClasses(
    names=("background", "CSF", "GM", "WM"),
    of_tissue=(0, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0),  # the twelve BrainWeb classes; "other eight" as SERANet
    priority=(3, 2, 1, 0),
)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Phantom:
    """One subject: what lies where, and what it is made of.

    labels : (z, y, x) uint8 tissue class of each voxel, a row of `tissues`; 0 is the surrounding air
    affine : (4, 4) float64 [m] voxel index (x, y, z) of a voxel centre -> RAS, axis-aligned, positive steps
    freq : (z, y, x) float32 [Hz] off-resonance of the object itself, or None
    """

    name: str
    subject: str
    labels: NDArray[np.uint8]
    affine: NDArray[np.float64]
    tissues: TissueTable
    oracle: OracleClasses
    freq: NDArray[np.float32] | None = None
    citation: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        labels = _read_only("labels", self.labels, np.uint8, (None, None, None))
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "affine", _axis_aligned(self.affine))
        if self.freq is not None:
            freq = _read_only("freq", self.freq, np.float32, labels.shape)
            if not np.isfinite(freq).all():
                raise ValueError("freq must be finite, got NaN or infinite values [Hz]")
            object.__setattr__(self, "freq", freq)
        n = len(self.tissues.tissues)
        if labels.max() >= n:
            raise ValueError(
                f"labels must be below {n}, the tissues of {self.tissues.name!r}, got {labels.max()}"
            )
        if len(self.oracle.of_tissue) != n:
            raise ValueError(
                f"oracle must name a class for each of the {n} tissues of {self.tissues.name!r}, "
                f"got {len(self.oracle.of_tissue)}"
            )

    @property
    def spacing(self) -> NDArray[np.float64]:
        """Voxel size (x, y, z) [m]."""
        return np.diagonal(self.affine)[:3].copy()

    @property
    def extent(self) -> tuple[Interval, Interval, Interval]:
        """Outer voxel faces of everything that is not air, ((x0, x1), (y0, y1), (z0, z1)) [m] RAS."""
        over_z = self.labels.max(axis=0)  # (y, x)
        lines = (over_z.max(axis=0), over_z.max(axis=1), self.labels.max(axis=(1, 2)))  # x, y, z
        if not lines[0].any():
            raise ValueError(
                f"phantom {self.name!r} {self.subject} must hold something besides air, got only air"
            )
        x, y, z = (self._faces(axis, line) for axis, line in enumerate(lines))
        return x, y, z

    def _faces(self, axis: int, line: NDArray[np.uint8]) -> Interval:
        occupied = np.flatnonzero(line)
        step, start = float(self.affine[axis, axis]), float(self.affine[axis, 3])
        return start + step * (int(occupied[0]) - 0.5), start + step * (int(occupied[-1]) + 0.5)

    def with_tissues(self, table: TissueTable) -> Phantom:
        """Return the same anatomy made of other tissues: another field strength, or a drawn variation."""
        return replace(self, tissues=table)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Spins:
    """The spins of a slab in the image frame of its slice plane, sorted by y.

    position : (3, spin) float64 [m] x (readout), y (phase encode), z (slice normal)
    tissue : (spin,) unsigned integer row of the property arrays below: uint8 for the classes of a label map,
        uint32 for spins with properties of their own
    freq : (spin,) float32 [Hz] total off-resonance: B0 map and chemical shift
    cell : [m] size of the cell that a spin stands for, x, y, z; `POINT` for points, each of weight PD
    pd t1 t2 t2prime : (tissue,) float64 [1] [s] [s] [s]; the times may be inf
    b1 : (spin,) complex64 transmit field relative to the nominal one, or None for 1
    """

    position: NDArray[np.float64]
    tissue: NDArray[np.unsignedinteger[Any]]
    freq: NDArray[np.float32]
    cell: tuple[float, float, float]
    pd: NDArray[np.float64]
    t1: NDArray[np.float64]
    t2: NDArray[np.float64]
    t2prime: NDArray[np.float64]
    b1: NDArray[np.complex64] | None = None

    def __post_init__(self) -> None:
        self._freeze()
        if not (np.isfinite(self.position).all() and np.isfinite(self.freq).all()):
            raise ValueError("position and freq must be finite, got NaN or infinite values")
        if (np.diff(self.position[1]) < 0).any():
            raise ValueError("position must be sorted by y, got spins out of order")
        if self.cell != POINT and (len(self.cell) != 3 or not all(0 < c < np.inf for c in self.cell)):
            raise ValueError(f"cell must be three positive lengths, or three zeros, got {self.cell} m")
        if self.tissue.size and self.tissue.max() >= self.pd.size:
            raise ValueError(
                f"tissue must be below {self.pd.size}, the number of tissues, got {self.tissue.max()}"
            )
        if not (np.isfinite(self.pd).all() and (self.pd >= 0).all()):
            raise ValueError(f"pd must be finite and not negative, got {self.pd}")
        signal = self.pd > 0
        for name in ("t1", "t2", "t2prime"):
            if not (getattr(self, name)[signal] > 0).all():
                raise ValueError(f"{name} must be positive where pd is, got {getattr(self, name)} s")

    def _freeze(self) -> None:
        n_spins, n_tissues = np.size(self.tissue), np.size(self.pd)
        shapes: dict[str, tuple[DTypeLike, tuple[int, ...]]] = {
            "position": (np.float64, (3, n_spins)),
            "tissue": (_unsigned("tissue", self.tissue), (n_spins,)),
            "freq": (np.float32, (n_spins,)),
            **{name: (np.float64, (n_tissues,)) for name in ("pd", "t1", "t2", "t2prime")},
        }
        if self.b1 is not None:
            shapes["b1"] = (np.complex64, (n_spins,))
        for name, (dtype, shape) in shapes.items():
            object.__setattr__(self, name, _read_only(name, getattr(self, name), dtype, shape))
        if self.b1 is not None and not np.isfinite(self.b1).all():
            raise ValueError("b1 must be finite, got NaN or infinite values")


class PhantomSource(Protocol):
    """Where phantoms come from: `subjects()` lists what `load` takes."""

    @property
    def name(self) -> str:
        """Key of the source in `PHANTOMS`."""
        ...

    def subjects(self) -> tuple[int, ...]:
        """Subject numbers that can be loaded."""
        ...

    def load(self, subject: int) -> Phantom:
        """One subject; PhantomError (a ValueError) when its data are missing or damaged."""
        ...


def _unsigned(name: str, value: ArrayLike) -> np.dtype[Any]:
    """Return the unsigned integer dtype of `value`; ValueError for any other."""
    dtype = np.asarray(value).dtype
    if dtype.kind != "u":
        raise ValueError(f"{name} must have an unsigned integer dtype, got {dtype}")
    return dtype


def _read_only(name: str, value: ArrayLike, dtype: DTypeLike, shape: Sequence[int | None]) -> NDArray[Any]:
    """View `value` read-only; numbers become a floating `dtype`, labels must be of theirs already."""
    array = np.asarray(value)
    if array.dtype != dtype:
        if array.dtype.kind not in {"f": "fiu", "c": "cfiu"}.get(np.dtype(dtype).kind, ""):
            raise ValueError(f"{name} must have dtype {np.dtype(dtype)}, got {array.dtype}")
        array = array.astype(dtype)
    fits = array.ndim == len(shape) and all(
        n == want or (want is None and n > 0) for want, n in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("n" if want is None else str(want) for want in shape)
        raise ValueError(f"{name} must have shape ({wanted}), got {array.shape}")
    view = array.view()
    view.flags.writeable = False
    return view


def _axis_aligned(value: ArrayLike) -> NDArray[np.float64]:
    """Refuse an affine that is not diagonal with positive finite steps."""
    affine = _read_only("affine", value, np.float64, (4, 4))
    if not np.isfinite(affine).all():
        raise ValueError(f"affine must be finite, got {affine.tolist()} m")
    steps = np.diagonal(affine)[:3]
    if not (steps > 0).all():
        raise ValueError(f"affine must have positive steps along x, y and z, got {steps.tolist()} m")
    skew = affine[:3, :3] - np.diag(steps)
    if np.abs(skew).max() > 1e-9 * steps.min() or not np.array_equal(affine[3], (0, 0, 0, 1)):
        raise ValueError(f"affine must be axis-aligned, got {affine.tolist()} m")
    return affine
