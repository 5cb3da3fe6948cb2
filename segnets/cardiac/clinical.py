"""What a cardiologist reads off a cine: volumes over the beat, ejection fraction, mass of the myocardium.

A volume is pixels times their area times the distance of the slices. End-diastole (ED) is frame 0, the R
wave; end-systole (ES) is the frame where the left ventricle of the *reference* is smallest, for reference and
network alike, so that an error of timing is none of volume (experiments.md A5, D2).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LV, MYOCARDIUM, RV = "LV", "myocardium", "RV"
DENSITY = 1050.0  # [kg/m3] of myocardium, 1.05 g/ml
ED = 0  # frame
ML, GRAM, PERCENT = 1e-6, 1e-3, 1e-2  # [m3], [kg], 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """How a figure is called, and the unit that it is printed in."""

    label: str
    unit: str
    factor: float  # SI per unit


MEASURES = {  # in the order of Table 1 of Schlemper et al.
    "lv_esv": Measure(label="LV ESV", unit="ml", factor=ML),
    "lv_edv": Measure(label="LV EDV", unit="ml", factor=ML),
    "rv_esv": Measure(label="RV ESV", unit="ml", factor=ML),
    "rv_edv": Measure(label="RV EDV", unit="ml", factor=ML),
    "lv_mass": Measure(label="LV mass", unit="g", factor=GRAM),
    "ef": Measure(label="LV EF", unit="%", factor=PERCENT),
}


def has_heart(class_names: Sequence[str]) -> bool:
    """Whether labels of these classes tell both ventricles and the myocardium apart."""
    return {LV, MYOCARDIUM, RV} <= set(class_names)


def volumes(
    pixels: NDArray[np.integer], class_names: Sequence[str], voxel: float
) -> dict[str, NDArray[np.float64]]:
    """Volumes over the beat.

    pixels : (class, frame) pixels of all slices together
    voxel : [m3] area of a pixel times the distance of the slices
    returns class -> (frame,) [m3]
    """
    return {name: pixels[class_names.index(name)] * voxel for name in (LV, MYOCARDIUM, RV)}


def end_systole(lv: NDArray[np.floating]) -> int:
    """Frame of the smallest left ventricle; the first of several.

    lv : (frame,) its volume in the reference
    """
    return int(np.argmin(lv))


def measure(beat: Mapping[str, NDArray[np.floating]], es: int) -> dict[str, float]:
    """Clinical figures of one heart, SI: volumes [m3], mass [kg], ejection fraction as a share.

    beat : class -> (frame,) [m3], of `volumes`
    es : frame of end-systole in the reference
    The ejection fraction of a heart without a left ventricle is NaN.
    """
    edv, esv = float(beat[LV][ED]), float(beat[LV][es])
    return {
        "lv_esv": esv,
        "lv_edv": edv,
        "rv_esv": float(beat[RV][es]),
        "rv_edv": float(beat[RV][ED]),
        "lv_mass": DENSITY * float(beat[MYOCARDIUM][ED]),
        "ef": (edv - esv) / edv if edv else math.nan,
    }


def percent_errors(predicted: Mapping[str, float], reference: Mapping[str, float]) -> dict[str, float]:
    """100 |predicted - reference| / reference of every figure; NaN where the reference is 0 or either NaN."""
    return {
        name: 100 * abs(predicted[name] - value) / abs(value) if value else math.nan
        for name, value in reference.items()
    }


def correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Pearson's r of the pairs that are complete; NaN below two of them, or where one side is constant."""
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    whole = ~(np.isnan(a) | np.isnan(b))
    a, b = a[whole], b[whole]
    if a.size < 2 or not np.ptp(a) or not np.ptp(b):
        return math.nan
    return float(np.corrcoef(a, b)[0, 1])
