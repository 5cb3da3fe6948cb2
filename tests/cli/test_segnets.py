"""`segnets` as typed: what it prints and writes, and the one line that every mistake gets."""

import errno
import json
import os
import subprocess
import sys
import time
from dataclasses import fields

import pytest
import zarr
from click.testing import CliRunner

from cli.segnets import main
from cli.train_options import HELP
from segnets.config import TrainConfig
from tests.segnets.known_network import write_run
from tests.stores import write_test_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_test_store(tmp_path_factory.mktemp("store") / "heads.zarr", n_subjects=4, slices=2)


def segnets(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def one_line(result, exit_code):
    """Return the message of a failed command, which has no traceback and is one line."""
    assert result.exit_code == exit_code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert result.stderr.endswith(line + "\n")
    return line


def test_help_version_and_usage_errors_load_no_heavy_library():
    """0.5 s is promised; a busy machine is slower, so it is the modules that are looked at."""
    for arguments in ("--help", "--version", "train --help", "evaluate --help", "predict r", "train sernet"):
        code = (
            "import sys\nfrom cli.segnets import main\n"
            f"try: main({arguments.split()!r})\n"
            "except SystemExit: pass\n"
            "heavy = {'torch', 'numpy', 'zarr', 'scipy', 'rich', 'lightning'} & sys.modules.keys()\n"
            "sys.exit(f'loads {heavy}' if heavy else 0)"
        )
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert time.perf_counter() - start < 5


def test_models_shows_the_published_counts_and_the_options():
    listed = segnets("models")
    assert "27,487,700" in listed.output
    assert "7,702,596" in listed.output
    shown = segnets("models", "seranet", "--set", "n_blocks=4")
    assert "27,148,238 parameters" in shown.output  # SERANet-4A of the table of published counts
    assert "epochs = 50" in shown.output


def test_every_field_of_the_training_configuration_has_a_flag():
    assert set(HELP) == {f.name for f in fields(TrainConfig)} - {"model", "options"}
    shown = segnets("train", "--help").output
    assert all(f"--{name.replace('_', '-')}" in shown for name in HELP)


def test_train_evaluate_predict_in_a_row(tmp_path, store):
    out = tmp_path / "run"
    trained = segnets(
        *("train", "one-step", "--data", store, "--set", "width=4", "--epochs", 2, "--batch-size", 2),
        *("--n-center", 4, "--rate", 0.5, "--noise", 0.05, "--out", out, "--device", "cpu"),
    )
    assert trained.exit_code == 0, trained.output
    assert (out / "training_curve.png").stat().st_size > 5_000
    assert trained.stdout.splitlines()[-1] == str(out)
    resumed = segnets("train", "--resume", out, "--epochs", 3)
    assert resumed.exit_code == 0, resumed.output
    assert len((out / "log.csv").read_text().splitlines()) == 1 + 3

    evaluated = segnets("evaluate", out, "--which", "best")
    assert evaluated.exit_code == 0, evaluated.output
    assert "| Dice, pooled" in evaluated.stdout
    folder = out / "evaluation" / "test-noise0.05-rate0.5-best"
    assert json.loads((folder / "summary.json").read_text())["n_slices"] == 2

    predicted = segnets("predict", out, "--data", store, "--out", tmp_path / "maps", "--split", "test")
    assert predicted.exit_code == 0, predicted.output
    assert predicted.stdout.splitlines() == [str(tmp_path / "maps" / "subject-03_labels.nii.gz")]


def test_several_runs_and_conditions_print_one_table_each(tmp_path, store):
    exact, moved = write_run(tmp_path / "exact", store), write_run(tmp_path / "moved", store, shift=1)
    result = segnets(
        *(
            "evaluate",
            exact,
            moved,
            "--noise",
            0,
            "--noise",
            0.1,
            "--rate",
            1,
            "--out",
            tmp_path / "out",
            "--quiet",
        )
    )
    assert result.exit_code == 0, result.output
    assert result.stdout.count("Mean - exact") == 2
    assert "no test claimed" in result.stdout
    for noise in ("0", "0.1"):
        assert (tmp_path / "out" / f"test-noise{noise}-rate1" / "comparison.png").is_file()
        assert (tmp_path / "out" / "moved" / f"test-noise{noise}-rate1" / "cases.csv").is_file()


def test_usage_errors_name_the_nearest_match(tmp_path, store):
    assert "did you mean 'seranet'?" in one_line(segnets("train", "sernet", "--data", store), 2)
    assert "did you mean 'n_blocks'?" in one_line(
        segnets("train", "seranet", "--data", store, "--set", "n_block=3"), 2
    )
    assert "epochs must be a whole number of at least 1, got 0" in one_line(
        segnets("train", "one-step", "--data", store, "--epochs", 0), 2
    )
    assert "--data is missing" in one_line(segnets("train", "one-step"), 2)
    assert "leave out --lr, MODEL" in one_line(
        segnets("train", "one-step", "--resume", tmp_path, "--lr", 0.1), 2
    )
    assert "rate must lie in (0, 1]" in one_line(segnets("evaluate", tmp_path, "--rate", 2), 2)
    assert "No such option" in one_line(segnets("train", "one-step", "--learning-rate", 1), 2)


def test_what_is_not_there_is_one_line(tmp_path, store):
    run = write_run(tmp_path / "run", store)
    assert "nowhere.zarr does not exist" in one_line(
        segnets("train", "one-step", "--data", tmp_path / "nowhere.zarr"), 1
    )
    assert "nowhere.zarr does not exist" in one_line(
        segnets("evaluate", run, "--data", tmp_path / "nowhere.zarr"), 1
    )
    assert "norun does not exist" in one_line(segnets("evaluate", tmp_path / "norun"), 1)
    assert "has no best.pt" in one_line(segnets("evaluate", run, "--which", "best"), 1)
    small = write_test_store(tmp_path / "small.zarr", n_subjects=2, slices=1)
    assert "has no test split (it has: train)" in one_line(segnets("evaluate", run, "--data", small), 1)


def test_a_damaged_store_or_checkpoint_is_one_line(tmp_path, store):
    run = write_run(tmp_path / "run", store)
    broken = write_test_store(tmp_path / "broken.zarr", n_subjects=3, slices=1)
    root = json.loads((broken / "zarr.json").read_text())
    root["attributes"]["format_version"] = 2
    (broken / "zarr.json").write_text(json.dumps(root))
    assert "store format version 2" in one_line(segnets("evaluate", run, "--data", broken), 1)

    gap = write_test_store(tmp_path / "gap.zarr", n_subjects=3, slices=1)
    next(p for p in (gap / "kspace" / "c" / "2").rglob("*") if p.is_file()).unlink()
    assert "kspace of subject 2 is missing" in one_line(segnets("evaluate", run, "--data", gap), 1)

    holed = write_test_store(tmp_path / "nan.zarr", n_subjects=3, slices=1)
    zarr.open_group(holed, mode="r+")["kspace"][2, 0, 5, 5] = float("nan")
    assert "kspace of case 2 is missing or holds NaN" in one_line(
        segnets("evaluate", run, "--data", holed), 1
    )

    (run / "last.pt").write_bytes(b"no checkpoint at all")
    assert "is damaged or not a checkpoint" in one_line(segnets("evaluate", run), 1)


def test_classes_of_another_phantom_are_refused(tmp_path, store):
    run = write_run(tmp_path / "run", store)
    heart = write_test_store(tmp_path / "heart.zarr", n_subjects=3, slices=1)
    root = json.loads((heart / "zarr.json").read_text())
    root["attributes"]["class_names"] = ["background", "LV", "myocardium", "RV"]
    (heart / "zarr.json").write_text(json.dumps(root))
    line = one_line(segnets("evaluate", run, "--data", heart), 1)
    assert "tells apart background, CSF, GM, WM, but" in line
    assert "holds background, LV, myocardium, RV" in line


def test_ctrl_c_is_one_line_that_says_how_to_go_on(tmp_path, store, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("segnets.train.train", interrupt)
    line = one_line(
        segnets("train", "one-step", "--data", store, "--n-center", 4, "--out", tmp_path / "r"), 1
    )
    assert "segnets train --resume" in line


def test_a_full_disk_and_a_path_that_cannot_be_are_one_line(tmp_path, store, monkeypatch):
    run = write_run(tmp_path / "run", store)
    (tmp_path / "file").touch()
    assert "Not a directory: " in one_line(segnets("evaluate", run, "--out", tmp_path / "file" / "here"), 1)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "maps.zarr")

    monkeypatch.setattr("segnets.predict.write_zarr", full)
    out = tmp_path / "maps.zarr"
    assert "No space left on device: maps.zarr" in one_line(segnets("predict", run, "--out", out), 1)
    assert not out.exists()


def test_predict_overwrites_only_when_asked(tmp_path, store):
    run, out = write_run(tmp_path / "run", store), tmp_path / "maps.zarr"
    assert segnets("predict", run, "--out", out).exit_code == 0
    assert "--overwrite" in one_line(segnets("predict", run, "--out", out), 1)
    assert segnets("predict", run, "--out", out, "--overwrite").exit_code == 0
