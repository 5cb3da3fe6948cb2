"""Training: from a configuration and a store to a run directory.

All that is random in a step is a pure function of (seed, epoch, step, device rank), so a run that is killed
and resumed makes the same steps as one that is not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins import MixedPrecision, Precision

from mrsim.store import Store
from segnets.augment import Affine
from segnets.checkpoint import read_checkpoint, run_of, write_json
from segnets.config import RunConfig, TrainConfig, resumed
from segnets.data import (
    Batch,
    Cases,
    Reading,
    as_store,
    levels_to_read,
)
from segnets.describe import describe, epochs_done
from segnets.feeding import SHARE_OF_MEMORY, Feed, free_memory, open_data
from segnets.logs import Bar, Row, RunningScores
from segnets.masks import Lines, as_mask
from segnets.models import model_class
from segnets.patterns import FILE, from_text, pattern_of_run
from segnets.session import Progress, Session, TrainingError
from segnets.stages import learning_rate, lowest_line_count
from segnets.undersampling import Conditions, Undersampling, evaluation_batches

__all__ = ["TrainingError", "describe", "resume", "train"]


def train(config: TrainConfig, *, resume: bool = False, quiet: bool = False) -> Path:
    """Train a network and return its run directory.

    resume : go on from `last.pt` where `config.out` has one; a finished run returns at once
    quiet : no progress bar; there is none without a terminal either

    Errors, one sentence each: StoreError, DataError, CheckpointError, TrainingError, ValueError.
    """
    run = describe(config, as_store(config.data))
    out = Path(config.out or Path("runs") / f"{config.model}-{datetime.now():%Y%m%d-%H%M%S}")
    if (out / "last.pt").is_file() and epochs_done(out, run, resume) >= config.epochs:
        return out
    fabric = Fabric(
        accelerator=accelerator(config.device),
        devices=config.devices,
        strategy="ddp_spawn" if config.devices > 1 else "auto",
        plugins=precision(config),
    )
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "config.json", run.to_dict())
    fabric.launch(fit, run.to_dict(), out, quiet)  # type: ignore[arg-type]
    keep_pattern(out, run)
    return out


def keep_pattern(out: Path, run: RunConfig) -> None:
    """Write mask.npy where the network samples every slice with one pattern: learnt, its own, or given."""
    own = model_class(run.train.model).configure(run.train.options).samples_itself
    if (run.mask or own) and (out / "last.pt").is_file():
        np.save(out / FILE, pattern_of_run(out))


def resume(
    run_dir: str | Path, *, max_minutes: float | None = None, epochs: int | None = None, quiet: bool = False
) -> Path:
    """Go on with the run in `run_dir` as it was configured, for `max_minutes` more or to other `epochs`."""
    last = Path(run_dir) / "last.pt"
    config = run_of(read_checkpoint(last), last).train
    config = replace(resumed(config, max_minutes=max_minutes, epochs=epochs), out=str(run_dir))
    if config.mask:  # the run has it; the file that it was read from may be gone
        config = replace(config, mask=str(run_dir))
    return train(config, resume=True, quiet=quiet)


def accelerator(device: str) -> str:
    """Return the device to use; TrainingError where there is no such."""
    if device == "cuda" and not torch.cuda.is_available():
        raise TrainingError("device must be cpu or auto on this machine, got cuda, which torch does not find")
    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"


class MixedPrecisionOfExactInput(MixedPrecision):
    """Autocast as Fabric does it, except that the measured k-space is not rounded to 8 bits on its way in."""

    def convert_input(self, data: object) -> object:
        """Leave the input in float32."""
        return data


def precision(config: TrainConfig) -> Precision:
    """Return the Fabric plugin for `config.precision`."""
    if config.precision == "bf16-mixed":
        return MixedPrecisionOfExactInput("bf16-mixed", accelerator(config.device))
    return Precision()


def fit(fabric: Fabric, record: dict[str, Any], out: Path, quiet: bool) -> None:
    """Train on this device, from the last checkpoint in `out` if there is one.

    record : `RunConfig.to_dict()`, since Fabric refuses to hand frozen dataclasses to other processes
    """
    run = RunConfig.from_dict(record)
    config, device = run.train, fabric.device
    store = as_store(config.data)
    session = Session(fabric, run, out)
    feed = open_data(
        store,
        noise=levels_to_read(config.noise, affine_of(config), config.phase),
        device=device,
        resident=config.resident,
        n_cases=config.n_cases,
        how=Reading(inu=config.inu, contrast=config.contrast, crop=config.crop),
    )
    validation: dict[float, Iterable[Batch]] = {}
    n_steps, progress = feed.n_steps(session.batch_size, fabric.world_size), session.progress
    done = progress.epoch * n_steps + progress.step
    with session, Bar(config.model, config.epochs * n_steps, done, enabled=session.main and not quiet) as bar:
        bar.say(f"{config.model}: {session.model.n_parameters():,} weights; {feed.summary}")
        while progress.epoch < config.epochs:
            sampling = sampling_of(session, run.shape[0])
            if not train_epoch(session, feed, sampling, bar):
                return  # out of time; the checkpoint is written
            row = epoch_row(session, n_steps)
            if (progress.epoch + 1) % config.validate_every == 0:
                rate = 1.0 if sampling.rate == (1.0,) else config.rate[0]
                if rate not in validation:  # only the batches of one stage are kept
                    validation = {rate: validation_batches(store, run, device, rate)}
                row |= validate(session, validation[rate])
            session.finish_epoch(row)


def sampling_of(session: Session, n_ky: int) -> Undersampling:
    """Return what the stage of this epoch undersamples with."""
    config, here = session.run.train, session.here
    rate, pattern, kept, affine = config.rate, None, None, affine_of(config)
    if here.stage.sampling == "full" or session.model.config.samples_itself:
        rate = (1.0,)
    elif session.run.mask:  # also instead of a curriculum of lines
        on_host = from_text(session.run.mask)
        pattern, kept = as_mask(on_host).to(session.fabric.device), int(on_host.sum())
    elif here.stage.sampling == "curriculum" and config.curriculum:
        always = 0 if config.center_from else config.n_center
        rate = tuple(n / n_ky for n in range(lowest_line_count(here, n_ky, always), n_ky + 1))
    return Undersampling(
        rate=rate,
        lines=Lines(
            n_ky=n_ky,
            n_center=min(config.n_center, n_ky),
            center_from=config.center_from,
            density=config.density,
        ),
        pattern=pattern,
        kept=kept,
        affine=affine,
        clean=levels_to_read(config.noise, affine, config.phase) != config.noise,
        phase=config.phase,
        window=config.window,
    )


def affine_of(config: TrainConfig) -> Affine | None:
    """Return how the training moves its slices; None where they stay."""
    widest = (config.rotation, config.zoom, config.shift)
    return Affine(rotation=widest[0], zoom=widest[1], shift=widest[2]) if any(widest) else None


def stage_title(session: Session) -> str:
    """Name the current epoch, and its stage where there are several, for the progress bar."""
    here, config = session.here, session.run.train
    stages = session.stages
    name = f"{here.stage.name} ({here.number + 1}/{len(stages)}), " if len(stages) > 1 else ""
    return f"{name}epoch {session.progress.epoch + 1}/{config.epochs}"


def train_epoch(session: Session, feed: Feed, sampling: Undersampling, bar: Bar) -> bool:
    """Make the steps that are left of this epoch; False when the time was up before its end."""
    config, progress, fabric = session.run.train, session.progress, session.fabric
    n_steps, here, title = (
        feed.n_steps(session.batch_size, fabric.world_size),
        session.here,
        stage_title(session),
    )
    stream = feed.epoch(
        session.batch_size,
        seed=config.seed,
        epoch=progress.epoch,
        first=progress.step,
        rank=fabric.global_rank,
        world=fabric.world_size,
    )
    for cases in timed(stream, progress, fabric.device):
        session.seed_step()
        session.set_learning_rate(learning_rate(config, here, progress.step / n_steps))
        train_step(session, sampling, cases)
        progress.step += 1
        bar.advance(title, session.look())
        if session.time_is_up():
            return False
    return True


def train_step(session: Session, sampling: Undersampling, cases: Cases) -> None:
    """Undersample some cases and learn from them; nothing here makes the host wait for the device."""
    size = -(-len(cases.index) // session.run.train.accumulate)
    parts = [cases[first : first + size] for first in range(0, len(cases.index), size)]
    for number, part in enumerate(parts, start=1):
        with session.fabric.no_backward_sync(session.network, enabled=number < len(parts)):
            learn(session, sampling.draw(part, session.generator), len(part.index) / len(cases.index))
    if (
        session.run.train.clip
    ):  # a gradient that is not finite shows in the loss, which is looked at now and then
        session.fabric.clip_gradients(
            session.network,
            session.optimiser,
            max_norm=session.run.train.clip,
            error_if_nonfinite=False,
        )
    session.optimiser.step()
    session.optimiser.zero_grad()


def learn(session: Session, batch: Batch, share: float) -> None:
    """Add the gradient of a batch that is `share` of a step, and count its scores."""
    output, loss = session.run_batch(batch)
    session.fabric.backward(loss if share == 1 else share * loss)
    session.scores.add(loss, output.answer, output.truth(batch))


def timed(stream: Iterable[Cases], progress: Progress, device: torch.device) -> Iterator[Cases]:
    """Pass the batches on and book how long each step takes and how much of that is waiting for its batch."""
    batches = iter(stream)
    while True:
        start = time.perf_counter()
        cases = next(batches, None)
        progress.waited += time.perf_counter() - start
        if cases is None:
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            progress.seconds += time.perf_counter() - start
            return
        yield cases
        progress.seconds += time.perf_counter() - start


def epoch_row(session: Session, n_steps: int) -> Row:
    """Sum up the epoch: training loss and Dice over its own (changing) masks, speed, waiting."""
    progress = session.progress
    scores = session.total_scores()
    row: Row = {
        "epoch": progress.epoch + 1,
        "step": (progress.epoch + 1) * n_steps,
        "lr": learning_rate(session.run.train, session.here),
    }
    if len(session.stages) > 1:
        row["stage"] = session.here.number + 1
    row |= scores.summary(session.run.class_names)
    row["samples_per_s"] = scores.n / progress.seconds
    row["wait_share"] = progress.waited / progress.seconds
    row["seconds"] = progress.seconds
    return row


def validation_batches(store: Store, run: RunConfig, device: torch.device, rate: float) -> Iterable[Batch]:
    """Return the batches of the validation curve, at the first noise level; kept where they fit."""
    config = run.train
    if config.validate == "none":
        return []
    n_pixels = store.indices(config.validate).size * math.prod(run.shape)
    n_pixels *= max(1, len(config.contrast)) * max(1, run.n_frames)
    conditions = validation_conditions(run, rate)
    batch_size = max(1, config.batch_size // config.devices // config.accumulate)
    batches = Again(
        partial(evaluation_batches, store, config.validate, conditions, batch_size=batch_size, device=device)
    )
    fit_in = 24 * n_pixels < SHARE_OF_MEMORY / 4 * free_memory(
        device
    )  # two complex64 and one int64 per pixel
    return list(batches) if fit_in else batches


def validation_conditions(run: RunConfig, rate: float) -> Conditions:
    """Return what the validation curve is measured under: the training's first noise level, fixed masks."""
    config = run.train
    return Conditions(
        rate=rate,
        noise=config.noise[0],
        n_center=config.n_center,
        center_from=config.center_from,
        density=config.density,
        pattern=from_text(run.mask) if run.mask and rate < 1 else None,
        phase=config.phase,
        inu=config.inu,
        contrast=config.contrast,
        crop=config.crop,
    )


class Again:
    """Batches that can be gone through again and again: each time they are read anew."""

    def __init__(self, batches: Callable[[], Iterator[Batch]]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[Batch]:
        """Read from the beginning."""
        return self.batches()


@torch.no_grad()
def validate(session: Session, batches: Iterable[Batch]) -> Row:
    """Loss and Dice of the network as it is on `batches`, under names that begin with `val_`."""
    scores = RunningScores(len(session.run.class_names), session.fabric.device)
    session.network.eval()
    for batch in batches:
        output, loss = session.run_batch(batch)
        scores.add(loss, output.answer, output.truth(batch))
    session.network.train()
    return scores.summary(session.run.class_names, "val_") if scores.n else {}
