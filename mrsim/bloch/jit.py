"""The decorator of the kernels: numba's `njit` with a cache that cannot be stale.

Numba invalidates a cached function when its own file changes, but not when a function that it calls does, in
another file. So the cache folder is named after the contents of all files with kernels: a changed kernel is
never met by old callers.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import config as numba_config
from numba import njit as numba_njit

config: Any = numba_config  # its settings are not declared
njit: Any = numba_njit  # nor are all of its options
FAST = {"contract", "reassoc", "nsz", "arcp"}  # fused multiply-add, sums in any order; NaN and inf stay
CONSTANTS = ("jit", "nodes", "program")  # modules whose numbers are compiled into the kernels


def _fingerprint(package: Path) -> str:
    digest = hashlib.sha256()
    for source in sorted(package.glob("*.py")):
        text = source.read_bytes()
        if b"@kernel" in text or source.stem in CONSTANTS:
            digest.update(source.name.encode() + text)
    return digest.hexdigest()[:16]


def _cache_folder() -> str:
    """Beside the sources if that can be written, else in the user's cache, else in the temporary folder."""
    package = Path(__file__).parent
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mrsim"
    bases = [Path(config.CACHE_DIR)] if config.CACHE_DIR else [package / "__pycache__", user]
    for base in bases:
        folder = base / f"kernels-{_fingerprint(package)}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return str(folder)
        except OSError:
            continue
    return tempfile.mkdtemp(prefix="mrsim-kernels-")  # private: what lies in a cache is executed


_FOLDER = _cache_folder()


def kernel(
    *, fast: bool = False, entry: bool = False, allocates: bool = False, inline: bool = True
) -> Callable[[Callable[..., Any]], Any]:
    """Compile with numba, cache, release the GIL.

    fast : allow the rewrites of `FAST`
    entry : called from Python, if only by a test; the others get no wrapper that takes objects apart
    allocates : makes arrays; the others count no references
    Both together save a third of the time to compile.
    inline : become part of what calls it
    """

    def compiled(function: Callable[..., Any]) -> Any:  # noqa: ANN401 - numba's dispatcher is not typed
        before, config.CACHE_DIR = config.CACHE_DIR, _FOLDER
        try:
            return njit(
                cache=True,
                nogil=True,
                fastmath=FAST if fast else False,
                forceinline=inline,
                no_cpython_wrapper=not entry,
                _nrt=allocates,
            )(function)
        finally:
            config.CACHE_DIR = before

    return compiled
