"""What an evaluation leaves on disk: CSV, JSON, Markdown and a picture."""

from __future__ import annotations

import csv
import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from segnets import metrics, tables
from segnets.cardiac.hearts import clinical_table, heart_values, shape_table
from segnets.compare import Comparison, comparison_table, subject_table
from segnets.evaluate import Evaluation
from segnets.movies import NAME as MOVIE
from segnets.movies import write_movie
from segnets.patterns import to_text
from segnets.pictures import Example, draw_examples


def write_evaluation(evaluation: Evaluation, folder: Path, *, picture: bool = True) -> Path:
    """Write cases.csv, subjects.csv, summary.json, summary.md and a picture; returns the folder.

    The picture is segmentation.png, or reconstruction.png of a network without labels. Labels of cines also
    make a moving picture, beat.gif.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tissues = evaluation.tissues
    tables.write_case_csv(folder / "cases.csv", evaluation.cases, tissues)
    tables.write_subject_csv(folder / "subjects.csv", evaluation.subjects, tissues)
    tables.write_json(folder / "summary.json", summary(evaluation))
    (folder / "summary.md").write_text(text(evaluation) + "\n", encoding="utf-8")
    if picture:
        path = folder / f"{'segmentation' if evaluation.segments else 'reconstruction'}.png"
        draw_examples(evaluation.examples, evaluation.class_names, path, title=evaluation.title)
    if picture and evaluation.n_frames and evaluation.segments:
        write_movie(evaluation, folder / MOVIE)
    return folder


def text(evaluation: Evaluation) -> str:
    """Render the tables that the command prints: of the labels, of the image, or of both."""
    parts = [evaluation.warning] if evaluation.warning else []
    title, each = f"{evaluation.title}.", "frame" if evaluation.n_frames else "slice"
    subjects, tissues = evaluation.subjects, evaluation.tissues
    if evaluation.segments:
        parts.append(tables.summary_table(subjects, tissues, title, each=each).markdown())
        title = "Image behind the answer."
    if evaluation.hearts:
        parts += [shape_table(evaluation.hearts, tissues).markdown()]
        parts += [clinical_table(evaluation.hearts).markdown()]
    if evaluation.makes_image:
        parts.append(tables.image_table(subjects, title, each=each).markdown())
    return "\n\n".join([*parts, *([evaluation.data_note] if evaluation.data_note else [])])


def summary(evaluation: Evaluation) -> dict[str, object]:
    """Everything about an evaluation but its slices."""
    hearts, tissues = evaluation.hearts, evaluation.tissues
    return {
        "run": str(evaluation.run_dir),
        "evaluation": asdict(evaluation.config),
        "subjects_seen_in_training": list(evaluation.seen),
        "mask": None if evaluation.pattern is None else to_text(evaluation.pattern),
        "training": evaluation.run.to_dict(),
        "n_parameters": evaluation.n_parameters,
        "recipe_hash": evaluation.recipe_hash,
        "versions": versions(),
        "n_slices": evaluation.n_slices,
        **({"n_frames": evaluation.n_frames} if evaluation.n_frames else {}),
        "n_subjects": len(evaluation.subjects),
        "summary": tables.summary_values(evaluation.subjects, tissues),
        "subjects": [tables.subject_row(subject, tissues) for subject in evaluation.subjects],
        **({"heart": heart_values(hearts, tissues)} if hearts else {}),
        "pooled_over_all_pixels": pooled(evaluation) if evaluation.segments else None,
        "data_and_image": {
            name: evaluation.mean(name) for name in ("snr", "cnr", "psnr", "ssim", "zero_psnr", "zero_ssim")
        },
    }


def pooled(evaluation: Evaluation) -> dict[str, object]:
    """Score one confusion matrix over all pixels of all slices, background included (as CRDN does)."""
    confusion = evaluation.confusion
    dice, iou = metrics.class_dice(confusion), metrics.class_iou(confusion)
    return {
        "confusion_oracle_by_predicted": confusion.tolist(),
        "pixel_accuracy": metrics.pixel_accuracy(confusion),
        "mean_iou": metrics.mean_present(iou),
        "mean_dice_with_background": metrics.mean_present(dice),
        "dice": dict(zip(evaluation.class_names, map(float, dice), strict=True)),
        "iou": dict(zip(evaluation.class_names, map(float, iou), strict=True)),
    }


def write_comparison(comparison: Comparison, examples: tuple[Example, ...], folder: Path) -> Path:
    """Write comparison.csv, comparison.json, comparison.md and comparison.png; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    first = comparison.evaluations[0]
    (folder / "comparison.md").write_text(comparison_text(comparison) + "\n", encoding="utf-8")
    with (folder / "comparison.csv").open("w", newline="", encoding="utf-8") as file:
        table = subject_table(comparison)
        csv.writer(file).writerows([table.header, *table.rows])
    tests = {name: asdict(test) for name, test in zip(comparison.names[1:], comparison.tests, strict=True)}
    summaries = {name: summary(e) for name, e in zip(comparison.names, comparison.evaluations, strict=True)}
    tables.write_json(
        folder / "comparison.json",
        {"reference": comparison.names[0], f"paired_tests_of_{comparison.metric}": tests, "runs": summaries},
    )
    draw_examples(
        examples, first.class_names, folder / "comparison.png", title=comparison_table(comparison).title
    )
    return folder


def comparison_text(comparison: Comparison) -> str:
    """Render the tables that the command prints."""
    return "\n\n".join(
        table.markdown() for table in (comparison_table(comparison), subject_table(comparison))
    )


def versions() -> dict[str, str]:
    """List the versions of what computed the figures; a bare checkout has none of its own."""
    found = {"python": platform.python_version()}
    for name in ("mrsim", "torch", "numpy", "scipy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
