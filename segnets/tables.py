"""Scores as tables: Markdown for people, CSV and JSON for programs. Distances here are in mm, not in m."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segnets.scores import (
    DISTANCES,
    IMAGE_METRICS,
    METRICS,
    CaseScore,
    SubjectScore,
    counts,
    summarise,
    summarise_image,
)
from segnets.statistics import Interval

MM = 1e3  # [mm/m]


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Strings in rows, with what must be said beside them."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """Render as Markdown with aligned columns: first one to the left, figures to the right."""
        cells = [self.header, *self.rows]
        widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(self.header))]
        rule = [f":{'-' * (widths[0] - 1)}", *(f"{'-' * (width - 1)}:" for width in widths[1:])]
        lines = [
            _line(self.header, widths),
            f"| {' | '.join(rule)} |",
            *(_line(row, widths) for row in self.rows),
        ]
        return "\n".join(
            [*([f"{self.title}\n"] if self.title else []), *lines, *(f"\n{n}" for n in self.notes)]
        )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = (
        cell.ljust(width) if i == 0 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return f"| {' | '.join([first, *rest])} |"


def show(interval: Interval, metric: str, *, bounds: bool = True) -> str:
    """Mean, and bounds where there are some: Dice with four digits, distances in mm with two."""
    if math.isnan(interval.mean):
        return "-"
    scale = MM if metric in DISTANCES else 1.0
    digits = 2 if metric in DISTANCES or metric.endswith("psnr") else 4
    text = f"{scale * interval.mean:.{digits}f}"
    if not bounds or math.isnan(interval.low):
        return text
    return f"{text} [{scale * interval.low:.{digits}f}, {scale * interval.high:.{digits}f}]"


def summary_table(
    subjects: Sequence[SubjectScore], tissues: Sequence[str], title: str = "", *, each: str = "slice"
) -> Table:
    """One row per metric, one column per tissue and one for their mean, over subjects.

    each : what a subject has several of: "slice", or "frame" of a cine
    """
    rows = [
        (
            f"{label.replace('slice', each)}{' [mm]' if metric in DISTANCES else ''}",
            *(show(interval, metric) for interval in summarise(subjects, metric)),
        )
        for metric, label in METRICS.items()
    ]
    for what, label in (("absent", "in neither map"), ("missed", "missed"), ("spurious", "invented")):
        per_tissue = counts(subjects, what)
        rows.append((f"{each.capitalize()}s, {label}", *map(str, per_tissue), str(sum(per_tissue))))
    n_slices = sum(subject.n_slices for subject in subjects)
    notes = (
        f"n = {len(subjects)} subjects, {n_slices} {each}s. {interval_note(summarise(subjects, 'dice')[-1])}",
        f"A {each} with a tissue in neither map is left out for it; where it is missed or invented it scores "
        "Dice 0 and the image diagonal.",
    )
    return Table(header=("", *tissues, "Mean"), rows=tuple(rows), title=title, notes=notes)


def image_table(subjects: Sequence[SubjectScore], title: str = "", *, each: str = "slice") -> Table:
    """One row for the network's image and one for the zero-filled one: PSNR and SSIM over subjects."""
    rows = tuple(
        (label, *(show(summarise_image(subjects, f"{prefix}{metric}"), metric) for metric in IMAGE_METRICS))
        for prefix, label in (("", "Image"), ("zero_", "Zero-filled"))
    )
    n_slices = sum(subject.n_slices for subject in subjects)
    interval = interval_note(summarise_image(subjects, "psnr"))
    notes = (
        f"n = {len(subjects)} subjects, {n_slices} {each}s. {interval}",
        "Against the noise-free fully sampled magnitude; the range is the largest one of the subject.",
    )
    return Table(header=("", "PSNR [dB]", "SSIM"), rows=rows, title=title, notes=notes)


def interval_note(interval: Interval) -> str:
    """Say in words what the brackets hold."""
    words = {
        "student-t": f"Brackets: 95 % Student-t interval of the mean over {interval.n} subjects.",
        "bootstrap": f"Brackets: 95 % bootstrap interval of the mean over {interval.n} subjects.",
        "none": "One subject: no interval.",
    }
    return words[interval.method]


