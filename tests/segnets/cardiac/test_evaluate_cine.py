"""Evaluation of cines by networks whose mistakes are known."""

import csv
import json

import numpy as np
import pytest

from mrsim.store import open_store
from segnets import metrics
from segnets.compare import compared, joint_examples
from segnets.evaluate import EvaluateConfig, evaluate
from segnets.outputs import text, write_evaluation
from segnets.scores import summarise
from tests.segnets.cardiac.known_heart import write_run
from tests.stores import PITCH, write_cine_store

VOXEL_ML = PITCH**3 * 1e6
N_FRAMES = 6


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_cine_store(tmp_path_factory.mktemp("store") / "hearts.zarr", n_subjects=6, slices=2)


def run(tmp_path, store, name="run", **options):
    return write_run(tmp_path / name, store, **options)


def oracle_of(store, split="test"):
    """(subject, slice, frame, y, x) labels."""
    opened = open_store(store)
    labels = opened.labels(opened.indices(split))
    return labels.reshape(-1, 2, *labels.shape[1:])


def test_a_perfect_network_has_no_error_in_any_frame_and_any_figure(tmp_path, store):
    result = evaluate(run(tmp_path, store), EvaluateConfig())
    assert [(c.slice, c.frame) for c in result.cases] == [(s, t) for s in (0, 1) for t in range(N_FRAMES)]
    assert all(t.dice == 1 and t.surface.hausdorff == 0 for c in result.cases for t in c.tissues)
    (heart,) = result.hearts
    assert heart.dice == (1, 1, 1)
    assert set(heart.errors.values()) == {0.0}
    assert np.diagonal(result.confusion).sum() == result.confusion.sum() == 2 * N_FRAMES * 24 * 20


def test_volumes_are_pixels_of_all_slices_times_area_and_pitch(tmp_path, store):
    (heart,) = evaluate(run(tmp_path, store, wider=1), EvaluateConfig()).hearts
    (labels,) = oracle_of(store)
    for c, name in enumerate(("LV", "myocardium", "RV"), start=1):
        expected = (labels == c).sum(axis=(0, 2, 3)) * VOXEL_ML
        np.testing.assert_allclose(heart.oracle[name] * 1e6, expected)
    assert heart.es == int(np.argmin((labels == 1).sum(axis=(0, 2, 3)))) == 3  # half a beat
    assert heart.n_slices == 2
    assert heart.truth["lv_edv"] * 1e6 == pytest.approx((labels[:, 0] == 1).sum() * VOXEL_ML)
    wide = (heart.predicted["LV"][0] - heart.oracle["LV"][0]) / heart.oracle["LV"][0]
    assert heart.errors["lv_edv"] == pytest.approx(100 * wide) and wide > 0.2
    assert heart.errors["rv_edv"] < 20


def test_dice_of_the_papers_pools_end_diastole_and_end_systole(tmp_path, store):
    result = evaluate(run(tmp_path, store, shift=1, late=1), EvaluateConfig(split="train"))
    for heart, subject, labels in zip(result.hearts, result.subjects, oracle_of(store, "train"), strict=True):
        answer = np.roll(labels, (1, 1), axis=(1, 3))  # slice, frame, y, x
        for c in (1, 2, 3):
            a, b = answer[:, [0, heart.es]] == c, labels[:, [0, heart.es]] == c
            assert heart.dice[c - 1] == pytest.approx(2 * (a & b).sum() / (a.sum() + b.sum()))
            frames = zip(answer.reshape(-1, 24, 20), labels.reshape(-1, 24, 20), strict=True)
            each = [metrics.dice(p == c, o == c) for p, o in frames]
            assert subject.slice_dice[c - 1] == pytest.approx(
                np.mean(each)
            )  # DiSK's, over classes and frames
    mean = np.mean([np.mean(s.slice_dice) for s in result.subjects])
    assert summarise(result.subjects, "slice_dice")[-1].mean == pytest.approx(mean)


def test_a_displaced_answer_lies_a_pixel_away_in_pixels_and_in_millimetres(tmp_path, store):
    result = evaluate(run(tmp_path, store, shift=1), EvaluateConfig())
    (heart,), (subject,) = result.hearts, result.subjects
    assert heart.hausdorff[:2] == pytest.approx((1, 1))
    assert subject.hausdorff[:2] == pytest.approx((PITCH, PITCH))
    (labels,) = oracle_of(store)
    lv = [
        metrics.surface_metrics(np.roll(one, 1, axis=1) == 1, one == 1, (PITCH, PITCH)).md
        for one in labels.reshape(-1, 24, 20)
    ]
    assert heart.md[0] == pytest.approx(np.mean(lv))
    assert set(heart.errors.values()) == {0.0}  # nothing left the image, so no volume is wrong


def test_files_hold_the_beat_and_the_figures(tmp_path, store):
    result = evaluate(run(tmp_path, store, late=1), EvaluateConfig(split="train"))
    folder = write_evaluation(result, tmp_path / "out")
    with (folder / "cases.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["frame"]) for row in rows[:7]] == [*range(N_FRAMES), 0]
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["n_slices"], summary["n_frames"], summary["n_subjects"]) == (8, N_FRAMES, 4)
    heart = summary["heart"]
    first = heart["subjects"][0]
    lv = first["volumes_ml"]["LV"]
    assert np.roll(lv["oracle"], 1).tolist() == lv["predicted"]  # the whole beat is late
    assert first["frame_time_s"] == pytest.approx([0.15 * t for t in range(N_FRAMES)])
    figures = first["clinical"]["ef_percent"]
    edv, esv = lv["predicted"][0], lv["predicted"][first["es_frame"]]
    assert figures["predicted"] == pytest.approx(100 * (edv - esv) / edv)
    errors = [s["clinical"]["lv_esv_ml"]["error_percent"] for s in heart["subjects"]]
    assert heart["error_percent"]["lv_esv"]["mean"] == pytest.approx(np.mean(errors))
    fractions = [s["clinical"]["ef_percent"] for s in heart["subjects"]]
    pairs = [[f[side] for f in fractions] for side in ("oracle", "predicted")]
    assert heart["ef_correlation"] == pytest.approx(np.corrcoef(pairs)[0, 1])
    printed = text(result)
    assert "LV EF [%]" in printed and "48 frames" in printed and "Dice, per frame" in printed
    assert (folder / "segmentation.png").stat().st_size > 10_000


def test_cines_are_compared_by_subject_and_frame(tmp_path, store):
    config = EvaluateConfig(split="train")
    one, other = (evaluate(run(tmp_path, store, f"r{n}", shift=n), config) for n in (0, 1))
    comparison = compared([one, other])
    assert comparison.tests[0].difference.mean < 0
    example, *_ = joint_examples(comparison)
    assert "frame" in example.title
    assert example.oracle.shape == (24, 20)


def test_noise_of_cines_is_that_of_their_images(tmp_path, store):
    """SNR of the RV over sigma = level x RMS of all frames, from 5760 values: 5 sigma are 5 %."""
    result = evaluate(run(tmp_path, store), EvaluateConfig(noise=0.1))
    kspace = open_store(store).kspace([c.case for c in result.cases])
    for case, full in zip(result.cases, kspace, strict=True):
        sigma = 0.1 * np.sqrt(np.mean(np.abs(full) ** 2))
        assert case.snr == pytest.approx(0.85 / sigma, rel=0.07)
