"""Balanced SSFP in closed form: the steady state of every tissue over off-resonance."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mrsim.constants import GAMMA_BAR
from phantoms.tissues import TissueTable

Real = NDArray[np.float64]
STEP = 0.5  # [Hz] between the columns of a table; linear between them is within 1e-5 of the brightest tissue


def steady_state(
    t1: ArrayLike, t2: ArrayLike, freq: ArrayLike, *, te: float, tr: float, flip: float, phase_step: float
) -> NDArray[np.complex128]:
    """Transverse magnetisation of bSSFP `te` after a pulse, of M0 = 1, in the frame of the pulses.

    M+ = (1 - E1) sin(a) (1 - E2 e^(i theta)) / D e^(-TE/T2) e^(-i 2 pi f TE), theta = 2 pi f TR + phase_step,
    D = (1 - E1 cos a)(1 - E2 cos theta) - E2 (E1 - cos a)(E2 - cos theta) (Freeman and Hill, J Magn Reson
    4:366, 1971), for a pulse that turns Mz into +Mx at once. Real and positive on resonance.

    t1, t2 : [s], freq : [Hz], broadcast;  te, tr : [s];  flip, phase_step : [rad]
    """
    t1, t2, freq = (np.asarray(v, np.float64) for v in (t1, t2, freq))
    e1, e2, cosine = np.exp(-tr / t1), np.exp(-tr / t2), math.cos(flip)
    theta = 2 * np.pi * freq * tr + phase_step
    across = (1 - e1 * cosine) * (1 - e2 * np.cos(theta)) - e2 * (e1 - cosine) * (e2 - np.cos(theta))
    after_pulse = (1 - e1) * math.sin(flip) * (1 - e2 * np.exp(1j * theta)) / across
    return np.asarray(after_pulse * np.exp(-te / t2 - 2j * np.pi * freq * te))


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class SignalTable:
    """Signal of every tissue over the field, to be looked up spin by spin.

    values : (tissue, frequency) complex64, times PD; the chemical shift of the tissue is in it
    first : [Hz] of column 0; columns lie STEP apart
    """

    values: NDArray[np.complex64]
    first: float

    def place(self, freq: NDArray[np.floating]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Columns at or below the off-resonances [Hz], and the share of the next ones."""
        at = np.clip((freq - self.first) / STEP, 0, self.values.shape[1] - 1.001)
        column = at.astype(np.int32)
        return column, (at - column).astype(np.float32)


def signal_table(tissues: TissueTable, sequence: Any, span: tuple[float, float]) -> SignalTable:  # noqa: ANN401
    """Tabulate the steady state of all tissues from span[0] to span[1] [Hz] at the echo of the sequence."""
    first = STEP * math.floor(span[0] / STEP)
    return tabulated(tissues, sequence, first, math.ceil((span[1] - first) / STEP) + 2)


def tabulated(tissues: TissueTable, sequence: Any, first: float, count: int) -> SignalTable:  # noqa: ANN401
    """Tabulate the steady state of all tissues at `count` frequencies from `first` [Hz] on."""
    freq = first + STEP * np.arange(count)
    rows = np.zeros((len(tissues.tissues), freq.size), np.complex64)
    for row, tissue in zip(rows, tissues.tissues, strict=True):
        if tissue.pd > 0:
            shift = tissue.chemical_shift * GAMMA_BAR * tissues.field_strength
            row[:] = tissue.pd * steady_state(tissue.t1, tissue.t2, freq + shift, **timing(sequence))
    return SignalTable(values=rows, first=first)


def timing(sequence: Any) -> dict[str, float]:  # noqa: ANN401 - BalancedSsfp
    """Name what the steady state needs of a sequence."""
    return {name: float(getattr(sequence, name)) for name in ("te", "tr", "flip", "phase_step")}


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Train:
    """Magnetisation of every tissue over the field as the pulses of a train come, from the sequence's start.

    tissues : as in `signal_table`, whose columns it has;  table : the steady state
    """

    tissues: TissueTable
    sequence: Any  # BalancedSsfp
    table: SignalTable

    def echoes(self) -> Iterator[NDArray[np.complex64]]:
        """Yield tables (tissue, frequency) complex64 at the echo of each repetition behind the dummies."""
        if self.sequence.preparation == "steady-state":
            while True:
                yield self.table.values
        r1, r2, freq, pd = self._rates()
        seq = timing(self.sequence)
        whole, echo = (np.exp(-t * (r2 + 2j * np.pi * freq)) for t in (seq["tr"], seq["te"]))
        turned = np.exp(-1j * seq["phase_step"])
        across, along = np.zeros_like(whole), np.ones(whole.shape)
        if self.sequence.preparation == "half-alpha":
            across, along = _pulse(across, along, seq["flip"] / 2)
            half = np.exp(-seq["tr"] / 2 * (r2 + 2j * np.pi * freq))
            across, along = across * half * turned, 1 + (along - 1) * np.exp(-seq["tr"] / 2 * r1)
        recovery = np.exp(-seq["tr"] * r1)
        for repetition in itertools.count():
            across, along = _pulse(across, along, seq["flip"])
            if repetition >= self.sequence.dummies:
                yield (pd * across * echo).astype(np.complex64)
            across, along = across * whole * turned, 1 + (along - 1) * recovery

    def _rates(self) -> tuple[Real, Real, Real, Real]:
        """R1, R2 [1/s] and PD (tissue, 1), and off-resonance [Hz] (tissue, frequency)."""
        rows = self.tissues.tissues
        r1, r2 = (
            np.array([1 / getattr(t, name) if t.pd > 0 else 0.0 for t in rows])[:, None]
            for name in ("t1", "t2")
        )
        pd = np.array([t.pd for t in rows])[:, None]
        return r1, r2, off_resonance(self.tissues, self.table), pd


def off_resonance(tissues: TissueTable, table: SignalTable) -> Real:
    """Frequencies (tissue, frequency) [Hz] of a table with the chemical shift of each tissue."""
    shift = np.array([t.chemical_shift for t in tissues.tissues]) * GAMMA_BAR * tissues.field_strength
    return np.asarray(table.first + STEP * np.arange(table.values.shape[1]) + shift[:, None])


def _pulse(across: NDArray[np.complex128], along: Real, flip: float) -> tuple[NDArray[np.complex128], Real]:
    """Turn Mz into +Mx by `flip` [rad], at once."""
    c, s = math.cos(flip), math.sin(flip)
    return across.real * c + along * s + 1j * across.imag, along * c - across.real * s
