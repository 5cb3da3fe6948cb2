"""Kernels just compiled and those from Numba's cache write the same bytes: a resumed run mixes them."""

import os
import subprocess
import sys

from tests.mrsim.datasets.test_generate import tree
from tests.mrsim.tiny import write_labels

CODE = """
import sys
from pathlib import Path
from mrsim.datasets.generate import generate
from tests.mrsim.tiny import QUICK, tiny_recipe
generate(tiny_recipe(Path(sys.argv[1]), n_subjects=6, **QUICK), sys.argv[2])
"""


def test_compiled_and_cached_kernels_write_the_same_bytes(tmp_path):
    write_labels(tmp_path / "labels", 6)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    for name in ("compiled", "cached"):
        command = [sys.executable, "-c", CODE, tmp_path / "labels", tmp_path / f"{name}.zarr"]
        subprocess.run(command, env=environment, check=True, timeout=300)
    assert tree(tmp_path / "compiled.zarr") == tree(tmp_path / "cached.zarr")
