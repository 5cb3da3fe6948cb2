"""Everything that is known about a benchmark after some of its jobs: plain values, as they stand in the JSON.

Tables, pictures and reports are made from this record alone, so they agree.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from segnets.benchmarks.run import DONE, NOT_RUN, Result, plain, relative
from segnets.benchmarks.spec import Benchmark, Claim
from segnets.cardiac.shapes import rank_sum_p
from segnets.config import check
from segnets.data import as_store
from segnets.outputs import versions

FORMAT, FORMAT_VERSION = "segnets-benchmark", 1
NAME = "results.json"

ROW = ("id", "label", "model", "columns", "published", "published_spread", "note")

Record = dict[str, Any]


def start(benchmark: Benchmark, scale: str, home: Path, command: str) -> Record:
    """Describe the table, and take over what earlier runs at the same place found."""
    shrink = benchmark.scales[scale]
    record: Record = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        **{
            name: getattr(benchmark, name)
            for name in (
                "name",
                "title",
                "paper",
                "published_data",
                "aggregation",
                "layout",
                "x_label",
                "x_scale",
                "shows",
                "analysis",
                "behind",
            )
        },
        "notes": list(benchmark.notes),
        "scale": scale,
        "scale_note": shrink.note,
        "command": command,
        "versions": versions(),
        "data": {},
        "figures": [asdict(figure) for figure in benchmark.figures],
        "conditions": [
            {name: getattr(c, name) for name in ("id", "label", "data", "group", "x")}
            for c in benchmark.conditions
        ],
        "rows": [{name: getattr(r, name) for name in ROW} for r in benchmark.rows],
        "results": [],
        "claims": [],
    }
    if (home / NAME).is_file():
        before = read(home / NAME)
        record["data"], record["results"] = before["data"], before["results"]
    return record


def read(path: Path) -> Record:
    """Read the record of a benchmark; ValueError where the file is not one."""
    record = json.loads(path.read_text(encoding="utf-8"))
    found = record.get("format"), record.get("format_version")
    check(found == (FORMAT, FORMAT_VERSION), str(path), f"be {FORMAT} {FORMAT_VERSION}", found)
    return dict(record)


def add_data(record: Record, benchmark: Benchmark, name: str, path: str, home: Path) -> None:
    """Note the store behind a data set; results on another one are forgotten, since no table may mix them."""
    store, label = as_store(path), benchmark.data_set(name).label
    recipe = store.attrs.get("recipe", {})
    local = Path(path).exists()
    entry = {
        "label": label,
        "store": relative(Path(path), home) if local else path,
        "title": recipe.get("title") or recipe.get("name", ""),
        "recipe_hash": str(store.attrs.get("recipe_hash", "")),
        "shape": list(store.shape),
        "classes": list(store.class_names),
        **{f"n_{split}": int(store.indices(split).size) for split in ("train", "validation", "test")},
    }
    old = record["data"].get(name)
    if old is not None and old["recipe_hash"] != entry["recipe_hash"]:
        mine = {c.id for c in benchmark.conditions if c.data == name}
        record["results"] = [r for r in record["results"] if r["condition"] not in mine]
    record["data"][name] = entry


def add_result(record: Record, benchmark: Benchmark, result: Result, home: Path) -> None:
    """Put a result in the place of an older one of the same job, and judge the claims anew."""
    place = (result.row, result.condition, result.seed)
    others = [r for r in record["results"] if (r["row"], r["condition"], r["seed"]) != place]
    rows, conditions = [r.id for r in benchmark.rows], [c.id for c in benchmark.conditions]
    record["results"] = sorted(
        (r for r in [*others, plain(result, home)] if r["row"] in rows and r["condition"] in conditions),
        key=lambda r: (conditions.index(r["condition"]), rows.index(r["row"]), r["seed"]),
    )
    record["claims"] = [judged(benchmark, record, claim) for claim in benchmark.claims]


def results_of(record: Record, row: str, condition: str) -> list[Mapping[str, Any]]:
    """Results of a cell of the table, one per seed; also those that are not done."""
    return [r for r in record["results"] if r["row"] == row and r["condition"] == condition]


def measured(record: Record, row: str, condition: str, figure: int) -> tuple[float, float, int]:
    """Mean over the seeds, sample standard deviation (NaN below two) and number of seeds; NaN without any."""
    values = [
        r["numbers"][figure]
        for r in results_of(record, row, condition)
        if r["status"] == DONE and r["numbers"][figure] is not None
    ]
    if not values:
        return math.nan, math.nan, 0
    spread = statistics.stdev(values) if len(values) > 1 else math.nan
    return statistics.fmean(values), spread, len(values)


def subject_spread(record: Record, row: str, condition: str, figure: int) -> float:
    """Return the standard deviation over the test subjects, mean over seeds; NaN where none is kept."""
    spreads = [r.get("spreads", []) for r in results_of(record, row, condition) if r["status"] == DONE]
    values = [each[figure] for each in spreads if each and each[figure] is not None]
    return statistics.fmean(values) if values else math.nan


def printed(row: Mapping[str, Any], condition: str, figure: int, *, spread: bool = False) -> float:
    """Return what the paper prints of a row, or its standard deviation; NaN where it prints none."""
    numbers = row.get("published_spread" if spread else "published", {}).get(condition, [])
    return float(numbers[figure]) if figure < len(numbers) else math.nan


def state(record: Record, row: str, condition: str) -> str:
    """Say what became of a cell: the state of its seeds, or "not run"."""
    found = [r["status"] for r in results_of(record, row, condition)]
    return next((s for s in found if s != DONE), DONE) if found else NOT_RUN


def judged(benchmark: Benchmark, record: Record, claim: Claim) -> dict[str, Any]:
    """Hold a claim of the paper against the published and the measured numbers of its conditions.

    gap : smallest of `more` minus largest of `less`; None where a number is missing
    p : of the test of the claim, None without one
    """
    at = benchmark.figure_number(claim.figure)
    verdicts = []
    for condition in claim.conditions:
        theirs = {row.id: printed(asdict(row), condition, at) for row in benchmark.rows}
        ours = {r.id: measured(record, r.id, condition, at)[0] for r in benchmark.rows}
        verdicts.append(
            {
                "condition": condition,
                "published": gap(claim, theirs),
                "measured": gap(claim, ours),
                "p": p_value(record, claim, condition),
            }
        )
    return {"text": claim.text, "figure": claim.figure, "test": claim.test, "conditions": verdicts}


def p_value(record: Record, claim: Claim, condition: str) -> float | None:
    """Test the subjects of one row against those of the other, the first seed that both have."""
    if claim.test == "none":
        return None
    samples = [
        [
            r["subjects"][claim.figure]
            for r in results_of(record, rows[0], condition)
            if r["status"] == DONE and r.get("subjects", {}).get(claim.figure)
        ]
        for rows in (claim.less, claim.more)
    ]
    return rank_sum_p(samples[0][0], samples[1][0]) if all(samples) else None


def gap(claim: Claim, numbers: Mapping[str, float]) -> float | None:
    """Smallest number of the rows that are claimed to be better minus the largest of the others."""
    less, more = (_known(rows, numbers) for rows in (claim.less, claim.more))
    return min(more) - max(less) if less and more else None


def _known(rows: Sequence[str], numbers: Mapping[str, float]) -> list[float]:
    """Numbers of all these rows, or none where one is missing."""
    found = [numbers.get(row, math.nan) for row in rows]
    return [] if any(map(math.isnan, found)) else found


def statuses(record: Record, jobs: Iterable[tuple[str, str, int]]) -> list[str]:
    """Return the state of every job (row, condition, seed)."""
    wanted = set(jobs)
    return [r["status"] for r in record["results"] if (r["row"], r["condition"], r["seed"]) in wanted]
