"""What a training run tells: running scores, the rows of log.csv, TensorBoard, and the progress bar."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

Row = dict[str, float]


class RunningScores:
    """Loss and Dice summed on the device, so that no step waits for the host.

    sums : (2 + 3 class,) float64: samples, loss times samples, then per class the pixels that agree, that are
        predicted, that are true; float64 holds every count that can come up exactly
    """

    def __init__(self, n_classes: int, device: torch.device | str) -> None:
        self.n_classes = n_classes
        self.sums = torch.zeros(2 + 3 * n_classes, dtype=torch.float64, device=device)

    @property
    def n(self) -> int:
        """Samples counted; waits for the device."""
        return int(self.sums[0])

    @torch.no_grad()
    def add(self, loss: Tensor, logits: Tensor | None, labels: Tensor) -> None:
        """Count one batch: its mean loss, logits (batch, class, y, x), labels (batch, y, x).

        Where only an image is learnt there are no logits, and so no Dice.
        """
        self.sums[0] += len(labels)
        self.sums[1] += loss.detach() * len(labels)
        if logits is None:
            return
        predicted = logits.argmax(dim=1)
        agreed = torch.where(predicted == labels, labels, -1)
        counts = [(v == c).sum() for v in (agreed, predicted, labels) for c in range(self.n_classes)]
        self.sums[2:] += torch.stack(counts)

    def summary(self, class_names: Sequence[str], prefix: str = "") -> Row:
        """Mean loss, Dice per foreground class pooled over all pixels, and their mean; waits for the device.

        A class that neither occurs nor is predicted has no Dice (NaN) and does not count in the mean.
        """
        n, loss, *counts = self.sums.cpu().tolist()
        c = self.n_classes
        dice = [
            2 * agreed / (predicted + true) if predicted + true else float("nan")
            for agreed, predicted, true in zip(counts[:c], counts[c : 2 * c], counts[2 * c :], strict=True)
        ][1:]
        present = [d for d in dice if d == d]
        row = {f"{prefix}loss": loss / max(n, 1)}
        row[f"{prefix}dice"] = sum(present) / len(present) if present else float("nan")
        names = (f"{prefix}dice_{name}" for name in class_names[1:])
        return row | dict(zip(names, dice, strict=True))


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Write one row per epoch, replacing the file in one step; columns of later rows are added at the end."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    part = path.with_suffix(".part")
    with part.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    part.replace(path)


class Curves:
    """TensorBoard curves of one run; a resumed run overwrites what came after its checkpoint."""

    def __init__(self, folder: Path, *, first_epoch: int, enabled: bool) -> None:
        self.writer: Any = None
        if enabled:
            from torch.utils.tensorboard import (
                SummaryWriter,
            )  # takes a second, and only the main process logs

            self.writer = SummaryWriter(folder, purge_step=first_epoch + 1)

    def add(self, row: Row) -> None:
        """Add the row of an epoch."""
        if self.writer is None:
            return
        for name, value in row.items():
            if name not in ("epoch", "step"):
                self.writer.add_scalar(name, value, int(row["epoch"]))
        self.writer.flush()

    def close(self) -> None:
        """Close the file."""
        if self.writer is not None:
            self.writer.close()


class Bar:
    """Progress of a whole run, in batches; silent unless standard error is a terminal."""

    def __init__(self, title: str, total: int, done: int, *, enabled: bool) -> None:
        console = Console(stderr=True)
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not (enabled and console.is_terminal),
        )
        self.task = self.progress.add_task(title, total=total, completed=done, note="")

    @property
    def visible(self) -> bool:
        """Whether anybody sees it."""
        return not self.progress.disable

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.progress.stop()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        if self.visible:
            self.progress.console.print(text)

    def advance(self, title: str, note: str | None = None) -> None:
        """One batch is done."""
        self.progress.update(self.task, advance=1, description=title)
        if note is not None:
            self.progress.update(self.task, note=note)
