"""Which trainings a benchmark asks for, and what overrides what."""

import dataclasses

import pytest

from segnets.benchmarks import BENCHMARKS
from segnets.benchmarks.spec import load_benchmark, parse, plan

FAMILY = {
    "paper": "A paper",
    "aggregation": "A mean.",
    "data": {"brains": {"label": "Brains", "recipe": "synthetic-se"}, "unused": {"label": "Nothing"}},
    "scales": {
        "full": {"note": "all"},
        "reduced": {"note": "less", "train": {"epochs": 3, "lr": 1e-3}},
        "smoke": {
            "note": "least",
            "train": {"epochs": 1, "noise": [0.9]},
            "models": {"joint": {"options": {"width": 2, "n_blocks": 9}, "train": {"epochs": 2}}},
        },
    },
}
TABLE = {
    "title": "A table",
    "published_data": "theirs",
    "layout": "conditions",
    "figures": [{"id": "dice", "label": "Dice", "path": "summary.dice.mean.mean"}],
    "conditions": [
        {"id": "low", "label": "low", "data": "brains", "train": {"noise": [0.1]}},
        {
            "id": "high",
            "label": "high",
            "data": "brains",
            "train": {"noise": [0.2]},
            "options": {"n_blocks": 5},
        },
        {
            "id": "moved",
            "label": "moved",
            "data": "brains",
            "trained_as": "high",
            "evaluate": {"noise": 0.3},
        },
    ],
    "rows": [
        {
            "id": "a",
            "label": "A",
            "model": "joint",
            "options": {"n_blocks": 4},
            "options_in": {"low": {"reg": "B"}},
            "published": {"low": [0.5]},
        },
        {"id": "b", "label": "B", "model": "one-step", "train": {"lr": 0.5}},
    ],
    "scales": {"reduced": {"conditions": ["low"]}},
}


@pytest.fixture
def benchmark():
    return parse("table", TABLE, FAMILY)


def test_seeds_come_first_then_conditions_then_rows(benchmark):
    jobs = plan(benchmark, "full", seeds=(0, 1))
    order = [(j.seed, j.condition.id, j.row.id) for j in jobs]
    conditions = ("low", "high", "moved")
    assert order == [(s, c, r) for s in (0, 1) for c in conditions for r in ("a", "b")]
    assert [(j.condition.id, j.row.id) for j in plan(benchmark, "reduced", rows=["b"])] == [("low", "b")]
    assert [d.id for d in benchmark.data] == ["brains"]


def test_condition_beats_row_beats_scale_and_the_scale_shortens_last(benchmark):
    train = {(j.condition.id, j.row.id): j.train for j in plan(benchmark, "smoke")}
    low = {"epochs": 2, "noise": [0.1], "seed": 0, "options": {"width": 2, "n_blocks": 4, "reg": "B"}}
    assert train["low", "a"] == low
    assert train["high", "a"]["options"] == {"width": 2, "n_blocks": 5}
    assert train["low", "b"] == {"epochs": 1, "noise": [0.1], "lr": 0.5, "seed": 0, "options": {}}


def test_a_condition_may_test_the_networks_of_another(benchmark):
    train = {(j.condition.id, j.row.id): j.train for j in plan(benchmark, "full")}
    assert train["moved", "a"] == train["high", "a"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conditions": [{**TABLE["conditions"][0], "data": "brain"}]}, "did you mean 'brains'"),
        ({"rows": [{**TABLE["rows"][0], "published": {"low": [0.5, 0.6]}}]}, "must have 1 numbers, got 2"),
        ({"rows": [{**TABLE["rows"][0], "published": {"lo": [0.5]}}]}, "condition of a must be one of"),
        ({"layout": "rows"}, "layout must be one of"),
        ({"behind": "beat"}, "behind must be one of"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        parse("table", {**TABLE, **change}, FAMILY)


def test_a_misspelt_key_is_refused():
    with pytest.raises(TypeError, match="lable"):
        parse("table", {**TABLE, "rows": [{"id": "a", "lable": "A", "model": "joint"}]}, FAMILY)


def test_unknown_names_list_the_known_ones(benchmark):
    with pytest.raises(ValueError, match="did you mean 'seranet-table2'"):
        load_benchmark("seranet-tabel2")
    with pytest.raises(ValueError, match=r"row must be one of a, b, got 'c'"):
        plan(benchmark, "full", rows=["c"])


def test_reduced_table_2_has_every_row_of_the_paper():
    assert [job.row.id for job in plan(load_benchmark("seranet-table2"), "reduced")] == [
        row.id for row in load_benchmark("seranet-table2").rows
    ]


@pytest.mark.parametrize("scale", ["smoke", "reduced", "full"])
@pytest.mark.parametrize(
    ("figure", "table"), [("schlemper-figure3", "schlemper-table1"), ("disk-figure2", "disk-table1")]
)
def test_figures_are_drawn_of_the_networks_of_the_tables(figure, table, scale):
    """What decides weights and test is the same, so that nothing is trained or tested again."""
    theirs = {(j.condition.id, j.row.id): j for j in plan(load_benchmark(table), scale)}
    for mine in plan(load_benchmark(figure), scale):
        job = theirs[mine.condition.id, mine.row.id]
        assert (mine.train, mine.before, mine.row.model) == (job.train, job.before, job.row.model)
        assert (mine.condition.data, mine.condition.evaluate) == (job.condition.data, job.condition.evaluate)


def test_controls_have_no_network_to_analyse():
    rows = [{**TABLE["rows"][1], "control": "mean-shape"}]
    with pytest.raises(ValueError, match="control of b must be one of none"):
        parse("table", {**TABLE, "rows": rows, "analysis": "overlays"}, FAMILY)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_recipe_can_be_resolved(name):
    from mrsim.recipes import load_recipe

    for data in load_benchmark(name).data:
        assert bool(data.recipe) != bool(data.get)
        for scale in ("smoke", "reduced", "full") if data.recipe else ():
            recipe = load_recipe(data.recipe_at(scale), **data.changes.get(scale, {}))
            assert scale != "smoke" or recipe.phantom.source in ("synthetic", "cardiac")  # no download


def test_parts_are_frozen(benchmark):
    with pytest.raises(dataclasses.FrozenInstanceError):
        benchmark.rows[0].model = "one-step"
