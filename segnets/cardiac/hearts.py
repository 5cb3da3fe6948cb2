"""Every heart of an evaluation: volumes over the beat and clinical figures, from the scores of its frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrsim.store import Store
from segnets import metrics
from segnets.cardiac.clinical import (
    ED,
    LV,
    MEASURES,
    ML,
    correlation,
    end_systole,
    has_heart,
    measure,
    percent_errors,
    volumes,
)
from segnets.scores import CaseScore
from segnets.statistics import Interval, mean_interval
from segnets.tables import MM, Table, interval_note, interval_values

KINDS = ("predicted", "oracle", "both")  # pixels of a ClassScore
Beat = Mapping[str, NDArray[np.float64]]  # class -> (frame,) [m3]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Heart:
    """One subject: what the oracle and what the network say of its heart, over the slices that there are.

    es : frame of end-systole in the oracle
    times : (frame,) [s] after the R wave
    predicted, oracle : volumes over the beat
    dice : (tissue,) of end-diastole and end-systole, slices pooled (Schlemper et al.)
    md : (tissue,) [m] mean contour distance, mean over slices and frames that have one
    hausdorff : (tissue,) [pixel] the same of the Hausdorff distance
    """

    subject: int
    n_slices: int
    es: int
    times: NDArray[np.float64]
    predicted: Beat
    oracle: Beat
    dice: tuple[float, ...]
    md: tuple[float, ...]
    hausdorff: tuple[float, ...]
    figures: dict[str, float] = field(init=False)  # of the network, SI, by the names of MEASURES
    truth: dict[str, float] = field(init=False)  # of the oracle
    errors: dict[str, float] = field(init=False)  # [%]

    def __post_init__(self) -> None:
        figures, truth = measure(self.predicted, self.es), measure(self.oracle, self.es)
        for name, values in {
            "figures": figures,
            "truth": truth,
            "errors": percent_errors(figures, truth),
        }.items():
            object.__setattr__(self, name, values)


def hearts_of(store: Store, cases: Sequence[CaseScore]) -> tuple[Heart, ...]:
    """Pool the frames of every subject; () of still stores and of classes that make no heart."""
    if not store.n_frames or not has_heart(store.class_names):
        return ()
    return tuple(
        _heart(store, [case for case in cases if case.subject == subject])
        for subject in sorted({case.subject for case in cases})
    )


def _heart(store: Store, cases: Sequence[CaseScore]) -> Heart:
    pitch, names = slice_pitch(store, cases[0].subject), store.class_names
    voxel = store.pixel_spacing[0] * store.pixel_spacing[1] * pitch
    predicted, oracle, both = (
        _pixels(cases, name, store.n_frames) for name in ("predicted", "oracle", "both")
    )
    beat = volumes(oracle, names, voxel)
    es = end_systole(beat[LV])
    columns = list(zip(*(case.tissues for case in cases), strict=True))  # tissue -> its scores
    return Heart(
        subject=cases[0].subject,
        n_slices=len({case.case for case in cases}),
        es=es,
        times=np.asarray(store.coords["frame_time"][cases[0].case]),
        predicted=volumes(predicted, names, voxel),
        oracle=beat,
        dice=tuple(
            metrics.dice_of_counts(*(int(pixels[c, [ED, es]].sum()) for pixels in (both, predicted, oracle)))
            for c in range(1, len(names))
        ),
        md=tuple(metrics.mean_present([s.surface.md for s in column]) for column in columns),
        hausdorff=tuple(
            metrics.mean_present([s.surface.hausdorff for s in column]) / pixel_size(store)
            for column in columns
        ),
    )


def _pixels(cases: Sequence[CaseScore], name: str, n_frames: int) -> NDArray[np.int64]:
    """(class, frame) pixels of all slices together; none of the background, which is no tissue."""
    total = np.zeros((1 + len(cases[0].tissues), n_frames), np.int64)
    for case in cases:
        total[1:, case.frame] += [getattr(score, name) for score in case.tissues]
    return total


def pixel_size(store: Store) -> float:
    """Side of a pixel [m]; of pixels that are not square the root of the area."""
    y, x = store.pixel_spacing
    return float(np.sqrt(y * x))


def slice_pitch(store: Store, subject: int) -> float:
    """Distance of slices [m]: what the recipe says, else that of the subject's stack, else the thickness."""
    stated = (store.attrs.get("recipe", {}).get("cine") or {}).get("pitch")
    if stated:
        return float(stated)
    cases = np.flatnonzero(store.coords["subject"] == subject)
    places = np.unique(store.coords["slice_position"][cases])
    if len(places) > 1:
        return float(np.median(np.diff(places)))
    return float(np.linalg.norm(store.read("affine", cases[:1])[0][:3, 2]))


