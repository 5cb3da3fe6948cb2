"""Going on with a trained network: its weights, its fine-tuning stages, and whom it has seen before."""

import shutil
from dataclasses import replace

import pytest
import torch

from segnets.checkpoint import load_model, read_checkpoint
from segnets.config import TrainConfig
from segnets.data import DataError
from segnets.evaluate import EvaluateConfig, evaluate
from segnets.models import model_class
from segnets.session import Session, TrainingError
from segnets.train import resume, train
from segnets.undersampling import Undersampling
from tests.segnets.models.small import config_options
from tests.segnets.test_contrasts import SHAPE, write_store
from tests.segnets.test_train import assert_same_run, kill_at, rows

HALF = 16 / 32  # of the lines


def config(name, store, out, **overrides):
    options = {k: v for k, v in config_options(name, SHAPE).items() if k not in ("rate", "aux_recon")}
    values = {"options": options, "epochs": 2, "batch_size": 2, "n_center": 4, "lr": 1e-3, **overrides}
    return TrainConfig.for_model(name, data=store, out=str(out), **values)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("fine") / "mine.zarr", (), source="brainweb")


@pytest.fixture(scope="module")
def runs(store, tmp_path_factory):
    """Trained networks that the tests go on with."""
    home = tmp_path_factory.mktemp("runs")
    return {n: train(config(n, store, home / n), quiet=True) for n in ("syn-net", "li-net", "two-step")}


@pytest.mark.parametrize("name", ["syn-net", "li-net"])
def test_fine_tuning_is_ten_epochs_at_one_rate_and_the_last_learning_rate(
    name, runs, store, tmp_path, monkeypatch
):
    lines = set()
    draw = Undersampling.draw

    def watched(self, cases, generator):
        batch = draw(self, cases, generator)
        lines.update(batch.mask.sum(dim=(1, 2, 3)).int().tolist())
        return batch

    monkeypatch.setattr(Undersampling, "draw", watched)
    init = str(runs[name])
    run = train(config(name, store, tmp_path, options={}, init=init, rate=(HALF,)), quiet=True)
    assert lines == {16}
    assert [float(row["lr"]) for row in rows(run)] == pytest.approx([1e-3 * 0.8**24] * 2, rel=2e-3)
    recipe = TrainConfig.for_model(name, data=store, init=init)
    assert recipe.epochs == 10 and recipe.lr == 1e-4
    before, after = (load_model(each)[0].state_dict() for each in (init, run))
    moved = {k for k in after if not torch.equal(before[k], after[k])}
    assert moved and all(name == "syn-net" or k.startswith("predictor.") for k in moved)
    # Adam moves no weight by much more than its learning rate in a step; there are 2 x 2 steps
    weights = dict(load_model(run)[0].named_parameters())
    assert max((before[k] - after[k]).abs().max() for k in weights) < 4 * 1.2 * 1e-3 * 0.0048


def test_other_networks_go_on_with_their_last_stage(runs, store, tmp_path):
    assert model_class("two-step").epochs_from(trained=True) == 50
    init = runs["two-step"]
    run = train(config("two-step", store, tmp_path, options={}, init=str(init)), quiet=True)
    assert "stage" not in rows(run)[0] and len(rows(run)) == 2
    before, after = (load_model(each)[0].state_dict() for each in (init, run))
    assert all(k.startswith("unet.") for k in after if not torch.equal(before[k], after[k]))


def test_a_fine_tuning_resumes_to_the_same_bits_without_what_it_began_with(
    runs, store, tmp_path, monkeypatch
):
    copy = shutil.copytree(runs["syn-net"], tmp_path / "begun")
    wanted = config("syn-net", store, tmp_path / "killed", options={}, init=str(copy))
    whole = train(replace(wanted, out=str(tmp_path / "whole")), quiet=True)
    with monkeypatch.context() as m, pytest.raises(KeyboardInterrupt):
        kill_at(m, 1, 0)
        train(wanted)
    shutil.rmtree(copy)
    assert resume(tmp_path / "killed", quiet=True) == tmp_path / "killed"
    assert_same_run(tmp_path / "killed", whole)


def test_weights_are_those_of_the_run_before_the_first_step(runs, store, tmp_path, monkeypatch):
    def stopped(self):
        torch.save(self.model.state_dict(), tmp_path / "first.pt")
        raise KeyboardInterrupt

    monkeypatch.setattr(Session, "seed_step", stopped)
    with pytest.raises(KeyboardInterrupt):
        train(config("syn-net", store, tmp_path / "run", options={}, init=str(runs["syn-net"])))
    first, given = torch.load(tmp_path / "first.pt"), read_checkpoint(runs["syn-net"] / "last.pt")["model"]
    assert all(torch.equal(first[k], given[k]) for k in given)


def test_subjects_of_the_run_before_are_no_test_either(runs, store, tmp_path):
    """Trained on subjects 0 and 1, then on 11 and 12 of another store: 1 is still no test subject."""
    second = write_store(tmp_path / "second.zarr", (), source="brainweb", first=11)
    run = train(
        config("syn-net", second, tmp_path / "run", options={}, init=str(runs["syn-net"])), quiet=True
    )
    record = load_model(run)[1]
    assert record.subjects == (11, 12) and record.before == {"brainweb": (0, 1)}
    assert evaluate(run, EvaluateConfig()).seen == ()
    other = write_store(tmp_path / "other.zarr", (), source="brainweb", first=1, split=(2, 0, 0, 0))
    with pytest.raises(DataError, match=r"was trained on subjects 1 of the test split"):
        evaluate(run, EvaluateConfig(data=other))
    same = train(
        config("syn-net", store, tmp_path / "same", options={}, init=str(runs["syn-net"])), quiet=True
    )
    assert load_model(same)[1].before == {} and evaluate(same, EvaluateConfig()).seen == ()


def test_what_cannot_be_gone_on_with_is_refused_in_a_sentence(runs, store, tmp_path):
    with pytest.raises(DataError, match=r"init must be a run of li-net, got one of syn-net: "):
        train(config("li-net", store, tmp_path / "a", init=str(runs["syn-net"])))
    with pytest.raises(TrainingError, match=r"options of the network must stay .* do not fit"):
        train(config("syn-net", store, tmp_path / "b", options={"width": 6}, init=str(runs["syn-net"])))
    assert not (tmp_path / "a").exists() and not (tmp_path / "b" / "last.pt").exists()
    own = train(config("baseline", store, tmp_path / "own", rate=(0.3,)), quiet=True)
    with pytest.raises(DataError, match=r"rate must be 0.3 as in the pattern of .*, got \(0.1,\)"):
        train(config("baseline", store, tmp_path / "c", options={}, init=str(own)))
