"""Answers for single hearts, by networks whose answers are known."""

import numpy as np
import pytest
import torch

from mrsim.store import open_store
from segnets.cardiac import shapes
from segnets.cardiac.analyses import distances, latents, middle_slices, overlays
from segnets.data import DataError
from segnets.evaluate import EvaluateConfig
from tests.segnets.cardiac.known_heart import write_run
from tests.segnets.known_network import write_run as write_still_run
from tests.stores import PITCH, write_cine_store, write_test_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_cine_store(tmp_path_factory.mktemp("store") / "hearts.zarr", n_subjects=6, slices=3)


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


def median_heart(store):
    """The case of four training hearts, their middle slices, whose ventricle shrinks second least."""
    cases = [open_store(store).case(i) for i in (1, 4, 7, 10)]
    least = [(case.labels == 1).sum(axis=(1, 2)).min() / (case.labels[0] == 1).sum() for case in cases]
    assert len(set(least)) == 4
    return cases[least.index(sorted(least)[2])]


def test_overlays_show_a_typical_heart_at_both_moments(tmp_path, store):
    """The network is one frame late, so that its Dice is that of two frames of the oracle."""
    folder = write_run(tmp_path / "run", store, late=1)
    found = overlays(folder, EvaluateConfig(split="train"))
    case = median_heart(store)
    area = (case.labels == 1).sum(axis=(1, 2))
    ed, es = 0, int(area.argmin())
    assert found.values["subject"] == case.subject
    assert found.values["frame"] == {"ED": ed, "ES": es} and area[es] < area[ed]
    np.testing.assert_array_equal(found.arrays["oracle"], case.labels[[ed, es]])
    np.testing.assert_array_equal(found.arrays["labels"], case.labels[[ed - 1, es - 1]])
    for moment, frame in (("ED", ed), ("ES", es)):
        before, now = case.labels[frame - 1], case.labels[frame]
        masks = [(before == c, now == c) for c in (1, 2, 3)]
        dice = [2 * np.sum(a & b) / (np.sum(a) + np.sum(b)) for a, b in masks]
        assert found.values["dice"][moment] == pytest.approx(np.mean(dice))


def test_the_average_of_overlays_is_the_mean_of_fully_sampled_frames(tmp_path, store):
    """At rate 1 every frame hits every line; images are complex, so the mean comes before the magnitude."""
    folder = write_run(tmp_path / "run", store)
    full = overlays(folder, EvaluateConfig(split="train")).arrays
    images = median_heart(store).image
    scale = np.abs(images).max()
    np.testing.assert_allclose(full["average"], np.abs(images.mean(axis=0)) / scale, atol=1e-5)
    np.testing.assert_allclose(full["zero_filled"], full["fully_sampled"], atol=1e-6)
    few = overlays(folder, EvaluateConfig(split="train", lines=4)).arrays
    alone = np.corrcoef(few["zero_filled"][0].ravel(), full["zero_filled"][0].ravel())[0, 1]
    together = np.corrcoef(few["average"].ravel(), full["average"].ravel())[0, 1]
    assert together > alone + 0.05  # 4 of 24 lines of each of six frames
