"""The part of a page about one benchmark: tables, claims, pictures, curves, sampling patterns, work."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segnets.benchmarks.pictures import ERROR_GAIN
from segnets.benchmarks.text import claims_table, preamble, remarks, result_tables, work_table
from segnets.reports import html
from segnets.reports.collect import Bench, Found, Run
from segnets.reports.run_part import pattern_figure
from segnets.reports.svg import COLOURS, Curve, chart

CAPTIONS = {
    "labels": "The same test slices for every network. A network that ends at the image shows its image.",
    "image": f"The same test slice for every network; below, {ERROR_GAIN} times the error.",
}


def bench_id(bench: Bench) -> str:
    """Name of a benchmark on the page."""
    return f"benchmark-{bench.record['name']}-{bench.record['scale']}"


def bench_title(bench: Bench) -> str:
    """Title of a benchmark with its scale."""
    return f"{bench.record['title']} ({bench.record['scale']})"


def benchmark_section(bench: Bench, found: Found) -> str:
    """Everything about a benchmark; its rows link to their runs."""
    record, links = bench.record, row_links(bench, found)
    claims, work = claims_table(record), work_table(record)
    made = f"<p class='note'>Made with <code>{html.text(record['command'])}</code></p>"
    parts = [
        f'<h2 id="{html.anchor(bench_id(bench))}">{html.text(bench_title(bench))}</h2>',
        html.listed(preamble(record)),
        *(html.table(table, links) for table in result_tables(record)),
        html.listed(remarks(record)),
        f"<h3>Claims of the paper</h3>{html.table(claims)}" if claims else "",
        shown(
            bench.home / "figure.png", "Against the level or size that varies; dashed: the paper's numbers."
        ),
        shown(bench.home / "overlays.png", "Outlines of the classes in one heart, cut to it."),
        *(condition_figures(bench, condition, found) for condition in record["conditions"]),
        f"<h3>Networks and work</h3>{html.table(work, links)}" if work else "",
        made if record["command"] else "",
    ]
    return f"<section>{''.join(parts)}</section>"


def row_links(bench: Bench, found: Found) -> dict[str, str]:
    """Label of a row -> name of its first run on the page."""
    links: dict[str, str] = {}
    for result in bench.record["results"]:
        run = found.run_of(bench, result)
        if run is not None:
            links.setdefault(bench.row_label(result["row"]), run.name)
    return links


def condition_figures(bench: Bench, condition: Mapping[str, Any], found: Found) -> str:
    """Pictures, training curves and sampling patterns of the networks under one condition."""
    results = [r for r in bench.record["results"] if r["condition"] == condition["id"]]
    runs: dict[str, Run] = {}
    for result in results:
        run = found.run_of(bench, result)
        if run is not None:
            runs.setdefault(bench.row_label(result["row"]), run)
    if not runs:
        return ""
    picture = shown(bench.home / f"pictures-{condition['id']}.png", CAPTIONS[bench.record["shows"]])
    picture += shown(
        bench.home / f"codes-{condition['id']}.png", "Latent codes of subjects under many masks."
    )
    patterns = [pattern_figure(run.patterns["pattern"], label) for label, run in runs.items() if run.patterns]
    return (
        f"<h3>{html.text(condition['label'])}</h3>{picture}"
        + html.row([joint_curves(runs, "loss", "Training loss"), joint_curves(runs, "dice", "Training Dice")])
        + html.row(patterns)
    )


def joint_curves(runs: Mapping[str, Run], column: str, title: str) -> str:
    """One curve per network."""
    n = len(COLOURS)
    curves = [
        Curve(label=label, x=run.log["epoch"], y=run.log[column], colour=COLOURS[i % n], dashed=i >= n)
        for i, (label, run) in enumerate(runs.items())
        if column in run.log
    ]
    return html.picture(chart(curves, title=title, y_range=(0, 1) if column == "dice" else None))


def shown(path: Path, caption: str) -> str:
    """Show a picture that is there."""
    return html.image(path, caption) if path.is_file() else ""
