"""Training speed and memory of every network at the size of its paper, stage by stage.

python benchmarks/models.py --batch 1 --steps 2 --out models-cpu.json
python benchmarks/models.py --cine --batch 1 --steps 1 --out models-cine.json      # series of 50 frames
python benchmarks/models.py --device cuda --out models-cuda.json --max-minutes 9   # again until all is there

Runs the step of the real training loop (masks, movements, forward, backward, optimiser, scores) on k-space of
noise that lies on the device. Of cines every fourth line is kept, and "answer" is what a trained network
does: one pass over all pixels. Every measurement has a process of its own and goes into the JSON file at
once; what stands there is not measured again. Out of memory halves the batch. On a GPU every stage is
measured plain, in bf16 and channels-last, and with torch.compile as well. On a CPU that others use, too, the
processor time says more than the clock: OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric

from segnets.benchmarks.run import device_name
from segnets.config import RunConfig, TrainConfig
from segnets.data import Cases, levels_to_read
from segnets.models import MODELS, RECONSTRUCTORS, model_class
from segnets.recipes import paper_shape
from segnets.session import Session
from segnets.stages import divide_epochs
from segnets.train import accelerator, affine_of, precision, sampling_of, train_step

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "channels-last": {"channels_last": True},
    "bf16": {"channels_last": True, "precision": "bf16-mixed"},
    "bf16 compiled": {"channels_last": True, "precision": "bf16-mixed", "compile": True},
}
OF_DEVICE = {"cpu": ["channels-last"], "cuda": ["plain", "bf16", "bf16 compiled"]}
BATCH, STEPS = {"cpu": 1, "cuda": 12}, {"cpu": 2, "cuda": 20}
BRAIN = (180, 216)  # also of DiSK, whose paper has series of frames
CINE = (50, 80, 80)  # frame, ky, kx: DiSK's paper
RATE = 0.25  # of the lines of cines: 80,000 samples
ANSWER = "answer"
CONTRASTS = 3  # of networks that read several
MINUTES = 30.0  # for one measurement

Row = dict[str, Any]


def config_of(
    name: str, batch: int, device: str, variant: str, *, cine: bool
) -> tuple[TrainConfig, tuple[int, ...]]:
    """Take the paper's training of a network, and the size of its images or series."""
    shape = CINE if cine else paper_shape(name)
    size = shape if cine or len(shape) == 2 else BRAIN
    cls = model_class(name)
    given = {"ny": size[-2], "nx": size[-1], "contrasts": CONTRASTS, "rate": cls.recipe.rate[0]}
    given |= {"dims": 3} if cine else {}
    known = {f.name for f in fields(cls.Config)}
    options = asdict(cls.configure({k: v for k, v in given.items() if k in known}))
    values: dict[str, Any] = {"batch_size": batch, "device": device, "options": options, **VARIANTS[variant]}
    values |= {"rate": (RATE,), "curriculum": False} if cine else {}
    return TrainConfig.for_model(name, data="", cine=cine, **values), size


def session_of(config: TrainConfig, shape: tuple[int, ...], number: int, out: Path) -> Session:
    """Set a training up at the first epoch of a stage."""
    n_classes = int(config.options["n_classes"])
    names = tuple(str(n) for n in range(n_classes))
    plane, n_frames = (shape[-2], shape[-1]), shape[0] if len(shape) == 3 else 0
    run = RunConfig(
        train=config, class_names=names, shape=plane, n_frames=n_frames, data_hash="", versions={}
    )
    fabric = Fabric(accelerator=accelerator(config.device), devices=1, plugins=precision(config))
    session = Session(fabric, run, out)
    session.progress.epoch = sum(divide_epochs(session.stages, config.epochs)[:number])
    session.enter_stage()
    return session


def noise_cases(session: Session, shape: tuple[int, ...]) -> Cases:
    """K-space of noise, which costs what k-space of heads does."""
    config, device = session.run.train, session.fabric.device
    levels = len(levels_to_read(config.noise, affine_of(config), config.phase))
    n_contrasts = int(config.options.get("contrasts", 1))
    contrasts = (n_contrasts,) if n_contrasts > 1 else ()
    n = config.batch_size
    kspace = torch.randn(levels, n, *contrasts, *shape, dtype=torch.complex64, device=device)
    labels = torch.randint(len(session.run.class_names), (n, *shape), device=device).to(torch.uint8)
    return Cases(kspace, labels, torch.arange(n, device=device))


def measure(name: str, number: int, variant: str, batch: int, device: str, steps: int, *, cine: bool) -> Row:
    """Time the steps of one stage after a warm-up, and read the peak memory [byte]; -1 is the answer."""
    config, shape = config_of(name, batch, device, variant, cine=cine)
    step = timed_answers if number < 0 else timed_steps
    with tempfile.TemporaryDirectory() as folder:
        session = session_of(config, shape, number % len(model_class(name).stages), Path(folder))
        with session:
            sampling, cases = sampling_of(session, shape[-2]), noise_cases(session, shape)
            first = step(session, sampling, cases, 1)
            step(session, sampling, cases, 3 if device == "cuda" else 0)
            processor = time.process_time()
            seconds = step(session, sampling, cases, steps)
            processor = time.process_time() - processor
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "samples_per_s": batch * steps / seconds,
        "processor_s": processor / (batch * steps),
        "first_step_s": first,
        "peak": torch.cuda.max_memory_allocated() if device == "cuda" else peak,
        "shape": list(shape),
        "parameters": sum(p.numel() for p in session.model.parameters()),
    }


