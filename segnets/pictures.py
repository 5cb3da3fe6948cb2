"""Pictures of segmentations and of training, drawn with matplotlib's Agg backend straight into PNG files."""

from __future__ import annotations

import csv
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {  # SERANet's figure: CSF purple, GM orange, WM white
    "background": "#000000",
    "CSF": "#8e44c4",
    "GM": "#f28e1c",
    "WM": "#ffffff",
    "LV": "#ff5050",  # as in moving pictures, mrsim.pictures.movie
    "myocardium": "#46d470",
    "RV": "#55a8ff",
}
OTHER_COLOURS = ("#4fb0e8", "#59c36a", "#e8555a", "#f2d94e", "#b0764a", "#7fe0d8", "#e58fc9")
MISSED_COLOUR, SPURIOUS_COLOUR, SWAPPED_COLOUR = "#ff3b30", "#34c3ff", "#ffd60a"
GREY = "#333333"
LETTERS_PER_INCH = 13  # of a title
ERROR_GAIN = 5  # of the error of an image
ERROR_LEGEND = (
    ("tissue missed", MISSED_COLOUR),
    ("tissue invented", SPURIOUS_COLOUR),
    ("another tissue", SWAPPED_COLOUR),
)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Example:
    """One slice for the segmentation picture; arrays as stored, (y, x).

    zero_filled, fully_sampled : float magnitude
    predictions : name -> (y, x) class numbers; empty for networks without labels
    images : name -> (y, x) float magnitude in the units of `fully_sampled`; empty for networks without images
    oracle : (y, x) class numbers
    title : what stands at the left of its row
    """

    case: int
    title: str
    zero_filled: NDArray[np.floating]
    fully_sampled: NDArray[np.floating]
    predictions: dict[str, NDArray[np.integer]]
    oracle: NDArray[np.integer]
    images: dict[str, NDArray[np.floating]] = field(default_factory=dict)


def upright(image: NDArray[Any]) -> NDArray[Any]:
    """Turn a stored (y, x[, colour]) array as a radiologist sees it; for pictures only.

    Stored axial slices run left to right along y and back to front along x (docs/architecture.md); seen from
    below with the nose up, the patient's right is on the left. The same turn puts superior on top of coronal
    and sagittal slices, so it needs no orientation.
    """
    return np.swapaxes(image, 0, 1)[::-1, ::-1]


