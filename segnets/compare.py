"""Several networks on the same cases: side by side, and paired over subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mrsim.store import open_store
from segnets.checkpoint import load_model
from segnets.data import DataError
from segnets.evaluate import Evaluation, pick_device, show_cases, typical_cases
from segnets.pictures import Example
from segnets.scores import summarise
from segnets.statistics import PairedTest, compare, with_holm
from segnets.tables import Table, interval_note, show


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Comparison:
    """Evaluations of the same cases; every test is against the first one.

    tests : one per evaluation after the first, on the subjects' mean tissue Dice (pooled), p after Holm
    """

    evaluations: tuple[Evaluation, ...]
    names: tuple[str, ...]  # one per evaluation, all different
    tests: tuple[PairedTest, ...]

    def __post_init__(self) -> None:
        first, *others = self.evaluations
        for other in others:
            if _cases(other) != _cases(first):
                raise DataError(
                    "runs must be evaluated on the same cases under the same noise and rate, "
                    f"got {first.title} and {other.title}"
                )


def compared(evaluations: Sequence[Evaluation]) -> Comparison:
    """Put evaluations side by side; DataError unless they are of the same cases under the same condition."""
    first, *others = evaluations
    tests = [compare(_mean_dice(first), _mean_dice(other)) for other in others if len(_mean_dice(first))]
    names = _distinct([e.run.train.model for e in evaluations], [e.name for e in evaluations])
    return Comparison(evaluations=tuple(evaluations), names=names, tests=tuple(with_holm(tests)))


def _cases(evaluation: Evaluation) -> tuple[object, ...]:
    rows = tuple((c.case, c.subject, c.slice, c.noise, c.rate) for c in evaluation.cases)
    return evaluation.recipe_hash, rows


def _mean_dice(evaluation: Evaluation) -> list[float]:
    return [subject.mean("dice") for subject in evaluation.subjects]


def _distinct(models: Sequence[str], runs: Sequence[str]) -> tuple[str, ...]:
    """Model names where they tell the evaluations apart, else run names, else numbered."""
    for names in (models, runs):
        if len(set(names)) == len(names):
            return tuple(names)
    return tuple(f"{name} ({i})" for i, name in enumerate(runs, start=1))


def comparison_table(comparison: Comparison) -> Table:
    """One row per network: Dice per tissue and mean, HD95, and the paired difference from the first."""
    first = comparison.evaluations[0]
    rows = []
    for i, evaluation in enumerate(comparison.evaluations):
        dice, hd95 = summarise(evaluation.subjects, "dice"), summarise(evaluation.subjects, "hd95")
        rows.append(
            (
                comparison.names[i],
                f"{evaluation.n_parameters:,}",
                *(show(interval, "dice", bounds=False) for interval in dice[:-1]),
                show(dice[-1], "dice"),
                show(hd95[-1], "hd95", bounds=False),
                *(_difference(comparison.tests[i - 1]) if i else ("", "")),
            )
        )
    header = (
        "",
        "Parameters",
        *first.tissues,
        "Mean Dice",
        "HD95 [mm]",
        f"Mean - {comparison.names[0]}",
        "p",
    )
    return Table(header=header, rows=tuple(rows), title=_title(first), notes=_notes(comparison))


def _difference(test: PairedTest) -> tuple[str, str]:
    d = test.difference
    bounds = f" [{d.low:+.4f}, {d.high:+.4f}]" if d.method != "none" else ""
    return f"{d.mean:+.4f}{bounds}", "-" if test.p_holm is None else f"{test.p_holm:.3g}"


def _title(first: Evaluation) -> str:
    c = first.config
    return (
        f"{c.split} split of {Path(c.data).name}: noise {100 * (c.noise or 0):g} %, "
        f"{100 * (c.rate or 0):g} % of the lines. Dice pooled per subject."
    )


def _notes(comparison: Comparison) -> tuple[str, ...]:
    first = comparison.evaluations[0]
    notes = [interval_note(summarise(first.subjects, "dice")[-1])]
    if comparison.tests:
        several = ", p adjusted after Holm" if len(comparison.tests) > 1 else ""
        notes.append(f"Differences are paired by subject; {comparison.tests[0].note}{several}.")
    return (*notes, *([first.data_note] if first.data_note else []))


def subject_table(comparison: Comparison) -> Table:
    """One row per subject: mean tissue Dice (pooled) of every network."""
    columns = [_mean_dice(evaluation) for evaluation in comparison.evaluations]
    subjects = [subject.subject for subject in comparison.evaluations[0].subjects]
    rows = tuple(
        (str(subject), *(f"{value:.4f}" for value in values))
        for subject, *values in zip(subjects, *columns, strict=True)
    )
    return Table(header=("Subject", *comparison.names), rows=rows, title="Mean tissue Dice per subject.")


def joint_examples(comparison: Comparison) -> tuple[Example, ...]:
    """Segment the first one's typical slices with every network, for one picture."""
    redrawn = [_examples(evaluation, comparison.evaluations[0]) for evaluation in comparison.evaluations]
    return tuple(
        replace(
            same[0],
            title=same[0].title.partition("\n")[0],
            predictions={
                name: next(iter(example.predictions.values()))
                for name, example in zip(comparison.names, same, strict=True)
            },
        )
        for same in zip(*redrawn, strict=True)
    )


def _examples(evaluation: Evaluation, first: Evaluation) -> tuple[Example, ...]:
    config = evaluation.config
    model, run = load_model(evaluation.source, config.which, pick_device(config.device))
    return show_cases(model, open_store(config.data), config, run, typical_cases(first.cases))
