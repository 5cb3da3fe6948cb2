"""Evaluation of networks whose mistakes are known, on a store whose labels are known."""

import csv
import json
import math

import numpy as np
import pytest

from mrsim.store import open_store
from segnets import metrics
from segnets.compare import compared, comparison_table, joint_examples, subject_table
from segnets.data import DataError
from segnets.evaluate import EvaluateConfig, evaluate
from segnets.models import build_model
from segnets.outputs import text, write_comparison, write_evaluation
from segnets.scores import SubjectScore, counts, summarise
from segnets.tables import Table
from segnets.undersampling import Conditions, evaluation_batches
from tests.segnets.known_network import write_run
from tests.stores import SIGNAL, write_test_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_test_store(tmp_path_factory.mktemp("store") / "heads.zarr", n_subjects=5, slices=3)


def run(tmp_path, store, name="run", **options):
    return write_run(tmp_path / name, store, **options)


def test_a_perfect_network_scores_one_and_zero_millimetres(tmp_path, store):
    result = evaluate(run(tmp_path, store), EvaluateConfig())
    assert [case.subject for case in result.cases] == [4, 4, 4]  # the test split of the store
    for case in result.cases:
        assert [t.dice for t in case.tissues] == [1.0, 1.0, 1.0]
        assert [t.surface.hausdorff for t in case.tissues] == [0.0, 0.0, 0.0]
        assert case.psnr > 100  # its image is the reference, but for float32
        assert case.ssim == pytest.approx(1)
        assert math.isnan(case.snr)  # no noise, no ratio
    assert metrics.pixel_accuracy(result.confusion) == 1


def test_a_tissue_that_is_never_found_scores_zero_and_the_diagonal_and_is_counted(tmp_path, store):
    result = evaluate(run(tmp_path, store, blind_to=1), EvaluateConfig())
    diagonal = math.hypot(32 * 2e-3, 40 * 2e-3)
    for case in result.cases:
        csf, gm, wm = case.tissues
        assert (csf.dice, csf.presence, csf.predicted) == (0.0, metrics.MISSED, 0)
        assert csf.surface.hausdorff == pytest.approx(diagonal)
        assert (gm.dice, wm.dice) != (0.0, 0.0)
    assert counts(result.subjects, "missed") == (3, 0, 0)
    assert summarise(result.subjects, "dice")[0].mean == 0


def test_a_displaced_answer_lies_as_far_as_it_was_moved(tmp_path, store):
    """Distances of the displaced oracle in metres, by MedPy with the store's spacing."""
    from medpy.metric import binary

    result = evaluate(run(tmp_path, store, shift=2), EvaluateConfig())
    for case, oracle in zip(
        result.cases, open_store(store).labels([c.case for c in result.cases]), strict=True
    ):
        for c, tissue in enumerate(case.tissues, start=1):
            moved = np.roll(oracle == c, 2, axis=1)
            assert tissue.surface.hausdorff == pytest.approx(binary.hd(moved, oracle == c, voxelspacing=2e-3))
            assert tissue.dice == pytest.approx(binary.dc(moved, oracle == c))
            assert tissue.surface.assd == pytest.approx(binary.assd(moved, oracle == c, voxelspacing=2e-3))
    (subject,) = result.subjects
    for metric in ("hausdorff", "hd95", "assd"):
        slices = [[getattr(t.surface, metric) for t in case.tissues] for case in result.cases]
        assert getattr(subject, metric) == pytest.approx(np.mean(slices, axis=0))


def test_scores_equal_those_computed_from_the_batches_with_other_code(tmp_path, store):
    """Pooled Dice from sums over the pixels of a subject, per-slice Dice as a mean over slices, by hand."""
    folder = run(tmp_path, store, model="one-step", width=4)
    config = EvaluateConfig(noise=0.1, rate=0.4, split="train", batch_size=4)
    result = evaluate(folder, config)
    from segnets.checkpoint import load_model

    model, _ = load_model(folder)
    opened = open_store(store)
    predicted, oracle, subject = [], [], []
    conditions = Conditions(rate=0.4, noise=0.1, n_center=4)
    for batch in evaluation_batches(str(store), "train", conditions, batch_size=4):
        predicted.append(model(batch.kspace, batch.mask).segmentation.argmax(1).numpy())
        oracle.append(batch.labels.numpy())
        subject.append(opened.coords["subject"][batch.index.numpy()])
    predicted, oracle, subject = map(np.concatenate, (predicted, oracle, subject))
    assert len(result.subjects) == 3
    for score in result.subjects:
        p, o = predicted[subject == score.subject], oracle[subject == score.subject]
        for c in (1, 2, 3):
            pooled = 2 * np.sum((p == c) & (o == c)) / (np.sum(p == c) + np.sum(o == c))
            assert score.dice[c - 1] == pytest.approx(pooled)
            slices = [
                2 * np.sum((a == c) & (b == c)) / (np.sum(a == c) + np.sum(b == c))
                for a, b in zip(p, o, strict=True)
            ]
            assert score.slice_dice[c - 1] == pytest.approx(np.mean(slices))
    tissue_means = [np.mean(score.dice) for score in result.subjects]
    assert summarise(result.subjects, "dice")[-1].mean == pytest.approx(np.mean(tissue_means))


def test_snr_and_cnr_follow_from_the_signals_and_the_noise_level(tmp_path, store):
    """sigma = level * RMS of k-space; estimated from 2560 values, so to 1.4 %: 5 sigma are allowed."""
    result = evaluate(run(tmp_path, store), EvaluateConfig(noise=0.2))
    kspace = open_store(store).kspace([case.case for case in result.cases])
    for case, full in zip(result.cases, kspace, strict=True):
        sigma = 0.2 * np.sqrt(np.mean(np.abs(full) ** 2))
        assert case.snr == pytest.approx(SIGNAL[3] / sigma, rel=0.07)
        assert case.cnr == pytest.approx((SIGNAL[2] - SIGNAL[3]) / sigma, rel=0.07)