def write_case_csv(path: Path, cases: Sequence[CaseScore], tissues: Sequence[str]) -> None:
    """Write one row per slice; a score that does not exist is an empty cell."""
    _write_csv(path, [_case_row(case, tissues) for case in cases])


def _case_row(case: CaseScore, tissues: Sequence[str]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "case": case.case,
        "subject": case.subject,
        "slice": case.slice,
        **({"frame": case.frame} if case.frame >= 0 else {}),
        "noise": case.noise,
        "rate": case.rate,
        "snr": case.snr,
        "cnr": case.cnr,
        "psnr_db": case.psnr,
        "ssim": case.ssim,
        "zero_filled_psnr_db": case.zero_psnr,
        "zero_filled_ssim": case.zero_ssim,
    }
    if tissues:
        row["dice"] = case.dice
    for name, score in zip(tissues, case.tissues, strict=True):
        row |= {
            f"dice_{name}": score.dice,
            f"hausdorff_mm_{name}": MM * score.surface.hausdorff,
            f"hd95_mm_{name}": MM * score.surface.hd95,
            f"assd_mm_{name}": MM * score.surface.assd,
            f"presence_{name}": score.presence,
            f"pixels_predicted_{name}": score.predicted,
            f"pixels_oracle_{name}": score.oracle,
            f"pixels_both_{name}": score.both,
        }
    return row


def write_subject_csv(path: Path, subjects: Sequence[SubjectScore], tissues: Sequence[str]) -> None:
    """Write one row per subject."""
    _write_csv(path, [subject_row(subject, tissues) for subject in subjects])


def subject_row(subject: SubjectScore, tissues: Sequence[str]) -> dict[str, Any]:
    """Name every figure of a subject: `<metric>` for the mean over tissues, `<metric>_<tissue>` for each."""
    row: dict[str, Any] = {"subject": subject.subject, "slices": subject.n_slices}
    row |= {metric: getattr(subject, metric) for metric in IMAGE_METRICS}
    row |= {f"zero_filled_{metric}": getattr(subject, f"zero_{metric}") for metric in IMAGE_METRICS}
    for metric in METRICS if tissues else ():
        scale, name = (MM, f"{metric}_mm") if metric in DISTANCES else (1.0, metric)
        row[name] = scale * subject.mean(metric)
        row |= {f"{name}_{t}": scale * v for t, v in zip(tissues, getattr(subject, metric), strict=True)}
    for what in ("absent", "missed", "spurious"):
        row |= {f"{what}_{t}": v for t, v in zip(tissues, getattr(subject, what), strict=True)}
    return row


def summary_values(subjects: Sequence[SubjectScore], tissues: Sequence[str]) -> dict[str, Any]:
    """Intervals over subjects for JSON: metric -> tissue or "mean" -> mean, std, low, high, n, method.

    PSNR and SSIM have no tissue; no Dice and no distance without tissues.
    """
    images = {
        metric: interval_values(summarise_image(subjects, metric))
        for metric in IMAGE_METRICS
        if not math.isnan(summarise_image(subjects, metric).mean)
    }
    if not tissues:
        return images
    return images | {
        f"{metric}_mm" if metric in DISTANCES else metric: {
            name: interval_values(interval, MM if metric in DISTANCES else 1.0)
            for name, interval in zip((*tissues, "mean"), summarise(subjects, metric), strict=True)
        }
        for metric in METRICS
    }


def interval_values(interval: Interval, scale: float = 1.0) -> dict[str, Any]:
    """Plain values of an interval for JSON, each times `scale`."""
    values = {name: scale * getattr(interval, name) for name in ("mean", "std", "low", "high")}
    return {**values, "n": interval.n, "method": interval.method}


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)


def _cell(value: object) -> object:
    if not isinstance(value, float):
        return value
    return "" if math.isnan(value) else f"{value:.6g}"


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write strict JSON: a figure that does not exist is null."""
    path.write_text(json.dumps(_plain(values), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
