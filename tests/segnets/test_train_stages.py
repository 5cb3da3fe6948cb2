"""Training in stages: in order, each with its own optimiser, and exact wherever it is interrupted."""

from dataclasses import replace

import pytest
import torch

from segnets.blocks.fourier import to_kspace
from segnets.checkpoint import load_model, read_checkpoint
from segnets.config import TrainConfig
from segnets.data import DataError
from segnets.evaluate import EvaluateConfig, evaluate
from segnets.models import MODELS, RECONSTRUCTORS, model_class
from segnets.session import Session
from segnets.train import TrainingError, resume, train
from tests.segnets.models.small import config_options
from tests.segnets.test_train import assert_same_run, kill_at, rows
from tests.stores import write_test_store

SHAPE = (32, 32)
STAGED = [name for name in (MODELS | RECONSTRUCTORS) if len(model_class(name).stages) > 1]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Four subjects: two to train on, one to validate with, one to test with; 3 slices each."""
    return str(write_test_store(tmp_path_factory.mktemp("stages") / "ellipses.zarr", 4, 3, SHAPE))


def config(name, store, out, **overrides):
    options = {k: v for k, v in config_options(name, SHAPE).items() if k != "rate"}
    n_epochs = 2 * len(model_class(name).stages)
    values = {"options": options, "epochs": n_epochs, "batch_size": 4, "lr": 1e-3}
    values |= {"noise": (0.1,), "rate": (0.3,), "n_center": 4, **overrides}
    return TrainConfig.for_model(name, data=store, out=str(out), **values)


def test_every_network_with_stages_is_here():
    names = {"two-step", "segnetmri", "li-net", "semunet", "loupe", "loupe-seg", "liu"}
    assert set(STAGED) == names


@pytest.mark.parametrize("name", STAGED)
def test_stages_run_in_order_and_resume_to_the_same_bits_inside_any_of_them(
    name, store, tmp_path, monkeypatch
):
    whole = train(config(name, store, tmp_path / "whole"))
    n = len(model_class(name).stages)
    assert [row["stage"] for row in rows(whole)] == [str(s + 1) for s in range(n) for _ in range(2)]
    wanted = config(
        name, store, tmp_path / "killed", checkpoint_minutes=1e-9
    )  # a checkpoint after every step
    for epoch in range(2 * n):
        step = (epoch + 1) % 2  # within a stage's first epoch and just as its second begins
        with monkeypatch.context() as m, pytest.raises(KeyboardInterrupt):
            kill_at(m, epoch, step)
            train(wanted, resume=epoch > 0)
    train(replace(wanted, checkpoint_minutes=10), resume=True)
    assert_same_run(tmp_path / "killed", whole)


@pytest.mark.parametrize("name", STAGED)
def test_a_run_killed_as_a_stage_begins_resumes_to_the_same_bits(name, store, tmp_path, monkeypatch):
    """The checkpoint holds the optimiser of the stage before, and `enter` has been called already."""
    whole = train(config(name, store, tmp_path / "whole"))
    wanted = config(name, store, tmp_path / "killed")
    with monkeypatch.context() as m, pytest.raises(KeyboardInterrupt):
        kill_at(m, 2, 0)
        train(wanted)
    assert read_checkpoint(tmp_path / "killed" / "last.pt")["progress"]["epoch"] == 2
    train(wanted, resume=True)
    assert_same_run(tmp_path / "killed", whole)


def test_a_frozen_part_keeps_its_bits_through_its_stage(store, tmp_path, monkeypatch):
    begun = {}
    enter = Session.enter_stage

    def spied(self):
        enter(self)
        if self.stage_number == 1:
            begun.update({k: v.clone() for k, v in self.model.state_dict().items()})

    monkeypatch.setattr(Session, "enter_stage", spied)
    ended = read_checkpoint(train(config("li-net", store, tmp_path)) / "last.pt")["model"]
    frozen = [k for k in ended if k.startswith(("label_encoder.", "decoder."))]
    assert len(frozen) > 20 and all(torch.equal(ended[k], begun[k]) for k in frozen)
    assert any(not torch.equal(ended[k], begun[k]) for k in ended if k.startswith("predictor."))


def test_only_the_last_stage_makes_the_best_checkpoint(store, tmp_path):
    """The auto-encoder of LI-net segments perfectly what it is shown; that is not what predicts."""
    run = train(config("li-net", store, tmp_path))
    history = read_checkpoint(run / "last.pt")["progress"]["history"]
    best = read_checkpoint(run / "last.pt")["progress"]["best"]
    assert best == max(row["val_dice"] for row in history if row["stage"] == 2)


def test_a_stage_without_classes_has_a_loss_and_no_dice(store, tmp_path):
    log = rows(train(config("two-step", store, tmp_path)))
    assert [row["dice"] == "nan" for row in log] == [True, True, False, False]
    assert all(float(row["loss"]) > 0 and float(row["val_loss"]) > 0 for row in log)


@pytest.mark.parametrize("name", ["semunet", "baseline", "md-recon-net"])
def test_a_network_with_its_own_pattern_gets_full_kspace_and_the_rate_of_the_run(
    name, store, tmp_path, monkeypatch
):
    seen = []
    run_batch = Session.run_batch

    def watched(self, batch):
        seen.append(bool(batch.mask.all()))
        torch.testing.assert_close(batch.kspace, to_kspace(batch.image), atol=1e-4, rtol=0)
        return run_batch(self, batch)

    monkeypatch.setattr(Session, "run_batch", watched)
    options = {**config_options(name, SHAPE), "pattern": "random"} if name != "semunet" else {}
    options = {"width": 2, **{k: v for k, v in options.items() if k != "rate"}}
    run = train(config(name, store, tmp_path, options=options, rate=(0.25,), n_center=20))
    assert seen and all(seen)
    model, record = load_model(run)
    assert record.train.options["rate"] == 0.25
    assert model.sampling.pattern().sum() == 256


def test_curriculum_goes_from_all_lines_to_any_number(store, tmp_path, monkeypatch):
    lines = {}
    run_batch = Session.run_batch

    def watched(self, batch):
        if self.model.training:
            lines.setdefault(self.progress.epoch, []).extend(batch.mask.sum(dim=(1, 2, 3)).int().tolist())
        return run_batch(self, batch)

    monkeypatch.setattr(Session, "run_batch", watched)
    train(config("syn-net", store, tmp_path, epochs=20, validate="none"))  # of which 4 lead down
    least = [24, 16, 8, 4]
    assert all(min(lines[e]) >= bound for e, bound in enumerate(least))
    late = [n for e in range(4, 20) for n in lines[e]]
    assert min(late) < 10 and max(late) > 26 and len(set(late)) > 15  # 96 draws of 4 .. 32


def test_what_does_not_fit_is_refused_in_a_sentence(store, tmp_path):
    with pytest.raises(ValueError, match="epochs must be at least 3, one for each of reconstruction, segm"):
        train(config("segnetmri", store, tmp_path / "a", epochs=2))
    with pytest.raises(DataError, match=r"ny must be 32 for .*, got 48"):
        train(config("li-net", store, tmp_path / "b", options={"ny": 48}))
    with pytest.raises(ValueError, match=r"rate must be a single one for a network with its own pattern"):
        train(config("semunet", store, tmp_path / "c", rate=(0.1, 0.2)))
    assert not any((tmp_path / name).exists() for name in "abc")
    run = train(config("two-step", store, tmp_path / "d", epochs=2))
    with pytest.raises(TrainingError, match=r"epochs must stay 2 where .* divide into stages, got 4"):
        resume(run, epochs=4)


def test_a_network_with_its_own_pattern_is_evaluated_on_full_kspace(store, tmp_path):
    run = train(config("semunet", store, tmp_path / "semunet", rate=(0.25,)))
    evaluation = evaluate(run, EvaluateConfig())
    assert evaluation.config.rate == 0.25 and len(evaluation.cases) == 3
    assert "25 % of k-space in a pattern of its own" in evaluation.title
    assert all(0 <= case.dice <= 1 for case in evaluation.cases)
    with pytest.raises(DataError, match=r"samples 0.25 of k-space by its own pattern, got rate 0.5"):
        evaluate(run, EvaluateConfig(rate=0.5))