def class_colours(class_names: Sequence[str]) -> NDArray[np.float64]:
    """(class, 3) RGB in 0..1: the fixed colour of a known name, else the next of a list."""
    from matplotlib.colors import to_rgb

    others = iter(OTHER_COLOURS * (1 + len(class_names) // len(OTHER_COLOURS)))
    first, *rest = class_names
    names = [COLOURS.get(first, "#000000"), *(COLOURS.get(name) or next(others) for name in rest)]
    return np.array([to_rgb(colour) for colour in names])


def error_map(
    prediction: NDArray[np.integer], oracle: NDArray[np.integer], backdrop: NDArray[np.floating]
) -> NDArray[np.float64]:
    """(y, x, 3) dimmed grey image with the wrong pixels in colour, by kind of error."""
    from matplotlib.colors import to_rgb

    picture = 0.45 * grey_picture(backdrop, window(backdrop))
    wrong = prediction != oracle
    picture[wrong & (prediction == 0)] = to_rgb(MISSED_COLOUR)
    picture[wrong & (oracle == 0)] = to_rgb(SPURIOUS_COLOUR)
    picture[wrong & (prediction != 0) & (oracle != 0)] = to_rgb(SWAPPED_COLOUR)
    return picture


def window(image: NDArray[np.floating]) -> float:
    """Magnitude that is drawn white: the 99.5th percentile, so that a bright vessel dims no brain."""
    return max(float(np.percentile(image, 99.5)), float(np.finfo(np.float32).tiny))


def draw_examples(examples: Sequence[Example], class_names: Sequence[str], path: Path, *, title: str) -> Path:
    """Draw one row per slice: zero-filled, fully sampled, what every network made and its error, oracle.

    Without labels the error is the magnitude of the difference, five times as bright as the image.
    """
    labelled = bool(examples[0].predictions)
    rows, columns = len(examples), len(_panels(examples[0], class_colours(class_names)))
    height, width = upright(examples[0].oracle).shape
    size = 1.9 * columns + 0.55
    lines = textwrap.wrap(title, int(LETTERS_PER_INCH * size))
    figure = new_figure(size, 1.9 * rows * height / width + 0.78 + 0.17 * len(lines))
    grid = figure.add_gridspec(rows, columns, wspace=0.03, hspace=0.03, **_margins(figure, len(lines)))
    for row, example in enumerate(examples):
        for column, (heading, picture) in enumerate(_panels(example, class_colours(class_names))):
            axes = figure.add_subplot(grid[row, column])
            _show(axes, picture)
            if row == 0:
                axes.set_title(heading, fontsize=9)
            if column == 0:
                axes.set_ylabel(example.title, fontsize=8)
    figure.suptitle("\n".join(lines), fontsize=10, y=1 - 0.1 / figure.get_figheight(), va="top")
    if labelled:
        _legend(figure, class_names)
    return _save(figure, path)


def _panels(example: Example, colours: NDArray[np.float64]) -> list[tuple[str, NDArray[Any]]]:
    several = len(example.predictions) > 1
    white = window(example.fully_sampled)
    panels: list[tuple[str, NDArray[Any]]] = [
        ("zero-filled", grey_picture(example.zero_filled, white)),
        ("fully sampled", grey_picture(example.fully_sampled, white)),
    ]
    for name, image in example.images.items() if not several else ():
        panels.append((name, grey_picture(image, white)))
        if not example.predictions:
            difference = np.abs(image - example.fully_sampled)
            panels.append((f"error x {ERROR_GAIN}", grey_picture(ERROR_GAIN * difference, white)))
    if not example.predictions:
        return panels
    for name, labels in example.predictions.items():
        panels.append((name if several else "prediction", colours[labels]))
        panels.append(("error", error_map(labels, example.oracle, example.fully_sampled)))
    panels.insert(len(panels) if several else len(panels) - 1, ("oracle", colours[example.oracle]))
    return panels


def grey_picture(image: NDArray[np.floating], white: float) -> NDArray[np.float64]:
    """(y, x, 3) grey levels of a magnitude image, `white` and above being white."""
    return np.repeat(np.clip(image / white, 0, 1)[..., None], 3, axis=-1).astype(np.float64)


def _show(axes: Axes, picture: NDArray[Any]) -> None:
    axes.imshow(upright(picture), interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _margins(figure: Figure, n_lines: int) -> dict[str, float]:
    width, height = figure.get_size_inches()
    top = 0.33 + 0.17 * n_lines
    return {"left": 0.5 / width, "right": 1 - 0.05 / width, "bottom": 0.38 / height, "top": 1 - top / height}


def _legend(figure: Figure, class_names: Sequence[str]) -> None:
    from matplotlib.patches import Patch

    tissues = zip(class_names[1:], class_colours(class_names)[1:], strict=True)
    patches = [Patch(facecolor=tuple(colour), edgecolor="#888888", label=name) for name, colour in tissues]
    patches += [Patch(facecolor=colour, edgecolor="#888888", label=name) for name, colour in ERROR_LEGEND]
    figure.legend(handles=patches, loc="lower center", ncols=len(patches), fontsize=8, frameon=False)


def draw_pattern(
    pattern: NDArray[np.floating], path: Path, *, probability: NDArray[np.floating] | None = None, title: str
) -> Path:
    """Draw a sampling pattern (ky, kx), DC in the middle, and the probabilities where it was learnt.

    Rows are phase encodes, from the first at the top: k-space is not turned as images are.
    """
    maps = [(f"{100 * pattern.mean():.4g} % sampled", pattern)]
    if probability is not None:
        maps.append(("probability", probability))
    n_y, n_x = pattern.shape
    figure = new_figure(0.3 + 3.6 * len(maps), 0.9 + 3.4 * n_y / n_x)
    row = figure.subplots(1, len(maps), squeeze=False)[0]
    for axes, (heading, values) in zip(row, maps, strict=True):
        axes.imshow(values, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(heading, fontsize=9)
        axes.set(xlabel="kx", ylabel="ky", xticks=[], yticks=[])
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    return _save(figure, path)


def draw_training_curve(run_dir: Path) -> Path:
    """Draw loss, and Dice if any, by epoch from `run_dir/log.csv` into `run_dir/training_curve.png`.

    Errors: FileNotFoundError without a log; ValueError for a log without a finished epoch.
    """
    log = read_log(run_dir / "log.csv")
    figure = new_figure(8.6, 3.3)
    figure.subplots_adjust(left=0.075, right=0.985, bottom=0.15, top=0.88, wspace=0.2)
    segments = any(not math.isnan(value) for value in log.get("dice", []))
    loss_axes, *others = figure.subplots(1, 2 if segments else 1, squeeze=False)[0]
    for prefix, style, where in (("", "-", "training"), ("val_", "--", "validation")):
        _curve(loss_axes, log, f"{prefix}loss", where, GREY, style)
        for dice_axes in others:
            _curve(dice_axes, log, f"{prefix}dice", f"mean, {where}", GREY, style, 2)
            for name, colour in _tissue_columns(log, f"{prefix}dice_"):
                _curve(dice_axes, log, f"{prefix}dice_{name}", f"{name}, {where}", colour, style)
    loss_axes.set(xlabel="epoch", ylabel="loss", title="Loss")
    for dice_axes in others:
        dice_axes.set(xlabel="epoch", ylabel="Dice", title="Dice", ylim=(0, 1))
    loss_axes.set_ylim(bottom=0)
    for axes in (loss_axes, *others):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, frameon=False, ncols=2)
    return _save(figure, run_dir / "training_curve.png")


def read_log(path: Path) -> dict[str, list[float]]:
    """Columns of a training log; an empty cell (no validation in that epoch) is NaN."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise ValueError(f"{path} must hold at least one epoch, got none")
    return {name: [float(row[name] or math.nan) for row in rows] for name in rows[0]}


def _tissue_columns(log: dict[str, list[float]], prefix: str) -> list[tuple[str, str]]:
    names = [name.removeprefix(prefix) for name in log if name.startswith(prefix)]
    others = iter(OTHER_COLOURS)
    on_paper = COLOURS | {"WM": "#9a9a9a"}  # white would not show
    return [(name, on_paper.get(name) or next(others, "#555555")) for name in names if name != "background"]


def _curve(
    axes: Axes,
    log: dict[str, list[float]],
    column: str,
    label: str,
    colour: str,
    style: str,
    width: float = 1.4,
) -> None:
    points = [(x, y) for x, y in zip(log["epoch"], log.get(column, []), strict=False) if not math.isnan(y)]
    if points:
        (line,) = axes.plot(
            *zip(*points, strict=True), label=label, color=colour, linestyle=style, linewidth=width
        )
        line.set(marker="." if len(points) < 30 else "", markersize=4)


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure [inch] that no window system and no global state of pyplot knows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    return path
