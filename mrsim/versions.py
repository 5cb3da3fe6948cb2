"""Versions of this package and of the libraries whose arithmetic or files end up in a store."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

RECORDED = ("mrsim", "numpy", "scipy", "numba", "zarr")


def versions() -> dict[str, str]:
    """Version by name; what a store records of the software that wrote it."""
    return {name: version_of(name) for name in RECORDED} | {"python": platform.python_version()}


def version_of(package: str) -> str:
    """Version of an installed package, of this one also from its source tree."""
    if package == "mrsim" and (pyproject := Path(__file__).parents[1] / "pyproject.toml").is_file():
        import tomllib

        return str(tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["version"])
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
