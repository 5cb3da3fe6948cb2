"""A made-up volume on BrainWeb's grid, and the MINC files that hold it."""

import gzip
import types

import numpy as np
import pytest
from scipy.io import netcdf_file

from phantoms import brainweb_files


@pytest.fixture(scope="session")
def volume():
    """(z, y, x) uint8 labels 0 to 11: an off-centre block of random voxels, so no axis is like another."""
    labels = np.zeros(brainweb_files.SHAPE, np.uint8)
    highest = 1 + np.arange(40)[:, None, None] % 11  # another one in each slice
    labels[20:60, 100:150, 200:260] = np.random.default_rng(7).integers(0, highest + 1, (40, 50, 60))
    labels.flags.writeable = False
    return labels


@pytest.fixture
def as_subject_4(volume, monkeypatch):
    """Make the made-up volume count as BrainWeb subject 04."""
    monkeypatch.setitem(brainweb_files.LABEL_SHA256, 4, brainweb_files._sha256(volume))


@pytest.fixture(scope="session")
def minc_gz(volume, tmp_path_factory):
    """The made-up volume as BrainWeb serves it, gzip of MINC 1."""
    path = tmp_path_factory.mktemp("minc") / "volume.mnc"
    write_minc(path, volume.view(np.int8))
    return gzip.compress(path.read_bytes(), compresslevel=1)


@pytest.fixture(scope="session", name="write_minc")
def write_minc_fixture():
    return write_minc


def write_minc(path, stored, *, signtype="unsigned", valid_range=(0, 255), top=255.0, start_x=-90.25):
    """Write MINC 1 with scipy: `stored` (z, y, x) integers; `top` is image-max, one or one per slice."""
    axes = ("zspace", "yspace", "xspace")
    with netcdf_file(path, "w") as file:
        for axis, n, start in zip(axes, stored.shape, (-72.25, -126.25, start_x), strict=True):
            file.createDimension(axis, n)
            variable = file.createVariable(axis, "d", ())
            variable.start, variable.step, variable.units = start, 0.5, "mm"
        image = file.createVariable("image", stored.dtype.newbyteorder(">"), axes)
        image.signtype, image.valid_range = signtype, np.array(valid_range, float)
        image[:] = stored
        per_slice = np.ndim(top) and ("zspace",)
        for name, value in (("image-min", 0.0 * np.asarray(top)), ("image-max", np.asarray(top))):
            variable = file.createVariable(name, "d", per_slice or ())
            variable.data[...] = value
    return types.SimpleNamespace(path=path)
