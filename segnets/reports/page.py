"""A folder of runs and benchmarks -> one HTML page: no network, no other file, no script."""

from __future__ import annotations

import html as escaping
from datetime import date
from pathlib import Path

from segnets.outputs import versions
from segnets.reports import html
from segnets.reports.bench_part import bench_id, bench_title, benchmark_section
from segnets.reports.collect import Found, collect
from segnets.reports.run_part import runs_section

STYLE = Path(__file__).with_name("style.css")


def write_report(folder: Path, out: Path, *, title: str = "") -> Path:
    """Write the page about everything in `folder`; FileNotFoundError where there is nothing."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder")
    page = render(collect(folder), folder.resolve().name, title)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page, encoding="utf-8")
    return out


def render(found: Found, name: str, title: str = "") -> str:
    """Render the whole page; name : what it is called where it has no title of its own."""
    single = found.benches[0].record["title"] if len(found.benches) == 1 else ""
    title = title or single or name
    sections = [benchmark_section(bench, found) for bench in found.benches]
    body = "".join([header(found, title), *sections, runs_section(found), footer()])
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escaping.escape(title)}</title><style>{STYLE.read_text(encoding='utf-8')}</style></head>"
        f'<body id="top">{body}</body></html>\n'
    )


def header(found: Found, title: str) -> str:
    """Title, what the page is about, and links to its parts."""
    n_runs, n_benches = len(found.runs), len(found.benches)
    counted = [f"{n_benches} benchmarks"] * (n_benches > 1) + [f"{n_runs} run{'s' * (n_runs != 1)}"]
    papers = dict.fromkeys(bench.record["paper"] for bench in found.benches)
    links = [html.link(bench_id(bench), bench_title(bench)) for bench in found.benches]
    links += [html.link("runs", "Runs")] * bool(found.runs)
    links += [html.link(run.name, found.title_of(run)) for run in found.runs.values()]
    items = "".join(f"<li>{each}</li>" for each in links)
    return (
        f"<header><h1>{html.text(title)}</h1>"
        f'<p class="lead">{html.text("; ".join(papers) or "Training runs of segnets")}</p>'
        f'<p class="soft">{", ".join(counted)}; {date.today().isoformat()}</p>'
        f"<nav><ol>{items}</ol></nav></header>"
    )


def footer() -> str:
    """Say what made the page."""
    made = ", ".join(f"{name} {version}" for name, version in versions().items())
    top = html.link("top", "Top")
    return f"<footer>Made by <code>segnets report</code> with {html.text(made)}. {top}</footer>"
