"""measure: the signal of spins under a sequence, with all that is wrong with scanner and patient."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mrsim.bloch.engine import acquire, choose_engine
from mrsim.bloch.spoiling import check_spoiling
from mrsim.bloch.weights import SUB_POSITIONS, SubPositions
from mrsim.events import Events
from mrsim.imperfections.diffusion import with_diffusion
from mrsim.imperfections.model import Imperfections
from mrsim.slices.plane import SlicePlane

if TYPE_CHECKING:
    from mrsim.bloch.dynamic import Dynamics
    from mrsim.imperfections.motion import Moving
    from phantoms.phantom import Spins
    from phantoms.tissues import TissueTable

Signal = NDArray[np.complex64]
PERFECT = Imperfections()


class Measured(NamedTuple):
    """Signal (coil, sample) complex64 in the order of time, the engine that made it, and why that one."""

    signal: Signal
    engine: str
    reason: str


def measure(
    spins: Spins,
    events: Events,
    plane: SlicePlane,
    *,
    coils: Signal | None = None,
    tissues: TissueTable | None = None,
    field_strength: float = math.nan,
    motion: Moving | None = None,
    imperfections: Imperfections = PERFECT,
    engine: str = "auto",
    device: str = "cpu",
    n_sub: SubPositions = SUB_POSITIONS,
) -> Measured:
    """Let `spins`, positions in the frame of `plane`, hear `events` and be heard, free of noise.

    coils : (coil, spin) complex64 sensitivity where each spin really is, or None for one uniform coil
    tissues : what the rows of the spins are made of, for imperfections that need to know
    motion : of the spins, besides that of `imperfections`
    engine device n_sub : see `mrsim.bloch.engine.acquire`; what moves or exchanges takes the engine "dynamic"
    """
    heard = np.ones((1, spins.tissue.size), np.complex64) if coils is None else coils
    spins, source = imperfections.of_spins(spins, plane, tissues)
    heard = heard[:, source]
    if motion is not None and motion.of_each and not np.array_equal(source, np.arange(source.size)):
        raise ValueError("gradient_error and fat_lines must be off for spins that have motions of their own")
    played = imperfections.of_events(events)
    dynamics = _with(imperfections.dynamics(spins, played, plane, tissues, field_strength), motion)
    if dynamics is None and engine != "dynamic":
        name, reason = (
            choose_engine(played, device, spins=spins, n_sub=n_sub)
            if engine == "auto"
            else (engine, "asked for")
        )
        run = _static(name, device, n_sub)
    else:
        name, reason = _only_dynamic(engine, device)
        run = _dynamic(dynamics, n_sub)
    rates = imperfections.diffusivity(spins, tissues)
    if rates is None:
        return Measured(run(spins, played, heard), name, reason)
    together = dynamics is not None
    return Measured(with_diffusion(run, spins, played, heard, rates, together=together), name, reason)


def _with(dynamics: Dynamics | None, motion: Moving | None) -> Dynamics | None:
    """Add a motion to what else there is."""
    if motion is None:
        return dynamics
    from mrsim.bloch.dynamic import Dynamics

    if dynamics is None:
        return Dynamics(motion=motion)
    others = dynamics.motion.motions if dynamics.motion is not None else ()
    return replace(dynamics, motion=replace(motion, motions=motion.motions + others))


def _only_dynamic(engine: str, device: str) -> tuple[str, str]:
    """Name of the dynamic engine and why it is taken; ValueError if another was asked for."""
    reason = "spins move, exchange or feel concomitant fields"
    if engine not in ("auto", "dynamic"):
        raise ValueError(f"engine must be dynamic, for {reason}, got {engine!r}")
    if device != "cpu":
        raise ValueError(f"device must be cpu for the engine dynamic, got {device!r}")
    return "dynamic", reason if engine == "auto" else "asked for"


Run = Callable[["Spins", Events, Signal], Signal]


def _static(engine: str, device: str, n_sub: SubPositions) -> Run:
    return lambda spins, events, coils: acquire(
        spins, events, coils=coils, engine=engine, n_sub=n_sub, device=device
    )


def _dynamic(dynamics: Dynamics | None, n_sub: SubPositions) -> Run:
    from mrsim.bloch.dynamic import Dynamics, dynamic

    if isinstance(n_sub, tuple) and n_sub[:2] != (1, 1):
        raise ValueError(
            f"n_sub must be 1 along x and y for the engine dynamic, got {n_sub}: take more spins"
        )
    across_z = n_sub[2] if isinstance(n_sub, tuple) else n_sub

    def run(spins: Spins, events: Events, coils: Signal) -> Signal:
        check_spoiling(spins, events, across_z)
        return dynamic(spins, events, coils, across_z, dynamics or Dynamics())

    return run
