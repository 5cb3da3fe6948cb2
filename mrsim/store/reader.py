"""Reading a store: everything is checked on the way in, and what is wrong is said in one sentence."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.abc.store import Store as ZarrStore

from mrsim.store import zarr_io
from mrsim.store.case import Case
from mrsim.store.layout import (
    CHECKSUM,
    COORDS,
    FORMAT,
    FORMAT_VERSION,
    MAPS,
    N_INU_TERMS,
    ORIENTATIONS,
    REQUIRED_COORDS,
    SPLITS,
    ArraySpec,
    StoreError,
    checksum,
)

Indices = Sequence[int] | NDArray[np.integer[Any]] | None


class Store:
    """A data set on disk; arrays are read when asked for, coordinates at once.

    incomplete : whether one that is being written will do
    damaged : whether one that lacks shards will do, for `verify`
    """

    def __init__(self, path: str | Path, *, incomplete: bool = False, damaged: bool = False) -> None:
        self.path = str(path)
        self._backing = _existing(path)
        self.root = _root(self.path, self._backing)
        self.attrs: Mapping[str, Any] = MappingProxyType(self.root["attributes"])
        if not (self.complete or incomplete):
            raise StoreError(
                f"{path} is incomplete ({self.n_done} of {self.n_subjects} subjects); "
                "run the same generate command again to finish it"
            )
        self._check_arrays()
        self.coords: Mapping[str, NDArray[Any]] = MappingProxyType(
            {name: np.asarray(self._array(name)[...]) for name in COORDS if name in self._group}
        )
        if self.complete and not damaged and (missing := next(self._missing(), None)):
            raise StoreError(f"{path}: {missing[1]}")

    @cached_property
    def _group(self) -> zarr.Group:
        try:
            return zarr.open_group(self._backing, mode="r")
        except Exception as error:  # whatever Zarr makes of damaged metadata
            raise StoreError(f"{self.path}: its metadata are damaged ({error})") from None

    @property
    def complete(self) -> bool:
        """Whether every subject has been written."""
        return self.attrs.get("complete") is True

    @property
    def n_cases(self) -> int:
        """Number of cases."""
        return int(self._array("kspace").shape[0])

    @property
    def n_coils(self) -> int:
        """Number of receive coils."""
        return int(self._array("kspace").shape[-3])

    @property
    def contrasts(self) -> tuple[str, ...]:
        """Names along the axis "contrast"; () is a store of a single contrast, without that axis."""
        return tuple(self.attrs.get("contrast_names", ()))

    @property
    def n_frames(self) -> int:
        """Number of frames of every case of a cine store; 0 of a still store, without the axis "frame"."""
        return int(self.attrs.get("n_frames", 0))

    @property
    def shape(self) -> tuple[int, int]:
        """(n_y, n_x) of images and of k-space."""
        n_y, n_x = self._array("kspace").shape[-2:]
        return int(n_y), int(n_x)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Oracle classes, background first."""
        return tuple(self.attrs["class_names"])

    @property
    def n_classes(self) -> int:
        """Number of oracle classes, background included."""
        return len(self.class_names)

    @property
    def pixel_spacing(self) -> tuple[float, float]:
        """(y, x) [m]."""
        y, x = self.attrs["pixel_spacing"]
        return float(y), float(x)

    @property
    def seed(self) -> int:
        """Seed of everything that was drawn."""
        return int(self.attrs.get("seed", 0))

    @property
    def baked_noise(self) -> float:
        """Level of the noise that k-space already has; 0 unless `generate --noise` baked it in."""
        return float(self.attrs.get("recipe", {}).get("output", {}).get("noise", 0.0))

    @property
    def noise_reference(self) -> str:
        """What a noise level is a share of, as the recipe says."""
        output = self.attrs.get("recipe", {}).get("output", {})
        return str(output.get("noise_reference", "kspace_rms"))

    @property
    def slices_per_subject(self) -> int:
        """Cases in one shard."""
        return int(self.attrs["slices_per_subject"])

    @property
    def n_subjects(self) -> int:
        """Number of subjects, complete or not."""
        return self.n_cases // self.slices_per_subject

    @property
    def maps(self) -> tuple[str, ...]:
        """Per-case arrays that this store has."""
        return tuple(name for name in MAPS if name in self._group)

    @cached_property
    def done(self) -> tuple[int, ...]:
        """Places of the subjects that have been written whole."""
        present = zarr_io.keys(self._backing, "checksum/")
        ranks = range(self.n_subjects)
        return tuple(r for r in ranks if zarr_io.shard_key("checksum", CHECKSUM, r) in present)

    @property
    def n_done(self) -> int:
        """Number of subjects that have been written whole."""
        return len(self.done)

    def __len__(self) -> int:
        """Count the cases."""
        return self.n_cases

    def indices(self, split: str | None = None) -> NDArray[np.int64]:
        """Cases of a split (`train`, `validation`, `test`), or all."""
        if split is None:
            return np.arange(self.n_cases)
        if split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
        return np.flatnonzero(self.coords["split"] == SPLITS.index(split))

    def kspace(self, indices: Indices = None) -> NDArray[np.complex64]:
        """(case, [contrast or frame,] coil, ky, kx) complex64 of the cases, in the order asked for."""
        return self.read("kspace", indices)

    def labels(self, indices: Indices = None) -> NDArray[np.uint8]:
        """(case, [frame,] y, x) uint8 oracle classes of the cases, in the order asked for."""
        return self.read("labels", indices)

    def read(self, name: str, indices: Indices = None) -> NDArray[Any]:
        """(case, ...) any per-case array; a missing chunk or a NaN is a StoreError that names the case."""
        wanted = np.arange(self.n_cases) if indices is None else np.asarray(indices, dtype=np.int64)
        outside = wanted[(wanted < -self.n_cases) | (wanted >= self.n_cases)]
        if outside.size:
            raise IndexError(f"case must lie in 0 to {self.n_cases - 1}, got {outside[0]}")
        wanted = wanted % self.n_cases
        array = self._array(name)
        out = np.empty((wanted.size, *array.shape[1:]), array.dtype)
        for where, cases in self._by_shard(wanted):
            out[where] = self._read_cases(name, array, cases)
        self._check_values(name, out, wanted)
        return out

    def case(self, index: int) -> Case:
        """Everything about one case."""
        return self.cases([index])[0]

    def cases(self, indices: Indices = None, maps: Collection[str] = MAPS) -> list[Case]:
        """Cases in the order asked for, read shard by shard.

        maps : what to read besides `kspace`, `labels` and `tissue`, of what there is
        """
        wanted = np.arange(self.n_cases) if indices is None else np.asarray(indices, dtype=np.int64)
        names = [n for n in self.maps if n in maps or n in ("kspace", "labels", "tissue")]
        arrays = {name: self.read(name, wanted) for name in names}
        return [
            self._case(int(case), {name: values[i] for name, values in arrays.items()})
            for i, case in enumerate(wanted % self.n_cases)
        ]

    def _case(self, index: int, arrays: Mapping[str, Any]) -> Case:
        coords = {name: values[index] for name, values in self.coords.items()}
        if "orientation" not in coords:  # older stores have one for all, in the recipe
            slices = self.attrs.get("recipe", {}).get("slices", {})
            coords["orientation"] = ORIENTATIONS.index(slices.get("orientation", ORIENTATIONS[0]))
        return Case(
            index=index,
            contrasts=self.contrasts,
            seed=self.seed,
            class_names=self.class_names,
            noise_reference=self.noise_reference,
            baked_noise=self.baked_noise,
            coords=MappingProxyType(coords),
            **arrays,
        )

    def verify(self) -> Iterator[tuple[int, str]]:
        """(case, "") for every intact case and (case, what is wrong) for every other; -1 is the metadata."""
        for problem in self._metadata_problems():
            yield -1, problem
        gaps: dict[int, str] = {}
        for rank, problem in self._missing() if self.complete else ():
            if rank is None:
                yield -1, problem
            else:
                gaps.setdefault(rank, problem)
        for rank in range(self.n_subjects) if self.complete else self.done:
            if rank in gaps:
                yield from ((int(case), gaps[rank]) for case in self._cases_of(rank))
            else:
                yield from self._verify_subject(rank)

    def _array(self, name: str) -> zarr.Array[Any]:
        try:
            array = self._group[name]
        except Exception:  # KeyError, or whatever Zarr makes of damaged metadata
            raise StoreError(f"{self.path}: array {name!r} is missing or its metadata are damaged") from None
        if not isinstance(array, zarr.Array):
            raise StoreError(f"{self.path}: {name!r} must be an array, got a group")
        return array

    def _by_shard(self, wanted: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        shard = wanted // self.slices_per_subject
        order = np.argsort(shard, kind="stable")
        for where in np.split(order, np.flatnonzero(np.diff(shard[order])) + 1) if order.size else ():
            yield where, wanted[where]

    def _read_cases(self, name: str, array: zarr.Array[Any], cases: NDArray[np.int64]) -> NDArray[Any]:
        """Cases of one shard: the whole span where that is little more than was asked for."""
        first, last = int(cases.min()), int(cases.max())
        try:
            if last - first < 3 * cases.size:
                block = np.asarray(array[first : last + 1])
                return block if (np.diff(cases) == 1).all() else block[cases - first]
            unique, inverse = np.unique(cases, return_inverse=True)
            return np.asarray(array.get_orthogonal_selection((unique,)))[inverse]
        except Exception as error:  # the checksum of the shard index, a short file, a codec
            raise StoreError(
                f"{self.path}: {name} of cases {first} to {last} cannot be read "
                f"({str(error) or type(error).__name__})"
            ) from error

    def _check_values(self, name: str, values: NDArray[Any], cases: NDArray[np.int64]) -> None:
        for value, case in zip(values, cases, strict=True):
            if values.dtype.kind in "fc" and not np.isfinite(value.sum()):
                raise StoreError(f"{self.path}: {name} of case {case} is missing or holds NaN")
            if name == "labels" and value.max() >= self.n_classes:
                raise StoreError(f"{self.path}: labels of case {case} are missing or damaged")

    def _check_arrays(self) -> None:
        """Names, axes, dtypes and shapes against the format."""
        n_cases = self.n_cases
        sizes = {"case": n_cases, "contrast": len(self.contrasts), "frame": self.n_frames}
        sizes |= {"coil": self.n_coils}
        sizes |= {"class": self.n_classes, "tissue_class": len(self.attrs["tissue_names"])}
        sizes |= {"row": 4, "column": 4, "inu_term": N_INU_TERMS}
        sizes |= dict(zip(("ky", "kx", "y", "x"), self.shape * 2, strict=True))
        required = ("kspace", "labels", "tissue", *REQUIRED_COORDS, "checksum")
        optional = [name for name in (*MAPS, *COORDS) if name in self._group and name not in required]
        for name in (*required, *optional):
            self._check_array(name, self._spec(name), sizes)
        if n_cases % self.slices_per_subject:
            raise StoreError(
                f"{self.path}: {n_cases} cases must be whole subjects of {self.slices_per_subject} slices"
            )

    def _check_array(self, name: str, spec: ArraySpec, sizes: Mapping[str, int]) -> None:
        array = self._array(name)
        shape = tuple(sizes[dim] for dim in spec.dims)
        found = (getattr(array.metadata, "dimension_names", None), str(array.dtype), array.shape)
        if found != (spec.dims, spec.dtype, shape):
            raise StoreError(
                f"{self.path}: {name} must be {spec.dtype} {dict(zip(spec.dims, shape, strict=True))}, "
                f"got {found[1]} {found[2]} along {found[0]}"
            )

    def _spec(self, name: str) -> ArraySpec:
        return {**MAPS, **COORDS, "checksum": CHECKSUM}[name].along(
            contrasts=len(self.contrasts), frames=self.n_frames
        )

    def _missing(self) -> Iterator[tuple[int | None, str]]:
        """Find what a finished store lacks: (None, coordinate) and (place of the subject, shard)."""
        present = zarr_io.keys(self._backing)
        for name in self.coords:
            if zarr_io.shard_key(name, self._spec(name), 0) not in present:
                yield None, f"coordinate {name!r} is missing"
        for name in (*self.maps, "checksum"):
            for rank in range(self.n_subjects):
                if zarr_io.shard_key(name, self._spec(name), rank) not in present:
                    subject = self.coords["subject"][rank * self.slices_per_subject]
                    yield rank, f"{name} of subject {subject} is missing"

    def _cases_of(self, rank: int) -> NDArray[np.int64]:
        return np.arange(rank * self.slices_per_subject, (rank + 1) * self.slices_per_subject)

    def _metadata_problems(self) -> Iterator[str]:
        if zarr_io.metadata_hash(self.root) != self.attrs.get("metadata_hash"):
            yield "the root metadata were changed after writing"
        consolidated = self.root.get("consolidated_metadata", {}).get("metadata", {})
        for name, expected in consolidated.items():
            text = zarr_io.get(self._backing, f"{name}/zarr.json")
            if text is None or _json(text) != expected:
                yield f"the metadata of {name} were changed after writing"

    def _verify_subject(self, rank: int) -> Iterator[tuple[int, str]]:
        cases = self._cases_of(rank)
        try:
            blocks = {name: self._read_cases(name, self._array(name), cases) for name in self.maps}
            stored = self._read_cases("checksum", self._array("checksum"), cases)
        except StoreError as error:
            yield from ((int(case), str(error)) for case in cases)
            return
        per_case = {**blocks, **{name: value[cases] for name, value in self.coords.items()}}
        for i, case in enumerate(cases):
            intact = checksum({name: value[i] for name, value in per_case.items()}) == int(stored[i])
            yield int(case), "" if intact else "its bytes do not match their checksum"


def open_store(path: str | Path, *, incomplete: bool = False, damaged: bool = False) -> Store:
    """Open a store; StoreError with one sentence where it is none, another version, damaged or incomplete.

    incomplete : take one that is being written;  damaged : take one that lacks shards, which `verify` names
    """
    return Store(path, incomplete=incomplete, damaged=damaged)


def _existing(path: str | Path) -> ZarrStore:
    local = zarr_io.local_path(path)
    if local is not None and not local.exists():
        raise StoreError(f"{path} does not exist")
    return zarr_io.backing(path)


def _root(path: str, backing: ZarrStore) -> dict[str, Any]:
    """Read the root document; check format and version."""
    try:
        text = zarr_io.get(backing, zarr_io.ROOT)
    except Exception as error:  # whatever a remote file system or a truncated zip raises
        raise StoreError(f"{path}: cannot be read ({error})") from None
    if text is None:
        raise StoreError(f"{path} is not an mrsim store: it has no {zarr_io.ROOT}")
    root = _json(text)
    attributes = root.get("attributes") if isinstance(root, dict) else None
    if not isinstance(root, dict) or not isinstance(attributes, dict):
        raise StoreError(f"{path}: its root {zarr_io.ROOT} is damaged")
    if attributes.get("format") != FORMAT:
        raise StoreError(f"{path} is not an mrsim store (format {attributes.get('format')!r})")
    if attributes.get("format_version") != FORMAT_VERSION:
        raise StoreError(
            f"{path} has store format version {attributes.get('format_version')}; "
            f"this mrsim reads version {FORMAT_VERSION}"
        )
    missing = {"class_names", "tissue_names", "pixel_spacing", "slices_per_subject"} - attributes.keys()
    if missing:
        raise StoreError(f"{path}: root attribute {min(missing)!r} is missing")
    return root


def _json(text: bytes) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None
