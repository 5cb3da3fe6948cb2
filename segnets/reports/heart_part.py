"""The part of a page about a beating heart: moving pictures, volumes over the beat, clinical figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segnets.cardiac.clinical import LV, MEASURES, MYOCARDIUM, RV
from segnets.cardiac.hearts import SHAPE_LABELS
from segnets.metrics import mean_present
from segnets.reports import html
from segnets.reports.svg import Curve, chart
from segnets.tables import Table

CURVES = {LV: "#d1495b", RV: "#1b6ca8"}  # whose volume is drawn
QUANTILES = (0.25, 0.5, 0.75)  # of the subjects, by how wrong the volume of the LV is
MS = 1e-3  # [s]
CAPTION = (
    "Series at the first and second quartile of the mean Dice, at the speed of the heart. Colours: LV red, "
    "myocardium green, RV blue; errors: red missed, light blue invented, yellow another class."
)
VOLUMES = "Subjects at the quartiles of the error of the LV's volume, mean over the beat."


def heart_part(summary: Mapping[str, Any], movie: Path | None) -> str:
    """Everything about the hearts of an evaluation; nothing about what is no heart."""
    moving = html.image(movie, CAPTION) if movie else ""
    heart = summary.get("heart")
    if not heart:
        return moving
    charts = [html.picture(volume_chart(subject)) for subject in typical(heart["subjects"])]
    note = f"<p class='note'>{html.text(VOLUMES)}</p>"
    tables = [f"<div>{html.table(table)}</div>" for table in (clinical_table(heart), shape_table(heart))]
    return moving + html.row(charts) + note + html.row(tables)


def typical(subjects: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Pick subjects at the quartiles of the relative error of the LV's volume."""
    ranked = sorted(subjects, key=volume_error)
    return [ranked[i] for i in sorted({round(q * (len(ranked) - 1)) for q in QUANTILES})]


def volume_error(subject: Mapping[str, Any]) -> float:
    """Mean over the beat of the error of the LV's volume, over its mean volume."""
    lv = subject["volumes_ml"][LV]
    wrong = math.fsum(abs(p - o) for p, o in zip(lv["predicted"], lv["oracle"], strict=True))
    return wrong / (math.fsum(lv["oracle"]) or math.inf)


def volume_chart(subject: Mapping[str, Any]) -> str:
    """Draw the volumes of both ventricles over the beat, the oracle's dashed, with ED and ES."""
    times = subject["frame_time_s"]
    known = all(time is not None and math.isfinite(time) for time in times)
    x = [time / MS for time in times] if known else [float(i) for i in range(len(times))]
    curves = [
        Curve(label=f"{name}, {words}", x=x, y=volumes[side], colour=colour, dashed=side == "oracle")
        for name, colour in CURVES.items()
        for volumes in [subject["volumes_ml"][name]]
        for side, words in (("predicted", "network"), ("oracle", "oracle"))
    ]
    n = subject["slices"]
    return chart(
        curves,
        title=f"Volume [ml], subject {subject['subject']}, {n} slice{'s' * (n != 1)}",
        x_label="time after the R wave [ms]" if known else "frame",
        y_range=(0, 1.06 * (max(max(curve.y) for curve in curves) or 1)),
        marks={"ED": x[0], "ES": x[subject["es_frame"]]},
    )


def clinical_table(heart: Mapping[str, Any]) -> Table:
    """One row per figure that a cardiologist reads off: mean of oracle and network, percentage error."""
    rows = []
    for name, measure in MEASURES.items():
        unit = {"%": "percent"}.get(measure.unit, measure.unit)
        values = [subject["clinical"][f"{name}_{unit}"] for subject in heart["subjects"]]
        truth, found = (mean_present([_number(v[side]) for v in values]) for side in ("oracle", "predicted"))
        error = heart["error_percent"][name]
        rows.append((f"{measure.label} [{measure.unit}]", f"{truth:.1f}", f"{found:.1f}", _spread(error, 1)))
    n, slices = len(heart["subjects"]), sorted({subject["slices"] for subject in heart["subjects"]})
    r = heart["ef_correlation"]
    notes = [f"Mean over {n} subjects, of {', '.join(map(str, slices))} slice(s) each."]
    notes += [f"Pearson's r of the ejection fraction: {r:.3f}."] if r is not None and math.isfinite(r) else []
    header = ("", "Oracle", "Network", "Error [%]")
    return Table(
        header=header, rows=tuple(rows), title="Volumes, mass and ejection fraction", notes=tuple(notes)
    )


def shape_table(heart: Mapping[str, Any]) -> Table:
    """Scores in the aggregation of the papers on the heart, one column per class."""
    names = (LV, MYOCARDIUM, RV, "mean")
    rows = tuple(
        (label, *(_spread(heart[metric][name], 4 if "dice" in metric else 2) for name in names))
        for metric, label in SHAPE_LABELS.items()
    )
    return Table(header=("", *names), rows=rows, title="Labels, as the papers on the heart score them")


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _spread(value: Mapping[str, Any], digits: int) -> str:
    """Mean and standard deviation over subjects."""
    mean, std = value["mean"], value.get("std")
    if mean is None or not math.isfinite(mean):
        return "-"
    known = std is not None and math.isfinite(std)
    return f"{mean:.{digits}f}" + (f" ± {std:.{digits}f}" if known else "")
