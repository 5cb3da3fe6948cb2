"""What the cases of a cine store look like: a contact sheet, one row per case, and a moving picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrsim.pictures.movie import (
    BLACK,
    WHITE,
    Picture,
    View,
    around,
    grey,
    outlined,
    palette,
    scale_of,
    steady,
    stretched,
    tiled,
    write_gif,
    write_png,
    written,
)
from mrsim.sampling import fixed_frame_lines
from mrsim.slices.plane import upright
from mrsim.store import Case, Store
from mrsim.store.case import centred_ifft2, combine_coils
from mrsim.store.layout import SPLITS

N_COLUMNS = 6  # frames of the sheet
SLOWEST = 0.035  # [s] from frame to frame that still moves smoothly
BEAT = 1.0  # [s] where the store does not say how long it lasts
MOVING, LISTED = 3, 5  # cases by default
LINE = 14  # [pixel] of text
CENTRE_LINES, FEW_LINES = 2, 8  # always sampled, unless there are few lines (experiments.md D0)
MS, ML = 1e-3, 1e-6  # [s], [m3]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Beat:
    """One case as it is drawn.

    image, labels : (frame, row, column) upright magnitude and oracle class
    white : magnitude that is drawn white
    es : frame of end-systole; end-diastole is frame 0
    """

    case: Case
    image: NDArray[np.float32]
    labels: NDArray[np.uint8]
    white: float
    es: int

    @property
    def times(self) -> NDArray[np.float64] | None:
        """(frame,) [s] after the R wave; None where the store does not know."""
        times = np.asarray(self.case.coords.get("frame_time", np.nan), np.float64)
        return times if times.ndim and np.isfinite(times).all() and times[-1] > times[0] else None

    @property
    def interval(self) -> float:
        """[s] from frame to frame."""
        return BEAT / self.case.n_frames if self.times is None else float(np.median(np.diff(self.times)))

    def title(self, frame: int) -> str:
        """Time of a frame, and whether it is end-diastole or end-systole."""
        name = {0: "ED", self.es: "ES"}.get(frame, "")
        return f"{f'frame {frame}' if self.times is None else f'{self.times[frame] / MS:.0f} ms'} {name}"


def write_cine_preview(
    store: Store, path: str | Path, *, cases: Sequence[int] | None = None, rate: float = 0.3
) -> tuple[Path, Path]:
    """Write the contact sheet as PNG, and beside it the moving picture as GIF.

    cases : default are some of different subjects, or slices of a single one
    rate : share of the lines that are kept of each frame for the zero-filled image of the sheet
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet, moving = path.with_suffix(".png"), path.with_suffix(".gif")
    listed = default_cases(store, LISTED) if cases is None else list(cases)
    shown = default_cases(store, MOVING) if cases is None else list(cases)
    beats = {i: beat_of(store, i) for i in dict.fromkeys((*listed, *shown))}
    colours = palette(store.class_names)
    part = sheet.with_name(sheet.name + ".part")
    write_png(part, contact_sheet([beats[i] for i in listed], rate), colours)
    part.replace(sheet)
    part = moving.with_name(moving.name + ".part")
    write_movie(part, [beats[i] for i in shown], colours)
    part.replace(moving)
    return sheet, moving