def timed_steps(session: Session, sampling: Any, cases: Cases, n: int) -> float:  # noqa: ANN401
    """Make n steps; seconds that they take on the device."""
    start = time.perf_counter()
    for _ in range(n):
        session.seed_step()
        train_step(session, sampling, cases)
    if session.fabric.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


@torch.inference_mode()
def timed_answers(session: Session, sampling: Any, cases: Cases, n: int) -> float:  # noqa: ANN401
    """Segment all pixels n times; seconds that it takes on the device."""
    session.network.eval()
    batch = sampling.draw(cases, session.generator)
    start = time.perf_counter()
    for _ in range(n):
        session.model(batch.kspace, batch.mask)
    if session.fabric.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def in_own_process(job: Row, batch: int, steps: int) -> Row:
    """Measure one stage; with half the batch again and again where the memory does not suffice."""
    values = {**job, "batch": batch, "steps": steps}
    command = [sys.executable, __file__, "--one", json.dumps(values)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60 * MINUTES)
    except subprocess.TimeoutExpired:
        return {**values, "error": f"took more than {MINUTES:g} min"}
    if done.returncode == 0:
        return {**values, **json.loads(done.stdout.splitlines()[-1])}
    out_of_memory = "out of memory" in done.stderr.lower() or done.returncode == -9
    if out_of_memory and batch > 1:
        return in_own_process(job, batch // 2, steps)
    return {**values, "error": (done.stderr.strip().splitlines() or ["killed"])[-1][:300]}


def table(rows: list[Row]) -> str:
    """Lay out what was measured as a Markdown table; `processor` is per sample, `first` the first step."""
    head = (
        "network, stage",
        "size",
        "parameters",
        "batch",
        "variant",
        "samples/s",
        "processor",
        "first",
        "peak",
    )
    lines = [head, ("---", "---", "--:", "--:", "---", "--:", "--:", "--:", "--:"), *map(cells, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cells(row: Row) -> tuple[str, ...]:
    """One line of the table."""
    title, batch = f"{row['model']}, {row['stage']}", str(row["batch"])
    if "error" in row:
        return (title, "", "", batch, row["variant"], row["error"], "", "", "")
    return (
        title,
        " x ".join(map(str, row["shape"])),
        f"{row['parameters']:,}",
        batch,
        row["variant"],
        f"{row['samples_per_s']:.3g}",
        f"{row['processor_s']:.2f} s",
        f"{row['first_step_s']:.1f} s",
        f"{row['peak'] / 1e9:.1f} GB",
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="*", default=[*MODELS, *RECONSTRUCTORS], metavar="NAME")
    parser.add_argument(
        "--cine", action="store_true", help="series of frames, of the networks that take them"
    )
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--variants", nargs="*", choices=VARIANTS, help="default: those of the device")
    parser.add_argument(
        "--batch", type=int, help="default: 1 on a CPU, 12 on a GPU, less where it does not fit"
    )
    parser.add_argument("--steps", type=int, help="default: 2 on a CPU, 20 on a GPU")
    parser.add_argument("--max-minutes", type=float, default=1e9, help="begin nothing after that")
    parser.add_argument("--out", type=Path, default=Path("models.json"))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    args = arguments()
    if args.one:
        job = json.loads(args.one)
        names = ("number", "variant", "batch", "device", "steps", "cine")
        print(json.dumps(measure(job["model"], **{name: job[name] for name in names})))
        return
    rows: list[Row] = json.loads(args.out.read_text()) if args.out.is_file() else []
    key = ("model", "number", "variant", "device")
    done = {(*(row[name] for name in key), row.get("cine", False)) for row in rows}
    deadline = time.monotonic() + 60 * args.max_minutes
    for name in args.models if not args.cine else [n for n in args.models if model_class(n).cine]:
        stages = {number: stage.name for number, stage in enumerate(model_class(name).stages)}
        for number, stage in (stages | ({-1: ANSWER} if args.cine else {})).items():
            for variant in args.variants or OF_DEVICE[args.device]:
                job = {"model": name, "number": number, "variant": variant, "device": args.device}
                job["cine"] = args.cine
                if tuple(job.values()) in done or time.monotonic() > deadline:
                    continue
                about = {"stage": stage, "machine": device_name(args.device), "torch": torch.__version__}
                batch, steps = args.batch or BATCH[args.device], args.steps or STEPS[args.device]
                row = {**in_own_process(job, batch, steps), **about, "load": os.getloadavg()[0]}
                rows.append(row)
                args.out.write_text(json.dumps(rows, indent=1) + "\n")
                print(" | ".join(cells(row)), file=sys.stderr, flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
