"""Moving pictures as GIF: grey levels and a few colours of one palette, outlines of classes, captions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]  # (..., row, column) numbers in the palette
View = tuple[slice, slice]  # rows, columns

GREYS = 48  # levels of an image; the colours come after them
BLACK, WHITE = 0, GREYS - 1
TILE = 160  # [pixel] about the side of a picture
MARGIN = 1.5  # side of what is shown over that of the box around all labels
TICK = 0.01  # [s] what a GIF counts in
CLASS_COLOURS = {"LV": "#ff5050", "myocardium": "#46d470", "RV": "#55a8ff"}
OTHER_COLOURS = ("#b07be0", "#f2a03d", "#f0e442", "#4ecdc4", "#e58fc9", "#c8b08a", "#9ad0f5")


def palette(class_names: Sequence[str], more: Sequence[str] = ()) -> Picture:
    """(GREYS + class + more, 3) RGB: grey levels, then a colour for every class, then more of them."""
    others = iter(OTHER_COLOURS * (1 + len(class_names) // len(OTHER_COLOURS)))
    colours = [CLASS_COLOURS.get(name) or next(others) for name in class_names[1:]]
    levels = np.rint(np.linspace(0, 255, GREYS)).astype(np.uint8)
    rgb = [[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in ("#000000", *colours, *more)]
    return np.concatenate([np.repeat(levels[:, None], 3, axis=1), np.array(rgb, np.uint8)])


def grey(image: NDArray[np.floating], white: float, scale: int = 1) -> Picture:
    """Draw magnitudes (..., row, column), `white` and above white, `scale` times as large and smooth."""
    large = magnified(np.asarray(image, np.float32), scale)
    levels: Picture = np.rint(np.clip(large / white, 0, 1) * WHITE).astype(np.uint8)
    return levels


def steady(pictures: Picture) -> Picture:
    """Let pixels of (frame, row, column) change only by more than one level: what rests makes small files."""
    calm = pictures.copy()
    for before, now in pairwise(calm):
        change = now.astype(np.int16) - before
        now[:] = np.where(np.abs(change) > 1, now, before)
    return calm


def outlined(picture: Picture, labels: NDArray[np.integer], scale: int = 1) -> Picture:
    """Draw the edges of the classes on a picture that is `scale` times as large as (..., row, column) labels.

    An edge has the colour of the class with the lower number, but for the background: the wall of the left
    ventricle has a line inside and another outside, along the septum as well.
    """
    edges = class_edges(labels, scale)
    return np.where(edges > 0, GREYS + edges, picture).astype(np.uint8)


def class_edges(labels: NDArray[np.integer], scale: int = 1) -> Picture:
    """(..., row, column) class whose edge a pixel of the magnified labels shows, 0 where there is none."""
    smooth = magnified_labels(labels, scale)
    edges = np.zeros_like(smooth)
    for axis in (-2, -1):
        here, there = (
            np.take(smooth, range(first, smooth.shape[axis] - 1 + first), axis) for first in (0, 1)
        )
        low, high = np.minimum(here, there), np.maximum(here, there)
        found = np.where(here == there, 0, np.where(low == 0, high, low))
        room = [(0, 0)] * smooth.ndim
        room[axis] = (0, 1)
        new = np.pad(found, room)
        edges = np.where(edges == 0, new, np.where(new == 0, edges, np.minimum(edges, new)))
    return edges.astype(np.uint8)


def magnified_labels(labels: NDArray[np.integer], scale: int) -> Picture:
    """(..., row, column) labels `scale` times as large: at every place the class with the largest share."""
    if scale == 1:
        return np.asarray(labels, np.uint8)
    classes = np.unique(labels)
    shares = [magnified((labels == c).astype(np.float32), scale, smooth=False) for c in classes]
    largest: Picture = classes[np.argmax(shares, axis=0)].astype(np.uint8)
    return largest


def magnified(image: NDArray[np.float32], scale: int, *, smooth: bool = True) -> NDArray[np.float32]:
    """(..., row, column) image, each side `scale` times as long, cubic or linear in between."""
    if scale == 1:
        return image
    from PIL import Image

    rows, columns = image.shape[-2:]
    how = Image.Resampling.BICUBIC if smooth else Image.Resampling.BILINEAR
    large = [
        np.asarray(Image.fromarray(one).resize((columns * scale, rows * scale), how))
        for one in np.ascontiguousarray(image, np.float32).reshape(-1, rows, columns)
    ]
    return np.stack(large).reshape(*image.shape[:-2], rows * scale, columns * scale)


def written(picture: Picture, text: str, place: tuple[int, int] = (3, 2), *, size: int = 11) -> Picture:
    """Write white on black over (row, column), beginning at place (column, row)."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size)
    canvas = Image.fromarray(np.rint(np.minimum(picture, WHITE) * (255 / WHITE)).astype(np.uint8))
    draw = ImageDraw.Draw(canvas)
    draw.multiline_text(place, text, fill=255, font=font, stroke_width=1, stroke_fill=0, spacing=2)
    drawn = np.rint(np.asarray(canvas) * (WHITE / 255)).astype(np.uint8)
    return np.where(drawn == np.minimum(picture, WHITE), picture, drawn)


