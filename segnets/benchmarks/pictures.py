"""Pictures of a benchmark, from its record and the examples of its runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from segnets.benchmarks.examples import EXAMPLES
from segnets.benchmarks.overlays import draw_overlays
from segnets.benchmarks.panels import Panels, draw_panels, save
from segnets.benchmarks.record import Record, measured, printed, results_of, subject_spread
from segnets.benchmarks.run import DONE
from segnets.benchmarks.text import groups
from segnets.pictures import class_colours, new_figure, read_log, window

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ERROR_GAIN = 4
LINE_COLOURS = (
    "#1b6ca8",
    "#d1495b",
    "#3a7d44",
    "#e08e0b",
    "#6d597a",
    "#2a9d8f",
    "#8d6e63",
    "#5c677d",
    "#b5179e",
)

Arrays = Mapping[str, NDArray[Any]]


def draw_all(record: Record, home: Path) -> list[str]:
    """Draw every picture that the record has something for; returns the names of the files in `home`.

    Conditions that test the same networks have the curves of one training, which are drawn with the first.
    """
    drawn: list[Path] = []
    overlaid = record.get("analysis") == "overlays"
    if overlaid and any(r["status"] == DONE for r in record["results"]):
        drawn += [overlays(record, home)]
    trainings: list[dict[str, Path]] = [{}]
    for condition in record["conditions"]:
        done = finished(record, condition["id"])
        if not done:
            continue
        name = condition["id"]
        title = f"{record['title']}: {condition['label']}"
        if not overlaid:
            drawn += [draw_answers(record, condition, home / f"pictures-{name}.png", title)]
        runs = {row: home / r["run"] for row, r in done.items() if r["run"]}
        if runs not in trainings:
            trainings.append(runs)
            drawn += [draw_curves(runs, home / f"curves-{name}.png", title)]
        if record.get("analysis") == "latents":
            codes = arrays_of(record, name, home, "latents.npz")
            drawn += [draw_codes(codes, home / f"codes-{name}.png", title)]
    if record["x_label"] and record["results"]:
        drawn += draw_figure(record, home / "figure.png")
    return [path.name for path in drawn]


def draw_answers(record: Record, condition: Mapping[str, Any], path: Path, title: str) -> Path:
    """Draw the answers of every network under one condition, labels or images, for the same slices."""
    shown = arrays_of(record, condition["id"], path.parent, EXAMPLES)
    classes = record["data"][condition["data"]]["classes"]
    panels = answers(shown, classes) if record["shows"] == "labels" else reconstructions(shown)
    return draw_panels(panels, classes, path, title)


def overlays(record: Record, home: Path) -> Path:
    """Draw what every network answers for one heart, all conditions below one another."""
    shown = {c["label"]: arrays_of(record, c["id"], home, "overlays.npz") for c in record["conditions"]}
    (data,) = record["data"].values()
    return draw_overlays(shown, record["behind"], data["classes"], home / "overlays.png", record["title"])


def arrays_of(record: Record, condition: str, home: Path, name: str) -> dict[str, dict[str, NDArray[Any]]]:
    """Label of a row -> the arrays that its test left in a file, for the rows that are done."""
    return {row: load(home / r["evaluation"] / name) for row, r in finished(record, condition).items()}


def finished(record: Record, condition: str) -> dict[str, dict[str, Any]]:
    """Label of a row -> its result with the first seed that is done."""
    found = {}
    for row in record["rows"]:
        done = [r for r in results_of(record, row["id"], condition) if r["status"] == DONE]
        if done:
            found[row["label"]] = dict(done[0])
    return found


def load(path: Path) -> dict[str, NDArray[Any]]:
    """Read the examples of a run."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def answers(shown: Mapping[str, Arrays], class_names: list[str]) -> Panels:
    """Labels of every network on the same slices; a network that ends at the image shows its image."""
    first, colours = next(iter(shown.values())), class_colours(class_names)
    panels = {"fully sampled": list(first["fully_sampled"]), "oracle": list(colours[first["oracle"]])}
    for label, arrays in shown.items():
        panels[label] = list(colours[arrays["labels"]] if "labels" in arrays else arrays["image"])
    return panels


def reconstructions(shown: Mapping[str, Arrays]) -> Panels:
    """Image of every network on one slice, and below it its amplified distance from the fully sampled one."""
    full = next(iter(shown.values()))["fully_sampled"][0]
    white = window(full)
    images = {"fully sampled": full, **{label: arrays["image"][0] for label, arrays in shown.items()}}
    return {
        label: [grey(image / white), grey(ERROR_GAIN * np.abs(image - full) / white)]
        for label, image in images.items()
    }


def grey(values: NDArray[Any]) -> NDArray[Any]:
    """(y, x) 0 black to 1 white -> (y, x, 3), so that it is drawn as it is."""
    return np.repeat(np.clip(values, 0, 1)[..., None], 3, axis=-1)


def draw_curves(runs: Mapping[str, Path], path: Path, title: str) -> Path:
    """Draw loss and Dice of the training of every network against the part of its epochs."""
    figure = new_figure(9.2, 3.4)
    figure.subplots_adjust(left=0.07, right=0.79, bottom=0.15, top=0.86, wspace=0.22)
    loss_axes, dice_axes = figure.subplots(1, 2)
    for i, (label, run) in enumerate(runs.items()):
        log = read_log(run / "log.csv")
        style = {
            "color": LINE_COLOURS[i % len(LINE_COLOURS)],
            "linestyle": "-" if i < len(LINE_COLOURS) else "--",
        }
        for axes, column in ((loss_axes, "loss"), (dice_axes, "dice")):
            if np.isfinite(log[column]).any():
                axes.plot(
                    log["epoch"], log[column], label=label, marker=".", linewidth=1.2, markersize=3, **style
                )
    loss_axes.set(xlabel="epoch", title="training loss", yscale="log")
    dice_axes.set(xlabel="epoch", title="training Dice", ylim=(0, 1))
    for axes in (loss_axes, dice_axes):
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    handles, labels = loss_axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="center left", bbox_to_anchor=(0.8, 0.5), fontsize=7, frameon=False)
    figure.suptitle(title, fontsize=9)
    return save(figure, path)


