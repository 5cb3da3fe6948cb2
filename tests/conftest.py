"""Fixtures for every test: the folder of the real BrainWeb volumes; networks of tests are forgotten."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def brainweb_dir():
    """Folder of the crisp volumes; without it the test is skipped, except in CI, where it has to be there."""
    folder = os.environ.get("MRSIM_BRAINWEB_DIR")
    if folder:
        return Path(folder)
    if os.environ.get("CI") == "true":
        pytest.fail("MRSIM_BRAINWEB_DIR must be set in CI to a folder that holds the BrainWeb volumes")
    pytest.skip("MRSIM_BRAINWEB_DIR is not set: the real BrainWeb volumes are needed")


@pytest.fixture(scope="module", autouse=True)
def forget_networks_of_tests():
    """Take networks that the tests of a module register out of the table again."""
    from segnets.models import MODELS  # loads no torch

    known = dict(MODELS)
    yield
    MODELS.clear()
    MODELS.update(known)
