"""Stages of a training as data: what learns, from what, by which loss, how long. `segnets.train` runs them.

Nothing here imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import NamedTuple

from segnets.config import Recipe, check, check_choice

SAMPLINGS = ("configured", "full", "curriculum")
SCHEDULES = ("step", "constant", "poly", "warmup-cosine")
OPTIMISERS = ("adam", "adamw")

POLY_POWER = 0.9
WARMUP_SHARE = 4 / 300  # of the stage: 1000 steps of 300 epochs of 250
COSINE_END = 0.01  # of the learning rate


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One part of a training.

    epochs : its length in the paper; a run of another length divides its epochs in the same proportions
    trainable : child modules that learn, () = all; the others stand still, in evaluation mode
    run : method of the model that takes the fields `inputs` of a batch and returns an Output
    loss : method of the model that takes this Output and the batch and returns a scalar
    enter : method of the model that is called once, before the first step; "" = none
    sampling : "configured" lines of the run, "full" k-space, or "curriculum": any number of lines, where the
        lower bound falls from all to the central ones over the first `curriculum` of the stage
    optimiser, schedule : "adam" or "adamw"; of the learning rate, which starts anew with the stage at
        `lr_factor` times the run's
    """

    name: str
    epochs: int = 1
    trainable: tuple[str, ...] = ()
    run: str = "forward"
    inputs: tuple[str, ...] = ("kspace", "mask")
    loss: str = "loss"
    enter: str = ""
    sampling: str = "configured"
    curriculum: float = 0.2
    optimiser: str = "adam"
    schedule: str = "step"
    lr_factor: float = 1.0

    def __post_init__(self) -> None:
        check(self.epochs >= 1, "epochs", "be at least 1", self.epochs)
        check_choice("sampling", self.sampling, SAMPLINGS)
        check_choice("optimiser", self.optimiser, OPTIMISERS)
        check_choice("schedule", self.schedule, SCHEDULES)
        check(0 < self.curriculum <= 1, "curriculum", "lie in (0, 1]", self.curriculum)
        check(0 < self.lr_factor < math.inf, "lr_factor", "be positive", self.lr_factor)

    @property
    def depends_on_length(self) -> bool:
        """Whether an epoch of this stage does something else in a longer or shorter training."""
        return self.schedule in ("poly", "warmup-cosine") or self.sampling == "curriculum"


class Place(NamedTuple):
    """Where an epoch of the run lies: the stage, its number from 0, the epoch within it, its epochs."""

    stage: Stage
    number: int
    epoch: int
    n_epochs: int


def divide_epochs(stages: Sequence[Stage], total: int) -> tuple[int, ...]:
    """Divide `total` epochs among the stages as the paper does, at least one each.

    ValueError where there are fewer epochs than stages.
    """
    names = ", ".join(stage.name for stage in stages)
    check(total >= len(stages), "epochs", f"be at least {len(stages)}, one for each of {names}", total)
    whole = sum(stage.epochs for stage in stages)
    ends = [round(total * end / whole) for end in accumulate(stage.epochs for stage in stages)]
    lengths = [last - first for first, last in pairwise([0, *ends])]
    while 0 in lengths:
        lengths[lengths.index(max(lengths))] -= 1
        lengths[lengths.index(0)] += 1
    return tuple(lengths)


def place(stages: Sequence[Stage], total: int, epoch: int) -> Place:
    """Find the stage of an epoch of the run, counted from 0; the last stage has all epochs beyond `total`."""
    lengths = divide_epochs(stages, total)
    for number, (stage, n_epochs) in enumerate(zip(stages, lengths, strict=True)):
        if epoch < n_epochs or number == len(stages) - 1:
            return Place(stage, number, epoch, n_epochs)
        epoch -= n_epochs
    raise AssertionError("a training has at least one stage")


def learning_rate(recipe: Recipe, here: Place, part: float = 0.0) -> float:
    """Return the step size after `part` of an epoch.

    step : times `lr_gamma` after every `lr_step` epochs of the stage
    poly : falls to 0 as (1 - share done)^0.9
    warmup-cosine : rises linearly over the first 4/300 of the stage, then falls to 1 % along a cosine
    """
    lr = recipe.lr * here.stage.lr_factor
    done = min((here.epoch + part) / here.n_epochs, 1.0)
    if here.stage.schedule == "step":
        return float(lr * recipe.lr_gamma ** (here.epoch // recipe.lr_step))
    if here.stage.schedule == "poly":
        return float(lr * (1 - done) ** POLY_POWER)
    if here.stage.schedule == "warmup-cosine":
        if done < WARMUP_SHARE:
            return float(lr * max(done, 1e-3 * WARMUP_SHARE) / WARMUP_SHARE)
        turn = (done - WARMUP_SHARE) / (1 - WARMUP_SHARE)
        return lr * (COSINE_END + (1 - COSINE_END) * (1 + math.cos(math.pi * turn)) / 2)
    return lr


def lowest_line_count(here: Place, n_ky: int, n_center: int) -> int:
    """Return the fewest lines that a "curriculum" draws in this epoch; it draws evenly from there to all.

    Over the first `curriculum` of the stage it falls linearly: with 168 lines and 10 of 50 epochs, epoch e
    (from 1) has max(1, round(168 (1 - e / 10))), models.md 4.3; never below the central lines.
    """
    warm = here.stage.curriculum * here.n_epochs
    left = max(0.0, 1 - (here.epoch + 1) / warm)
    return max(1, n_center, round(n_ky * left))