def default_cases(store: Store, count: int) -> list[int]:
    """Return different subjects in their middle slice, or the slices of a single subject from end to end."""
    n, per = store.n_subjects, store.slices_per_subject
    if n > 1:
        ranks = np.unique(np.rint(np.linspace(0, n - 1, count)).astype(int))
        return [int(rank * per + len(used_slices(store, rank)) // 2) for rank in ranks]
    used = used_slices(store, 0)
    return [int(used[i]) for i in np.unique(np.rint(np.linspace(0, len(used) - 1, count)).astype(int))]


def used_slices(store: Store, rank: int) -> NDArray[np.int64]:
    """Return those slices of the subject at this place that do not only fill up the store."""
    per = store.slices_per_subject
    return np.flatnonzero(store.coords["split"][rank * per : (rank + 1) * per] < len(SPLITS))


def beat_of(store: Store, index: int) -> Beat:
    """Turn a case as a reader sees it; all slices of the subject say when its left ventricle is smallest."""
    case = store.case(index)
    cavity = store.class_names.index("LV") if "LV" in store.class_names else 1
    first = index - index % store.slices_per_subject
    volume = (store.labels(range(first, first + store.slices_per_subject)) == cavity).sum(axis=(0, 2, 3))
    image = upright(np.abs(case.image), case.orientation)
    return Beat(
        case=case,
        image=image,
        labels=upright(case.labels, case.orientation),
        white=max(float(np.percentile(image, 99.5)), float(np.finfo(np.float32).tiny)),
        es=int(np.argmin(volume)),
    )


def write_movie(target: Path, beats: Sequence[Beat], colours: Picture) -> None:
    """Write images above, with the oracle's outlines below, a column per case, at the speed of the heart."""
    interval = float(np.mean([beat.interval for beat in beats]))
    every, view = max(1, round(SLOWEST / interval)), view_of(beats)
    scale = scale_of(view)
    columns = []
    for beat in beats:
        plain = steady(grey(beat.image[(slice(None, None, every), *view)], beat.white, scale))
        lined = outlined(plain, beat.labels[(slice(None, None, every), *view)], scale)
        text = written(np.full((2 * LINE + 4, plain.shape[-1]), BLACK, np.uint8), caption(beat.case))
        above = np.broadcast_to(text, (len(plain), *text.shape))
        columns.append(tiled([[above], [plain], [lined]]))
    write_gif(target, tiled([columns]), colours, [interval * every] * len(columns[0]))


def view_of(beats: Sequence[Beat]) -> View:
    """Rows and columns around the labels of all cases."""
    return around(np.any([(beat.labels > 0).any(axis=0) for beat in beats], axis=0))


def caption(case: Case) -> str:
    """Say which case it is, and what is known about the heart."""
    first = f"subject {case.subject}, slice {case.slice}"
    if "lv_edv" not in case.coords or "lv_esv" not in case.coords:
        return first
    edv, esv = float(case.coords["lv_edv"]), float(case.coords["lv_esv"])
    beat = f", {60 / float(case.coords['rr']):.0f}/min" if "rr" in case.coords else ""
    return f"{first}\nEDV {edv / ML:.0f} ml, EF {100 * (1 - esv / edv):.0f} %{beat}"


def contact_sheet(beats: Sequence[Beat], rate: float) -> Picture:
    """Draw one row per case: whole image, frames with the oracle's outlines, profile, sampling."""
    view = view_of(beats)
    return tiled([sheet_row(beat, view, rate) for beat in beats])


def sheet_row(beat: Beat, view: View, rate: float) -> list[Picture]:
    """Pictures of one case."""
    scale, frames = scale_of(view), chosen_frames(beat)
    near = beat.image[(slice(None), *view)]
    lined = outlined(grey(near[frames], beat.white, scale), beat.labels[(frames, *view)], scale)
    size = (lined.shape[1], lined.shape[2])
    lines = sampled_lines(beat.case, rate)
    zero_filled = upright(np.abs(image_of(beat.case, 0, lines[0])), beat.case.orientation)
    titles, whole = [beat.title(frame) for frame in frames], []
    if near.shape == beat.image.shape:
        titles[0] = f"{caption(beat.case)}\n{titles[0]}"
    else:
        small = stretched(grey(beat.image[0], beat.white), size, keep_shape=True)
        whole = [written(small, caption(beat.case))]
    return [
        *whole,
        *(written(picture, title) for picture, title in zip(lined, titles, strict=True)),
        written(profile(beat, near, view, size), "across the LV, time"),
        *([] if beat.case.b0 is None else [b0_picture(beat, view, size)]),
        written(stretched(lines.T.astype(np.uint8) * WHITE, size), f"ky, time: {100 * lines.mean():.0f} %"),
        written(grey(zero_filled[view], beat.white, scale), "ED, zero-filled"),
    ]


def chosen_frames(beat: Beat) -> list[int]:
    """Return end-diastole, the middle of systole, end-systole, and others evenly through diastole."""
    n, es = beat.case.n_frames, beat.es
    wanted = [0, es // 2, es, *np.rint(np.linspace(es, n, N_COLUMNS - 1)[1:-1]).astype(int)]
    found = sorted({int(frame) for frame in wanted if frame < n})
    return found + [found[-1]] * (N_COLUMNS - len(found))  # rows have one length


def sampled_lines(case: Case, rate: float) -> NDArray[np.float32]:
    """(frame, ky) the lines that are kept of each frame."""
    n = case.kspace.shape[-2]
    count = max(1, round(rate * n))
    lines: NDArray[np.float32] = fixed_frame_lines(
        case.n_frames,
        n,
        count,
        subject=case.subject,
        slice_index=case.slice,
        n_center=CENTRE_LINES if count >= FEW_LINES else 0,
    )
    return lines


def image_of(case: Case, frame: int, lines: NDArray[np.float32]) -> NDArray[np.complex64]:
    """(y, x) zero-filled image of one frame."""
    return combine_coils(centred_ifft2(case.kspace[frame] * lines[:, None]), case.csm)


def profile(beat: Beat, near: NDArray[np.float32], view: View, size: tuple[int, int]) -> Picture:
    """Draw the row of pixels through the middle of the LV from top to bottom, time to the right."""
    inside = np.argwhere(beat.labels[(0, *view)] == 1)
    row = int(inside[:, 0].mean()) if len(inside) else near.shape[1] // 2
    return stretched(grey(near[:, row].T, beat.white), size)


def b0_picture(beat: Beat, view: View, size: tuple[int, int]) -> Picture:
    """Draw the field map from black to white around 0, air black."""
    b0 = upright(np.asarray(beat.case.b0), beat.case.orientation)[view]
    tissue = upright(beat.case.tissue[0], beat.case.orientation)[view] > 0
    hz = max(1.0, float(np.percentile(np.abs(b0[tissue]), 99)) if tissue.any() else 0.0)
    levels = grey(np.where(tissue, b0 + hz, 0).astype(np.float32), 2 * hz)
    return written(stretched(levels, size), f"B0, {-hz:.0f} to {hz:.0f} Hz")
