"""Test a finished run, analyse it where the table wants that, and find the numbers of the table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from segnets.benchmarks.examples import EXAMPLES, write_examples
from segnets.benchmarks.spec import Figure, Job, Options, tupled
from segnets.cardiac.analyses import ANALYSES
from segnets.evaluate import EvaluateConfig, evaluate
from segnets.outputs import write_evaluation
from segnets.tables import write_json


def tested(run_dir: Path, job: Job, config: EvaluateConfig, *, picture: bool) -> Path:
    """Evaluate a finished run unless that was done since its last step; returns the folder."""
    parts = ["benchmark", *([job.condition.id] if job.condition.evaluate else [])]
    parts += [job.row.control] if job.row.control != "none" else []
    folder = run_dir / "evaluation" / "-".join(parts)
    done = folder / EXAMPLES
    if newer(done, run_dir):
        return folder
    evaluation = evaluate(run_dir, config)
    write_evaluation(evaluation, folder, picture=picture)
    write_examples(evaluation, done)  # last: its presence says that all is there
    return folder


def analysed(
    name: str, run_dir: Path, folder: Path, config: EvaluateConfig, options: Options
) -> dict[str, Any]:
    """Analyse a finished run unless that was done alike since its last step; returns what it says."""
    path = folder / f"{name}.json"
    if newer(path, run_dir):
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["options"] == options:
            return dict(values)
    found = ANALYSES[name](run_dir, config, **tupled(options))
    np.savez_compressed(folder / f"{name}.npz", allow_pickle=False, **found.arrays)
    write_json(path, {**found.values, "options": options})
    return dict(json.loads(path.read_text(encoding="utf-8")))


def newer(path: Path, run_dir: Path) -> bool:
    """Whether a file is there and was made since the last step of a run."""
    return path.is_file() and path.stat().st_mtime >= (run_dir / "last.pt").stat().st_mtime


def number(summary: Mapping[str, Any], path: str, factor: float) -> float | None:
    """Take a number out of the summary of an evaluation; None where there is none."""
    value = at(summary, path)
    return None if value is None else factor * float(value)


def by_subject(summary: Mapping[str, Any], figure: Figure) -> list[float]:
    """Values of a figure subject by subject; a subject without one is left out."""
    return [figure.factor * float(value) for value in at(summary, figure.subjects) if value is not None]


def at(summary: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401 - whatever JSON holds there
    """Return what stands at keys joined by dots; None where nothing does."""
    value: Any = summary
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
