"""Pictures side by side, each column below its name."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from segnets.pictures import class_colours, new_figure, upright, window

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PER_LINE = 8  # panels side by side at most
DPI = 130

Panels = dict[str, list[NDArray[Any]]]  # name -> its pictures (y, x[, colour]) as stored, one below the other


def draw_panels(panels: Panels, class_names: list[str], path: Path, title: str) -> Path:
    """Draw the pictures (y, x[, colour]) of every panel below its name, in as many lines as it takes."""
    n, lines = len(next(iter(panels.values()))), math.ceil(len(panels) / PER_LINE)
    columns = math.ceil(len(panels) / lines)
    height, width = upright(next(iter(panels.values()))[0]).shape[:2]
    figure = new_figure(1.75 * columns + 0.2, lines * (1.75 * n * height / width + 0.3) + 0.7)
    tall = figure.get_figheight()
    inside = {"left": 0.01, "right": 0.99, "bottom": 0.35 / tall, "top": 1 - 0.5 / tall}
    outer = figure.add_gridspec(lines, 1, hspace=0.1, **inside)
    coloured = False
    for at, (heading, pictures) in enumerate(panels.items()):
        inner = outer[at // columns, 0].subgridspec(n, columns, wspace=0.03, hspace=0.03)
        for row, picture in enumerate(pictures):
            axes = figure.add_subplot(inner[row, at % columns])
            show(axes, picture)
            coloured |= picture.ndim == 3 and bool(np.ptp(picture, axis=-1).any())
            if row == 0:
                axes.set_title(heading, fontsize=8)
    figure.suptitle(title, fontsize=9, y=1 - 0.08 / tall, va="top")
    if coloured:
        draw_legend(figure, class_names)
    return save(figure, path)


def show(axes: Axes, picture: NDArray[Any]) -> None:
    """Draw a grey (y, x) or a coloured (y, x, 3) picture, upright and without a frame."""
    top = None if picture.ndim == 3 else window(picture)
    axes.imshow(upright(picture), cmap="gray", vmin=0, vmax=top, interpolation="nearest")
    axes.set_axis_off()


def draw_legend(figure: Figure, class_names: list[str]) -> None:
    """Name the colours of the tissues at the bottom."""
    from matplotlib.patches import Patch

    named = zip(class_names[1:], class_colours(class_names)[1:], strict=True)
    patches = [Patch(facecolor=tuple(colour), edgecolor="#888888", label=name) for name, colour in named]
    figure.legend(handles=patches, loc="lower center", ncols=len(patches), fontsize=8, frameon=False)


def save(figure: Figure, path: Path) -> Path:
    """Write a PNG."""
    figure.savefig(path, dpi=DPI)
    return path
