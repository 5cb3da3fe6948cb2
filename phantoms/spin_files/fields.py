"""Numbers and texts of HDF5 groups, whether they are data sets or attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import h5py


def numbers(group: h5py.Group, name: str) -> NDArray[Any]:
    """Give the values of data set or attribute `name`; ValueError if it is none or holds no numbers."""
    values = np.asarray(_value(group, name))
    if values.dtype.kind not in "fiubc":
        raise ValueError(f"{_path(group, name)} must hold numbers, got {values.dtype}")
    return values


def number(group: h5py.Group, name: str) -> float:
    """One finite real number."""
    values = numbers(group, name)
    if values.size != 1 or values.dtype.kind == "c" or not np.isfinite(values).all():
        raise ValueError(f"{_path(group, name)} must be one finite number, got shape {values.shape}")
    return float(values.ravel()[0])


def text(group: h5py.Group, name: str) -> str:
    """One text."""
    value = _value(group, name)
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.ravel()[0]
    if isinstance(value, bytes):
        value = value.decode("utf-8")
    if not isinstance(value, str):
        raise ValueError(f"{_path(group, name)} must be a text, got {value!r}")
    return value


def has_text(group: h5py.Group, name: str) -> bool:
    """Whether `name` is a text."""
    try:
        text(group, name)
    except ValueError:
        return False
    return True


def subgroup(group: h5py.Group, name: str) -> h5py.Group:
    """Group `name` in `group`."""
    import h5py

    found = group.get(name)
    if not isinstance(found, h5py.Group):
        raise ValueError(f"{_path(group, name)} must be a group, got {'a data set' if found else 'none'}")
    return found


def _value(group: h5py.Group, name: str) -> Any:  # noqa: ANN401  whatever the file holds
    import h5py

    found = group.get(name)
    if isinstance(found, h5py.Dataset):
        return found[()]
    if found is None and name in group.attrs:
        return group.attrs[name]
    raise ValueError(
        f"{_path(group, name)} must be a data set or an attribute, got {'a group' if found else 'none'}"
    )


def _path(group: h5py.Group, name: str) -> str:
    return f"{str(group.name).rstrip('/')}/{name}".lstrip("/")
