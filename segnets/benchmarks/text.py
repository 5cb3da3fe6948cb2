"""The record of a benchmark as tables: published and measured numbers side by side, never in one column."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from segnets.benchmarks.record import Record, measured, printed, results_of, state, subject_spread
from segnets.benchmarks.run import DONE
from segnets.tables import Table

MINUTE = 60  # [s]
Cell = Callable[[Record, dict[str, Any], str, int], str]


def result_tables(record: Record) -> list[Table]:
    """One table per condition, or per figure where the paper lays it out so."""
    if record["layout"] == "conditions":
        return [condition_table(record, condition) for condition in conditions_run(record)]
    return [
        figure_table(record, at, group) for at in range(len(record["figures"])) for group in groups(record)
    ]


def conditions_run(record: Record) -> list[dict[str, Any]]:
    """Return the conditions that were begun, all where none was."""
    begun = {r["condition"] for r in record["results"]}
    return [c for c in record["conditions"] if c["id"] in begun or not begun]


def groups(record: Record) -> list[str]:
    """Return the curves that the conditions belong to, in their order."""
    return list(dict.fromkeys(c["group"] for c in record["conditions"]))


def extra_columns(record: Record) -> list[str]:
    """Names of what the paper prints beside a row's name."""
    return list(dict.fromkeys(name for row in record["rows"] for name in row["columns"]))


def condition_table(record: Record, condition: dict[str, Any]) -> Table:
    """One row per network, two columns per figure; one where no paper prints any."""
    extra = extra_columns(record)
    theirs = any(row["published"] for row in record["rows"])
    heads: list[str] = []
    cells: list[tuple[Cell, int]] = []
    for at, figure in enumerate(record["figures"]):
        both = theirs and figure.get("printed", True)
        heads += [f"{figure['label']}, paper", f"{figure['label']}, ours"] if both else [figure["label"]]
        cells += [(published_cell, at), (measured_cell, at)] if both else [(measured_cell, at)]
    rows = [
        (
            row["label"],
            *(row["columns"].get(name, "") for name in extra),
            *(cell(record, row, condition["id"], at) for cell, at in cells),
        )
        for row in record["rows"]
    ]
    return Table(header=("", *extra, *heads), rows=tuple(rows), title=f"**{condition['label']}**")


def figure_table(record: Record, at: int, group: str) -> Table:
    """Two rows per network, one column per condition."""
    run = [c["id"] for c in conditions_run(record)]
    known = [c["id"] for c in record["conditions"] if any(c["id"] in r["published"] for r in record["rows"])]
    mine = [c for c in record["conditions"] if c["group"] == group]
    conditions = [c for c in mine if c["id"] in run or c["id"] in known]
    rows = []
    for row in record["rows"]:
        for source, cell in (("paper", published_cell), ("ours", measured_cell)):
            cells = [cell(record, row, c["id"], at) for c in conditions]
            if any(cells):
                rows.append((row["label"], source, *cells))
    label = record["figures"][at]["label"]
    title = f"**{label}: {group}**" if group else f"**{label}**"
    return Table(header=("", "", *(c["label"] for c in conditions)), rows=tuple(rows), title=title)


def published_cell(record: Record, row: dict[str, Any], condition: str, at: int) -> str:
    """Return the printed number with its spread, with the digits of the paper; "" where it prints none."""
    number, spread = printed(row, condition, at), printed(row, condition, at, spread=True)
    return "" if math.isnan(number) else _with_spread(number, spread, record["figures"][at]["digits"])


def measured_cell(record: Record, row: dict[str, Any], condition: str, at: int) -> str:
    """Return the mean over the seeds with its spread, or why there is none.

    The spread is that over the test subjects where the paper prints that, else that over the seeds.
    """
    mean, spread, n = measured(record, row["id"], condition, at)
    if n == 0:
        now = state(record, row["id"], condition)
        return "-" if now == DONE else now
    figure = record["figures"][at]
    if figure.get("spread"):
        spread = subject_spread(record, row["id"], condition, at)
    return _with_spread(mean, spread, figure["digits"])


def _with_spread(mean: float, spread: float, digits: int) -> str:
    return f"{mean:.{digits}f}" + ("" if math.isnan(spread) else f" ± {spread:.{digits}f}")