def error_interval(hearts: Sequence[Heart], name: str) -> Interval:
    """Percentage error of a clinical figure over subjects."""
    return mean_interval([heart.errors[name] for heart in hearts])


def ef_correlation(hearts: Sequence[Heart]) -> float:
    """Pearson's r of the ejection fractions of oracle and network over subjects."""
    return correlation([h.truth["ef"] for h in hearts], [h.figures["ef"] for h in hearts])


def shape_rows(hearts: Sequence[Heart]) -> dict[str, tuple[Interval, ...]]:
    """Name -> intervals over subjects, per tissue and of their mean: Dice of ED and ES, MD, Hausdorff."""
    values: dict[str, list[Sequence[float]]] = {
        "dice_ed_es": [heart.dice for heart in hearts],
        "md_mm": [[MM * md for md in heart.md] for heart in hearts],
        "hausdorff_px": [heart.hausdorff for heart in hearts],
    }
    return {
        name: (
            *map(mean_interval, zip(*rows, strict=True)),
            mean_interval([metrics.mean_present(row) for row in rows]),
        )
        for name, rows in values.items()
    }


SHAPE_LABELS = {"dice_ed_es": "Dice, ED and ES", "md_mm": "MD [mm]", "hausdorff_px": "Hausdorff [pixel]"}


def shape_table(hearts: Sequence[Heart], tissues: Sequence[str]) -> Table:
    """Score labels as the papers on the heart do, in their aggregation."""
    digits = {"dice_ed_es": ".4f", "md_mm": ".2f", "hausdorff_px": ".2f"}
    rows = tuple(
        (SHAPE_LABELS[name], *(format(interval, digits[name]) for interval in intervals))
        for name, intervals in shape_rows(hearts).items()
    )
    notes = ("ED is frame 0, ES the frame of the oracle's smallest left ventricle; slices pooled.",)
    return Table(header=("", *tissues, "Mean"), rows=rows, title="Over the beat.", notes=notes)


def clinical_table(hearts: Sequence[Heart]) -> Table:
    """One row per clinical figure: mean of oracle and network, and the mean percentage error."""
    rows = []
    for name, unit in MEASURES.items():
        truth, found = (
            metrics.mean_present([getattr(heart, side)[name] for heart in hearts]) / unit.factor
            for side in ("truth", "figures")
        )
        error = format(error_interval(hearts, name), ".1f")
        rows.append((f"{unit.label} [{unit.unit}]", f"{truth:.1f}", f"{found:.1f}", error))
    r = ef_correlation(hearts)
    slices = ", ".join(map(str, sorted({heart.n_slices for heart in hearts})))
    brackets = interval_note(error_interval(hearts, "ef"))
    notes = (
        f"Mean over {len(hearts)} subjects of {slices} slice(s). {brackets}",
        *([f"Pearson r of the ejection fraction: {r:.3f}."] if np.isfinite(r) else []),
    )
    return Table(header=("", "Oracle", "Network", "Error [%]"), rows=tuple(rows), notes=notes)


def heart_values(hearts: Sequence[Heart], tissues: Sequence[str]) -> dict[str, Any]:
    """Everything about the hearts for JSON: volumes over the beat [ml], clinical figures, errors [%]."""
    names = (*tissues, "mean")
    return {
        **{
            metric: {t: interval_values(i) for t, i in zip(names, intervals, strict=True)}
            for metric, intervals in shape_rows(hearts).items()
        },
        "error_percent": {name: interval_values(error_interval(hearts, name)) for name in MEASURES},
        "ef_correlation": ef_correlation(hearts),
        "subjects": [_values(heart, tissues) for heart in hearts],
    }


def _values(heart: Heart, tissues: Sequence[str]) -> dict[str, Any]:
    return {
        "subject": heart.subject,
        "slices": heart.n_slices,
        "es_frame": heart.es,
        "frame_time_s": heart.times.tolist(),
        "volumes_ml": {
            name: {"predicted": (heart.predicted[name] / ML).tolist(), "oracle": (volume / ML).tolist()}
            for name, volume in heart.oracle.items()
        },
        "clinical": {
            f"{name}_{'percent' if unit.unit == '%' else unit.unit}": {
                "predicted": heart.figures[name] / unit.factor,
                "oracle": heart.truth[name] / unit.factor,
                "error_percent": heart.errors[name],
            }
            for name, unit in MEASURES.items()
        },
        "dice_ed_es": dict(zip(tissues, heart.dice, strict=True)),
        "md_mm": {t: MM * md for t, md in zip(tissues, heart.md, strict=True)},
        "hausdorff_px": dict(zip(tissues, heart.hausdorff, strict=True)),
    }
