"""Everything random about a data set: drawn first and stored; the rest is a pure function of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrsim.recipe import Recipe
from mrsim.sources import base_table
from phantoms.tissues import TissueTable

SUBJECT_KEY = 2**63  # second word of the key of what a subject has; cases have 0, 1, 2 ...
VARIED = ("te", "tr", "flip")


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class SubjectDraw:
    """One subject of the data set.

    sequences : (slice,) sequence of each slice;  positions : (slice,) [m] along the slice normal
    """

    rank: int
    subject: int
    table: TissueTable
    b0_seed: int
    sequences: tuple[Any, ...]
    positions: tuple[float, ...]


def draw_subject(recipe: Recipe, rank: int, positions: Sequence[float]) -> SubjectDraw:
    """Draw the subject at place `rank`; it is the same alone and among others, whatever options are on."""
    subject = recipe.phantom.subjects[rank]
    rng = generator(recipe.seed, SUBJECT_KEY + subject)
    units = rng.uniform(-1, 1, len(VARIED))
    b0_seed = int(rng.integers(2**63))
    table = base_table(recipe)
    varied = table.varied(rng)
    n = len(positions)
    if recipe.vary.per == "subject":
        sequences = (_varied(recipe, units),) * n
    else:
        cases = range(rank * n, rank * n + n)
        sequences = tuple(
            _varied(recipe, generator(recipe.seed, case).uniform(-1, 1, len(VARIED))) for case in cases
        )
    return SubjectDraw(
        rank=rank,
        subject=subject,
        table=varied if recipe.phantom.vary_tissues else table,
        b0_seed=b0_seed,
        sequences=sequences,
        positions=tuple(float(p) for p in positions),
    )


def generator(seed: int, word: int) -> np.random.Generator:
    """Philox keyed by (seed, case) or by (seed, 2^63 + subject)."""
    return np.random.Generator(np.random.Philox(key=np.array((seed, word), dtype=np.uint64)))


def coordinates(recipe: Recipe, draws: Sequence[SubjectDraw]) -> dict[str, NDArray[Any]]:
    """Collect what the store keeps of the draws: (case,) and (case, tissue_class) arrays by name."""
    n = len(recipe.slices.numbers)
    sequences = [sequence for draw in draws for sequence in draw.sequences]
    coords: dict[str, NDArray[Any]] = {
        "subject": np.repeat([draw.subject for draw in draws], n),
        "slice": np.tile(recipe.slices.numbers, len(draws)),
        "slice_position": np.concatenate([draw.positions for draw in draws]),
        "split": np.repeat([_split(recipe, draw.subject) for draw in draws], n),
        "b0_seed": np.repeat(np.array([draw.b0_seed for draw in draws], dtype=np.uint64), n),
    }
    for name in (*VARIED, "bandwidth"):
        coords[name] = np.array([getattr(sequence, name) for sequence in sequences])
    for name in ("pd", "t1", "t2", "t2prime"):
        by_subject = [[getattr(tissue, name) for tissue in draw.table.tissues] for draw in draws]
        coords[name] = np.repeat(np.array(by_subject), n, axis=0)  # (case, tissue_class)
    return coords


def _varied(recipe: Recipe, units: NDArray[np.float64]) -> Any:  # noqa: ANN401  any sequence
    """Put te, tr and flip at `units` (-1..1) of their ranges."""
    changes = {
        name: getattr(recipe.sequence, name) * (1 + getattr(recipe.vary, name) * float(unit))
        for name, unit in zip(VARIED, units, strict=True)
        if getattr(recipe.vary, name)
    }
    return replace(recipe.sequence, **changes)


def _split(recipe: Recipe, subject: int) -> int:
    return 2 if subject in recipe.split.test else 1 if subject in recipe.split.validation else 0