def tiled(rows: Sequence[Sequence[Picture]], gap: int = 3) -> Picture:
    """Put pictures (..., row, column) of one size by row beside and below each other."""

    def joined(parts: Sequence[Picture], axis: int) -> Picture:
        room = [(0, 0)] * parts[0].ndim
        room[axis] = (gap, 0)
        return np.concatenate([parts[0], *(np.pad(part, room) for part in parts[1:])], axis=axis)

    return joined([joined(row, -1) for row in rows], -2)


def around(there: NDArray[np.bool_]) -> View:
    """Return a square with room around what is there, (row, column), or everything where there is nothing."""
    rows, columns = there.shape
    if not there.any():
        return slice(0, rows), slice(0, columns)
    spans = [np.flatnonzero(there.any(axis=axis)) for axis in (1, 0)]
    side = round(MARGIN * max(int(span[-1] + 1 - span[0]) for span in spans))
    view = []
    for span, n in zip(spans, there.shape, strict=True):
        begin = max(0, min(int(span[0] + span[-1] + 1 - side) // 2, n - side))
        view.append(slice(begin, min(n, begin + side)))
    return view[0], view[1]


def scale_of(view: View) -> int:
    """Return how many times as large pixels are drawn."""
    rows: int = view[0].stop - view[0].start
    return max(1, round(TILE / rows))


def stretched(picture: Picture, size: tuple[int, int], *, keep_shape: bool = False) -> Picture:
    """Repeat or leave out rows and columns until a picture has the size; `keep_shape` fills up with black."""
    inner = size
    if keep_shape:
        factor = min(n / m for n, m in zip(size, picture.shape, strict=True))
        inner = (round(factor * picture.shape[0]), round(factor * picture.shape[1]))
    rows, columns = (np.arange(n) * m // n for n, m in zip(inner, picture.shape, strict=True))
    room = [((n - m) // 2, n - m - (n - m) // 2) for n, m in zip(size, inner, strict=True)]
    return np.pad(picture[np.ix_(rows, columns)], room)


def write_gif(target: Path | BinaryIO, frames: Picture, colours: Picture, durations: Sequence[float]) -> None:
    """Write (frame, row, column) pictures as an endless GIF; frames alike become one that lasts longer.

    durations : (frame,) [s], rounded so that the whole lasts as long as it should
    """
    from PIL import Image

    ends = np.rint(np.cumsum(durations) / TICK).astype(int)
    ticks = np.maximum(np.diff(ends, prepend=0), 2)  # browsers play a shorter one slowly
    pages = [Image.fromarray(frame, mode="P") for frame in frames]
    for page in pages:
        page.putpalette(colours.tobytes())
    pages[0].save(
        target,
        format="GIF",
        save_all=True,
        append_images=pages[1:],
        duration=[int(10 * tick) for tick in ticks],
        loop=0,
        disposal=1,
        optimize=True,
    )


def write_png(target: Path | BinaryIO, picture: Picture, colours: Picture) -> None:
    """Write one picture (row, column) with its palette."""
    from PIL import Image

    page = Image.fromarray(picture, mode="P")
    page.putpalette(colours.tobytes())
    page.save(target, format="PNG", optimize=True)
