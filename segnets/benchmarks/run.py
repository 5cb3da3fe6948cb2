"""Run the jobs of a benchmark one by one: train, test, and keep what came out; nothing is done twice.

Runs live in a pool beside the tables and are named after everything that decides their weights, so that a row
that several tables share is trained once, and a killed one goes on from its checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from segnets.benchmarks.spec import Benchmark, Job, Options, tupled
from segnets.benchmarks.testing import analysed, by_subject, number, tested
from segnets.checkpoint import CheckpointError, write_json
from segnets.config import MAY_CHANGE, RunConfig, TrainConfig
from segnets.data import DataError, as_store
from segnets.describe import describe
from segnets.evaluate import EvaluateConfig, pick_device
from segnets.models import model_class
from segnets.pictures import read_log
from segnets.train import TrainingError, train

DONE, UNFINISHED, FAILED, NOT_RUN = "done", "unfinished", "failed", "not run"
MACHINE = "machine.json"
LATER: dict[str, Any] = {  # what runs of before know nothing of
    **{"rotation": 0.0, "zoom": 0.0, "shift": 0.0, "init": ""},
    **{"center_from": 0, "density": "gaussian", "phase": "none", "crop": (), "window": 0},
    **{"lines": (), "accumulate": 1, "curriculum": True},
}
ONE_SENTENCE = (TrainingError, DataError, CheckpointError, ValueError)  # the message says it all


class NotAvailable(Exception):  # noqa: N818 - nothing went wrong
    """A data set that is not there and that nobody can make; the message says where to get it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Where and how the jobs run; none of it decides what a table says, but for rounding."""

    device: str = "auto"
    precision: str = "32-true"
    compile: bool = False
    max_minutes: float = 0.0  # for all jobs together, 0 = no limit
    quiet: bool = False
    pictures: bool = True  # of each run's typical slices


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What became of a job.

    numbers : one per figure of the benchmark, None where the evaluation has none; () unless it is done
    spreads : the same of the standard deviations over the test subjects
    subjects : figure -> its values by subject, for those that claims are tested with
    run, evaluation : directories; "" where there are none
    seconds : spent training in all
    spent : [s] just now
    """

    row: str
    condition: str
    seed: int
    status: str
    sentence: str = ""
    numbers: tuple[float | None, ...] = ()
    spreads: tuple[float | None, ...] = ()
    subjects: dict[str, list[float]] = field(default_factory=dict)
    run: str = ""
    evaluation: str = ""
    parameters: int = 0
    seconds: float = 0.0
    iterations: int = 0
    epochs: int = 0
    device: str = ""
    spent: float = 0.0


StoreOf = Callable[
    [str], str
]  # id of a data set -> path of its store; NotAvailable or an error with a sentence


def run_jobs(
    benchmark: Benchmark, jobs: Iterable[Job], store_of: StoreOf, pool: Path, settings: Settings
) -> Iterable[tuple[Job, Result]]:
    """Run every job and yield what became of it; a failure is a result as well, and the others go on.

    store_of : gives the store of a data set, and makes it where that is needed
    pool : folder of the run directories
    """
    stores: dict[str, str | Exception] = {}
    deadline = time.monotonic() + 60 * (settings.max_minutes or math.inf)
    for job in jobs:
        where = Result(row=job.row.id, condition=job.condition.id, seed=job.seed, status=NOT_RUN)
        minutes = (deadline - time.monotonic()) / 60
        if minutes <= 0:
            yield job, replace(where, sentence="the time was up before it began")
            continue
        try:
            store = _store(job.condition.data, stores, store_of)
            limited = replace(settings, max_minutes=minutes if math.isfinite(minutes) else 0.0)
            yield job, run_job(benchmark, job, where, store, pool, limited)
        except NotAvailable as error:
            yield job, replace(where, sentence=str(error))
        except Exception as error:  # whatever it is, the other rows go on
            yield job, replace(where, status=FAILED, sentence=sentence(error, pool / "errors", job.title))


def _store(name: str, stores: dict[str, str | Exception], store_of: StoreOf) -> str:
    """Ask for a store once, and remember its path or why there is none."""
    if name not in stores:
        try:
            stores[name] = store_of(name)
        except Exception as error:
            stores[name] = error
    found = stores[name]
    if isinstance(found, Exception):
        raise found
    return found


def run_job(
    benchmark: Benchmark, job: Job, where: Result, store: str, pool: Path, settings: Settings
) -> Result:
    """Train a network to its end, test it and read its numbers; unfinished where the time is up before."""
    decides = job.train
    if job.before:
        first = trained(job.row.model, job.before, store, where, pool, settings)
        if first.status == UNFINISHED:
            return first
        settings = replace(settings, max_minutes=left(settings, first.spent))
        decides = {**decides, "init": first.run}
    found = trained(job.row.model, decides, store, where, pool, settings)
    if found.status == UNFINISHED:
        return found
    config = EvaluateConfig(device=settings.device, control=job.row.control, **tupled(job.condition.evaluate))
    folder = tested(Path(found.run), job, config, picture=settings.pictures)
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    if benchmark.analysis != "none":
        summary[benchmark.analysis] = analysed(
            benchmark.analysis, Path(found.run), folder, config, job.analysis
        )
    measured = replace(
        found,
        status=DONE,
        numbers=tuple(number(summary, figure.path, figure.factor) for figure in benchmark.figures),
        spreads=tuple(number(summary, figure.spread, figure.factor) for figure in benchmark.figures),
        subjects={f.id: by_subject(summary, f) for f in benchmark.figures if f.subjects},
        evaluation=str(folder),
        parameters=summary["n_parameters"],
    )
    return measured if job.row.control == "none" else without_network(measured)


