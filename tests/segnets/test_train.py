"""Training: it learns, it resumes to the same bits, it stops when told, and it says what is wrong."""

import csv
import math
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from segnets.blocks.fourier import to_kspace
from segnets.checkpoint import CheckpointError, load_model, read_checkpoint
from segnets.config import TrainConfig
from segnets.data import DataError
from segnets.logs import RunningScores
from segnets.models import build_model
from segnets.session import Session
from segnets.stages import Stage, learning_rate, place
from segnets.train import TrainingError, resume, train
from segnets.undersampling import Undersampling
from tests.segnets.test_models import SMALL
from tests.stores import write_test_store

TIMES = ("samples_per_s", "wait_share", "seconds")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Four subjects: two to train on, one to validate with, one to test with; 3 slices each."""
    return str(write_test_store(tmp_path_factory.mktemp("train") / "ellipses.zarr", 4, 3, (24, 32)))


def config(store, out, **overrides):
    options = {"n_blocks": 1, "n_iterations": 1, "width": 2, "reg_width": 2}
    values = {"options": options, "epochs": 3, "batch_size": 4, "n_center": 4, "lr": 1e-3, **overrides}
    return TrainConfig.for_model("seranet", data=store, out=str(out), **values)


def rows(run_dir):
    with (Path(run_dir) / "log.csv").open() as file:
        return [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(file)]


def flat(value, name=""):
    """All leaves of a checkpoint, by path."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {k: v for key, item in items for k, v in flat(item, f"{name}/{key}").items()}
    return {name: value}


def assert_same_run(a, b):
    """Weights, optimiser, scores and log agree to the last bit."""
    ours, theirs = (flat(read_checkpoint(Path(run) / "last.pt")) for run in (a, b))
    assert ours.keys() == theirs.keys()
    for name in ours:
        if isinstance(ours[name], torch.Tensor):
            assert torch.equal(ours[name], theirs[name]), name
        elif not name.endswith((*TIMES, "waited", "out", "resident", "minutes")):
            assert ours[name] == theirs[name] or math.isnan(ours[name]), name
    assert rows(a) == rows(b)


@pytest.fixture(scope="module")
def uninterrupted(store, tmp_path_factory):
    return train(config(store, tmp_path_factory.mktemp("runs") / "whole"))


def test_run_directory_holds_what_is_needed_to_repeat_it(uninterrupted, store):
    names = {p.name for p in uninterrupted.iterdir()}
    assert names == {"config.json", "last.pt", "best.pt", "log.csv", "tensorboard"}
    log = rows(uninterrupted)
    assert [row["epoch"] for row in log] == ["1", "2", "3"] and log[-1]["step"] == "6"
    assert {"loss", "dice", "dice_CSF", "dice_WM", "val_dice", "val_dice_GM", "lr"} <= log[0].keys()
    _, run = load_model(uninterrupted)
    assert run.train.options["n_blocks"] == 1 and run.train.options["convlstm_at"] == "bottleneck"
    assert run.train.validate == "validation" and run.class_names == ("background", "CSF", "GM", "WM")
    assert run.shape == (24, 32) and len(run.data_hash) == 32 and run.train.data == store


def kill_at(monkeypatch, epoch, step):
    """Interrupt a run just before a step, as Ctrl-C does."""
    seed_step = Session.seed_step

    def interrupted(self):
        if (self.progress.epoch, self.progress.step) == (epoch, step):
            raise KeyboardInterrupt
        seed_step(self)

    monkeypatch.setattr(Session, "seed_step", interrupted)


@pytest.mark.parametrize("resident", ["yes", "no"])
def test_a_run_killed_between_checkpoints_resumes_to_the_same_bits(
    store, uninterrupted, tmp_path, monkeypatch, resident
):
    wanted = config(store, tmp_path / "killed", resident=resident)
    with monkeypatch.context() as m, pytest.raises(KeyboardInterrupt):
        kill_at(m, 1, 1)
        train(wanted)
    killed = tmp_path / "killed"
    assert len(rows(killed)) == 1
    assert train(wanted, resume=True) == killed
    assert_same_run(killed, uninterrupted)
    before = (killed / "last.pt").stat().st_mtime_ns
    assert resume(killed) == killed  # finished: nothing to do
    assert (killed / "last.pt").stat().st_mtime_ns == before


KILLED = """
import os, signal, sys
from segnets.config import TrainConfig
from segnets.session import Session
from segnets.train import train
import torch
torch.set_num_threads(1)
save = Session.save
def killed(self):
    save(self)
    if (self.progress.epoch, self.progress.step) == (1, 1):
        os.kill(os.getpid(), signal.SIGKILL)
Session.save = killed
train(TrainConfig.from_dict({config!r}))
"""