def test_absent_tissues_are_left_out_of_the_means_and_counted():
    values = {m: (math.nan, 0.5) for m in ("dice", "slice_dice", "hausdorff", "hd95", "assd")}
    subject = SubjectScore(subject=1, n_slices=2, absent=(2, 0), missed=(0, 1), spurious=(0, 0), **values)
    assert subject.mean("dice") == 0.5
    assert [interval.mean for interval in summarise([subject], "dice")][1:] == [0.5, 0.5]
    assert math.isnan(summarise([subject], "dice")[0].mean)


def test_files_say_what_the_result_holds(tmp_path, store):
    result = evaluate(run(tmp_path, store, shift=1), EvaluateConfig(noise=0.05, rate=0.5))
    folder = write_evaluation(result, tmp_path / "out")
    with (folder / "cases.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["slice"]) for row in rows] == [0, 1, 2]
    assert float(rows[0]["dice_GM"]) == pytest.approx(result.cases[0].tissues[1].dice, rel=1e-5)
    assert float(rows[0]["hausdorff_mm_WM"]) == pytest.approx(
        1e3 * result.cases[0].tissues[2].surface.hausdorff, rel=1e-5
    )
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["summary"]["dice"]["mean"]["mean"] == pytest.approx(result.subjects[0].mean("dice"))
    assert summary["summary"]["dice"]["mean"]["low"] is None  # one subject has no interval
    assert summary["evaluation"]["noise"] == 0.05
    assert summary["training"]["train"]["model"] == "nearest"
    assert summary["versions"]["torch"]
    assert "one subject" in text(result).lower()
    assert (folder / "segmentation.png").stat().st_size > 10_000
    assert (folder / "summary.md").read_text().startswith("run (nearest, 3 parameters, last checkpoint)")


def test_two_networks_are_paired_by_subject(tmp_path, store):
    config = EvaluateConfig(split="train")
    perfect = evaluate(run(tmp_path, store, "perfect"), config)
    shifted = evaluate(run(tmp_path, store, "shifted", shift=1), config)
    comparison = compared([perfect, shifted])
    assert comparison.names == ("perfect", "shifted")  # the models are the same, the runs are not
    (test,) = comparison.tests
    assert test.difference.mean == pytest.approx(np.mean([s.mean("dice") - 1 for s in shifted.subjects]))
    assert test.p is None  # three subjects
    printed = comparison_table(comparison).markdown()
    assert "n = 3: no test claimed" in printed
    assert subject_table(comparison).rows[0][1] == "1.0000"
    examples = joint_examples(comparison)
    assert [list(e.predictions) for e in examples] == [["perfect", "shifted"]] * 3
    np.testing.assert_array_equal(
        examples[0].predictions["shifted"], np.roll(examples[0].predictions["perfect"], 1, axis=1)
    )
    folder = write_comparison(comparison, examples, tmp_path / "comparison")
    assert json.loads((folder / "comparison.json").read_text())["reference"] == "perfect"
    assert {p.name for p in folder.iterdir()} == {f"comparison.{end}" for end in ("md", "csv", "json", "png")}


def test_runs_under_different_conditions_are_not_compared(tmp_path, store):
    folder = run(tmp_path, store)
    one, other = (evaluate(folder, EvaluateConfig(noise=noise)) for noise in (0.0, 0.1))
    with pytest.raises(DataError, match="same cases under the same noise and rate"):
        compared([one, other])


def test_what_does_not_fit_is_said_in_one_sentence(tmp_path, store):
    folder = run(tmp_path, store)
    with pytest.raises(DataError, match="has no validation split"):
        small = write_test_store(tmp_path / "small.zarr", n_subjects=3, slices=1)
        evaluate(folder, EvaluateConfig(data=str(small), split="validation"))
    with pytest.raises(
        DataError, match=r"n_center must be at most the 3 of 32 lines that a rate of 0\.1 keeps, got 4"
    ):
        evaluate(folder, EvaluateConfig(rate=0.1))
    with pytest.raises(DataError, match="answers case 12 with NaN"):
        evaluate(run(tmp_path, store, "broken", nan=True), EvaluateConfig())
    with pytest.raises(
        ValueError, match=r"which must be one of last, best, got 'bset' \(did you mean 'best'\?\)"
    ):
        EvaluateConfig(which="bset")
    with pytest.raises(ValueError, match="rate must lie in"):
        EvaluateConfig(rate=1.5)


def test_evaluation_leaves_the_weights_alone_and_repeats_itself(tmp_path, store):
    folder = run(tmp_path, store, model="one-step", width=4)
    before = (folder / "last.pt").read_bytes()
    config = EvaluateConfig(noise=0.1, rate=0.4)
    first, second = evaluate(folder, config), evaluate(folder, config)
    assert first.cases == second.cases
    assert (folder / "last.pt").read_bytes() == before
    assert build_model("one-step", {"width": 4}).n_parameters() == first.n_parameters


def test_markdown_columns_line_up():
    table = Table(header=("", "CSF"), rows=(("Dice", "0.5"), ("Hausdorff", "12.25")), notes=("n = 1",))
    lines = table.markdown().splitlines()
    assert lines[:4] == [
        "|           |   CSF |",
        "| :-------- | ----: |",
        "| Dice      |   0.5 |",
        "| Hausdorff | 12.25 |",
    ]
