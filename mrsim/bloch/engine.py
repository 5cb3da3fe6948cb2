"""acquire: spins and a sequence to the receiver's signal; simulate: to k-space; by the engine you choose."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mrsim.bloch.spoiling import check_spoiling
from mrsim.bloch.weights import SUB_POSITIONS, SubPositions
from mrsim.events import Events

if TYPE_CHECKING:
    from phantoms.phantom import Spins

ENGINES = ("cartesian", "nufft", "isochromat", "reference")
DEVICES = ("cpu", "cuda")
MAX_SUB_POSITIONS = 4096


class Sequence(Protocol):
    """Anything that compiles to events."""

    def events(self) -> Events:
        """Compile to arrays."""
        ...


def acquire(
    spins: Spins,
    sequence: Sequence | Events,
    *,
    coils: ArrayLike | None = None,
    engine: str = "auto",
    n_sub: SubPositions = SUB_POSITIONS,
    device: str = "cpu",
) -> NDArray[np.complex64]:
    """Signal (coil, sample) complex64 of `spins`, in order of time, receiver phase applied, free of noise.

    coils : (coil, spin) complex64 receive sensitivity at each spin, or None for one uniform coil
    engine : "cartesian" (exact factorisation, fast), "nufft" (any trajectory whose encoding no pulse sees, to
        1e-5), "isochromat" (every spin through every event), "reference" (the same in NumPy, for small cases)
        or "auto" (see `choose_engine`)
    n_sub : nodes across the cell of each spin, in z or (x, y, z): slice profile and dephasing. Where they are
        too few for gradients to spoil, a `SpoilingWarning` says how many there must be
    device : "cpu", or "cuda" for the isochromat engine on an NVIDIA GPU (docs/gpu.md)
    """
    events = sequence if isinstance(sequence, Events) else sequence.events()
    _check(engine, n_sub, device)
    sensitivity = _sensitivity(coils, spins.tissue.size)
    if not spins.tissue.size:
        return np.zeros((sensitivity.shape[0], events.n_samples), np.complex64)
    check_spoiling(spins, events, n_sub)
    name = choose_engine(events, device, spins=spins, n_sub=n_sub)[0] if engine == "auto" else engine
    return _run(name, device)(spins, events, sensitivity, n_sub)


def simulate(
    spins: Spins,
    sequence: Sequence | Events,
    *,
    coils: ArrayLike | None = None,
    engine: str = "auto",
    n_sub: SubPositions = SUB_POSITIONS,
    device: str = "cpu",
) -> NDArray[np.complex64]:
    """k-space (coil, ky, kx) complex64 of `spins`, centred, orthonormal, free of noise; see `acquire`.

    An on-resonance spin echo has a real positive image: a pixel filled with PD 1 shows the closed form.
    """
    events = sequence if isinstance(sequence, Events) else sequence.events()
    signal = acquire(spins, events, coils=coils, engine=engine, n_sub=n_sub, device=device)
    return np.asarray(events.sorted_kspace(signal), np.complex64)


def choose_engine(
    sequence: Sequence | Events,
    device: str = "cpu",
    *,
    spins: Spins | None = None,
    n_sub: SubPositions = SUB_POSITIONS,
) -> tuple[str, str]:
    """Name of the fastest engine that is exact for a sequence, and why it is that one.

    spins : that will be played to, if known: few answers may stand for them all, or each have its own B1
    n_sub : see `acquire`; sub-positions along x and y do not factorise
    """
    if device == "cuda":
        return "isochromat", "the GPU takes every spin through every event"
    from mrsim.bloch import factorise, segments

    events = sequence if isinstance(sequence, Events) else sequence.events()
    own_b1 = spins is not None and spins.b1 is not None
    if not own_b1 and not isinstance(n_sub, tuple) and not factorise.refusal(events):
        return "cartesian", "every readout is a straight line along x, so that the signal factorises exactly"
    reason = segments.refusal(events)
    if not reason and spins is not None:
        from mrsim.bloch.nufft import slow

        reason = slow(spins, events)
    if reason:
        return "isochromat", reason
    return "nufft", "no pulse sees the encoding, so that few transforms make the signal, to 1e-5"


def require_device(device: str) -> None:
    """Raise a ValueError with the remedy if `device` is unknown or cannot be used here."""
    if device not in DEVICES:
        raise ValueError(f"device must be one of {', '.join(DEVICES)}, got {device!r}")
    if device == "cuda":
        _run("isochromat", device)
        import_module("mrsim.bloch.cuda.device").require_gpu()


def _run(engine: str, device: str) -> Callable[..., NDArray[np.complex64]]:
    """Load an engine; only that which is used."""
    module = f"mrsim.bloch.{engine}" if device == "cpu" else "mrsim.bloch.cuda.engine"
    try:
        found: Callable[..., NDArray[np.complex64]] = getattr(import_module(module), engine)
    except ImportError as error:
        if device == "cpu":
            raise
        from mrsim.bloch.cuda.errors import INSTALL, GpuError

        raise GpuError(f"device 'cuda' must have Numba's CUDA target, got none: {INSTALL}") from error
    return found


def _check(engine: str, n_sub: SubPositions, device: str) -> None:
    if engine not in (*ENGINES, "auto"):
        near = get_close_matches(engine, ENGINES, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"engine must be one of {', '.join(ENGINES)} or auto, got {engine!r}{hint}")
    require_device(device)
    if device == "cuda" and engine not in ("auto", "isochromat"):
        raise ValueError(f"engine must be isochromat or auto on the device cuda, got {engine!r}")
    counts = n_sub if isinstance(n_sub, tuple) else (n_sub,)
    if len(counts) not in (1, 3) or not all(1 <= n <= MAX_SUB_POSITIONS for n in counts):
        raise ValueError(
            f"n_sub must be one count or three (x, y, z) in 1 to {MAX_SUB_POSITIONS}, got {n_sub}"
        )


def _sensitivity(coils: ArrayLike | None, n_spins: int) -> NDArray[np.complex64]:
    if coils is None:
        return np.ones((1, n_spins), np.complex64)
    array = np.ascontiguousarray(coils, np.complex64)
    if array.ndim != 2 or array.shape[0] == 0 or array.shape[1] != n_spins:
        raise ValueError(f"coils must have shape (coil, {n_spins}), one value per spin, got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("coils must be finite, got NaN or infinite values")
    return array
