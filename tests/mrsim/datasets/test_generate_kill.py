"""SIGKILL at random moments, many times: the run goes on, and ends with the same bytes."""

import subprocess
import sys

import pytest

from mrsim.datasets.generate import generate
from mrsim.store import open_store
from tests.mrsim.datasets.test_generate import tree
from tests.mrsim.tiny import QUICK, tiny_recipe

KILLS = 15


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs fork")
def test_a_run_killed_many_times_ends_with_the_same_bytes(tmp_path):
    recipe = tiny_recipe(tmp_path / "labels", n_subjects=6, **QUICK)
    generate(recipe, tmp_path / "whole.zarr")
    command = [
        sys.executable,
        "-m",
        "tests.mrsim.datasets.killing",
        tmp_path / "labels",
        tmp_path / "out.zarr",
        str(KILLS),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split()[0] == str(KILLS)
    assert tree(tmp_path / "out.zarr") == tree(tmp_path / "whole.zarr")
    assert not [problem for _, problem in open_store(tmp_path / "out.zarr").verify() if problem]
