"""Moving pictures of an evaluation: what a network makes of a beating heart, beside the oracle, as GIF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrsim.pictures.movie import (
    BLACK,
    GREYS,
    Picture,
    View,
    around,
    grey,
    magnified_labels,
    outlined,
    palette,
    scale_of,
    steady,
    tiled,
    write_gif,
    written,
)
from mrsim.store import open_store
from segnets.checkpoint import load_model
from segnets.conditions import pick_device
from segnets.evaluate import Evaluation, magnitude, respond, units, zero_filled_image
from segnets.metrics import mean_present
from segnets.pictures import ERROR_LEGEND, upright, window

NAME = "beat.gif"
QUANTILES = (0.25, 0.5)  # of the series by their mean Dice
SMOOTH = 0.035  # [s] from picture to picture
BEAT = 1.0  # [s] where the store does not say how long it lasts
HEADINGS = ("zero-filled", "network", "oracle", "error")
MISSED, SPURIOUS, SWAPPED = range(3)  # rows of ERROR_LEGEND
DIM = 0.45  # of the image behind errors
LINE = 17  # [pixel] of text
COARSE = 3  # levels that are one in zero-filled images, which change everywhere from frame to frame


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Beat:
    """One series; arrays as stored, (frame, y, x).

    zero_filled, fully_sampled : magnitude;  prediction, oracle : class numbers
    times : (frame,) [s] after the R wave, or None;  es : frame of end-systole in the oracle, -1 unknown
    """

    title: str
    zero_filled: NDArray[np.floating]
    fully_sampled: NDArray[np.floating]
    prediction: NDArray[np.integer]
    oracle: NDArray[np.integer]
    times: NDArray[np.float64] | None
    es: int

    def moment(self, frame: int, every: int = 1) -> str:
        """Say when a frame is; of every so many frames shown, the last before end-systole stands for it."""
        name = {0: "  ED", self.es - self.es % every: "  ES"}.get(frame, "")
        return (f"frame {frame}" if self.times is None else f"{1e3 * self.times[frame]:.0f} ms") + name

    @property
    def interval(self) -> float:
        """[s] from frame to frame."""
        return BEAT / len(self.oracle) if self.times is None else float(np.median(np.diff(self.times)))


def write_movie(evaluation: Evaluation, path: Path) -> Path:
    """Run a network on typical series again and draw them; only for networks with labels on a cine store."""
    return draw_beats(show_beats(evaluation), evaluation.class_names, path)


def show_beats(evaluation: Evaluation) -> list[Beat]:
    """Run a network on the series at the quartiles of their mean Dice, the worse half."""
    config = evaluation.config
    model, run = load_model(evaluation.source, config.which, pick_device(config.device))
    store = open_store(config.data)
    dice = series_dice(evaluation)
    ranked = sorted(dice, key=lambda case: dice[case])
    index = np.array(sorted({ranked[round(q * (len(ranked) - 1))] for q in QUANTILES}))
    batch, _, labels = respond(model, store, config, index, run)
    oracle = batch.labels.cpu().numpy()
    scale = units(batch, oracle.ndim)
    zero_filled, full = (magnitude(i) * scale for i in (zero_filled_image(model, batch), batch.image))
    es = {heart.subject: heart.es for heart in evaluation.hearts}
    beats = []
    for i, case in enumerate(index):
        subject, number = (int(store.coords[name][case]) for name in ("subject", "slice"))
        times = store.coords.get("frame_time")
        known = times is not None and bool(np.isfinite(times[case]).all())
        beats.append(
            Beat(
                title=f"subject {subject}, slice {number}: mean Dice {dice[int(case)]:.3f}",
                zero_filled=zero_filled[i],
                fully_sampled=full[i],
                prediction=oracle[i] if labels is None else labels[i],
                oracle=oracle[i],
                times=np.asarray(times[case]) if times is not None and known else None,
                es=es.get(subject, -1),
            )
        )
    return beats


def series_dice(evaluation: Evaluation) -> dict[int, float]:
    """Case -> mean Dice over classes and frames."""
    found: dict[int, list[float]] = {}
    for case in evaluation.cases:
        found.setdefault(case.case, []).append(case.dice)
    means = {case: mean_present(values) for case, values in found.items()}
    return {case: 0.0 if np.isnan(mean) else mean for case, mean in means.items()}


def draw_beats(beats: Sequence[Beat], class_names: Sequence[str], path: Path) -> Path:
    """Draw one row per series: zero-filled, outlines of the network's classes, of the oracle's, errors."""
    every = max(1, round(SMOOTH / float(np.mean([beat.interval for beat in beats]))))
    there = [upright(beat.oracle.max(axis=0)) > 0 for beat in beats]
    view = around(np.logical_or.reduce(there))
    rows = [_row(beat, view, every, len(class_names)) for beat in beats]
    path.parent.mkdir(parents=True, exist_ok=True)
    colours = palette(class_names, [colour for _, colour in ERROR_LEGEND])
    interval = every * float(np.mean([beat.interval for beat in beats]))
    write_gif(path, tiled([[row] for row in rows]), colours, [interval] * len(rows[0]))
    return path


def _row(beat: Beat, view: View, every: int, n_classes: int) -> Picture:
    """(frame, row, column) all pictures of one series, below its title and the moment."""
    scale, taken = scale_of(view), range(0, len(beat.oracle), every)
    zero, full, prediction, oracle = (
        np.stack([upright(values[frame])[view] for frame in taken])
        for values in (beat.zero_filled, beat.fully_sampled, beat.prediction, beat.oracle)
    )
    white = window(full)
    plain = steady(grey(full, white, scale))
    pictures = [
        steady(grey(zero, window(zero), scale)) // COARSE * COARSE,
        outlined(plain, prediction, scale),
        outlined(plain, oracle, scale),
        errors(prediction, oracle, (DIM * plain).astype(np.uint8), scale, GREYS + n_classes),
    ]
    below = tiled([pictures])
    heads = [
        _head(beat, beat.moment(frame, every), below.shape[-1], pictures[0].shape[-1]) for frame in taken
    ]
    return tiled([[np.stack(heads)], [below]], gap=0)


def _head(beat: Beat, moment: str, width: int, tile: int) -> Picture:
    """Two lines of text over a row."""
    text = written(np.full((2 * LINE, width), BLACK, np.uint8), f"{beat.title}    {moment}")
    for i, heading in enumerate(HEADINGS):
        text = written(text, heading, (i * (tile + 3) + 3, LINE))
    return text


def errors(
    prediction: NDArray[np.integer], oracle: NDArray[np.integer], behind: Picture, scale: int, first: int
) -> Picture:
    """Colour what is missed, invented or taken for another class; first : number of the first such colour."""
    kind = np.full(oracle.shape, len(ERROR_LEGEND))
    wrong = prediction != oracle
    kind[wrong & (prediction == 0)] = MISSED
    kind[wrong & (oracle == 0)] = SPURIOUS
    kind[wrong & (prediction != 0) & (oracle != 0)] = SWAPPED
    large = magnified_labels(kind, 1).repeat(scale, -2).repeat(scale, -1)
    return np.where(large < len(ERROR_LEGEND), first + large, behind).astype(np.uint8)
