"""The name of a run: what decides its weights, and nothing else."""

from segnets.benchmarks.run import key
from segnets.config import RunConfig, TrainConfig
from segnets.models import model_class


def run(model="li-net", **train):
    config = TrainConfig.for_model(model, data="a.zarr", **train)
    return RunConfig(train=config, class_names=("a", "b"), shape=(32, 40), data_hash="x", versions={})


def test_a_run_is_named_by_what_decides_its_weights(monkeypatch):
    name = key(run())
    assert key(run(device="cpu", out="elsewhere")) == name
    others = {key(run(lr=0.1)), key(run(options={"code": 8})), key(run("syn-net"))}
    monkeypatch.setattr(model_class("li-net"), "revision", model_class("li-net").revision + 1)
    others.add(key(run()))  # what an older training left is not taken for its result
    assert len({name, *others}) == 5
