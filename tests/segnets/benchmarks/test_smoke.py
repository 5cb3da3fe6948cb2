"""All benchmarks on the real path: simulate, train every row, test, tables, pictures, page."""

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

from cli.segnets import main
from mrsim.store import open_store
from segnets.benchmarks import BENCHMARKS
from segnets.benchmarks.spec import load_benchmark, plan
from segnets.evaluate import EvaluateConfig, evaluate


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """One folder for all, so that they share stores and runs as a user's do."""
    return tmp_path_factory.mktemp("benchmarks")


def benchmark(out, name, *options):
    arguments = ["benchmark", name, "--scale", "smoke", "--out", str(out), *map(str, options)]
    result = CliRunner().invoke(main, arguments)
    return result, json.loads((out / "smoke" / name / "results.json").read_text())


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_row_of_every_benchmark_runs(name, out):
    result, record = benchmark(out, name)
    assert result.exit_code == 0, result.output
    table, home = load_benchmark(name), out / "smoke" / name
    done = [(r["condition"], r["row"], r["status"]) for r in record["results"]]
    assert done == [(j.condition.id, j.row.id, "done") for j in plan(table, "smoke")]
    for r in record["results"]:
        assert len(r["numbers"]) == len(table.figures)
        if table.analysis != "distances":  # there is none of a class that a tiny network never answers
            undefined = {f.id for f, n in zip(table.figures, r["numbers"], strict=True) if n is None}
            assert undefined <= ({"ef", "ef_r"} if name == "schlemper-table1" else set())  # EF without an LV
        if table.row(r["row"]).control == "none":
            assert r["parameters"] > 0 and r["iterations"] > 0 and r["seconds"] > 0 and r["device"]
            assert (home / r["run"] / "last.pt").is_file()
        else:
            assert (r["parameters"], r["seconds"], r["run"]) == (0, 0, "")
    markdown = (home / "results.md").read_text()
    left_out = {c.id for c in table.conditions} - {condition for condition, _, _ in done}
    assert ("not run" in markdown) == bool(left_out)
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", markdown)
    assert len(pictures) >= 2 and all((home / picture).stat().st_size > 3_000 for picture in pictures)
    assert ("overlays.png" in pictures) == (name in ("schlemper-figure3", "disk-figure2"))


def test_numbers_are_those_of_the_evaluation_in_the_papers_aggregation(out):
    """Recomputed here from a fresh evaluation: of pixel counts for CRDN, of subjects for SERANet."""
    _, record = benchmark(out, "crdn-table2", "--rows", "unet-unet")
    (entry,) = [r for r in record["results"] if r["row"] == "unet-unet"]
    counts = evaluate(out / "smoke" / "crdn-table2" / entry["run"], EvaluateConfig()).confusion
    agreed = np.diag(counts)
    present = counts.sum(0) + counts.sum(1) > 0
    dice = 2 * agreed[present] / (counts.sum(0) + counts.sum(1))[present]
    assert entry["numbers"] == pytest.approx([agreed.sum() / counts.sum(), dice.mean()], abs=1e-12)

    _, record = benchmark(out, "seranet-table2", "--rows", "seranet-2")
    (entry,) = [r for r in record["results"] if r["row"] == "seranet-2"]
    (subject,) = evaluate(out / "smoke" / "seranet-table2" / entry["run"], EvaluateConfig()).subjects
    csf, gm, wm = subject.dice
    assert entry["numbers"] == pytest.approx([csf, wm, gm, (csf + wm + gm) / 3], abs=1e-12)


def test_a_finished_row_is_not_trained_again_and_tables_share_runs(out):
    _, first = benchmark(out, "seranet-figure2", "--rows", "seranet-a")
    run = out / "smoke" / "seranet-figure2" / first["results"][-1]["run"]
    written = (
        (run / "last.pt").stat().st_mtime_ns,
        (run / "evaluation" / "benchmark" / "cases.csv").stat().st_mtime_ns,
    )
    _, again = benchmark(out, "seranet-figure2", "--rows", "seranet-a")
    assert again["results"] == first["results"]
    assert written == (
        (run / "last.pt").stat().st_mtime_ns,
        (run / "evaluation" / "benchmark" / "cases.csv").stat().st_mtime_ns,
    )
    runs = {}
    for name in ("seranet-table1", "seranet-figure2"):
        _, record = benchmark(out, name, "--rows", "ce-last" if name == "seranet-table1" else "seranet-a")
        runs[name] = {r["run"] for r in record["results"]}
    assert runs["seranet-table1"] & runs["seranet-figure2"]  # SERANet-4, type A, is in both