def trained(
    model: str, decides: Options, store: str, where: Result, pool: Path, settings: Settings
) -> Result:
    """Train a network to its end, or find it trained; `status` is UNFINISHED where the time is up before.

    decides : what its training overrides
    """
    began = time.monotonic()
    data = as_store(store)
    config = train_config(model, decides, store, settings, cine=data.n_frames > 0)
    run = describe(config, data)
    run_dir = pool / f"{config.model}-{key(run)}"
    train(replace(config, out=str(run_dir)), resume=True, quiet=settings.quiet)
    note_machine(run_dir, config.device)
    found = replace(where, run=str(run_dir), **effort(run_dir), spent=time.monotonic() - began)
    if found.epochs < config.epochs:
        sentence = f"epoch {found.epochs} of {config.epochs}; the same command goes on"
        return replace(found, status=UNFINISHED, sentence=sentence)
    return found


def left(settings: Settings, spent: float) -> float:
    """Return the minutes that are left of a limit after `spent` seconds; 0 is no limit."""
    return max(settings.max_minutes - spent / 60, 1e-9) if settings.max_minutes else 0.0


def without_network(result: Result) -> Result:
    """Take away what is of the network that the answers are not of."""
    return replace(result, run="", parameters=0, seconds=0.0, iterations=0, epochs=0, device="")


def train_config(
    model: str, decides: Options, store: str, settings: Settings, *, cine: bool = False
) -> TrainConfig:
    """Take the paper's training of the model and override what the scale and the condition say.

    cine : whether the store holds series of frames
    """
    values: dict[str, Any] = {
        **tupled(decides),
        "device": settings.device,
        "precision": settings.precision,
        "compile": settings.compile,
        "max_minutes": settings.max_minutes,
    }
    return TrainConfig.for_model(model, data=store, cine=cine, **values)


def key(run: RunConfig) -> str:
    """Name everything that decides the weights of a run in 8 letters."""
    free = MAY_CHANGE - {"epochs"}
    values = {f.name: getattr(run.train, f.name) for f in fields(TrainConfig) if f.name not in free}
    decides = {name: value for name, value in values.items() if name not in LATER or value != LATER[name]}
    if run.train.init:
        decides["init"] = Path(run.train.init).name  # which says what decided its weights
    if (revision := model_class(run.train.model).revision) > 1:
        decides["revision"] = revision
    text = json.dumps([decides, run.class_names, run.shape, run.data_hash, run.mask], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def effort(run_dir: Path) -> dict[str, Any]:
    """Read from a run what it took: seconds, iterations and epochs of training, and the device."""
    machine = json.loads((run_dir / MACHINE).read_text(encoding="utf-8"))
    if not (run_dir / "log.csv").is_file():
        return {"device": machine["device"]}
    log = read_log(run_dir / "log.csv")
    return {
        "seconds": sum(log["seconds"]),
        "iterations": int(log["step"][-1]),
        "epochs": int(log["epoch"][-1]),
        "device": machine["device"],
    }


def note_machine(run_dir: Path, device: str) -> None:
    """Keep the name of what trained a run beside it, once."""
    if not (run_dir / MACHINE).is_file():
        write_json(run_dir / MACHINE, {"device": device_name(device)})


def device_name(device: str) -> str:
    """Name the GPU, or the processor and the number of its threads."""
    import torch

    if pick_device(device).type == "cuda":
        return str(torch.cuda.get_device_name())
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    n = torch.get_num_threads()
    return f"{models[0] if models else platform.machine()}, {n} thread{'s' * (n != 1)}"


def sentence(error: Exception, folder: Path, title: str) -> str:
    """Say in one line what went wrong; what is not meant for users leaves its traceback in `folder`."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, ONE_SENTENCE) or type(error).__module__.startswith(("mrsim.", "phantoms.")):
        return text
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{hashlib.blake2b(title.encode(), digest_size=4).hexdigest()}.txt"
    path.write_text(f"{title}\n\n{''.join(traceback.format_exception(error))}", encoding="utf-8")
    return f"{type(error).__name__}: {text[:200]} (traceback: {path.name} in {folder.name}/)"


def plain(result: Result, home: Path) -> dict[str, Any]:
    """Turn a result into values for JSON; its directories are seen from `home`."""
    values = asdict(result)
    for name in ("run", "evaluation"):
        if values[name]:
            values[name] = relative(Path(values[name]), home)
    del values["spent"]  # of this time only
    return {**values, "numbers": list(result.numbers), "spreads": list(result.spreads)}


def relative(path: Path, home: Path) -> str:
    """Write a path as seen from `home`, with slashes."""
    return Path(os.path.relpath(path.resolve(), home.resolve())).as_posix()
