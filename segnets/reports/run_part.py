"""The part of a page about the runs: an overview, then curves, scores, pictures and configuration of each."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segnets.benchmarks.text import MINUTE
from segnets.pictures import COLOURS as TISSUES
from segnets.pictures import OTHER_COLOURS
from segnets.reports import html
from segnets.reports.collect import Evaluated, Found, Run
from segnets.reports.heart_part import heart_part
from segnets.reports.svg import INK, Curve, chart
from segnets.tables import Table

NOT_SHOWN = ("model", "out", "max_minutes", "checkpoint_minutes", "options")  # of the training configuration
ON_PAPER = {**TISSUES, "WM": "#9a9a9a"}  # white would not show
SCORES = {
    "dice": "Dice, pooled",
    "slice_dice": "Dice, per slice",
    "hausdorff_mm": "Hausdorff [mm]",
    "hd95_mm": "HD95 [mm]",
    "assd_mm": "ASSD [mm]",
}
DATA_AND_IMAGE = {  # name in the summary -> words
    "snr": "SNR {:.1f}",
    "cnr": "CNR {:.1f}",
    "psnr": "PSNR {:.1f} dB",
    "ssim": "SSIM {:.3f}",
    "zero_psnr": "of the zero-filled image PSNR {:.1f} dB",
    "zero_ssim": "SSIM {:.3f}",
}
NOTE = "Dice and HD95: mean over tissues and test subjects; PSNR: mean over test slices."
OVERVIEW = (
    *("", "Network", "Parameters", "Noise [%]", "Rate [%]", "Seed", "Epochs", "Training [min]"),
    *("Dice", "HD95 [mm]", "PSNR [dB]"),
)


def runs_section(found: Found) -> str:
    """Overview of all runs, then each of them."""
    if not found.runs:
        return ""
    links = {found.title_of(run): run.name for run in found.runs.values()}
    details = "".join(run_section(run, found.title_of(run)) for run in found.runs.values())
    return f'<section><h2 id="runs">Runs</h2>{html.table(overview_table(found), links)}{details}</section>'


def overview_table(found: Found) -> Table:
    """One row per run: what it is, how long it trained, what it reached on its first evaluation."""
    rows = tuple((found.title_of(run), *overview(run)) for run in found.runs.values())
    return Table(header=OVERVIEW, rows=rows, notes=(NOTE,))


def overview(run: Run) -> tuple[str, ...]:
    """Return the cells of a run."""
    train, log = run.train, run.log
    summary = run.evaluations[0].summary if run.evaluations else {}
    return (
        train["model"],
        f"{summary['n_parameters']:,}" if summary else "",
        ", ".join(f"{100 * noise:g}" for noise in train["noise"]),
        ", ".join(f"{100 * rate:g}" for rate in train["rate"]),
        str(train["seed"]),
        f"{run.epochs_done} of {train['epochs']}",
        f"{sum(log['seconds']) / MINUTE:.1f}" if log else "",
        _mean(summary, "dice", 4),
        _mean(summary, "hd95_mm", 2),
        _number((summary.get("data_and_image") or {}).get("psnr"), 2),
    )


def _mean(summary: Mapping[str, Any], metric: str, digits: int) -> str:
    return _number((summary.get("summary") or {}).get(metric, {}).get("mean", {}).get("mean"), digits)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def run_section(run: Run, title: str) -> str:
    """Curves, scores, pictures, sampling pattern and configuration of one run."""
    train = run.train
    size = " x ".join(map(str, run.config["shape"]))
    on = f" on {run.device}" if run.device else ""
    line = f"{run.epochs_done} of {train['epochs']} epochs{on}; images of {size}; seed {train['seed']}."
    name = "" if title == run.name else f"<code>{html.text(run.name)}</code>: "
    parts = [
        f'<section class="run" id="{html.anchor(run.name)}"><h3>{html.text(title)}</h3>',
        f'<p class="soft">{name}{html.text(line)} {html.link("runs", "All runs")}</p>',
        html.row([curves(run, "loss", "Loss"), curves(run, "dice", "Dice")]),
        *(evaluation_part(each, moving=each is run.evaluations[0]) for each in run.evaluations),
        html.row([pattern_figure(pattern, name) for name, pattern in run.patterns.items()]),
        html.folded("Configuration", configuration(run)),
        "</section>",
    ]
    return "".join(parts)


def configuration(run: Run) -> str:
    """Everything that decides the weights, and the software."""
    train = {name: value for name, value in run.train.items() if name not in NOT_SHOWN}
    data = {"classes": run.config["class_names"], "fingerprint": run.config["data_hash"]}
    return html.row(
        [
            html.pairs(run.train["options"], "Network"),
            html.pairs(train, "Training"),
            html.pairs({**data, **run.config["versions"]}, "Data and software"),
        ]
    )


def curves(run: Run, column: str, title: str) -> str:
    """Loss, or mean Dice and Dice of each tissue, of training and validation against the epoch."""
    drawing = chart(list(_curves(run, column)), title=title, y_range=(0, 1) if column == "dice" else None)
    return html.picture(drawing)


def _curves(run: Run, column: str) -> Iterator[Curve]:
    names = [name.removeprefix(f"{column}_") for name in run.log if name.startswith(f"{column}_")]
    others = iter(OTHER_COLOURS * (1 + len(names)))
    colours = {"": INK, **{name: ON_PAPER.get(name) or next(others) for name in names}}
    for prefix, where in (("", "training"), ("val_", "validation")):
        for name, colour in colours.items():
            key = f"{prefix}{column}_{name}" if name else f"{prefix}{column}"
            if key in run.log:
                label = f"{name or 'mean'}, {where}" if names else where
                yield Curve(
                    label=label, x=run.log["epoch"], y=run.log[key], colour=colour, dashed=bool(prefix)
                )


def evaluation_part(evaluated: Evaluated, *, moving: bool) -> str:
    """Scores per tissue with their intervals, and pictures; moving ones are large: one a run is enough."""
    table = score_table(evaluated.summary)
    scores = html.table(table) if table.rows else html.listed([table.title, *table.notes])
    picture = evaluated.picture
    caption = "Typical slices: at the quartiles of what the network scores on them."
    return (
        scores
        + (html.image(picture, caption) if picture else "")
        + heart_part(evaluated.summary, evaluated.movie if moving else None)
    )


def score_table(summary: Mapping[str, Any]) -> Table:
    """One row per score, one column per tissue; what is known about data and image stands below."""
    condition, scores = summary["evaluation"], summary.get("summary") or {}
    present = {metric: scores[metric] for metric in SCORES if scores.get(metric)}
    rows = tuple(
        (SCORES[metric], *(_interval(value, 4 if "dice" in metric else 2) for value in tissues.values()))
        for metric, tissues in present.items()
    )
    data = summary.get("data_and_image") or {}
    said = [words.format(data[name]) for name, words in DATA_AND_IMAGE.items() if data.get(name) is not None]
    n, frames = summary["n_subjects"], summary.get("n_frames")
    slices = f"{summary['n_slices']} slices" + (f" of {frames} frames" if frames else "")
    title = (
        f"{condition['split'].capitalize()} split, noise {100 * (condition['noise'] or 0):g} %, "
        f"rate {100 * (condition['rate'] or 0):g} %: "
        f"{slices} of {n} subject{'s' * (n != 1)}"
    )
    heads = tuple(next(iter(present.values()), {}))
    return Table(header=("", *heads), rows=rows, title=title, notes=(f"{', '.join(said)}.",) if said else ())


def _interval(value: Mapping[str, Any], digits: int) -> str:
    if value["mean"] is None:
        return "-"
    mean = f"{value['mean']:.{digits}f}"
    return mean if value["low"] is None else f"{mean} [{value['low']:.{digits}f}, {value['high']:.{digits}f}]"


def pattern_figure(pattern: NDArray[Any], label: str) -> str:
    """Draw a sampling pattern (ky, kx), or the probabilities of one, a pixel per location."""
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    imsave(buffer, np.asarray(pattern, dtype=np.float32), cmap="gray", vmin=0, vmax=1, format="png")
    data = base64.b64encode(buffer.getvalue()).decode()
    caption = f"{label}: {100 * float(np.mean(pattern)):.1f} % of k-space"
    inside = f'<img class="pattern" alt="{html.escaped(caption)}" src="data:image/png;base64,{data}">'
    return html.picture(inside, caption)
