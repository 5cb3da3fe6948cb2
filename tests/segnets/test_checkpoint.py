"""What a checkpoint that cannot be used gets: one sentence each."""

import json

import pytest
import torch

from segnets.checkpoint import CheckpointError, load_model, read_checkpoint, save_checkpoint
from segnets.config import RunConfig, TrainConfig
from segnets.models import build_model


@pytest.fixture
def saved(tmp_path):
    """(path, run, weights) of a small One-step checkpoint."""
    run = RunConfig(
        train=TrainConfig(
            model="one-step", data="d.zarr", options={"width": 2, "n_classes": 3}, rate=(0.3, 0.5)
        ),
        class_names=("background", "a", "b"),
        shape=(16, 16),
        data_hash="0",
        versions={"torch": "2"},
    )
    weights = build_model("one-step", run.train.options).state_dict()
    save_checkpoint(tmp_path / "last.pt", run, {"model": weights})
    return tmp_path / "last.pt", run, weights


def change(path, **values):
    torch.save({**torch.load(path, weights_only=True), **values}, path)


def test_file_and_run_directory_load_alike_and_draw_nothing(saved):
    path, run, weights = saved
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    for where in (path, path.parent, str(path.parent)):
        model, loaded = load_model(where)
        assert loaded == run and all(torch.equal(v, weights[k]) for k, v in model.state_dict().items())
    assert torch.equal(torch.rand(1), expected)


def test_no_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match=r"last.pt does not exist; a run directory holds last.pt once"):
        load_model(tmp_path)
    with pytest.raises(CheckpointError, match="nowhere does not exist"):
        load_model(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="which must be one of last, best, got 'first'"):
        load_model(tmp_path, "first")


def test_damaged_or_foreign_file(saved):
    path, _, weights = saved
    whole = path.read_bytes()
    for content in (b"", b"PK\x03\x04 no", whole[: len(whole) // 2], b"text"):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="is damaged or not a checkpoint of segnets"):
            load_model(path)
    torch.save(weights, path)
    with pytest.raises(CheckpointError, match="is a checkpoint of another program, not of segnets"):
        load_model(path)
    torch.save({"model": torch.nn.Linear(2, 2)}, path)  # would run code when loaded
    with pytest.raises(CheckpointError, match="is damaged or not a checkpoint of segnets"):
        load_model(path)


def test_checkpoint_of_another_format_model_or_shape(saved):
    path, run, _ = saved
    plain = run.to_dict()
    change(path, format_version=2)
    with pytest.raises(CheckpointError, match="has checkpoint format 2, this version reads 1"):
        read_checkpoint(path)
    change(path, format_version=1, run={**plain, "train": {**plain["train"], "model": "transformer"}})
    with pytest.raises(
        CheckpointError, match="is of model 'transformer', this version knows seranet, one-step"
    ):
        load_model(path)
    change(path, run={**plain, "train": {**plain["train"], "options": {"widht": 2}}})
    with pytest.raises(
        CheckpointError, match=r"does not fit this version: option must be one of .*did you mean"
    ):
        load_model(path)
    change(path, run={**plain, "train": {**plain["train"], "options": {"width": 4}}})
    with pytest.raises(CheckpointError, match="the weights do not fit the model it names"):
        load_model(path)


def test_a_write_that_fails_leaves_the_old_checkpoint(saved, monkeypatch):
    path, run, weights = saved
    before = path.read_bytes()

    def full(_payload, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(CheckpointError, match=r"cannot be written .*No space left"):
        save_checkpoint(path, run, {"model": weights})
    assert path.read_bytes() == before and [p.name for p in path.parent.iterdir()] == ["last.pt"]


def test_a_checkpoint_in_the_directory_of_another_model(saved):
    path, run, _ = saved
    record = run.to_dict()
    path.with_name("config.json").write_text(json.dumps(record))
    load_model(path)
    record["train"]["model"] = "seranet"
    path.with_name("config.json").write_text(json.dumps(record))
    with pytest.raises(
        CheckpointError, match=r"is a checkpoint of one-step, but .*config\.json is of seranet"
    ):
        load_model(path.parent)
