"""How far the ventricles are contracted at each moment of the cardiac cycle."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

ISOVOLUMIC_CONTRACTION = 0.04  # [s] from the R wave to the opening of the aortic valve
ISOVOLUMIC_RELAXATION = 0.06  # [s] from the closing of the aortic to the opening of the mitral valve
SYSTOLE = (
    0.16,
    0.17,
)  # [s], [1]: end of systole = 0.16 s + 0.17 RR, after Weissler's regression on heart rate
FILLING = (0.19, 0.36)  # rapid filling lasts 190 ms, at most 36 % of diastole
KICK = 0.13  # [s] length of the atrial contraction before the R wave


@dataclass(frozen=True, kw_only=True, slots=True)
class Cycle:
    """One heart beat, from R wave (end-diastole) to R wave.

    Ejection, isovolumic relaxation, rapid filling, diastasis and atrial kick; `kick` is the share of the
    stroke volume that the last brings, `diastasis` that of the slow inflow until then.
    """

    rr: float  # [s]
    kick: float = 0.20
    diastasis: float = 0.08

    def __post_init__(self) -> None:
        if not 0.3 <= self.rr <= 2.0:
            raise ValueError(f"rr must lie in [0.3, 2] s, got {self.rr} s")
        if not (0 <= self.kick and 0 <= self.diastasis and self.kick + self.diastasis < 1):
            raise ValueError(f"kick and diastasis must be shares below 1, got {self.kick}, {self.diastasis}")

    @property
    def end_systole(self) -> float:
        """Phase of the smallest volume, in the middle of the isovolumic relaxation."""
        return (self._systole + ISOVOLUMIC_RELAXATION / 2) / self.rr

    @property
    def _systole(self) -> float:
        return SYSTOLE[0] + SYSTOLE[1] * self.rr

    def contraction(self, phase: ArrayLike) -> NDArray[np.float64]:
        """Share of the stroke volume that is out at `phase` of RR: 0 at end-diastole, 1 at end-systole."""
        t = np.mod(np.asarray(phase, dtype=np.float64), 1.0) * self.rr
        opening = self._systole + ISOVOLUMIC_RELAXATION
        early_end = opening + min(FILLING[0], FILLING[1] * (self.rr - self._systole))
        atrial = self.rr - KICK
        ejected = _ease(_share(t, ISOVOLUMIC_CONTRACTION, self._systole) ** 0.9)
        filled = (1 - self.kick - self.diastasis) * _ease(_share(t, opening, early_end))
        filled = filled + self.diastasis * _share(t, opening, atrial)
        return np.asarray(ejected - filled - self.kick * _ease(_share(t, atrial, self.rr)))


def _share(t: NDArray[np.float64], start: float, end: float) -> NDArray[np.float64]:
    return np.clip((t - start) / (end - start), 0.0, 1.0)


def _ease(s: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.5 - 0.5 * np.cos(math.pi * s)
