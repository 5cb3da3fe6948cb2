"""Writing a store: metadata and coordinates first, then one whole shard per subject, its checksums last."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from mrsim.store import zarr_io
from mrsim.store.layout import (
    CONVENTIONS,
    FORMAT,
    FORMAT_VERSION,
    Layout,
    StoreError,
    checksum,
)

COMPLETE = "complete"


@dataclass(frozen=True, eq=False, slots=True)
class StoreWriter:
    """An incomplete store, or a finished one that is left alone.

    path : directory or fsspec URL
    layout : sizes and arrays
    coords : (case, ...) everything that was drawn
    """

    path: str
    layout: Layout
    coords: Mapping[str, NDArray[Any]]

    @classmethod
    def create(
        cls,
        path: str | Path,
        layout: Layout,
        coords: Mapping[str, NDArray[Any]],
        attrs: Mapping[str, Any],
        *,
        overwrite: bool = False,
    ) -> StoreWriter:
        """Begin a store, or go on with the one that the same recipe began; the coordinates are on disk after.

        attrs : recipe, recipe_hash, seed, versions, citation, licence ...; the format's own are added
        Raises StoreError where something else lies at `path`.
        """
        coords = _checked(coords, layout)
        files = zarr_io.skeleton(layout, coords, _root_attrs(layout, coords, attrs))
        if overwrite:
            remove_store(path)
        writer = cls(str(path), layout, coords)
        present = _root_of(path)
        ours = json.loads(files[zarr_io.ROOT])["attributes"]
        theirs = (present or {}).get("attributes", {})
        if theirs.get("metadata_hash") != ours["metadata_hash"] and _holds_nothing(path, present):
            remove_store(path)
            present = None
        _refuse_other(path, present, ours)
        if not (present or {}).get("attributes", {}).get(COMPLETE):
            writer._write_skeleton(files)
        return writer

    @property
    def complete(self) -> bool:
        """Whether the store is finished."""
        return bool((_root_of(self.path) or {}).get("attributes", {}).get(COMPLETE))

    def pending(self) -> list[int]:
        """Places of the subjects that are not yet complete: a shard or the checksums are missing."""
        there = zarr_io.keys(zarr_io.backing(self.path))
        arrays = zarr_io.specs(self.layout)
        return [
            rank
            for rank in range(self.layout.n_subjects)
            if not all(zarr_io.shard_key(name, spec, rank) in there for name, spec in arrays.items())
        ]

    def write_subject(self, rank: int, values: Mapping[str, NDArray[Any]]) -> None:
        """Write all slices of one subject: `SubjectWriter.write`."""
        self.of_subject(rank).write(values)

    def of_subject(self, rank: int) -> SubjectWriter:
        """Return what writes one subject: a worker elsewhere needs no coordinates of the others."""
        cases = self.layout.cases_of(rank)
        return SubjectWriter(self.path, self.layout, rank, {n: v[cases] for n, v in self.coords.items()})

    def finish(self) -> None:
        """Mark the store complete."""
        if pending := self.pending():
            raise StoreError(f"{self.path}: {len(pending)} of {self.layout.n_subjects} subjects are missing")
        store = zarr_io.backing(self.path, write=True)
        root = zarr_io.get(store, zarr_io.ROOT)
        if root is None:
            raise StoreError(f"{self.path}: the store has vanished while it was being written")
        zarr_io.put(store, zarr_io.ROOT, zarr_io.marked_complete(root))

    def _write_skeleton(self, files: Mapping[str, bytes]) -> None:
        """Root first: it says whose store this is. What is there already and right stays."""
        _remove_leftovers(self.path)
        store = zarr_io.backing(self.path, write=True)
        for key in [zarr_io.ROOT, *sorted(set(files) - {zarr_io.ROOT})]:
            if zarr_io.get(store, key) != files[key]:
                zarr_io.put(store, key, files[key])


@dataclass(frozen=True, slots=True)
class SubjectWriter:
    """The place of one subject in an incomplete store.

    coords : (slice, ...) what was drawn of it
    """

    path: str
    layout: Layout
    rank: int
    coords: Mapping[str, NDArray[Any]]

    def write(self, values: Mapping[str, NDArray[Any]]) -> None:
        """Write all slices; only the checksums, which come last, make the subject count.

        values : (slice, ...) every array of the layout
        """
        cases = self.layout.cases_of(self.rank)
        blocks = {name: _block(name, values[name], self.layout) for name in self.layout.maps}
        store = zarr_io.backing(self.path, write=True)
        for name in ("checksum", *blocks):  # Zarr would read, and trip over, a shard that a kill left behind
            zarr_io.delete(store, zarr_io.shard_key(name, zarr_io.specs(self.layout)[name], self.rank))
        group = zarr.open_group(store, mode="r+")
        for name, block in blocks.items():
            _array(group, name)[cases] = block
        per_case = {**blocks, **self.coords}
        _array(group, "checksum")[cases] = np.array(
            [checksum({n: v[i] for n, v in per_case.items()}) for i in range(self.layout.n_slices)], np.uint64
        )


def remove_store(path: str | Path) -> None:
    """Delete the store at `path`; anything that is not a store of ours stays and is a StoreError."""
    local = zarr_io.local_path(path)
    if local is not None:
        shutil.rmtree(_doomed(local), ignore_errors=True)
        if not local.exists():
            return
    root = _root_of(path)
    if root is None or root.get("attributes", {}).get("format") != FORMAT:
        if local is None or _begun(local):
            return
        raise StoreError(f"{path} exists and is not an mrsim store; choose another --out")
    if local is None:
        zarr_io.clear(path)
    elif local.is_file():
        local.unlink()
    else:
        local.replace(_doomed(local))  # at once: a kill leaves no half of a store behind
        shutil.rmtree(_doomed(local))


def _array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    array = group[name]
    assert isinstance(array, zarr.Array)
    return array


def _root_attrs(
    layout: Layout, coords: Mapping[str, NDArray[Any]], attrs: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        COMPLETE: False,
        **attrs,
        "class_names": list(layout.class_names),
        "tissue_names": list(layout.tissue_names),
        "pixel_spacing": list(layout.pixel_spacing),
        "slices_per_subject": layout.n_slices,
        **({"contrast_names": list(layout.contrasts)} if layout.contrasts else {}),
        **({"n_frames": layout.n_frames} if layout.n_frames else {}),
        "conventions": CONVENTIONS,
        "coordinates": " ".join(coords),  # CF: what xarray makes coordinates
    }


def _holds_nothing(path: str | Path, present: dict[str, Any] | None) -> bool:
    """Whether a store of ours was begun, by whatever recipe, but no subject of it is complete."""
    attributes = (present or {}).get("attributes", {})
    if attributes.get("format") != FORMAT or attributes.get(COMPLETE):
        return False
    return not any("/c/" in key for key in zarr_io.keys(zarr_io.backing(path), "checksum/"))


def _root_of(path: str | Path) -> dict[str, Any] | None:
    """Read the root document of whatever lies at `path`; None where there is none."""
    local = zarr_io.local_path(path)
    if local is not None and not local.exists():
        return None
    try:
        text = zarr_io.get(zarr_io.backing(path), zarr_io.ROOT)
        document = None if text is None else json.loads(text)
    except (ValueError, OSError):
        return None
    return document if isinstance(document, dict) else None


def _refuse_other(path: str | Path, present: dict[str, Any] | None, ours: Mapping[str, Any]) -> None:
    if present is None:
        local = zarr_io.local_path(path)
        if local is not None and local.exists() and not _begun(local):
            raise StoreError(f"{path} exists and is not an mrsim store; choose another --out")
        return
    theirs = present.get("attributes", {})
    if theirs.get("format") != FORMAT:
        raise StoreError(f"{path} exists and is not an mrsim store; choose another --out")
    if theirs.get("recipe_hash") != ours.get("recipe_hash"):
        raise StoreError(
            f"{path} holds another recipe (hash {theirs.get('recipe_hash')}, this one is "
            f"{ours.get('recipe_hash')}); choose another --out or replace it with --overwrite"
        )
    if not theirs.get(COMPLETE) and theirs.get("metadata_hash") != ours.get("metadata_hash"):
        raise StoreError(
            f"{path} was begun with other software ({_differences(theirs, ours)}); finish it with "
            "that, or begin again with --overwrite"
        )


def _differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    old, new = theirs.get("versions", {}), ours.get("versions", {})
    changed = [f"{name} {old.get(name)}, now {new[name]}" for name in new if old.get(name) != new[name]]
    return "; ".join(changed) or "its metadata differ"


def _begun(local: Path) -> bool:
    """Whether a directory is empty, but for what a kill in the first moment leaves."""
    return local.is_dir() and all(entry.name.endswith(".partial") for entry in local.iterdir())


def _doomed(local: Path) -> Path:
    """Name beside a store that it takes while it is being deleted."""
    return local.with_name(f".{local.name}.deleted")


def _remove_leftovers(path: str) -> None:
    """Delete the temporary files of a run that was killed in the middle of a write or of a deletion."""
    local = zarr_io.local_path(path)
    if local is not None:
        shutil.rmtree(_doomed(local), ignore_errors=True)
        for leftover in local.rglob("*.partial"):
            leftover.unlink(missing_ok=True)


def _checked(coords: Mapping[str, NDArray[Any]], layout: Layout) -> dict[str, NDArray[Any]]:
    checked = {}
    for name, values in coords.items():
        spec = layout.coords[name]
        value = np.asarray(values, dtype=spec.dtype)
        if value.shape != layout.shape_of(spec):
            raise ValueError(f"{name} must have shape {layout.shape_of(spec)}, got {value.shape}")
        checked[name] = value
    return checked


def _block(name: str, values: NDArray[Any], layout: Layout) -> NDArray[Any]:
    """Check the array of one subject and bring it to the dtype of the store; never NaN."""
    spec = layout.maps[name]
    block = np.ascontiguousarray(values, dtype=spec.dtype)
    shape = (layout.n_slices, *layout.shape_of(spec)[1:])
    if block.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {block.shape}")
    if block.dtype.kind in "fc" and not np.isfinite(block).all():
        raise StoreError(f"{name} must be finite, got NaN or infinite values from the simulation")
    return block