def claims_table(record: Record) -> Table | None:
    """One row per claim and condition; None where the paper claims nothing or nothing was run."""
    labels = {c["id"]: c["label"] for c in record["conditions"]}
    digits = {f["id"]: f["digits"] for f in record["figures"]}
    tested = any(claim.get("test", "none") != "none" for claim in record["claims"])
    rows = [
        (
            claim["text"],
            labels[verdict["condition"]],
            _gap(verdict["published"], digits[claim["figure"]]),
            _gap(verdict["measured"], digits[claim["figure"]]),
            *([_p(verdict["p"])] if tested else []),
            _verdict(verdict["measured"]),
        )
        for claim in record["claims"]
        for verdict in claim["conditions"]
        if verdict["measured"] is not None
    ]
    if not rows:
        return None
    return Table(
        header=("Claim of the paper", "Condition", "Gap, paper", "Gap, ours", *(["p"] * tested), "Here"),
        rows=tuple(rows),
        notes=(
            "Gap: lowest figure of the networks claimed to have more minus the highest of the others. "
            "A gap within the spread over seeds says nothing.",
            *(["p: Wilcoxon rank-sum test over the test subjects, as in the paper."] * tested),
        ),
    )


def _gap(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:+.{digits}f}"


def _p(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"


def _verdict(value: float) -> str:
    return "holds" if value >= 0 else "does not hold"


def work_table(record: Record) -> Table | None:
    """One row per network: parameters, time, iterations, device, seeds; None where nothing was run.

    A network that is tested under several conditions has one row.
    """
    tested: dict[tuple[str, ...], list[str]] = {}
    trained: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for condition in record["conditions"]:
        for row in record["rows"]:
            if found := [r for r in results_of(record, row["id"], condition["id"]) if r["run"]]:
                network = (row["label"], *(r["run"] for r in found))
                tested.setdefault(network, []).append(condition["label"])
                trained[network] = found
    rows = [
        (
            network[0],
            ", ".join(tested[network]),
            ", ".join(str(r["seed"]) for r in found),
            f"{found[0]['parameters']:,}" if found[0]["parameters"] else "",
            _several([r["epochs"] for r in found]),
            _several([r["iterations"] for r in found]),
            _several([round(r["seconds"] / MINUTE, 1) for r in found]),
            ", ".join(dict.fromkeys(r["device"] for r in found if r["device"])),
        )
        for network, found in trained.items()
    ]
    if not rows:
        return None
    header = ("", "Condition", "Seeds", "Parameters", "Epochs", "Iterations", "Training [min]", "Device")
    return Table(header=header, rows=tuple(rows))


def _several(values: Sequence[object]) -> str:
    return ", ".join(dict.fromkeys(map(str, values)))


def remarks(record: Record) -> list[str]:
    """Say why jobs did not end with a number, those that say the same together, and what was left out."""
    labels = {r["id"]: r["label"] for r in record["rows"]}
    conditions = {c["id"]: c["label"] for c in record["conditions"]}
    said: dict[tuple[str, str, str], list[str]] = {}
    for r in record["results"]:
        if r["status"] != DONE:
            said.setdefault((r["condition"], r["status"], r["sentence"]), []).append(labels[r["row"]])
    run = {c["id"] for c in conditions_run(record)}
    left_out = [label for name, label in conditions.items() if name not in run]
    return [
        f"{conditions[condition]}, {', '.join(dict.fromkeys(rows))}: {status} ({sentence})"
        for (condition, status, sentence), rows in said.items()
    ] + ([f"Conditions that were not run: {', '.join(left_out)}."] if left_out else [])


def data_lines(record: Record) -> list[str]:
    """Say on what the measured numbers stand."""
    return [
        f"{data['title'] or data['store']}: {data['n_train']} training and {data['n_test']} test slices of "
        f"{data['shape'][0]} x {data['shape'][1]} (recipe {data['recipe_hash']})"
        for data in record["data"].values()
    ]


def preamble(record: Record) -> list[str]:
    """Say what must be known first: data, scale, aggregation, what the paper leaves open."""
    return [
        f"Paper: {record['published_data']}.",
        *(f"Ours: {line}." for line in data_lines(record)),
        f"Scale {record['scale']}: {record['scale_note']}",
        record["aggregation"],
        *record["notes"],
    ]


def markdown(record: Record, pictures: Sequence[str] = ()) -> str:
    """Render the whole record; pictures : file names beside the text."""
    parts = [
        f"# {record['title']}",
        f"{record['paper']}.",
        "\n".join(f"* {line}" for line in preamble(record)),
        *(table.markdown() for table in result_tables(record)),
    ]
    claims, work = claims_table(record), work_table(record)
    parts += ["## Claims", claims.markdown()] if claims else []
    parts += ["## Work", work.markdown()] if work else []
    parts += ["\n".join(f"* {line}" for line in remarks(record))]
    parts += [f"![{name}]({name})" for name in pictures]
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    parts += [f"Made with `{record['command']}` ({versions})."]
    return "\n\n".join(part for part in parts if part) + "\n"