def draw_figure(record: Record, path: Path) -> list[Path]:
    """Draw every figure of the table against the level or size that varies, published numbers dashed."""
    from matplotlib.ticker import LogLocator, NullLocator

    curves = [(group, at) for group in groups(record) for at in range(len(record["figures"]))]
    shown = [c for c in curves if any(measured_points(record, row["id"], *c) for row in record["rows"])]
    if not shown:
        return []
    columns = min(3, len(shown))
    lines = math.ceil(len(shown) / columns)
    figure = new_figure(3.6 * columns + 2.0, 2.9 * lines + 0.3)
    axes_of = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes, (group, at) in zip(axes_of, shown, strict=False):
        for i, row in enumerate(record["rows"]):
            colour = LINE_COLOURS[i % len(LINE_COLOURS)]
            if ours := measured_points(record, row["id"], group, at):
                x, y = zip(*ours, strict=True)
                axes.plot(x, y, color=colour, marker="o", markersize=3.5, label=row["label"])
                draw_band(axes, record, row["id"], group, at, colour)
            if printed := published_points(record, row, group, at):
                axes.plot(*zip(*printed, strict=True), color=colour, linestyle="--", linewidth=1, alpha=0.7)
        if record.get("x_scale") == "log":
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_locator(NullLocator())
        axes.set(title=group, xlabel=record["x_label"], ylabel=record["figures"][at]["label"])
        axes.grid(alpha=0.3)
    for axes in axes_of[len(shown) :]:
        axes.set_axis_off()
    figure.tight_layout(rect=(0, 0, 1 - 1.8 / figure.get_figwidth(), 1))
    handles, labels = axes_of[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="center left",
        bbox_to_anchor=(1 - 1.8 / figure.get_figwidth(), 0.5),
        fontsize=7,
        frameon=False,
        title="; ".join(key_of(record)),
        title_fontsize=7,
    )
    return [save(figure, path)]


def key_of(record: Record) -> list[str]:
    """Say what the curves are."""
    printed_any = any(row["published"] for row in record["rows"])
    bands = any(figure.get("spread") for figure in record["figures"])
    return ["ours", *(["dashed: paper"] * printed_any), *(["band: std of subjects"] * bands)]


def draw_band(axes: Axes, record: Record, row: str, group: str, at: int, colour: str) -> None:
    """Shade one standard deviation over the test subjects around a curve, where it is kept."""
    if not record["figures"][at].get("spread"):
        return
    means = [c for c in record["conditions"] if c["group"] == group and measured(record, row, c["id"], at)[2]]
    mean = np.array([measured(record, row, c["id"], at)[0] for c in means])
    spread = np.nan_to_num([subject_spread(record, row, c["id"], at) for c in means])
    axes.fill_between([c["x"] for c in means], mean - spread, mean + spread, color=colour, alpha=0.15, lw=0)


def draw_codes(codes: Mapping[str, Arrays], path: Path, title: str) -> Path:
    """Draw PCA and t-SNE of the codes of every network: colour = subject, the darker the more lines."""
    figure = new_figure(7.2, 3.3 * len(codes) + 0.5)
    panels = figure.subplots(len(codes), 2, squeeze=False)
    for line, (label, arrays) in zip(panels, codes.items(), strict=True):
        shades = shades_of(arrays["subject"], arrays["lines"])
        for axes, name, words in zip(line, ("pca", "tsne"), ("PCA", "t-SNE"), strict=True):
            full = arrays["lines"] == 0
            axes.scatter(*arrays[name][~full].T, c=shades[~full], s=9)
            axes.scatter(*arrays[name][full].T, c=shades[full], s=40, marker="X", edgecolors="black")
            axes.set(title=f"{label}, {words}", xticks=[], yticks=[])
    note = "colour: subject; the darker, the more lines; crosses: fully sampled"
    figure.suptitle(f"{title}\n{note}", fontsize=9)
    figure.tight_layout()
    return save(figure, path)


def shades_of(subject: NDArray[Any], lines: NDArray[Any]) -> NDArray[np.float64]:
    """(point, 3) RGB: the colour of a subject, mixed with white the more, the fewer lines; 0 is all lines."""
    from matplotlib.colors import to_rgb

    owners, counts = np.unique(subject), [*np.unique(lines[lines > 0]), 0]
    base = np.array([to_rgb(LINE_COLOURS[list(owners).index(s) % len(LINE_COLOURS)]) for s in subject])
    share = np.array([(counts.index(n) + 1) / len(counts) for n in lines])[:, None]
    mixed: NDArray[np.float64] = share * base + (1 - share) * (0.15 * base + 0.85)
    return mixed


def measured_points(record: Record, row: str, group: str, at: int) -> list[tuple[float, float]]:
    """(x, measured mean) of the conditions of a curve that are done."""
    points = [
        (c["x"], measured(record, row, c["id"], at)[0]) for c in record["conditions"] if c["group"] == group
    ]
    return [point for point in points if not math.isnan(point[1])]


def published_points(record: Record, row: dict[str, Any], group: str, at: int) -> list[tuple[float, float]]:
    """(x, printed number) of the conditions of a curve."""
    points = [(c["x"], printed(row, c["id"], at)) for c in record["conditions"] if c["group"] == group]
    return [point for point in points if not math.isnan(point[1])]
