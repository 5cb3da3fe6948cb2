"""read_spins and write_spins: which layout a file has, and one sentence for what is wrong with it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from phantoms.names import known
from phantoms.phantom import PhantomError, one_line
from phantoms.spin_files import jemris, koma

if TYPE_CHECKING:
    import h5py

    from phantoms.cloud import SpinCloud

FORMATS = {"koma": koma, "jemris": jemris}
SUFFIXES = {".phantom": "koma", ".h5": "jemris"}


def read_spins(path: Path | str, *, t2star: bool = False) -> SpinCloud:
    """Read a KomaMRI `.phantom` or a JEMRIS sample, told apart by what they hold, not by their name.

    t2star : whether T2' follows from the T2s of a `.phantom`; KomaMRI stores T2s but simulates with T2 alone

    Positions stay in the frame of the file, which is that of the gradients. PhantomError names the file and
    what is wrong with it.
    """
    import h5py

    path = Path(path).expanduser()
    if not path.is_file():
        raise PhantomError(f"spin file must be a file, got {path}, which is none")
    if not h5py.is_hdf5(path):
        raise PhantomError(f"spin file {path} must be HDF5, which it is not")
    try:
        with h5py.File(path, "r") as file:
            read = _layout(file)
            cloud = read(file, path.name)
    except (OSError, RuntimeError, ValueError, TypeError) as error:  # what h5py raises on damage, and ours
        raise PhantomError(f"spin file {path}: {one_line(error)}") from error
    if read is koma.read and not t2star:
        return replace(cloud, t2prime=np.full(cloud.pd.size, np.inf))
    return cloud


def write_spins(cloud: SpinCloud, path: Path | str, *, layout: str | None = None) -> None:
    """Write a cloud as "koma" or "jemris"; None goes by the suffix, `.phantom` or `.h5`.

    The file appears when it is complete. ValueError where the layout cannot hold the cloud.
    """
    import h5py

    path = Path(path).expanduser()
    if layout is None:
        layout = SUFFIXES[known("suffix of a spin file", path.suffix, SUFFIXES)]
    write = FORMATS[known("layout", layout, FORMATS)].write
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        with h5py.File(unfinished, "w") as file:
            write(file, cloud)
        os.replace(unfinished, path)  # noqa: PTH105  same call on every system, and replaces
    finally:
        unfinished.unlink(missing_ok=True)


def _layout(file: h5py.File) -> koma.Reader:
    if "sample" in file:
        return jemris.read
    if "position" in file and "contrast" in file:
        return koma.read
    raise ValueError(
        "it must hold the groups position and contrast (KomaMRI) or sample (JEMRIS), "
        f"got {', '.join(file) or 'none'}"
    )
