"""One sampling pattern for all slices: read, kept, learnt by one network and handed to the others."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from cli.segnets import main
from mrsim.sampling import radial2d
from segnets.checkpoint import load_model
from segnets.config import TrainConfig
from segnets.data import DataError
from segnets.evaluate import EvaluateConfig, evaluate
from segnets.models import MODELS, RECONSTRUCTORS, model_class
from segnets.patterns import from_text, pattern_of_run, read_pattern, share, to_text
from segnets.session import Session
from segnets.train import TrainingError, resume, train
from tests.segnets.models.small import config_options, noise_batch, small
from tests.stores import write_test_store

SHAPE = (32, 40)
NAMES = [*MODELS, *RECONSTRUCTORS]
LEARN = ("semunet", "loupe", "loupe-seg")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return str(write_test_store(tmp_path_factory.mktemp("store") / "heads.zarr", 4, 2, SHAPE))


@pytest.fixture(scope="module")
def radial():
    return radial2d(SHAPE, 320, np.random.default_rng(0))


@pytest.fixture(scope="module")
def file(tmp_path_factory, radial):
    path = tmp_path_factory.mktemp("mask") / "radial.npy"
    np.save(path, radial.astype(bool))
    return str(path)


def config(name, store, out, **overrides):
    options = {k: v for k, v in config_options(name, SHAPE).items() if k not in ("rate", "ny", "nx")}
    n_epochs = len(model_class(name).stages)
    values = {"epochs": n_epochs, "batch_size": 4, "n_center": 4, "rate": (0.25,), "noise": (0.1,)}
    return TrainConfig.for_model(name, data=store, out=str(out), options=options, **{**values, **overrides})


def watched(monkeypatch):
    """Masks of every batch that a training serves."""
    seen = []
    run_batch = Session.run_batch

    def spy(self, batch):
        seen.append(batch.mask)
        return run_batch(self, batch)

    monkeypatch.setattr(Session, "run_batch", spy)
    return seen


@pytest.mark.parametrize("shape", [(7, 9), (32, 40), (240, 240)])
def test_a_pattern_comes_back_from_text(shape):
    pattern = (np.random.default_rng(0).random(shape) < 0.3).astype(np.float32)
    np.testing.assert_array_equal(from_text(to_text(pattern)), pattern)


def test_lines_and_samples_are_read_from_a_file(tmp_path):
    lines = np.zeros(6)
    lines[2:5] = 1
    np.save(tmp_path / "lines.npy", lines)
    pattern = read_pattern(tmp_path / "lines.npy", (6, 8))
    np.testing.assert_array_equal(pattern, np.repeat(lines[:, None], 8, axis=1))
    assert share(pattern) == 0.5
    for name, values, sentence in (
        ("grey", np.full((6, 8), 0.5), "must hold zeros and ones"),
        ("empty", np.zeros((6, 8)), "must hold zeros and ones"),
        ("wide", np.ones((6, 9)), "mask must be 6 x 8 as the data, got 6 x 9"),
    ):
        np.save(tmp_path / f"{name}.npy", values)
        with pytest.raises(DataError, match=sentence):
            read_pattern(tmp_path / f"{name}.npy", (6, 8))
    with pytest.raises(DataError, match="does not exist"):
        read_pattern(tmp_path / "none.npy")
    (tmp_path / "text.npy").write_text("no array")
    with pytest.raises(DataError, match=r"is no \.npy file"):
        read_pattern(tmp_path / "text.npy")


@pytest.mark.parametrize("name", [name for name in NAMES if name not in LEARN])
def test_every_network_takes_samples_as_well_as_lines(name, store, file, radial, tmp_path, monkeypatch):
    """From the configuration to the scores; what it is given is the radial pattern and nothing else."""
    seen = watched(monkeypatch)
    run = train(config(name, store, tmp_path / "run", mask=file), quiet=True)
    assert seen and all(torch.equal(m, torch.from_numpy(radial).expand(m.shape)) for m in seen)
    model, record = load_model(run)
    assert record.train.rate == (0.25,) and not model.config.samples_itself
    np.testing.assert_array_equal(np.load(run / "mask.npy"), radial)
    batch = noise_batch(SHAPE)
    with torch.no_grad():
        output = small(name, SHAPE, **({"pattern": "given"} if name in ("baseline", "liu") else {})).eval()(
            batch.kspace, torch.from_numpy(radial)[None, None].expand(2, -1, -1, -1)
        )
    assert all(values.isfinite().all() for values in output.logits + output.images)
    result = evaluate(run, EvaluateConfig())
    assert result.config.rate == 0.25 and "of k-space under the mask of run" in result.title
    assert result.condition.startswith("test-noise0.1-rate0.25-mask-")
    lines = evaluate(run, EvaluateConfig(rate=0.25))
    assert lines.condition == "test-noise0.1-rate0.25" and "25 % of the lines" in lines.title
    assert lines.cases != result.cases


@pytest.mark.parametrize("name", LEARN)
def test_a_network_that_learns_its_pattern_takes_no_other(name, store, file, tmp_path):
    with pytest.raises(DataError, match=f"mask must be left out for {name}, which learns its own pattern"):
        train(config(name, store, tmp_path / "run", mask=file))
    assert not (tmp_path / "run").exists()


def test_a_learnt_pattern_is_stored_drawn_and_handed_to_another_network(store, tmp_path, monkeypatch):
    learnt = train(config("loupe", store, tmp_path / "loupe"), quiet=True)
    model, _ = load_model(learnt)
    pattern = np.load(learnt / "mask.npy")
    np.testing.assert_array_equal(pattern, model.sampling.pattern()[0, 0].numpy())
    assert pattern.sum() == 320
    with pytest.raises(DataError, match=r"samples 0\.25 of k-space by its own pattern, got mask"):
        evaluate(learnt, EvaluateConfig(mask=str(learnt)))
    result = CliRunner().invoke(main, ["mask", str(learnt)])
    assert result.exit_code == 0, result.output
    assert "320 of 1,280 samples (25 %)" in result.stderr
    assert (learnt / "mask.png").stat().st_size > 5_000
    seen = watched(monkeypatch)
    run = train(config("one-step", store, tmp_path / "one-step", mask=str(learnt)), quiet=True)
    assert all(torch.equal(m[0, 0], torch.from_numpy(pattern)) for m in seen)
    np.testing.assert_array_equal(pattern_of_run(run), pattern)
    fixed = evaluate(
        train(config("one-step", store, tmp_path / "lines"), quiet=True), EvaluateConfig(mask=str(run))
    )
    np.testing.assert_array_equal(fixed.pattern, pattern)
    with pytest.raises(DataError, match="has no sampling pattern: every slice was given lines of its own"):
        pattern_of_run(tmp_path / "lines")


def test_a_run_with_a_mask_resumes_without_the_file(store, radial, tmp_path):
    path = tmp_path / "mask.npy"
    np.save(path, radial)
    wanted = config("one-step", store, tmp_path / "run", mask=str(path), epochs=2)
    run = train(wanted, quiet=True)
    path.unlink()
    resume(run, epochs=3, quiet=True)
    whole_mask = tmp_path / "again.npy"
    np.save(whole_mask, radial)
    whole = train(replace(wanted, mask=str(whole_mask), epochs=3, out=str(tmp_path / "whole")), quiet=True)
    a, b = (load_model(r)[0].state_dict() for r in (run, whole))
    assert all(torch.equal(a[k], b[k]) for k in a)
    np.save(path, radial[:, ::-1])
    with pytest.raises(TrainingError, match="mask must stay the one"):
        train(replace(wanted, epochs=4), resume=True)


def test_commands_take_a_mask_or_a_rate(store, file, tmp_path):
    for arguments in (
        ["train", "one-step", "--data", store, "--mask", file, "--rate", "0.3"],
        ["evaluate", str(tmp_path), "--mask", file, "--rate", "0.3"],
    ):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 2 and "--mask decides what is sampled: leave out --rate" in result.stderr
    out = tmp_path / "run"
    options = ["--set", "width=4", "--epochs", "1", "--out", str(out), "--device", "cpu"]
    result = CliRunner().invoke(main, ["train", "one-step", "--data", store, "--mask", file, *options])
    assert result.exit_code == 0, result.output
    assert (out / "mask.png").is_file()
