"""What a folder holds: runs of `segnets train`, their evaluations, and benchmarks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segnets.benchmarks import record
from segnets.benchmarks.examples import EXAMPLES
from segnets.benchmarks.pictures import load
from segnets.benchmarks.run import MACHINE
from segnets.patterns import FILE
from segnets.pictures import read_log


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Evaluated:
    """One evaluation of a run, as `segnets evaluate` left it."""

    name: str
    folder: Path
    summary: dict[str, Any]

    @property
    def picture(self) -> Path | None:
        """PNG of typical slices; None where there is none."""
        return next(iter(sorted(self.folder.glob("*.png"))), None)

    @property
    def movie(self) -> Path | None:
        """GIF of typical beating hearts; None where there is none."""
        return next(iter(sorted(self.folder.glob("*.gif"))), None)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Run:
    """One run directory.

    config : `RunConfig.to_dict()`
    log : column of log.csv -> (epoch,); {} before the first epoch is done
    patterns : name -> (ky, kx), where all slices were sampled alike
    """

    path: Path
    name: str
    config: dict[str, Any]
    log: dict[str, list[float]]
    evaluations: tuple[Evaluated, ...]
    patterns: dict[str, NDArray[Any]]
    device: str

    @property
    def train(self) -> dict[str, Any]:
        """Return the training configuration."""
        return dict(self.config["train"])

    @property
    def epochs_done(self) -> int:
        """Epochs that are in the log."""
        return int(self.log["epoch"][-1]) if self.log else 0


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Bench:
    """One benchmark folder."""

    home: Path
    record: record.Record

    def row_label(self, row: str) -> str:
        """Return what the table calls a row."""
        return next(str(each["label"]) for each in self.record["rows"] if each["id"] == row)

    def title_of(self, result: Mapping[str, Any]) -> str:
        """Name a result: row, condition, and the seed where it is not the first."""
        condition = next(c["label"] for c in self.record["conditions"] if c["id"] == result["condition"])
        seed = f", seed {result['seed']}" if result["seed"] else ""
        return f"{self.row_label(result['row'])}, {condition}{seed}"


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Found:
    """Everything that a report is about; runs by their directory."""

    benches: tuple[Bench, ...]
    runs: dict[Path, Run]

    def run_of(self, bench: Bench, result: Mapping[str, Any]) -> Run | None:
        """Return the run of a result of a benchmark; None where it has none, or none that is there."""
        return self.runs.get((bench.home / result["run"]).resolve()) if result["run"] else None

    def title_of(self, run: Run) -> str:
        """Return what the first benchmark that shows a run calls it; else its name."""
        titles = (
            b.title_of(r) for b in self.benches for r in b.record["results"] if self.run_of(b, r) is run
        )
        return next(titles, run.name)


def collect(folder: Path) -> Found:
    """Find every benchmark and run in a folder, and the runs that the benchmarks point to.

    FileNotFoundError with one sentence where there is none.
    """
    benches = tuple(Bench(home=p.parent, record=r) for p, r in _records(folder))
    listed = [(b.home / r["run"]).resolve() for b in benches for r in b.record["results"] if r["run"]]
    inside = sorted(path.parent.resolve() for path in folder.rglob("config.json"))
    places = dict.fromkeys([*listed, *inside])  # in the order of the tables
    runs = {path: run for path in places if (run := read_run(path)) is not None}
    if not benches and not runs:
        raise FileNotFoundError(f"{folder} holds no run of segnets train and no benchmark")
    return Found(benches=benches, runs=runs)


def _records(folder: Path) -> Iterable[tuple[Path, record.Record]]:
    for path in sorted(folder.rglob(record.NAME)):
        try:
            yield path, record.read(path)
        except (ValueError, AttributeError):  # another program's results.json
            continue


def read_run(path: Path) -> Run | None:
    """Read a run directory; None where it is not one."""
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
        config["train"]["model"], config["class_names"], config["shape"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    machine = path / MACHINE
    return Run(
        path=path,
        name=path.name,
        config=config,
        log=_log(path / "log.csv"),
        evaluations=tuple(_evaluations(path / "evaluation")),
        patterns=_patterns(path),
        device=json.loads(machine.read_text(encoding="utf-8"))["device"] if machine.is_file() else "",
    )


def _log(path: Path) -> dict[str, list[float]]:
    try:
        return read_log(path)
    except (OSError, ValueError):
        return {}


def _evaluations(folder: Path) -> Iterable[Evaluated]:
    for path in sorted(folder.glob("*/summary.json")):
        summary = json.loads(path.read_text(encoding="utf-8"))
        yield Evaluated(name=path.parent.name, folder=path.parent, summary=summary)


def _patterns(path: Path) -> dict[str, NDArray[Any]]:
    """Return the one pattern of a run, and the probabilities that it was made from where they were kept."""
    found: dict[str, NDArray[Any]] = {}
    for examples in sorted(path.glob(f"evaluation/*/{EXAMPLES}")):
        arrays = load(examples)
        found |= {name: arrays[name] for name in ("pattern", "probability") if name in arrays}
    if (path / FILE).is_file():
        found["pattern"] = np.load(path / FILE, allow_pickle=False)
    return found
