"""Sequence diagrams: RF, gradients and receiver over time, the k-space trajectory beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mrsim.events import Events
from mrsim.events.blocks import AXES, Block
from mrsim.pictures.timeline import Curve, Ruler, Timeline, kspace_path, repetitions, ruler, timeline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RED, BLUE, GREEN, VIOLET, AMBER, INK, PALE = (
    "#b23a32",
    "#2a62a8",
    "#2e8b57",
    "#7d549b",
    "#c9801a",
    "#30343a",
    "#b9bec6",
)
COLOURS = {"gx": BLUE, "gy": GREEN, "gz": VIOLET}
ROWS = ("rf", "phase", "gx", "gy", "gz", "adc")
HEIGHTS = (1.25, 0.8, 1.0, 1.0, 1.0, 0.5)
LADDER = 24  # other repetitions, whose gradients are drawn pale behind those shown
NARROW = 0.025  # of the width of the diagram, too little for a label
MOST_LABELS = 5  # flip angles and counts of samples are written if there are no more
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.linewidth": 0.7,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "savefig.dpi": 160,
}
MS, MT, UT = 1e3, 1e3, 1e6


class Playable(Protocol):
    """Any sequence of mrsim, or from a Pulseq file."""

    def blocks(self) -> list[Block]:
        """Give what is played."""
        ...

    def events(self) -> Events:
        """Compile to arrays."""
        ...


def write_diagram(
    sequence: Playable, path: str | Path, *, title: str, count: int = 1, first: int | None = None
) -> Path:
    """Write the diagram of `count` repetitions as PNG (or what else the suffix says).

    first : repetition to begin with, by default the first that receives
    """
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        figure = draw_diagram(sequence, title=title, count=count, first=first)
        path = Path(path)
        figure.savefig(path, facecolor="white")
    return path


def draw_diagram(sequence: Playable, *, title: str, count: int = 1, first: int | None = None) -> Figure:
    """Draw the diagram; ValueError if there are fewer repetitions."""
    from matplotlib.figure import Figure

    blocks = sequence.blocks()
    spans = repetitions(blocks)
    if first is None:
        first = next((i for i, (a, b) in enumerate(spans) if any(x.adc for x in blocks[a:b])), 0)
    if not (0 <= first < len(spans) and count >= 1):
        raise ValueError(f"repetitions must lie in 0 to {len(spans) - 1}, got {first} and {count} of them")
    count = min(count, len(spans) - first)
    begin, end = spans[first][0], spans[first + count - 1][1]
    line = timeline(blocks[begin:end])

    figure = Figure(figsize=(11.5, 5.6), layout="constrained")
    panels: Any = figure.subfigures(1, 2, width_ratios=(2.15, 1))
    left, right = panels
    axes = dict(zip(ROWS, left.subplots(len(ROWS), 1, sharex=True, height_ratios=HEIGHTS), strict=True))
    figure.suptitle(title, x=0.01, ha="left", fontsize=10.5, fontweight="bold")
    places = ruler(line)
    others = _others(blocks, spans, range(first, first + count)) if count == 1 else []
    _draw_pulses(axes["rf"], axes["phase"], line, places)
    for axis in AXES:
        _draw_gradient(axes[axis], axis, line, places, [other.gradients[axis] for other in others])
    _draw_receiver(axes["adc"], axes["phase"], line, places)
    _draw_ideal(axes["gz"], line, places)
    _finish(axes, places)
    left.align_ylabels(list(axes.values()))
    shift = sum(block.duration for block in blocks[:begin])
    _draw_kspace(right.subplots(), sequence.events(), shift, shift + line.duration)
    return figure


def _others(blocks: Sequence[Block], spans: Sequence[tuple[int, int]], shown: range) -> list[Timeline]:
    """Return some of the other repetitions that are as long as the one shown, spread over the scan."""
    length = [sum(b.duration for b in blocks[a:e]) for a, e in spans]
    alike = [
        i
        for i, span in enumerate(spans)
        if i not in shown and math.isclose(length[i], length[shown[0]], abs_tol=1e-7) and span[1] > span[0]
    ]
    chosen: Any = (
        np.unique(np.linspace(0, len(alike) - 1, min(LADDER, len(alike))).astype(int)) if alike else []
    )
    return [timeline(blocks[slice(*spans[alike[i]])]) for i in chosen]


def _draw_pulses(rf: Axes, phase: Axes, line: Timeline, places: Ruler) -> None:
    shaped = [p for p in line.pulses if not p.ideal]
    peak = max((np.abs(p.amplitude.value).max() for p in shaped), default=0.0) * UT or 1.0
    rf.axhline(0, color=INK, lw=0.6)
    for pulse in line.pulses:
        x = float(places(pulse.time)) * MS
        if pulse.ideal:
            rf.annotate("", (x, peak), (x, 0), arrowprops={"arrowstyle": "-|>", "color": RED, "lw": 1.3})
        else:
            t, value = places(pulse.amplitude.t) * MS, pulse.amplitude.value * UT
            rf.plot(t, value, color=RED, lw=1.0)
            rf.fill_between(t, value, color=RED, alpha=0.18, lw=0)
        top = peak if pulse.ideal else np.abs(pulse.amplitude.value).max() * UT
        if len(line.pulses) <= MOST_LABELS:
            flip = f"{math.degrees(pulse.flip):.4g}°"
            style: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": 8, "color": RED, "zorder": 6}
            rf.annotate(flip, (x, top), (0, 2), textcoords="offset points", **style)
        marker = {"marker": "o", "ms": 2.5} if pulse.ideal else {}
        _draw_phase(phase, pulse.phase, places, RED, **marker)
    low = min((p.amplitude.value.min() for p in shaped), default=0.0) * UT
    rf.set_ylim(min(low * 1.2, -0.05 * peak), 1.35 * peak)
    rf.set_ylabel("RF [µT]" if shaped else "RF")
    if not shaped:
        rf.set_yticks([])


def _draw_phase(axes: Axes, curve: Curve, places: Ruler, colour: str, **style: Any) -> None:  # noqa: ANN401
    """Phase in degrees, wrapped; lines do not run across the jumps."""
    n = 200 if np.ptp(curve.value) > 1e-9 and curve.t.size == 2 else 0
    t = np.linspace(curve.t[0], curve.t[-1], n) if n else curve.t
    value = np.degrees(np.interp(t, curve.t, curve.value) if n else curve.value)
    wrapped = (value + 180 - 1e-6) % 360 - 180 + 1e-6
    wrapped[np.flatnonzero(np.abs(np.diff(wrapped)) > 180)] = np.nan
    axes.plot(places(t) * MS, wrapped, color=colour, lw=1.6, solid_capstyle="butt", **style)


def _draw_gradient(axes: Axes, axis: str, line: Timeline, places: Ruler, ladder: Sequence[Curve]) -> None:
    axes.axhline(0, color=INK, lw=0.6)
    for other in ladder:
        axes.plot(places(other.t) * MS, other.value * MT, color=COLOURS[axis], lw=0.5, alpha=0.3)
    curve = line.gradients[axis]
    t, value = places(curve.t) * MS, curve.value * MT
    axes.plot(t, value, color=COLOURS[axis], lw=1.1)
    axes.fill_between(t, value, color=COLOURS[axis], alpha=0.15, lw=0)
    peak = max([float(np.abs(c.value).max()) for c in (curve, *ladder)]) * MT
    axes.set_ylim(-1.2 * (peak or 1), 1.2 * (peak or 1))
    if not peak:
        axes.set_yticks([0])
    axes.set_ylabel(f"G$_{axis[1]}$ [mT/m]")


def _draw_receiver(adc: Axes, phase: Axes, line: Timeline, places: Ruler) -> None:
    adc.axhline(0, color=INK, lw=0.6)
    for window in line.windows:
        a, b = (float(places(t)) * MS for t in (window.begin, window.end))
        adc.fill([a, a, b, b], [0, 1, 1, 0], facecolor=AMBER, alpha=0.35, edgecolor=AMBER, lw=0.9)
        if len(line.windows) <= MOST_LABELS:
            adc.text((a + b) / 2, 0.5, f"{window.samples}", ha="center", va="center", fontsize=7.5)
        _draw_phase(phase, window.phase, places, AMBER)
    adc.set_ylim(-0.1, 1.35)
    adc.set_yticks([])
    adc.set_ylabel("ADC")
    phase.set_ylim(-200, 200)
    phase.set_yticks([-180, 0, 180])
    phase.grid(axis="y", lw=0.4, color=PALE)
    phase.set_ylabel("phase [°]")


def _draw_ideal(axes: Axes, line: Timeline, places: Ruler) -> None:
    """Mark crushers and spoilers that have no gradient."""
    marks = [*line.crushers, *((t, t) for t in line.spoilers)]
    for begin, end in marks:
        a, b = (float(places(t)) * MS for t in (begin, end))
        if b > a:
            axes.axvspan(a, b, facecolor="none", edgecolor=VIOLET, hatch="/////", lw=0, alpha=0.7)
        else:
            axes.axvline(a, color=VIOLET, lw=1.4, ls=(0, (2, 1)), clip_on=False)
        wide = NARROW * float(places.place[-1]) * MS
        if b - a > wide:
            _label_ideal(axes, "ideal", (a + b) / 2, "center")
        elif a == b and len(marks) <= MOST_LABELS:
            _label_ideal(axes, "ideal spoiler", a, "left" if a < 5 * wide else "right")


def _label_ideal(axes: Axes, text: str, x: float, side: str) -> None:
    """Write what is marked at place x below the top of the panel."""
    axes.annotate(
        text,
        (x, 1),
        ({"left": 3, "center": 0, "right": -3}[side], -2),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha=side,
        va="top",
        fontsize=7,
        color=VIOLET,
        zorder=6,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85},
    )


def _finish(axes: dict[str, Axes], places: Ruler) -> None:
    """Shared time axis with the pauses that are cut short, ticks at round times."""
    total = float(places.place[-1]) * MS
    for name, panel in axes.items():
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(length=2.5, labelsize=8, bottom=name == "adc")
        if name != "adc":
            panel.spines["bottom"].set_visible(False)
        for begin, end in places.cuts:
            a, b = places(begin) * MS, places(end) * MS
            panel.axvspan(float(a), float(b), color="white", zorder=3, lw=0)
            panel.axvspan(float(a), float(b), color=PALE, alpha=0.25, zorder=3, lw=0)
    for begin, end in places.cuts:
        middle = float(places(begin) + places(end)) / 2 * MS
        axes["gx"].text(
            middle,
            0,
            f"{(end - begin) * MS:.4g} ms",
            rotation=90,
            ha="center",
            va="center",
            fontsize=7.5,
            zorder=4,
        )
    bottom = axes["adc"]
    ticks = _ticks(places)
    bottom.set_xlim(-0.012 * total, 1.005 * total)
    bottom.set_xticks(places(ticks) * MS, [f"{t * MS:.6g}" for t in ticks])
    bottom.set_xlabel("time [ms]")


def _ticks(places: Ruler) -> NDArray[np.float64]:
    """Round times outside of the pauses that are cut."""
    from matplotlib.ticker import MaxNLocator

    shown = float(places.place[-1])
    edges = [0.0, *(t for cut in places.cuts for t in cut), float(places.time[-1])]
    found: list[float] = []
    step = np.diff(MaxNLocator(9, steps=[1, 2, 2.5, 5, 10]).tick_values(0, shown * MS))[0] / MS
    for a, b in zip(edges[::2], edges[1::2], strict=True):
        found += list(np.arange(math.ceil(a / step - 1e-9), math.floor(b / step + 1e-9) + 1) * step)
    if not places.cuts:
        return np.array(found)
    return np.array(found + [float(t) for t in places.time[-1:] if not found or t - found[-1] > 0.4 * step])


def _draw_kspace(axes: Axes, events: Events, begin: float, end: float) -> None:
    """Draw all receiver windows pale, the samples of the stretch shown and the way to them dark."""
    axes.set_aspect("equal", adjustable="box")
    axes.set_xlabel("k$_x$ [1/m]")
    axes.set_ylabel("k$_y$ [1/m]")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=2.5, labelsize=8)
    path = events.trajectory()
    if not path.time.size:
        return
    every = np.insert(path.k, np.flatnonzero(np.diff(path.adc)) + 1, np.nan, axis=0)
    axes.plot(every[:, 0], every[:, 1], color=PALE, lw=0.45)
    way = kspace_path(events, begin, end)
    axes.plot(way[:, 0], way[:, 1], color=INK, lw=0.6, alpha=0.55)
    here = path.k[(path.time >= begin) & (path.time < end)]
    size = 2.8 if here.shape[0] > 300 else 4.0
    axes.plot(here[:, 0], here[:, 1], ".", ms=size, mew=0, color=AMBER)
    axes.axhline(0, color=PALE, lw=0.5, zorder=0)
    axes.axvline(0, color=PALE, lw=0.5, zorder=0)
    reach = 1.15 * max(float(np.abs(path.k[:, :2]).max()), 1.0)
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
    axes.set_title(f"k-space: {here.shape[0]:,} of {path.time.size:,} samples", fontsize=9)
