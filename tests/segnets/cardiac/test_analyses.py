"""Answers under many masks, by networks whose answers to masks are known."""

import numpy as np
import pytest
import torch

from mrsim.store import open_store
from segnets.cardiac import shapes
from segnets.cardiac.analyses import distances, latents, middle_slices
from segnets.data import DataError
from segnets.evaluate import EvaluateConfig
from segnets.models import MODELS
from tests.segnets.cardiac.known_heart import write_run
from tests.segnets.known_network import write_run as write_still_run
from tests.stores import PITCH, write_cine_store, write_test_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_cine_store(tmp_path_factory.mktemp("store") / "hearts.zarr", n_subjects=6, slices=3)


@pytest.fixture(scope="module", autouse=True)
def forget_the_test_networks():
    yield
    MODELS.pop("nearest-heart", None)
    MODELS.pop("nearest", None)


def test_a_network_that_does_not_care_for_masks_has_only_distances_between(tmp_path, store):
    """At rate 1 all masks are alike; subjects differ as their labels at end-diastole do."""
    folder = write_run(tmp_path / "run", store)
    found = distances(folder, EvaluateConfig(split="train"), n_trials=3, n_subjects=4)
    opened = open_store(store)
    labels = opened.labels([1, 4, 7, 10])[:, 0]  # the middle one of three slices
    for c, name in ((2, "myocardium"), (3, "RV")):
        assert found.values["within"]["hd_mm"][name]["subjects"] == [0, 0, 0, 0]
        assert found.values["within"]["md_mm"][name]["mean"] == 0
        between = shapes.between_subjects((labels == c).astype(float), (PITCH, PITCH))
        assert found.values["between"]["hd_mm"][name]["subjects"] == pytest.approx(1e3 * between.hd)
        assert found.values["between"]["md_mm"][name]["mean"] == pytest.approx(1e3 * between.md.mean())
    np.testing.assert_array_equal(found.arrays["average"].argmax(axis=1), labels)


def test_masks_that_matter_make_distances_within(tmp_path, store):
    folder = write_run(tmp_path / "run", store)
    few = distances(folder, EvaluateConfig(lines=6, split="train"), n_trials=4, n_subjects=2)
    assert few.values["within"]["hd_mm"]["myocardium"]["mean"] > 0
    assert few.values["n_subjects"] == len(few.values["within"]["hd_mm"]["RV"]["subjects"]) == 2


def test_centred_answers_differ_by_shape_alone(tmp_path, store):
    folder = write_run(tmp_path / "run", store)
    config = EvaluateConfig(split="train")
    placed, centred = (
        distances(folder, config, n_trials=1, n_subjects=4, centre=c).values["between"]["md_mm"]["myocardium"]
        for c in (False, True)
    )
    assert centred["mean"] < placed["mean"]


def test_codes_are_those_of_all_masks_and_of_the_full_scan(tmp_path, store):
    """The code of the test network is the power of the image: fewer lines, closer codes."""
    folder = write_run(tmp_path / "run", store)
    found = latents(folder, EvaluateConfig(split="train"), n_trials=4, n_subjects=3, lines=(2, 8, 20))
    points = 3 * 4 * 3
    assert {name: len(array) for name, array in found.arrays.items()} == dict.fromkeys(
        ("pca", "tsne", "subject", "lines"), points + 3
    )
    assert found.arrays["lines"].tolist() == [*np.repeat([2, 8, 20], 12), 0, 0, 0]
    assert found.arrays["subject"][:6].tolist() == [0, 1, 2, 0, 1, 2]
    distance = found.values["distance"]
    assert list(distance) == [2, 8, 20] and all(value > 0 for value in distance.values())
    assert -1 <= found.values["by_lines"]["codes"] <= 1


def test_trials_are_draws_of_their_own_and_the_first_is_that_of_the_tables(tmp_path, store):
    from segnets.cardiac.analyses import open_scans
    from segnets.conditions import batch_of

    folder = write_run(tmp_path / "run", store)
    scans = open_scans(folder, EvaluateConfig(lines=6, split="train"), 2)
    masks = [torch.cat([batch.mask for batch in scans.batches(trial)]) for trial in range(3)]
    assert not torch.equal(masks[0], masks[1]) and not torch.equal(masks[1], masks[2])
    tables = batch_of(scans.store, scans.index, scans.config, scans.n_center, torch.device("cpu"))
    assert torch.equal(masks[0], tables.mask)
    assert torch.equal(masks[1].sum(dim=3), masks[0].sum(dim=3))


def test_the_middle_slice_stands_for_a_subject(store):
    assert middle_slices(open_store(store), "train").tolist() == [1, 4, 7, 10]


def test_heads_have_no_hearts_to_look_at(tmp_path):
    heads = write_test_store(tmp_path / "heads.zarr", n_subjects=3, slices=2)
    with pytest.raises(DataError, match="holds no cines of the heart"):
        distances(write_still_run(tmp_path / "run", heads), EvaluateConfig(), n_trials=1)
