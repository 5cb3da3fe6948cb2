"""simulate: spins and a sequence to k-space, by the engine of your choice."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mrsim.bloch.weights import SUB_POSITIONS
from mrsim.events import Events

if TYPE_CHECKING:
    from phantoms.phantom import Spins

ENGINES = ("cartesian", "isochromat", "reference")
MAX_SUB_POSITIONS = 64


class Sequence(Protocol):
    """Anything that compiles to events."""

    def events(self) -> Events:
        """Compile to arrays."""
        ...


def simulate(
    spins: Spins,
    sequence: Sequence | Events,
    *,
    coils: ArrayLike | None = None,
    engine: str = "cartesian",
    n_sub: int = SUB_POSITIONS,
) -> NDArray[np.complex64]:
    """k-space (coil, ky, kx) complex64 of `spins`, centred, orthonormal, free of noise.

    coils : (coil, spin) complex64 receive sensitivity at each spin, or None for one uniform coil
    engine : "cartesian" (exact factorisation, fast), "isochromat" (every spin through every line) or
        "reference" (the same in NumPy, for small cases)
    n_sub : nodes of the slice profile across the cell of each spin

    An on-resonance spin echo has a real positive image: a pixel filled with PD 1 shows the closed form.
    """
    if engine not in ENGINES:
        near = get_close_matches(engine, ENGINES, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}{hint}")
    if not 1 <= n_sub <= MAX_SUB_POSITIONS:
        raise ValueError(f"n_sub must lie in 1 to {MAX_SUB_POSITIONS}, got {n_sub}")
    events = sequence if isinstance(sequence, Events) else sequence.events()
    sensitivity = _sensitivity(coils, spins.tissue.size)
    if not spins.tissue.size:
        return np.zeros((sensitivity.shape[0], *events.matrix), np.complex64)
    run: Callable[..., NDArray[np.complex64]] = getattr(import_module(f"mrsim.bloch.{engine}"), engine)
    return run(spins, events, sensitivity, n_sub)


def _sensitivity(coils: ArrayLike | None, n_spins: int) -> NDArray[np.complex64]:
    if coils is None:
        return np.ones((1, n_spins), np.complex64)
    array = np.ascontiguousarray(coils, np.complex64)
    if array.ndim != 2 or array.shape[0] == 0 or array.shape[1] != n_spins:
        raise ValueError(f"coils must have shape (coil, {n_spins}), one value per spin, got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("coils must be finite, got NaN or infinite values")
    return array
