"""One benchmark from its name to its tables: `run_benchmark` is what the command calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from segnets.benchmarks import pictures, record, text
from segnets.benchmarks.run import DONE, FAILED, Result, Settings, run_jobs
from segnets.benchmarks.spec import DataSet, Job, load_benchmark, plan
from segnets.checkpoint import write_json

Report = Callable[[Job, Result], None]
MakeStore = Callable[[DataSet], str]  # a data set -> path of its store, or an error with a sentence


def run_benchmark(
    name: str,
    scale: str,
    out: Path,
    make_store: MakeStore,
    settings: Settings,
    *,
    rows: Sequence[str] = (),
    seeds: Sequence[int] = (0,),
    command: str = "",
    report: Report | None = None,
) -> Path:
    """Run a table at a scale; returns its folder, `out/SCALE/NAME`. Its runs are in `out/SCALE/runs`.

    The tables are written anew after every job, the pictures at the end. ValueError for an unknown name,
    scale or row; what goes wrong with a row stands in its table.
    """
    benchmark = load_benchmark(name)
    jobs = plan(benchmark, scale, rows=rows, seeds=seeds)
    home, pool = out / scale / name, out / scale / "runs"
    home.mkdir(parents=True, exist_ok=True)
    known = record.start(benchmark, scale, home, command)

    def store_of(data: str) -> str:
        path = make_store(benchmark.data_set(data))
        record.add_data(known, benchmark, data, path, home)
        return path

    for job, result in run_jobs(benchmark, jobs, store_of, pool, settings):
        record.add_result(known, benchmark, result, home)
        write(known, home)
        if report:
            report(job, result)
    write(known, home, pictures.draw_all(known, home))
    return home


def write(known: record.Record, home: Path, drawn: Sequence[str] = ()) -> None:
    """Write results.json and results.md."""
    write_json(home / record.NAME, known)
    (home / "results.md").write_text(text.markdown(known, drawn), encoding="utf-8")


def outcome(home: Path) -> tuple[int, int, int]:
    """Count the jobs of a benchmark folder: done, failed, all others."""
    states = [r["status"] for r in record.read(home / record.NAME)["results"]]
    done, failed = states.count(DONE), states.count(FAILED)
    return done, failed, len(states) - done - failed
