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
from torch import Tensor, nn

from segnets.checkpoint import (
    CheckpointError,
    checkpoint_path,
    load_weights,
    read_checkpoint,
    save_checkpoint,
)
from segnets.config import RunConfig
from segnets.data import Batch
from segnets.logs import Curves, Row, RunningScores, write_csv
from segnets.models import build_model
from segnets.models.base import Output, SegmentationModel
from segnets.stages import Place, Stage, place

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
    best: float = -math.inf  # `quality` of best.pt
    history: list[Row] = field(default_factory=list)  # one row per epoch done


def quality(row: Row) -> float:
    """Return the validation Dice of an epoch; of a network without labels, the negative loss."""
    dice = row.get("val_dice", -math.inf)
    return -row["val_loss"] if math.isnan(dice) else dice


class StageNetwork(nn.Module):
    """What a stage runs of a network, as the forward of a module: Fabric and the compiler want one."""

    def __init__(self, model: SegmentationModel, run: str) -> None:
        super().__init__()
        self.model, self.run = model, run

    def forward(self, *inputs: Tensor) -> Output:
        """Call the stage's method of the network."""
        output: Output = getattr(self.model, self.run)(*inputs)
        return output


def build_optimiser(
    model: SegmentationModel, stage: Stage, run: RunConfig, *, fused: bool
) -> torch.optim.Adam:
    """Build Adam or AdamW for the weights that learn in this stage, grouped by their learning rate."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            groups.setdefault(model.lr_factor(name), []).append(weight)
    kind = torch.optim.AdamW if stage.optimiser == "adamw" else torch.optim.Adam
    return kind(
        [{"params": weights, "factor": factor} for factor, weights in groups.items()],
        lr=run.train.lr,
        weight_decay=run.train.weight_decay,
        fused=fused,
    )


class Session:
    """Everything that changes while a network trains.

    Attributes: `model` the bare network (weights, losses), `stages` of its training, `network` what Fabric
    runs of it in this stage, `optimiser` of the stage, `stage_number`, `scores` of the current epoch on this
    device, `progress`, `generator` of masks, movements, rates and noise levels.
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
            of_series = any(weight.ndim == 5 for weight in self.model.parameters())
            kind = torch.channels_last_3d if of_series else torch.channels_last
            self.model.to(memory_format=kind)  # type: ignore[call-overload]
        if config.compile:  # the transforms stay as they are, which is as it should be
            warnings.filterwarnings("ignore", "Torchinductor does not support code generation for complex")
        self.generator = torch.Generator(fabric.device)
        self.scores = RunningScores(len(run.class_names), fabric.device)
        self.progress = Progress()
        self.stages = self.model.stages_from(trained=bool(config.init))
        payload = self._restore()
        if payload is None and config.init:
            self._begin_with(config.init)
        self.enter_stage()
        if payload is not None and not self._stage_begins():  # else the optimiser is of the stage before
            self.optimiser.load_state_dict(payload["optimiser"])
        self.curves = Curves(out / "tensorboard", first_epoch=self.progress.epoch, enabled=self.main)
        self.deadline = time.monotonic() + 60 * (config.max_minutes or math.inf)
        self.next_save = time.monotonic() + 60 * config.checkpoint_minutes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.curves.close()

    @property
    def here(self) -> Place:
        """Where the current epoch lies among the stages."""
        return place(self.stages, self.run.train.epochs, self.progress.epoch)

    def _stage_begins(self) -> bool:
        return self.here.epoch == 0 and self.progress.step == 0

    def enter_stage(self) -> None:
        """Freeze, and set network and optimiser up, for the stage that the current epoch lies in."""
        stage, self.stage_number = self.here.stage, self.here.number
        if stage.enter and self._stage_begins():
            getattr(self.model, stage.enter)()
        self.model.begin(stage)
        fused = self.fabric.device.type == "cuda"
        optimiser = build_optimiser(self.model, stage, self.run, fused=fused)
        module = self.model if stage.run == "forward" else StageNetwork(self.model, stage.run)
        compiled = torch.compile(module) if self.run.train.compile else module
        self.network, self.optimiser = self.fabric.setup(compiled, optimiser)  # type: ignore[arg-type]

    def run_batch(self, batch: Batch) -> tuple[Output, Tensor]:
        """Pass a batch through the network as this stage does: output and loss."""
        stage = self.here.stage
        output: Output = self.network(*(getattr(batch, name) for name in stage.inputs))
        loss: Tensor = getattr(self.model, stage.loss)(output, batch)
        return output, loss

    def seed_step(self) -> None:
        """Make the draws of this step (masks; dropout, where there is some) independent of the past."""
        where = (self.run.train.seed, self.progress.epoch, self.progress.step, self.fabric.global_rank)
        first, second = np.random.SeedSequence(where).generate_state(2, np.uint64) >> np.uint64(1)
        self.generator.manual_seed(int(first))
        torch.manual_seed(int(second))

    def set_learning_rate(self, lr: float) -> None:
        """Use `lr` from the next step on."""
        for group in self.optimiser.param_groups:
            group["lr"] = lr * group["factor"]

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
        dice = "" if math.isnan(row["dice"]) else f"  Dice {row['dice']:.3f}"
        return f"loss {row['loss']:.4f}{dice}  {speed}"

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
        """Book the epoch: checkpoint, best.pt by the validation of the last stage, log.csv, curves."""
        p = self.progress
        self._check_finite(row["loss"])
        last = self.here.number == len(self.stages) - 1
        p.history.append(row)
        p.epoch, p.step, p.seconds, p.waited = p.epoch + 1, 0, 0.0, 0.0
        self.scores.sums.zero_()
        score = quality(row)
        better = last and self.run.train.validate == "validation" and score > p.best
        p.best = score if better else p.best
        if better and self.main:  # before last.pt, which says that it is there
            save_checkpoint(self.out / "best.pt", self.run, {"model": self.model.state_dict()})
        self.save()
        if self.main:
            write_csv(self.out / "log.csv", p.history)
            self.curves.add(row)
        if self.here.number != self.stage_number:
            self.enter_stage()

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

    def _begin_with(self, source: str) -> None:
        """Take the weights of a run or a checkpoint; TrainingError where they are of another architecture."""
        path = checkpoint_path(source)
        try:
            load_weights(self.model, read_checkpoint(path, self.fabric.device), path)
        except CheckpointError:
            options = "options of the network must stay those of the run that --init names"
            raise TrainingError(f"{options}: the weights of {source} do not fit") from None

    def _restore(self) -> dict[str, Any] | None:
        """Load all of last.pt but the optimiser's state and return it; None where there is no checkpoint."""
        last = self.out / "last.pt"
        if not last.is_file():
            return None
        payload: dict[str, Any] = read_checkpoint(last, self.fabric.device)
        load_weights(self.model, payload, last)
        if self.main:  # the sums are those of all devices
            self.scores.sums.copy_(payload["scores"])
        self.progress = Progress(**payload["progress"])
        if self.main:
            write_csv(self.out / "log.csv", self.progress.history)
        return payload

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