def test_a_stopped_row_goes_on_to_the_numbers_of_one_that_was_not(out, tmp_path):
    data = next((out / "stores").glob("synthetic-se-*.zarr"))
    options = ("--rows", "segnetmri,one-step", "--data", data)
    stopped, record = benchmark(tmp_path, "seranet-table2", *options, "--max-minutes", 1e-15)
    assert stopped.exit_code == 0, stopped.output
    states = {r["row"]: (r["status"], r["sentence"]) for r in record["results"]}
    assert states["segnetmri"] == ("not run", "the time was up before it began")

    from segnets.benchmarks import run

    settings = run.Settings(device="cpu", max_minutes=1e-4)
    table = load_benchmark("seranet-table2")
    (job,) = plan(table, "smoke", rows=["segnetmri"])
    pool = tmp_path / "smoke" / "runs"
    ((_, unfinished),) = run.run_jobs(table, [job], lambda _: str(data), pool, settings)
    assert unfinished.status == "unfinished"
    assert "epoch 0 of 3; the same command goes on" in unfinished.sentence

    resumed, record = benchmark(tmp_path, "seranet-table2", *options)
    assert resumed.exit_code == 0, resumed.output
    _, whole = benchmark(out, "seranet-table2", "--rows", "segnetmri")
    (expected,) = [r for r in whole["results"] if r["row"] == "segnetmri"]
    (found,) = [r for r in record["results"] if r["row"] == "segnetmri"]
    assert found["numbers"] == expected["numbers"]
    assert found["run"] == expected["run"]  # named after what decides the weights, and nothing else


def test_a_failed_row_says_why_and_the_others_go_on(out, tmp_path):
    data = next((out / "stores").glob("synthetic-se-*.zarr"))
    rows = ("--rows", "syn-net,one-step", "--data", data)
    _, record = benchmark(tmp_path, "seranet-table2", *rows)
    home = tmp_path / "smoke" / "seranet-table2"
    runs = {r["row"]: home / r["run"] for r in record["results"]}
    (runs["one-step"] / "last.pt").write_bytes(b"nothing")
    result, record = benchmark(tmp_path, "seranet-table2", *rows)
    assert result.exit_code == 1
    assert "1 of the rows failed" in result.stderr
    states = {r["row"]: (r["status"], r["sentence"]) for r in record["results"]}
    assert states["syn-net"][0] == "done"
    assert states["one-step"][0] == "failed"
    assert "last.pt is damaged or not a checkpoint of segnets" in states["one-step"][1]
    assert "| One-step" in (home / "results.md").read_text()
    assert "failed (" in (home / "results.md").read_text()


def test_data_that_cannot_be_simulated_is_said_to_be_missing(out, monkeypatch):
    from segnets.benchmarks import spec

    table = load_benchmark("crdn-table1")
    scales = {**table.scales, "smoke": spec.Scale(note="other data", conditions=["hvsmr"])}
    changed = spec.Benchmark(**{**{s: getattr(table, s) for s in table.__slots__}, "scales": scales})
    monkeypatch.setattr("segnets.benchmarks.bench.load_benchmark", lambda _: changed)
    result, record = benchmark(out, "crdn-table1", "--rows", "rnn-unet")
    assert result.exit_code == 0, result.output
    (entry,) = [r for r in record["results"] if r["condition"] == "hvsmr"]
    assert entry["status"] == "not run"
    assert "segnets import hvsmr" in entry["sentence"]
    assert "HVSMR, RDC-ConvRNN, U-Net-like: not run (HVSMR 2016 cannot be simulated" in result.stdout


def test_results_on_another_store_are_forgotten(out, tmp_path):
    """Numbers of two data sets never stand in one column."""
    from tests.stores import write_test_store

    data = next((out / "stores").glob("synthetic-se-*.zarr"))
    _, first = benchmark(tmp_path, "seranet-table1", "--rows", "ce-l2,ce-last", "--data", data)
    assert {r["row"] for r in first["results"]} == {"ce-l2", "ce-last"}
    other = write_test_store(tmp_path / "ellipses.zarr", n_subjects=3, slices=2, shape=(32, 40))
    _, second = benchmark(tmp_path, "seranet-table1", "--rows", "ce-last", "--data", f"brainweb={other}")
    assert {r["row"] for r in second["results"]} == {"ce-last"}
    assert second["data"]["brainweb"]["recipe_hash"] == open_store(str(other)).attrs["recipe_hash"]


def test_seeds_are_averaged_with_their_spread(out):
    from segnets.benchmarks.record import measured
    from segnets.benchmarks.text import measured_cell

    _, record = benchmark(out, "seranet-table2", "--rows", "one-step", "--seeds", "0-1")
    values = [r["numbers"][3] for r in record["results"] if r["row"] == "one-step"]
    assert len(set(values)) == 2
    mean, spread, n = measured(record, "one-step", "noise10", 3)
    assert (mean, spread, n) == pytest.approx((np.mean(values), np.std(values, ddof=1), 2))
    row = next(r for r in record["rows"] if r["id"] == "one-step")
    assert measured_cell(record, row, "noise10", 3) == f"{mean:.4f} ± {spread:.4f}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("seranet-tabl2",), "benchmark must be one of"),
        (("seranet-table2", "--rows", "seranet-8"), "row must be one of"),
        (("seranet-table2", "--seeds", "a"), "a list of numbers must look like"),
        (("seranet-table2", "--data", "brain=x"), "data set must be one of brainweb"),
    ],
)
def test_mistakes_are_one_line(arguments, message):
    result = CliRunner().invoke(main, ["benchmark", *arguments])
    assert result.exit_code == 2
    assert message in result.stderr.splitlines()[-1]


def test_list_names_every_benchmark_and_every_row():
    listed = CliRunner().invoke(main, ["benchmark", "--list"])
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(BENCHMARKS)
    shown = CliRunner().invoke(main, ["benchmark", "seranet-table2", "--list"])
    assert all(row.id in shown.stdout for row in load_benchmark("seranet-table2").rows)
