"""Stages of a training: how epochs are divided, learning rates, and the curriculum."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segnets.config import Recipe
from segnets.models import MODELS, RECONSTRUCTORS, model_class
from segnets.stages import Stage, divide_epochs, learning_rate, lowest_line_count, place

THREE = (Stage(name="a", epochs=600), Stage(name="b", epochs=500), Stage(name="c", epochs=500))


def test_the_papers_length_gives_the_papers_stages():
    assert divide_epochs(THREE, 1600) == (600, 500, 500)
    assert divide_epochs(THREE, 16) == (6, 5, 5)
    assert divide_epochs(THREE, 3) == (1, 1, 1)
    with pytest.raises(ValueError, match="epochs must be at least 3, one for each of a, b, c, got 2"):
        divide_epochs(THREE, 2)


@given(lengths=st.lists(st.integers(1, 1000), min_size=1, max_size=6), extra=st.integers(0, 3000))
def test_no_epoch_is_lost_and_no_stage_is_empty(lengths, extra):
    stages = [Stage(name=str(i), epochs=n) for i, n in enumerate(lengths)]
    total = len(stages) + extra
    got = divide_epochs(stages, total)
    assert sum(got) == total and min(got) >= 1
    share = sum(lengths) / total
    assert all(abs(n - length / share) <= len(stages) + 1 for n, length in zip(got, lengths, strict=True))
    assert divide_epochs(stages, sum(lengths)) == tuple(lengths)


def test_every_epoch_has_its_place():
    places = [place(THREE, 16, epoch) for epoch in range(17)]
    assert [p.stage.name for p in places] == ["a"] * 6 + ["b"] * 5 + ["c"] * 6
    assert [p.epoch for p in places[:12]] == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 0]
    assert {p.n_epochs for p in places[6:11]} == {5}


@pytest.mark.parametrize("name", [*MODELS, *RECONSTRUCTORS])
def test_every_model_has_stages_that_exist_and_add_up(name):
    cls = model_class(name)
    assert len(cls.stages) == 1 or sum(stage.epochs for stage in cls.stages) == cls.recipe.epochs
    for stage in cls.stages:
        methods = (stage.run, stage.loss, *([stage.enter] if stage.enter else []))
        assert all(callable(getattr(cls, method)) for method in methods)
    assert cls.stages[-1].run in ("forward", "match", "learn")  # the last one trains what predicts


def rates(stage, n, **recipe):
    return [learning_rate(Recipe(lr=1.0, **recipe), place((stage,), n, e)) for e in range(n)]


def test_step_schedule_starts_anew_with_each_stage():
    stages = (Stage(name="a"), Stage(name="b", lr_factor=0.5))
    recipe = Recipe(lr=1.0, lr_step=2, lr_gamma=0.8)
    got = [learning_rate(recipe, place(stages, 6, e)) for e in range(6)]
    assert got == pytest.approx([1, 1, 0.8, 0.5, 0.5, 0.4])


def test_other_schedules():
    assert rates(Stage(name="a", schedule="constant"), 3) == [1, 1, 1]
    poly = rates(Stage(name="a", schedule="poly"), 4)
    assert poly == pytest.approx([(1 - i / 4) ** 0.9 for i in range(4)])
    warm = Stage(name="a", schedule="warmup-cosine")
    here = place((warm,), 300, 2)
    assert learning_rate(Recipe(lr=1.0), here) == pytest.approx(0.5)  # 2 of 4 epochs of warm-up
    assert rates(warm, 300)[4] == pytest.approx(1.0)
    middle = learning_rate(Recipe(lr=1.0), place((warm,), 300, 152))
    assert middle == pytest.approx(0.01 + 0.99 / 2)
    assert learning_rate(Recipe(lr=1.0), place((warm,), 300, 299), 1.0) == pytest.approx(0.01)
    steps = [learning_rate(Recipe(lr=1.0), place((warm,), 300, 0), s / 250) for s in range(250)]
    assert all(a < b for a, b in pairwise(steps[1:])) and 0 < steps[0] <= steps[1]


def test_curriculum_is_schlempers():
    """Epoch e = 1 .. 10: at least max(1, round(168 (1 - e / 10))) of 168 lines; then any number."""
    stage = Stage(name="a", epochs=50, sampling="curriculum")
    got = [lowest_line_count(place((stage,), 50, e), 168, 0) for e in range(50)]
    assert got[:10] == [max(1, round(168 * (1 - e / 10))) for e in range(1, 11)]
    assert set(got[10:]) == {1}
    assert lowest_line_count(place((stage,), 50, 30), 168, 16) == 16


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"sampling": "ful"}, "did you mean 'full'"),
        ({"schedule": "cosine"}, "schedule must be one of"),
        ({"optimiser": "sgd"}, "optimiser must be one of adam, adamw"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"lr_factor": math.inf}, "lr_factor must be positive"),
    ],
)
def test_wrong_stages_are_refused(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        Stage(name="a", **wrong)
