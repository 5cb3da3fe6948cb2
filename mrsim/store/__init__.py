"""The store: simulated k-space with oracle labels, one Zarr v3 group per data set (format 1)."""

from mrsim.store.case import Case
from mrsim.store.layout import FORMAT, FORMAT_VERSION, ORIENTATIONS, SPLITS, Layout, StoreError
from mrsim.store.reader import Store, open_store
from mrsim.store.writer import StoreWriter, SubjectWriter

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "ORIENTATIONS",
    "SPLITS",
    "Case",
    "Layout",
    "Store",
    "StoreError",
    "StoreWriter",
    "SubjectWriter",
    "open_store",
]
