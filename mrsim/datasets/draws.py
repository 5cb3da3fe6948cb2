"""Everything random about a data set: drawn first and stored; the rest is a pure function of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrsim.imperfections.inu import draw_coefficients
from mrsim.recipes.recipe import Recipe
from mrsim.recipes.resolve import TEST_OF_FIVE
from mrsim.recipes.sections import VarySpec
from mrsim.recipes.sources import base_table, drawn_table
from mrsim.store.layout import ORIENTATIONS
from phantoms.tissues import TissueTable

INU_STREAM = 2  # third word of the counter of what a subject's non-uniformity fields are drawn from
SUBJECT_KEY = 2**63  # second word of the key of what a subject has; cases have 0, 1, 2 ...
VARIED = ("te", "tr", "flip")


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class SubjectDraw:
    """One subject of the data set.

    sequences : (slice,) of (contrast,) sequences;  positions : (slice,) [m] along the slice normal
    inu : (contrast, 20) coefficients of the non-uniformity fields, before they are scaled to the brain
    """

    rank: int
    subject: int
    table: TissueTable
    b0_seed: int
    sequences: tuple[tuple[Any, ...], ...]
    positions: tuple[float, ...]
    inu: NDArray[np.float64]


def draw_subject(recipe: Recipe, rank: int, positions: Sequence[float]) -> SubjectDraw:
    """Draw the subject at place `rank`; it is the same alone and among others, whatever options are on."""
    subject = recipe.phantom.subjects[rank]
    rng = generator(recipe.seed, SUBJECT_KEY + subject)
    first = rng.uniform(-1, 1, len(VARIED))
    b0_seed = int(rng.integers(2**63))
    table = base_table(recipe)
    varied = table.varied(rng)
    n, n_contrasts = len(positions), len(recipe.sequences)
    if recipe.vary.per == "subject":
        others = rng.uniform(-1, 1, (n_contrasts - 1, len(VARIED)))
        sequences = (_varied(recipe, np.vstack([first, others])),) * n
    else:
        shape = (n_contrasts, len(VARIED))
        cases = range(rank * n, rank * n + n)
        sequences = tuple(
            _varied(recipe, generator(recipe.seed, case).uniform(-1, 1, shape)) for case in cases
        )
    return SubjectDraw(
        rank=rank,
        subject=subject,
        table=drawn_table(recipe, varied if recipe.phantom.vary_tissues else table),
        b0_seed=b0_seed,
        sequences=sequences,
        positions=tuple(float(p) for p in positions),
        inu=draw_coefficients(generator(recipe.seed, SUBJECT_KEY + subject, INU_STREAM), n_contrasts),
    )


def generator(seed: int, word: int, stream: int = 0) -> np.random.Generator:
    """Philox keyed by (seed, case) or by (seed, 2^63 + subject)."""
    counter = np.array((0, 0, stream, 0), dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=np.array((seed, word), dtype=np.uint64), counter=counter))


def coordinates(recipe: Recipe, draws: Sequence[SubjectDraw]) -> dict[str, NDArray[Any]]:
    """Collect what the store keeps: (case,), (case, contrast) and (case, tissue_class) arrays by name."""
    n = len(recipe.slices.numbers)
    sequences = [contrasts for draw in draws for contrasts in draw.sequences]
    coords: dict[str, NDArray[Any]] = {
        "subject": np.repeat([draw.subject for draw in draws], n),
        "slice": np.tile(recipe.slices.numbers, len(draws)),
        "slice_position": np.concatenate([draw.positions for draw in draws]),
        "orientation": np.tile([ORIENTATIONS.index(view) for view in recipe.slices.views], len(draws)),
        "split": np.array([_split(recipe, draw.subject, i) for draw in draws for i in recipe.slices.numbers]),
        "b0_seed": np.repeat(np.array([draw.b0_seed for draw in draws], dtype=np.uint64), n),
    }
    for name in (*VARIED, "bandwidth"):
        by_case = np.array([[getattr(sequence, name) for sequence in contrasts] for contrasts in sequences])
        coords[name] = by_case if recipe.contrasts else by_case[:, 0]
    for name in ("pd", "t1", "t2", "t2prime"):
        by_subject = [[getattr(tissue, name) for tissue in draw.table.tissues] for draw in draws]
        coords[name] = np.repeat(np.array(by_subject), n, axis=0)  # (case, tissue_class)
    return coords


def _varied(recipe: Recipe, units: NDArray[np.float64]) -> tuple[Any, ...]:
    """Put te, tr and flip of each contrast at `units` (contrast, 3), -1 to 1, of their ranges."""
    return tuple(
        _at(sequence, recipe.vary, dict(zip(VARIED, map(float, row), strict=True)))
        for sequence, row in zip(recipe.sequences, units, strict=True)
    )


def _at(sequence: Any, ranges: VarySpec, units: Mapping[str, float]) -> Any:  # noqa: ANN401 - of its class
    ranged = {name: unit for name, unit in units.items() if getattr(ranges, name)}
    values = {name: getattr(sequence, name) * (1 + getattr(ranges, name) * u) for name, u in ranged.items()}
    if sequence.te_is_half_tr and "tr" in values:
        values["te"] = values["tr"] / 2
    return replace(sequence, **values)


def _split(recipe: Recipe, subject: int, number: int) -> int:
    """0 train, 1 validation, 2 test: of a subject, or of a slice by its number."""
    if recipe.split.by == "slice":
        return 2 if number % 5 in TEST_OF_FIVE else 0
    return 2 if subject in recipe.split.test else 1 if subject in recipe.split.validation else 0
