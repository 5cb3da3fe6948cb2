"""Zarr v3 below the store: where a path leads, raw keys, and the metadata that a new store starts from."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from zipfile import BadZipFile

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.abc.store import Store as ZarrStore
from zarr.codecs import BloscCodec
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import FsspecStore, LocalStore, MemoryStore, ZipStore

from mrsim.store.layout import CHECKSUM, CODECS, MAPS, ArraySpec, Layout, StoreError

ROOT = "zarr.json"
UNHASHED = ("complete", "metadata_hash")


def local_path(path: str | Path) -> Path | None:
    """Return the path on this machine, or None where `path` is a URL of another file system."""
    text = str(path)
    if text.startswith("file://"):
        return Path(unquote(urlsplit(text).path))
    return None if "://" in text else Path(text)


def backing(path: str | Path, *, write: bool = False) -> ZarrStore:
    """Open the Zarr store behind a directory, a zip file (read only) or any fsspec URL."""
    local = local_path(path)
    try:
        if local is None:
            return FsspecStore.from_url(str(path), read_only=not write)
        if local.is_file():
            return sync(ZipStore.open(local, mode="r"))
        return LocalStore(local, read_only=not write)
    except (ImportError, ValueError, BadZipFile) as error:
        raise StoreError(f"{path}: cannot be opened as a store location ({error})") from None


def get(store: ZarrStore, key: str) -> bytes | None:
    """Read the bytes under a key; None where there are none."""
    try:
        value = sync(store.get(key, default_buffer_prototype()))
    except (BadZipFile, FileNotFoundError, NotADirectoryError):
        return None
    return None if value is None else bytes(value.to_bytes())


def put(store: ZarrStore, key: str, value: bytes) -> None:
    """Write the bytes under a key; local files appear whole or not at all."""
    sync(store.set(key, default_buffer_prototype().buffer.from_bytes(value)))


def delete(store: ZarrStore, key: str) -> None:
    """Remove a key, if it is there."""
    if sync(store.exists(key)):
        sync(store.delete(key))


def clear(path: str | Path) -> None:
    """Remove everything under a URL."""
    sync(backing(path, write=True).clear())


def keys(store: ZarrStore, prefix: str = "") -> frozenset[str]:
    """All keys that start with `prefix`."""

    async def collect() -> frozenset[str]:
        return frozenset([key async for key in store.list_prefix(prefix)])

    return sync(collect())


def shard_key(name: str, spec: ArraySpec, subject_rank: int) -> str:
    """Key of the shard (of `checksum`: the chunk) that holds one subject."""
    return "/".join([name, "c", str(subject_rank), *["0"] * (len(spec.dims) - 1)])


def specs(layout: Layout) -> dict[str, ArraySpec]:
    """Every array that is filled subject by subject."""
    return {**layout.maps, "checksum": CHECKSUM}


def skeleton(
    layout: Layout, coords: Mapping[str, NDArray[Any]], attrs: Mapping[str, Any]
) -> dict[str, bytes]:
    """All metadata and all coordinates of a new store, key by key: the same input gives the same bytes."""
    memory = MemoryStore()
    group = zarr.create_group(memory, attributes=dict(attrs))
    for name, spec in specs(layout).items():
        _create_array(group, name, spec, layout)
    for name, values in {**coords, **_axes(layout)}.items():
        _create_coordinate(group, name, layout.coords.get(name) or axis_spec(name), values)
    with warnings.catch_warnings():  # Zarr v3 does not specify consolidation yet
        warnings.simplefilter("ignore", UserWarning)
        zarr.consolidate_metadata(memory)
    files = {key: value for key in keys(memory) if (value := get(memory, key)) is not None}
    files[ROOT] = _with_attributes(files[ROOT], metadata_hash=metadata_hash(json.loads(files[ROOT])))
    return files


def marked_complete(root: bytes) -> bytes:
    """Turn the root document into that of a finished store."""
    return _with_attributes(root, complete=True)


def metadata_hash(root: Mapping[str, Any]) -> str:
    """Hash of the root document, whether finished or not."""
    attributes = {k: v for k, v in root.get("attributes", {}).items() if k not in UNHASHED}
    return digest({**root, "attributes": attributes})


def digest(document: object) -> str:
    """blake2b-16 of a JSON document, however it was spaced and ordered."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _with_attributes(root: bytes, **attributes: object) -> bytes:
    document = json.loads(root)
    document["attributes"].update(attributes)
    return json.dumps(document, indent=2).encode()


def _create_array(group: zarr.Group, name: str, spec: ArraySpec, layout: Layout) -> None:
    shape = layout.shape_of(spec)
    sharded = name in MAPS
    group.create_array(
        name,
        shape=shape,
        dtype=spec.dtype,
        chunks=(1, *shape[1:]) if sharded else (layout.n_slices,),
        shards=(layout.n_slices, *shape[1:]) if sharded else None,
        compressors=_compressors(layout.codec) if sharded else None,
        fill_value=spec.fill,
        dimension_names=spec.dims,
        attributes={"units": spec.unit, "long_name": spec.meaning},
    )


def _compressors(codec: str) -> list[BloscCodec] | None:
    assert codec in CODECS
    return [BloscCodec(cname="zstd", clevel=5, shuffle="bitshuffle")] if codec == "zstd" else None


def axis_spec(name: str) -> ArraySpec:
    """Describe the array that says where the pixels or the samples along an axis lie."""
    return ArraySpec((name,), "float64", 0.0, *_AXIS_ATTRS[name])


def _create_coordinate(group: zarr.Group, name: str, spec: ArraySpec, values: NDArray[Any]) -> None:
    array = group.create_array(
        name,
        shape=values.shape,
        dtype=spec.dtype,
        chunks=values.shape,
        compressors=None,
        fill_value=spec.fill,
        dimension_names=spec.dims,
        attributes={"units": spec.unit, "long_name": spec.meaning},
        config={"write_empty_chunks": True},
    )
    array[...] = np.asarray(values, dtype=spec.dtype)


_AXIS_ATTRS = {
    "y": ("m", "pixel centre along the phase-encode axis"),
    "x": ("m", "pixel centre along the readout axis"),
    "ky": ("1/m", "spatial frequency along the phase-encode axis"),
    "kx": ("1/m", "spatial frequency along the readout axis"),
}


def _axes(layout: Layout) -> dict[str, NDArray[np.float64]]:
    """Positions of pixels and of k-space samples."""
    axes: dict[str, NDArray[np.float64]] = {}
    for name, n, spacing in zip("yx", layout.shape, layout.pixel_spacing, strict=True):
        index = (np.arange(n) - n // 2).astype(np.float64)
        axes[name], axes[f"k{name}"] = index * spacing, index / (n * spacing)
    return axes
