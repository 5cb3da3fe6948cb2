"""Configurations: defaults of the paper, refusals in a sentence, there and back through JSON."""

import json
import subprocess
import sys

import pytest

from segnets.config import RunConfig, TrainConfig, differing_fields, parse_options
from segnets.models.seranet import SeraNetConfig


def test_record_of_a_run_comes_back_from_json():
    train = TrainConfig(model="seranet", data="d", noise=(0.1, 0.2), rate=(0.3,), options={"n_blocks": 2})
    run = RunConfig(train=train, class_names=("a", "b"), shape=(4, 6), data_hash="x", versions={"torch": "2"})
    assert RunConfig.from_dict(json.loads(json.dumps(run.to_dict()))) == run


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"lr": 0.0}, "lr must be positive, got 0.0"),
        ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        ({"batch_size": 3, "devices": 2}, "batch_size must divide by 2 devices, got 3"),
        ({"noise": (-0.1,)}, r"noise must be >= 0, got \(-0.1,\)"),
        ({"noise": ()}, "noise must be >= 0"),
        ({"rate": (0.3, 1.5)}, r"rate must lie in \(0, 1\]"),
        ({"precision": "bf16"}, "precision must be one of 32-true, bf16-mixed, got 'bf16'"),
        ({"learning_rate": 1.0}, "training option must be one of"),
    ],
)
def test_wrong_values_are_refused_in_a_sentence(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        TrainConfig.for_model("seranet", data="", **values)


def test_options_are_read_from_text_by_their_type():
    text = ["n_blocks=2", "reg = B", "reg_skip=false", "dc_weight=5"]
    assert parse_options(SeraNetConfig, text) == {
        "n_blocks": 2,
        "reg": "B",
        "reg_skip": False,
        "dc_weight": 5.0,
    }
    for bad, sentence in {
        "n_blocks": "option must read name=value",
        "n_block=2": "did you mean 'n_blocks'",
        "n_blocks=two": "n_blocks must be of type int, got 'two'",
        "norm=1": "norm must be one of true, false",
    }.items():
        with pytest.raises(ValueError, match=sentence):
            parse_options(SeraNetConfig, [bad])


def test_what_decides_the_weights_must_stay():
    a = TrainConfig(model="seranet", data="a", epochs=5)
    b = TrainConfig(model="seranet", data="b", epochs=9, max_minutes=1.0, out="x", lr=1e-3, seed=1)
    assert differing_fields(a, b) == ["lr", "seed"]


def test_names_and_defaults_need_no_torch():
    code = "import sys, segnets.config, segnets.models; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
