"""Outlines of what every network answers for one heart, over conditions and moments of the beat.

Figure 3 of Schlemper et al. and Figure 2 of DiSK (experiments.md D5, E2).
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mrsim.pictures.movie import WHITE, Picture, around, grey, outlined, palette
from segnets.benchmarks.panels import DPI, draw_legend, save
from segnets.cardiac.analyses import MOMENTS
from segnets.pictures import new_figure, upright, window

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Arrays = Mapping[str, NDArray[Any]]  # of `segnets.cardiac.analyses.overlays`
Line = dict[str, Picture]  # heading -> picture

FRAME, AVERAGE, FULL, ORACLE = "zero-filled", "temporal average", "fully sampled", "oracle"
TILE, GAP = 140, 4  # [pixel] side of a picture at most, and between two
LEFT, RIGHT, TOP, BOTTOM = 64, 8, 58, 44  # [pixel] around them
LETTERS = 18  # of what stands beside a picture, in one line


def draw_overlays(
    shown: Mapping[str, Mapping[str, Arrays]], behind: str, class_names: list[str], path: Path, title: str
) -> Path:
    """Draw images and outlines, one line for every condition and moment, each pixel as it is.

    shown : condition -> network -> its arrays; a network that is missing somewhere leaves white there
    behind : "frame" or "average", what the outlines are drawn on
    """
    lines = {
        f"{moment}\n{textwrap.fill(condition, LETTERS)}": overlay_line(answers, i, behind)
        for condition, answers in shown.items()
        for i, moment in enumerate(MOMENTS if answers else ())
    }
    headings = list(dict.fromkeys(heading for line in lines.values() for heading in line))
    whole = mosaic(list(lines.values()), headings)
    tall, wide = (TOP + whole.shape[0] + BOTTOM, LEFT + whole.shape[1] + RIGHT)
    figure = new_figure(wide / DPI, tall / DPI)
    axes = figure.add_axes((LEFT / wide, BOTTOM / tall, whole.shape[1] / wide, whole.shape[0] / tall))
    axes.imshow(palette(class_names)[whole], interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    name_pictures(axes, whole.shape, headings, list(lines))
    figure.suptitle(title, fontsize=9, y=1 - 10 / tall, va="top")
    draw_legend(figure, class_names)
    return save(figure, path)


def name_pictures(axes: Axes, size: tuple[int, ...], above: Sequence[str], beside: Sequence[str]) -> None:
    """Write above the columns and, upwards, beside the lines of a mosaic of a size (row, column) [pixel]."""
    row, column = ((n + GAP) / len(names) for n, names in zip(size, (beside, above), strict=True))
    for i, name in enumerate(above):
        axes.text((i + 0.5) * column, -6, name, fontsize=7, ha="center", va="bottom")
    for i, name in enumerate(beside):
        axes.text(-6, (i + 0.5) * row, name, fontsize=7, ha="right", va="center", ma="center", rotation=90)


def overlay_line(answers: Mapping[str, Arrays], moment: int, behind: str) -> Line:
    """Draw images and outlines of one heart at one moment, upright and cut to the heart."""
    first = next(iter(answers.values()))
    view = around(upright(first["oracle"].max(axis=0)) > 0)
    scale = max(1, TILE // (view[0].stop - view[0].start))
    images = {
        FRAME: first["zero_filled"][moment],
        AVERAGE: first["average"],
        FULL: first["fully_sampled"][moment],
    }
    line = {name: large_pixels(upright(image)[view], scale) for name, image in images.items()}
    below = line[AVERAGE if behind == "average" else FULL]
    labels = {ORACLE: first["oracle"], **{name: arrays["labels"] for name, arrays in answers.items()}}
    outlines = {name: outlined(below, upright(each[moment])[view], scale) for name, each in labels.items()}
    return {**line, **outlines}


def large_pixels(image: NDArray[np.floating], scale: int) -> Picture:
    """Draw a magnitude image in its own window, each pixel as a square."""
    return grey(image, window(image)).repeat(scale, axis=0).repeat(scale, axis=1)


def mosaic(lines: Sequence[Line], headings: Sequence[str]) -> Picture:
    """Put the pictures below their headings, white where a line has none."""
    height, width = next(iter(lines[0].values())).shape
    whole = np.full((len(lines) * (height + GAP) - GAP, len(headings) * (width + GAP) - GAP), WHITE, np.uint8)
    for i, line in enumerate(lines):
        for heading, picture in line.items():
            top, left = i * (height + GAP), headings.index(heading) * (width + GAP)
            whole[top : top + height, left : left + width] = picture
    return whole