def test_a_run_killed_within_an_epoch_resumes_to_the_same_bits(store, uninterrupted, tmp_path):
    from dataclasses import asdict

    wanted = config(store, tmp_path, checkpoint_minutes=1e-9)  # after every step
    code = KILLED.replace("{config!r}", repr(asdict(wanted)))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert flat(read_checkpoint(tmp_path / "last.pt"))["/progress/step"] == 1
    train(replace(wanted, checkpoint_minutes=10), resume=True)
    assert_same_run(tmp_path, uninterrupted)


def test_a_run_out_of_time_stops_after_its_step_and_goes_on_later(store, uninterrupted, tmp_path):
    train(config(store, tmp_path, max_minutes=1e-9))
    progress = read_checkpoint(tmp_path / "last.pt")["progress"]
    assert (progress["epoch"], progress["step"]) == (0, 1)
    resume(tmp_path, max_minutes=0, epochs=2)
    assert len(rows(tmp_path)) == 2
    resume(tmp_path, epochs=3)
    assert_same_run(tmp_path, uninterrupted)


@pytest.mark.parametrize("name", SMALL)
def test_every_model_over_fits_four_slices(name, tmp_path):
    path = str(write_test_store(tmp_path / "four.zarr", 1, 4, (24, 32)))
    options = {**SMALL[name], "width": 8}
    run_dir = train(
        TrainConfig.for_model(
            name,
            data=path,
            options=options,
            epochs=90,
            batch_size=4,
            lr=2e-2,
            lr_step=30,
            noise=(0.0,),
            rate=(0.5,),
            n_center=8,
            checkpoint_minutes=60,
            out=str(tmp_path / "run"),
        )
    )
    log = rows(run_dir)
    assert float(log[0]["dice"]) < 0.6
    assert float(log[-1]["dice"]) > 0.95
    assert "val_dice" not in log[0] and not (run_dir / "best.pt").exists()
    with pytest.raises(CheckpointError, match=r"has no best.pt: it was trained without a validation split"):
        load_model(run_dir, "best")


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_state(store, tmp_path, monkeypatch):
    train(config(store, tmp_path, epochs=1))
    good = flat(read_checkpoint(tmp_path / "last.pt")["model"])
    seed_step = Session.seed_step

    def poisoned(self):
        seed_step(self)
        if self.progress.step == 1:
            with torch.no_grad():
                next(self.model.parameters()).fill_(math.nan)

    monkeypatch.setattr(Session, "seed_step", poisoned)
    with pytest.raises(
        TrainingError, match=r"not finite .* in epoch 2, step 2; last.pt holds the last good state"
    ):
        resume(tmp_path, epochs=3)
    kept = flat(read_checkpoint(tmp_path / "last.pt")["model"])
    assert all(torch.equal(good[k], kept[k]) for k in good)


def test_a_run_is_not_overwritten_nor_resumed_as_another(store, uninterrupted, tmp_path):
    same = config(store, uninterrupted)
    with pytest.raises(TrainingError, match="already holds a run; resume it or choose another directory"):
        train(same)
    with pytest.raises(TrainingError, match=r"lr must stay 0.001 where .* is resumed, got 0.002"):
        train(replace(same, lr=2e-3, epochs=4), resume=True)
    other = str(write_test_store(tmp_path / "other.zarr", 4, 3, (24, 32), seed=9))
    with pytest.raises(TrainingError, match=r"does not hold the cases that .* was trained on"):
        train(replace(same, data=other, epochs=4), resume=True)


def test_what_does_not_fit_the_store_is_refused_before_anything_is_written(store, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(DataError, match=r"n_classes must be 4 \(background, CSF, GM, WM\)"):
        train(config(store, out, options={"n_classes": 3}))
    with pytest.raises(ValueError, match="n_center must be at most the 7 of 24 lines"):
        train(config(store, out, n_center=16))
    two = str(write_test_store(tmp_path / "two.zarr", 2, 1, (24, 32)))
    with pytest.raises(DataError, match=r"has no validation split"):
        train(config(two, out, validate="validation"))
    if not torch.cuda.is_available():
        with pytest.raises(TrainingError, match="device must be cpu or auto on this machine, got cuda"):
            train(config(store, out, device="cuda"))
    assert not out.exists()


def test_learning_rate_halves_every_20_epochs():
    recipe = TrainConfig.for_model("seranet", data="")
    places = [place((Stage(name="train"),), 50, e) for e in (0, 19, 20, 39, 40, 49)]
    assert [learning_rate(recipe, here) for here in places] == [
        1e-4,
        1e-4,
        5e-5,
        5e-5,
        2.5e-5,
        2.5e-5,
    ]
    assert (recipe.epochs, recipe.batch_size, recipe.weight_decay) == (50, 12, 0)


def test_gradient_is_clipped_to_its_largest_norm(store, tmp_path, monkeypatch):
    norms = []
    step = torch.optim.Adam.step

    def watched(self, *args, **kwargs):
        grads = [p.grad.flatten() for group in self.param_groups for p in group["params"]]
        norms.append(torch.cat(grads).norm().item())
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.Adam, "step", watched)
    train(config(store, tmp_path / "free", epochs=1))
    free = norms.copy()
    norms.clear()
    train(config(store, tmp_path / "clipped", epochs=1, clip=free[0] / 2))
    assert norms[0] == pytest.approx(free[0] / 2, rel=1e-3)


