"""Line charts as SVG inside the page: sharp at any size, and small."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

COLOURS = (
    *("#1b6ca8", "#d1495b", "#3a7d44", "#e08e0b", "#6d597a"),
    *("#2a9d8f", "#8d6e63", "#5c677d", "#b5179e"),
)
INK, SOFT, GRID = "#1d2430", "#5d6775", "#e4e8ed"
WIDTH, HEIGHT = 520, 250  # [px] without the legend
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 26, 34  # [px] round the axes
LINE, ENTRY = 15, 150  # [px] height and width of an entry of the legend
N_Y_TICKS, N_X_TICKS = 5, 11
LOG_SPAN = 20  # positive curves that span a larger factor are drawn logarithmically
DASHES = ' stroke-dasharray="4 3"'


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """One line; x and y (point,), NaN where there is no value."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    colour: str
    dashed: bool = False

    def points(self) -> list[tuple[float, float]]:
        """Return what can be drawn."""
        return [p for p in zip(self.x, self.y, strict=True) if all(map(math.isfinite, p))]


@dataclass(frozen=True, kw_only=True, slots=True)
class Axes:
    """Where a point of the data lies in the drawing."""

    x: tuple[float, float]
    y: tuple[float, float]
    log: bool

    def at(self, x: float, y: float) -> tuple[float, float]:
        """(x, y) [px] from the upper left corner."""
        (x0, x1), (y0, y1) = self.x, self.y
        share = math.log(y / y0) / math.log(y1 / y0) if self.log else (y - y0) / (y1 - y0)
        across = LEFT + (x - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT)
        return across, HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def draw(self, title: str, x_label: str) -> str:
        """Title, grid, numbers and names."""
        right, floor = WIDTH - RIGHT, HEIGHT - BOTTOM
        parts = [_text(LEFT, 15, title, "600")]
        for tick in decades(*self.y) if self.log else ticks(*self.y, N_Y_TICKS):
            _, y = self.at(self.x[0], tick)
            parts.append(f'<path d="M{LEFT} {y:.1f}H{right}" stroke="{GRID}"/>')
            parts.append(_text(LEFT - 6, y + 4, f"{tick:g}", anchor="end"))
        for tick in whole_ticks(*self.x):
            parts.append(_text(self.at(tick, self.y[0])[0], floor + 15, f"{tick:g}", anchor="middle"))
        parts.append(f'<path d="M{LEFT} {floor}H{right}" stroke="{INK}"/>')
        parts.append(_text((LEFT + right) / 2, HEIGHT - 4, x_label, anchor="middle"))
        return "".join(parts)


def chart(
    curves: Sequence[Curve],
    *,
    title: str,
    x_label: str = "epoch",
    y_range: tuple[float, float] | None = None,
    marks: Mapping[str, float] | None = None,
) -> str:
    """Draw curves over one pair of axes; "" where there is nothing to draw. marks : name -> place along x."""
    drawn = [curve for curve in curves if curve.points()]
    if not drawn:
        return ""
    xs, ys = zip(*(point for curve in drawn for point in curve.points()), strict=True)
    log = y_range is None and min(ys) > 0 and max(ys) / min(ys) > LOG_SPAN
    axes = Axes(x=_widened(min(xs), max(xs)), y=y_range or _span(ys, log), log=log)
    names, rows = _legend(drawn)
    lines = "".join(_line(curve, axes) for curve in drawn)
    tall = HEIGHT + LINE * rows
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" '
        f'viewBox="0 0 {WIDTH} {tall}" width="{WIDTH}" height="{tall}" '
        f'role="img" aria-label="{html.escape(title)}" font-size="11" fill="{SOFT}">'
        f"{axes.draw(title, x_label)}{_marks(marks or {}, axes)}{lines}{names}</svg>"
    )


def _text(x: float, y: float, text: str, weight: str = "", anchor: str = "start") -> str:
    strong = f' font-weight="{weight}" font-size="12" fill="{INK}"' if weight else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{strong}>{html.escape(text)}</text>'


def _marks(marks: Mapping[str, float], axes: Axes) -> str:
    """Upright lines with a name at the top."""
    parts = []
    for name, place in marks.items():
        x, _ = axes.at(place, axes.y[0])
        parts.append(f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="{SOFT}" stroke-dasharray="2 3"/>')
        parts.append(_text(x + 3, TOP + 9, name))
    return "".join(parts)


def _line(curve: Curve, axes: Axes) -> str:
    points = [axes.at(*point) for point in curve.points()]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2" fill="{curve.colour}"/>' for x, y in points)
    dash = DASHES if curve.dashed else ""
    line = f'<path d="{path}" fill="none" stroke="{curve.colour}" stroke-width="1.6"{dash}/>'
    return line + (dots if len(points) < 30 else "")


def _legend(curves: Sequence[Curve]) -> tuple[str, int]:
    """Draw the names below the axes; also the number of lines that they take."""
    per_line = (WIDTH - LEFT) // ENTRY
    parts = []
    for i, curve in enumerate(curves):
        x, y = LEFT + ENTRY * (i % per_line), HEIGHT + LINE * (i // per_line) + 8
        dash = DASHES if curve.dashed else ""
        parts.append(f'<path d="M{x} {y}h18" stroke="{curve.colour}" stroke-width="2"{dash}/>')
        parts.append(_text(x + 23, y + 4, curve.label[:26]))
    return "".join(parts), -(-len(curves) // per_line)


def ticks(low: float, high: float, count: int) -> list[float]:
    """Round numbers within [low, high], about `count` of them."""
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [round(step * i, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def whole_ticks(low: float, high: float) -> list[float]:
    """Whole numbers within [low, high], all of them or every so many."""
    whole = [float(n) for n in range(math.ceil(low), math.floor(high) + 1)]
    return whole if len(whole) <= N_X_TICKS else [n for n in ticks(low, high, N_X_TICKS - 1) if n % 1 == 0]


def decades(low: float, high: float) -> list[float]:
    """Powers of ten within [low, high]."""
    return [10.0**k for k in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]


def _span(values: Sequence[float], log: bool) -> tuple[float, float]:
    """Range of the y axis: from 0 where that costs little."""
    low, high = min(values), max(values)
    if log:
        return low / 1.3, high * 1.3
    if 0 <= low < 0.6 * high:
        return 0.0, 1.06 * high
    return _widened(low - 0.08 * (high - low), high + 0.08 * (high - low))


def _widened(low: float, high: float) -> tuple[float, float]:
    return (low - 0.5, high + 0.5) if low == high else (low, high)
