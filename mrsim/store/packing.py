"""A finished store as one zip file, which Zarr reads as it is."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that zip knows: the same store gives the same bytes


def pack(folder: Path, target: Path) -> None:
    """Pack the store in `folder` into `target`, uncompressed; it appears whole or not at all."""
    part = target.with_name(target.name + ".part")
    with ZipFile(part, "w", ZIP_STORED) as archive:
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            archive.writestr(ZipInfo(file.relative_to(folder).as_posix(), EPOCH), file.read_bytes())
    part.replace(target)
