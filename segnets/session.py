"""One training run on one device: network, optimiser, scores, clock, and how they are saved and restored."""

from __future__ import annotations

import math
import time
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from lightning.fabric import Fabric

from segnets.checkpoint import load_weights, read_checkpoint, save_checkpoint
from segnets.config import RunConfig
from segnets.logs import Curves, Row, RunningScores, write_csv
from segnets.models import build_model

STEPS_BETWEEN_LOOKS = 20  # at the loss on a GPU, at the clock with several devices: a look makes them wait


class TrainingError(Exception):
    """A run that cannot start or go on; the message is one sentence for the user."""


@dataclass
class Progress:
    """How far a run is."""

    epoch: int = 0  # epochs done
    step: int = 0  # steps done in the current one
    seconds: float = 0.0  # spent in the current one
    waited: float = 0.0  # of these, waiting for data
    best: float = -math.inf  # validation Dice of best.pt
    history: list[Row] = field(default_factory=list)  # one row per epoch done


class Session:
    """Everything that changes while a network trains.

    Attributes: `model` the bare network (weights, loss), `network` the same as Fabric runs it, `optimiser`,
    `scores` of the current epoch on this device, `progress`, `generator` of masks, rates and noise levels.
    """

    def __init__(self, fabric: Fabric, run: RunConfig, out: Path) -> None:
        config = run.train
        self.fabric, self.run, self.out = fabric, run, out
        self.main = fabric.is_global_zero
        self.batch_size = config.batch_size // fabric.world_size
        torch.backends.cudnn.benchmark = True  # all batches have one size
        torch.manual_seed(config.seed)
        self.model = build_model(config.model, config.options)
        if config.channels_last:
            self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimiser = torch.optim.Adam(
            self.model.parameters(),
            lr=config.lr,
            weight_decay=config.weight_decay,
            fused=fabric.device.type == "cuda",
        )
        if config.compile:  # the transforms stay as they are, which is as it should be
            warnings.filterwarnings("ignore", "Torchinductor does not support code generation for complex")
        module = torch.compile(self.model) if config.compile else self.model
        self.network, self.optimiser = fabric.setup(module, optimiser)  # type: ignore[arg-type]
        self.generator = torch.Generator(fabric.device)
        self.scores = RunningScores(len(run.class_names), fabric.device)
        self.progress = Progress()
        self._restore()
        self.curves = Curves(out / "tensorboard", first_epoch=self.progress.epoch, enabled=self.main)
        self.deadline = time.monotonic() + 60 * (config.max_minutes or math.inf)
        self.next_save = time.monotonic() + 60 * config.checkpoint_minutes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.curves.close()

    def seed_step(self) -> None:
        """Make the draws of this step (masks; dropout, where there is some) independent of the past."""
        where = (self.run.train.seed, self.progress.epoch, self.progress.step, self.fabric.global_rank)
        first, second = np.random.SeedSequence(where).generate_state(2, np.uint64) >> np.uint64(1)
        self.generator.manual_seed(int(first))
        torch.manual_seed(int(second))

    def set_learning_rate(self, lr: float) -> None:
        """Use `lr` from the next step on."""
        for group in self.optimiser.param_groups:
            group["lr"] = lr

    def look(self) -> str | None:
        """Return the state of this epoch for the progress bar; TrainingError where the loss is not finite.

        On a GPU only now and then (None otherwise), since a look waits for the device.
        """
        p = self.progress
        if self.fabric.device.type != "cpu" and p.step % STEPS_BETWEEN_LOOKS:
            return None
        row = self.scores.summary(self.run.class_names)
        self._check_finite(row["loss"])
        speed = f"{p.step * self.run.train.batch_size / p.seconds:.1f} samples/s" if p.seconds else ""
        return f"loss {row['loss']:.4f}  Dice {row['dice']:.3f}  {speed}"

    def time_is_up(self) -> bool:
        """Save when it is time to; True when `max_minutes` are over (and the checkpoint is written)."""
        several = self.fabric.world_size > 1
        if several and self.progress.step % STEPS_BETWEEN_LOOKS:
            return False
        now = time.monotonic()
        up, due = now > self.deadline, now > min(self.deadline, self.next_save)
        if several:  # the main process decides for all
            up, due = self.fabric.broadcast((up, due))
        if due:
            self.save()
        return up

    def total_scores(self) -> RunningScores:
        """Return the scores of this epoch, over all devices."""
        if self.fabric.world_size == 1:
            return self.scores
        total = RunningScores(self.scores.n_classes, self.fabric.device)
        total.sums = self.fabric.all_reduce(self.scores.sums.clone(), reduce_op="sum")  # type: ignore[assignment]
        return total

    def finish_epoch(self, row: Row) -> None:
        """Book the epoch: checkpoint, best.pt by the validation Dice, log.csv, curves."""
        p = self.progress
        self._check_finite(row["loss"])
        p.history.append(row)
        p.epoch, p.step, p.seconds, p.waited = p.epoch + 1, 0, 0.0, 0.0
        self.scores.sums.zero_()
        better = self.run.train.validate == "validation" and row.get("val_dice", -math.inf) > p.best
        p.best = row["val_dice"] if better else p.best
        self.save()
        if not self.main:
            return
        if better:
            save_checkpoint(self.out / "best.pt", self.run, {"model": self.model.state_dict()})
        write_csv(self.out / "log.csv", p.history)
        self.curves.add(row)

    def save(self) -> None:
        """Write last.pt: all that `_restore` needs to go on as if nothing had happened."""
        scores = self.total_scores()
        self._check_finite(scores.summary(self.run.class_names)["loss"])
        finite = torch.stack([p.isfinite().all() for p in self.model.parameters()]).all()
        self._check_finite(0.0 if finite else math.nan)
        if self.main:
            state = {
                "model": self.model.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "scores": scores.sums,
                "progress": asdict(self.progress),
            }
            save_checkpoint(self.out / "last.pt", self.run, state)
        self.next_save = time.monotonic() + 60 * self.run.train.checkpoint_minutes

    def _restore(self) -> None:
        last = self.out / "last.pt"
        if not last.is_file():
            return
        payload: dict[str, Any] = read_checkpoint(last, self.fabric.device)
        load_weights(self.model, payload, last)
        self.optimiser.load_state_dict(payload["optimiser"])
        if self.main:  # the sums are those of all devices
            self.scores.sums.copy_(payload["scores"])
        self.progress = Progress(**payload["progress"])
        if self.main:
            write_csv(self.out / "log.csv", self.progress.history)

    def _check_finite(self, value: float) -> None:
        if math.isfinite(value):
            return
        p = self.progress
        saved = (self.out / "last.pt").is_file()
        kept = "last.pt holds the last good state" if saved else "nothing was saved before"
        raise TrainingError(
            f"the loss is not finite (NaN or infinite) in epoch {p.epoch + 1}, step {p.step}; {kept}; "
            "try a smaller lr or a clip"
        )