def test_every_case_gets_a_new_mask_in_every_epoch(store, tmp_path, monkeypatch):
    seen = {}
    draw = Undersampling.draw

    def watched(self, cases, generator):
        batch = draw(self, cases, generator)
        for case, mask in zip(batch.index.tolist(), batch.mask, strict=True):
            seen.setdefault(case, []).append(tuple(mask.flatten().tolist()))
        return batch

    monkeypatch.setattr(Undersampling, "draw", watched)
    train(config(store, tmp_path, rate=(0.5,)))
    assert len(seen) == 6 and all(len(set(masks)) == 3 for masks in seen.values())
    assert len({masks[0] for masks in seen.values()}) == 6


def test_two_devices_make_the_steps_of_one(tmp_path):
    """Without normalisation and masks the gradient of a batch is the mean of those of its halves."""
    path = str(write_test_store(tmp_path / "eight.zarr", 2, 4, (24, 32)))
    options = {"n_blocks": 1, "n_iterations": 1, "width": 2, "reg_width": 2, "norm": False}
    values = {"options": options, "epochs": 2, "rate": (1.0,), "noise": (0.1,), "lr": 1e-2}
    one, two = (train(config(path, tmp_path / str(n), devices=n, **values)) for n in (1, 2))
    weights = [load_model(run)[0].state_dict() for run in (one, two)]
    start = build_model("seranet", options).state_dict()
    for name in start:
        assert torch.allclose(weights[0][name], weights[1][name], atol=1e-4)  # Adam steps of 1e-2
    assert float(rows(one)[1]["loss"]) == pytest.approx(float(rows(two)[1]["loss"]), rel=1e-4)
    assert rows(one)[1]["step"] == rows(two)[1]["step"] == "4"


def test_mixed_precision_gets_the_measurement_unrounded(store, tmp_path, monkeypatch):
    seen = []
    look = Session.look
    hook = lambda _m, args, output: seen.append((args[0], args[1], output))  # noqa: E731

    def watched(self):
        if self.progress.step == 1:
            self.model.register_forward_hook(hook)
        return look(self)

    monkeypatch.setattr(Session, "look", watched)
    run_dir = train(config(store, tmp_path, epochs=1, precision="bf16-mixed", channels_last=True))
    kspace, mask, output = seen[0]
    assert kspace.dtype == torch.float32 and math.isfinite(float(rows(run_dir)[0]["loss"]))
    assert torch.allclose(to_kspace(output.image) * mask, kspace, atol=1e-5)  # bfloat16 has only 3 digits
    assert output.segmentation.dtype == torch.bfloat16


def test_running_scores_are_pooled_dice_and_mean_loss():
    labels = torch.tensor([[[0, 1], [1, 2]], [[0, 1], [1, 1]]])
    predicted = torch.tensor([[[0, 1], [2, 2]], [[1, 1], [1, 1]]])
    logits = torch.nn.functional.one_hot(predicted, 4).permute(0, 3, 1, 2).float()
    scores = RunningScores(4, "cpu")
    scores.add(torch.tensor(1.0), logits[:1], labels[:1])
    scores.add(torch.tensor(4.0), logits[1:], labels[1:])
    row = scores.summary(("background", "CSF", "GM", "WM"))
    # class 1: 4 pixels agree, 5 predicted, 5 true; class 2: 1 agrees, 2 predicted, 1 true; class 3: nowhere
    assert row["dice_CSF"] == pytest.approx(8 / 10) and row["dice_GM"] == pytest.approx(2 / 3)
    assert math.isnan(row["dice_WM"]) and row["dice"] == pytest.approx((0.8 + 2 / 3) / 2)
    assert row["loss"] == pytest.approx(2.5)
