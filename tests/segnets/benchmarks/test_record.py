"""What a record says of known results: spreads, tests of claims, conditions left out, one row per run."""

import json
import math

import pytest
from scipy.stats import ranksums

from segnets.benchmarks import record, text
from segnets.benchmarks.run import Result
from segnets.benchmarks.spec import parse, plan
from tests.segnets.benchmarks.test_spec import FAMILY, TABLE

LOW, HIGH = [1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0, 9.0]


@pytest.fixture
def benchmark():
    figures = [
        {"id": "dice", "label": "Dice", "path": "a", "spread": "b", "subjects": "c", "digits": 2},
        {"id": "extra", "label": "Extra", "path": "d", "printed": False},
    ]
    rows = [
        {**TABLE["rows"][0], "published": {"low": [0.5]}, "published_spread": {"low": [0.25]}},
        TABLE["rows"][1],
    ]
    claim = {"text": "B is above A.", "figure": "dice", "less": ["a"], "more": ["b"], "conditions": ["low"]}
    table = {**TABLE, "figures": figures, "rows": rows, "claims": [{**claim, "test": "rank-sum"}]}
    return parse("table", table, FAMILY)


def result(row, condition="low", **changes):
    values = {
        "numbers": (0.5, 1.0),
        "spreads": (0.125, None),
        "subjects": {"dice": LOW},
        "run": f"runs/{row}",
    }
    return Result(row=row, condition=condition, seed=0, status="done", **{**values, **changes})


@pytest.fixture
def known(benchmark, tmp_path):
    found = record.start(benchmark, "full", tmp_path, "")
    for one in (result("a"), result("b", subjects={"dice": HIGH}), result("a", "moved")):
        record.add_result(found, benchmark, one, tmp_path)
    return json.loads(json.dumps(found))  # as a report reads it


def test_claims_are_tested_over_the_subjects(known):
    (verdict,) = known["claims"][0]["conditions"]
    assert verdict["p"] == pytest.approx(ranksums(LOW, HIGH).pvalue)
    printed = text.claims_table(known).markdown()
    assert f"{ranksums(LOW, HIGH).pvalue:.2g}" in printed and "Wilcoxon rank-sum" in printed


def test_cells_have_the_spread_over_subjects_and_unprinted_figures_one_column(known):
    first, *_ = text.result_tables(known)
    assert first.header == ("", "Dice, paper", "Dice, ours", "Extra")
    assert first.rows[0] == ("A", "0.50 ± 0.25", "0.50 ± 0.12", "1.0000")
    assert first.rows[1][1] == ""
    assert math.isnan(record.printed(known["rows"][0], "low", 1))


def test_conditions_that_were_left_out_are_named_and_have_no_table(known):
    assert [table.title for table in text.result_tables(known)] == ["**low**", "**moved**"]
    assert text.remarks(known)[-1] == "Conditions that were not run: high."


def test_a_network_that_is_tested_twice_stands_once_among_the_work(known):
    assert [row[:2] for row in text.work_table(known).rows] == [("A", "low, moved"), ("B", "low")]


def test_records_of_before_have_no_spreads_and_are_still_read(known):
    for r in known["results"]:
        del r["spreads"], r["subjects"]
    for row in known["rows"]:
        del row["published_spread"]
    del known["figures"][0]["spread"], known["figures"][1]["printed"]
    assert text.result_tables(known)[0].rows[0][:3] == ("A", "0.50", "0.50")


def test_a_fine_tuned_network_begins_with_that_of_another_condition():
    family = {**FAMILY, "scales": {**FAMILY["scales"]}}
    family["scales"]["reduced"] = {**FAMILY["scales"]["reduced"], "tuning": {"epochs": 2, "lr": 0.5}}
    tuned = {"id": "tuned", "label": "t", "data": "brains", "tuned_from": "low", "train": {"rate": [0.1]}}
    table = {**TABLE, "conditions": [*TABLE["conditions"], tuned], "scales": {}}
    benchmark = parse("table", table, family)
    jobs = {j.condition.id: j for j in plan(benchmark, "reduced", rows=["a"])}
    assert jobs["tuned"].before == jobs["low"].train
    assert jobs["tuned"].train == {
        "epochs": 2,
        "lr": 0.5,
        "rate": [0.1],
        "options": {"n_blocks": 4},
        "seed": 0,
    }
    assert "epochs" not in {j.condition.id: j for j in plan(benchmark, "full")}["tuned"].train
    assert jobs["low"].before == {}
