"""A contact sheet: what the cases of a store look like, one row per case, in one PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mrsim.sampling import fixed_mask
from mrsim.slices.plane import RAS_NAMES, upright
from mrsim.store import Case, Store
from mrsim.store.case import centred_ifft2, combine_coils

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CLASS_COLOURS = ("#000000", "#7b4fa3", "#f28e2b", "#f4f1ea", "#4e9a8f", "#c84c4c", "#6b8fd6", "#b7a136")
INK, PAPER = "#e8e8e8", "#111111"
SIDE = 1.9  # [inch] of one panel
BEHIND_TEXT = {"facecolor": PAPER, "alpha": 0.6, "edgecolor": "none", "pad": 1}
HEADROOM = 0.5  # [inch] for the titles
DECADES = 5  # of k-space shown
DEFAULT_CASES = 4
CENTRE_LINES = 16  # always sampled, as SERANet does; fewer in small images


def write_preview(
    store: Store, path: str | Path, *, cases: Sequence[int] | None = None, rate: float = 0.3
) -> Path:
    """Write the contact sheet as PNG: image, k-space, labels, B0, a sampling mask and its zero-filled image.

    cases : default are some from different subjects and heights;  rate : share of k-space that the mask keeps
    """
    chosen = default_cases(store) if cases is None else list(cases)
    figure = contact_sheet(store, [store.case(i) for i in chosen], rate)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    figure.savefig(part, format="png", facecolor=PAPER)
    part.replace(path)
    return path


def default_cases(store: Store, count: int = DEFAULT_CASES) -> list[int]:
    """Return cases of different subjects: the middle of each view, or of a single view low to high slices."""
    n, per = store.n_subjects, store.slices_per_subject
    view = store.coords.get("orientation", np.zeros(store.n_cases))[:per]
    if len(views := np.unique(view)) > 1:
        middles = [np.flatnonzero(view == v)[(view == v).sum() // 2] for v in views]
        return sorted(int(middle + i % n * per) for i, middle in enumerate(middles))
    ranks = np.rint(np.linspace(0, n - 1, min(count, max(n, 2)))).astype(int)
    heights = np.rint(np.linspace(0.2, 0.8, ranks.size) * (per - 1)).astype(int)
    return sorted({int(rank * per + height) for rank, height in zip(ranks, heights, strict=True)})


def contact_sheet(store: Store, cases: Sequence[Case], rate: float) -> Figure:
    """Draw one row per case."""
    from matplotlib.figure import Figure

    panels = [_panels(store, case, rate) for case in cases]
    n_y, n_x = store.shape
    aspect = (
        n_x * store.pixel_spacing[1] / (n_y * store.pixel_spacing[0])
    )  # of an upright picture: height / width
    columns = len(panels[0])
    width, height = SIDE * columns, SIDE * aspect * len(cases) + HEADROOM
    figure = Figure(figsize=(width, height), dpi=110, facecolor=PAPER)
    figure.subplots_adjust(0.004, 0.004, 0.996, 1 - HEADROOM / height, 0.02, 0.02)
    axes = figure.subplots(len(cases), columns, squeeze=False)
    peaks = np.max([_peaks(case) for case in cases], axis=0)
    hz = max((_largest_b0(case) for case in cases), default=1.0) or 1.0
    for row, case in enumerate(cases):
        for column, (title, picture, kind, contrast) in enumerate(panels[row]):
            axis, shown = axes[row, column], upright(picture, case.orientation)
            _draw(axis, shown, kind, peak=peaks[contrast], hz=hz, aspect=_pixel_aspect(store))
            if row == 0:
                axis.set_title(title.format(hz=hz), color=INK, fontsize=8, pad=4)
            if kind == "labels" and row == 0:
                _legend(axis, store.class_names)
        axes[row, 0].text(
            0.02,
            0.02,
            _caption(case),
            color=INK,
            fontsize=6,
            transform=axes[row, 0].transAxes,
            va="bottom",
            bbox=BEHIND_TEXT,
        )
    figure.suptitle(str(store.attrs.get("title", "")), color=INK, fontsize=9, y=1 - 0.06 / height)
    return figure


def _of_each_contrast(case: Case) -> list[Case]:
    return [case.contrast(name) for name in case.contrasts] or [case]


def _peaks(case: Case) -> list[float]:
    """Largest magnitude of the image, by contrast: each is shown at its own brightness."""
    return [float(np.abs(one.image).max()) for one in _of_each_contrast(case)]


def _panels(store: Store, case: Case, rate: float) -> list[tuple[str, NDArray[Any], str, int]]:
    """(title, (y, x) array, how it is drawn, contrast) of each column.

    Every contrast has its image; k-space and the zero-filled image are those of the first.
    """
    n_center = min(CENTRE_LINES, round(rate * store.shape[0]) // 2)
    mask = fixed_mask(store.shape, rate, subject=case.subject, slice_index=case.slice, n_center=n_center)
    by_contrast = _of_each_contrast(case)
    names, first = case.contrasts or ("image",), by_contrast[0]
    zero_filled = combine_coils(centred_ifft2(first.kspace * mask), case.csm)
    magnitude = np.sqrt((np.abs(first.kspace) ** 2).sum(axis=0))
    of_first = f" of {names[0]}" if case.contrasts else ""
    images = [
        (name, np.abs(one.image), "image", i)
        for i, (name, one) in enumerate(zip(names, by_contrast, strict=True))
    ]
    b0 = (
        [] if case.b0 is None else [("B0, ±{hz:.0f} Hz", np.where(case.tissue > 0, case.b0, np.nan), "b0", 0)]
    )
    return [
        *images,
        (
            f"k-space{of_first}, log",
            np.log10(np.maximum(magnitude / magnitude.max(), 10.0**-DECADES)),
            "log",
            0,
        ),
        ("oracle labels", case.labels, "labels", 0),
        *b0,
        (f"mask, {100 * mask.mean():.0f} %", mask, "mask", 0),
        (f"zero-filled{of_first}", np.abs(zero_filled), "image", 0),
    ]


def _largest_b0(case: Case) -> float:
    """Largest |B0| [Hz] but for one per cent of the pixels that are not air; air would drown the rest."""
    inside = np.abs(case.b0[case.tissue > 0]) if case.b0 is not None else np.zeros(0)
    return float(np.percentile(inside, 99)) if inside.size else 0.0


def _draw(axis: Axes, picture: NDArray[Any], kind: str, *, peak: float, hz: float, aspect: float) -> None:
    from matplotlib.colors import ListedColormap

    styles: dict[str, dict[str, Any]] = {
        "image": {"cmap": "gray", "vmin": 0, "vmax": peak},
        "log": {"cmap": "magma", "vmin": -DECADES, "vmax": 0},
        "labels": {"cmap": ListedColormap(CLASS_COLOURS), "vmin": -0.5, "vmax": len(CLASS_COLOURS) - 0.5},
        "b0": {"cmap": "RdBu_r", "vmin": -hz, "vmax": hz},
        "mask": {"cmap": "gray", "vmin": 0, "vmax": 1},
    }
    axis.set_facecolor(PAPER)  # what lies outside the object has no B0
    axis.imshow(picture, interpolation="nearest", aspect=aspect, **styles[kind])
    axis.set_axis_off()


def _legend(axis: Axes, names: Sequence[str]) -> None:
    """Name the classes in their colours under the label picture's title."""
    for i, name in enumerate(names[1:], start=1):
        axis.text(
            0.02,
            1 - 0.055 * i,
            name,
            color=CLASS_COLOURS[i],
            fontsize=6,
            transform=axis.transAxes,
            bbox=BEHIND_TEXT,
        )


def _pixel_aspect(store: Store) -> float:
    """Height over width of a pixel of an upright picture, whose rows are x."""
    y, x = store.pixel_spacing
    return x / y


def _caption(case: Case) -> str:
    where = ""
    if case.affine is not None and "slice_position" in case.coords:
        axis = int(np.argmax(np.abs(case.affine[:3, 2])))
        where = f"{RAS_NAMES[axis]} {1e3 * float(case.coords['slice_position']):+.0f} mm\n"
    lines = [
        f"{name}TE {1e3 * one.te:.1f} ms, TR {1e3 * one.tr:.4g} ms"
        for name, one in zip(
            [f"{name}: " for name in case.contrasts] or [""], _of_each_contrast(case), strict=True
        )
    ]
    title = f"case {case.index}, subject {case.subject}, slice {case.slice} ({case.split})\n{where}"
    return title + "\n".join(lines)
