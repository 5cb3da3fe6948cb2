"""Several networks on the same cases: side by side, and paired over subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mrsim.store import open_store
from segnets.checkpoint import load_model
from segnets.conditions import OWN
from segnets.data import DataError
from segnets.evaluate import Evaluation, pick_device, show_cases, typical_cases
from segnets.pictures import Example
from segnets.scores import IMAGE_METRICS, summarise, summarise_image
from segnets.statistics import PairedTest, compare, with_holm
from segnets.tables import Table, interval_note, show

DICE, PSNR = "mean_dice", "psnr"


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Comparison:
    """Evaluations of the same cases; every test is against the first one.

    metric : "mean_dice", the subjects' mean tissue Dice (pooled); "psnr" where some make no labels
    tests : one per evaluation after the first, on that metric, p after Holm
    """

    evaluations: tuple[Evaluation, ...]
    names: tuple[str, ...]  # one per evaluation, all different
    metric: str
    tests: tuple[PairedTest, ...]

    def __post_init__(self) -> None:
        first, *others = self.evaluations
        for other in others:
            if _cases(other) != _cases(first):
                raise DataError(
                    "runs must be evaluated on the same cases under the same noise and rate, "
                    f"got {first.title} and {other.title}"
                )

    @property
    def segments(self) -> bool:
        """Whether all make labels."""
        return self.metric == DICE

    @property
    def make_images(self) -> bool:
        """Whether all make images."""
        return all(evaluation.makes_image for evaluation in self.evaluations)


def compared(evaluations: Sequence[Evaluation]) -> Comparison:
    """Put evaluations side by side; DataError unless they are of the same cases under the same condition."""
    first, *others = evaluations
    metric = DICE if all(e.segments for e in evaluations) else PSNR
    if metric == PSNR and not all(e.makes_image for e in evaluations):
        blind = next(e for e in evaluations if not e.segments)
        alone = next(e for e in evaluations if not e.makes_image)
        raise DataError(f"{blind.name} makes no labels and {alone.name} no image: nothing to compare")
    values = [_per_subject(evaluation, metric) for evaluation in (first, *others)]
    tests = [compare(values[0], other) for other in values[1:] if values[0]]
    names = _distinct([e.run.train.model for e in evaluations], [e.name for e in evaluations])
    return Comparison(
        evaluations=tuple(evaluations), names=names, metric=metric, tests=tuple(with_holm(tests))
    )


def _cases(evaluation: Evaluation) -> tuple[object, ...]:
    rows = tuple((c.case, c.frame, c.subject, c.slice, c.noise, c.rate) for c in evaluation.cases)
    return evaluation.recipe_hash, rows


def _per_subject(evaluation: Evaluation, metric: str) -> list[float]:
    return [s.mean("dice") if metric == DICE else s.psnr for s in evaluation.subjects]


def _distinct(models: Sequence[str], runs: Sequence[str]) -> tuple[str, ...]:
    """Model names where they tell the evaluations apart, else run names, else numbered."""
    for names in (models, runs):
        if len(set(names)) == len(names):
            return tuple(names)
    return tuple(f"{name} ({i})" for i, name in enumerate(runs, start=1))


def comparison_table(comparison: Comparison) -> Table:
    """One row per network: Dice, HD95, PSNR, SSIM as far as all have them, and the paired difference."""
    first = comparison.evaluations[0]
    rows = []
    for i, (name, evaluation) in enumerate(zip(comparison.names, comparison.evaluations, strict=True)):
        row = [name, f"{evaluation.n_parameters:,}"]
        row += _dice_cells(evaluation) if comparison.segments else []
        row += _image_cells(evaluation) if comparison.make_images else []
        rows.append((*row, *(_difference(comparison.tests[i - 1]) if i else ("", ""))))
    labels = (*first.tissues, "Mean Dice", "HD95 [mm]") if comparison.segments else ()
    images = ("PSNR [dB]", "SSIM") if comparison.make_images else ()
    what = "Mean" if comparison.segments else "PSNR"
    header = ("", "Parameters", *labels, *images, f"{what} - {comparison.names[0]}", "p")
    return Table(header=header, rows=tuple(rows), title=_title(comparison), notes=_notes(comparison))


def _dice_cells(evaluation: Evaluation) -> list[str]:
    *tissues, mean = summarise(evaluation.subjects, "dice")
    hd95 = summarise(evaluation.subjects, "hd95")[-1]
    cells = [show(interval, "dice", bounds=False) for interval in tissues]
    return [*cells, show(mean, "dice"), show(hd95, "hd95", bounds=False)]


def _image_cells(evaluation: Evaluation) -> list[str]:
    return [
        show(summarise_image(evaluation.subjects, metric), metric, bounds=False) for metric in IMAGE_METRICS
    ]


def _difference(test: PairedTest) -> tuple[str, str]:
    d = test.difference
    bounds = f" [{d.low:+.4f}, {d.high:+.4f}]" if d.method != "none" else ""
    return f"{d.mean:+.4f}{bounds}", "-" if test.p_holm is None else f"{test.p_holm:.3g}"


def _title(comparison: Comparison) -> str:
    c = comparison.evaluations[0].config
    own = [
        n for n, e in zip(comparison.names, comparison.evaluations, strict=True) if e.config.sampling == OWN
    ]
    patterns = f" ({', '.join(own)}: in a pattern of its own)" if own and c.sampling != OWN else ""
    dice = " Dice pooled per subject." if comparison.segments else ""
    return f"{c.split} split of {Path(c.data).name}: {c.words}{patterns}.{dice}"


def _notes(comparison: Comparison) -> tuple[str, ...]:
    first = comparison.evaluations[0]
    dice = comparison.segments
    shown = summarise(first.subjects, "dice")[-1] if dice else summarise_image(first.subjects, "psnr")
    notes = [interval_note(shown)]
    if comparison.tests:
        several = ", p adjusted after Holm" if len(comparison.tests) > 1 else ""
        notes.append(f"Differences are paired by subject; {comparison.tests[0].note}{several}.")
    warnings = [f"{e.name}: {e.warning}" for e in comparison.evaluations if e.warning]
    draws = [e.config.draws(e.run.train.n_center) for e in comparison.evaluations]
    if len(set(draws)) > 1:
        each = "; ".join(f"{name}: {how}" for name, how in zip(comparison.names, draws, strict=True))
        warnings.append(f"NOT THE SAME SAMPLES, each network is tested as it was trained: {each}.")
    return (*warnings, *notes, *([first.data_note] if first.data_note else []))


def subject_table(comparison: Comparison) -> Table:
    """One row per subject: mean tissue Dice (pooled), or PSNR, of every network."""
    digits, title = (4, "Mean tissue Dice") if comparison.segments else (2, "PSNR [dB]")
    columns = [_per_subject(evaluation, comparison.metric) for evaluation in comparison.evaluations]
    subjects = [subject.subject for subject in comparison.evaluations[0].subjects]
    rows = tuple(
        (str(subject), *(f"{value:.{digits}f}" for value in values))
        for subject, *values in zip(subjects, *columns, strict=True)
    )
    return Table(header=("Subject", *comparison.names), rows=rows, title=f"{title} per subject.")


def joint_examples(comparison: Comparison) -> tuple[Example, ...]:
    """Segment the first one's typical slices with every network, for one picture."""
    redrawn = [_examples(evaluation, comparison.evaluations[0]) for evaluation in comparison.evaluations]
    return tuple(
        replace(
            same[0],
            title=same[0].title.partition("\n")[0],
            predictions=_by_name(comparison, [example.predictions for example in same], comparison.segments),
            images=_by_name(comparison, [example.images for example in same], not comparison.segments),
        )
        for same in zip(*redrawn, strict=True)
    )


def _by_name(
    comparison: Comparison, maps: Sequence[dict[str, NDArray[Any]]], wanted: bool
) -> dict[str, NDArray[Any]]:
    """Call the one map of each evaluation by the name that the evaluation has here."""
    if not wanted:
        return {}
    return {name: next(iter(m.values())) for name, m in zip(comparison.names, maps, strict=True)}


def _examples(evaluation: Evaluation, first: Evaluation) -> tuple[Example, ...]:
    config = evaluation.config
    model, run = load_model(evaluation.source, config.which, pick_device(config.device))
    return show_cases(model, open_store(config.data), config, run, typical_cases(first.cases))
