"""How Pulseq's phases become ours.

Pulseq's world is right-handed: a spin of off-resonance f turns as exp(+i 2 pi f t), a pulse is
A(t) exp(i (phase + 2 pi frequency t)) and the receiver multiplies by exp(-i (phase + 2 pi frequency t)), t
from the start of the event (`mr.simRf`, `mr.TransformFOV` and `pypulseq.Sequence.waveforms` agree on this).
Ours is its mirror image, see `mrsim.constants`: complex conjugation maps one to the other. So phases change
their sign and frequencies keep it. A slice still moves to where the gradient adds the frequency of the pulse,
a receiver takes off the frequency that it is told, phases that undo `2 pi frequency t` still undo it, and
k = GAMMA_BAR * integral of G.

KomaMRI takes left-handed spins, but Pulseq's phases as they stand; it counts the phase of a frequency from
the centre of the pulse, and its receiver knows no frequency. Where all phases are 0 or pi and all frequencies
0, both readings are the same; else they differ, and only the first keeps what the author of a file computed.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

CONVENTIONS = ("pulseq", "komamri")


def check(convention: str) -> None:
    """Raise ValueError unless the convention is known."""
    if convention not in CONVENTIONS:
        raise ValueError(f"convention must be one of {', '.join(CONVENTIONS)}, got {convention!r}")


def pulse_shape(shape: NDArray[np.complex128], convention: str) -> NDArray[np.complex128]:
    """Complex shape of a pulse in our frame."""
    return np.conj(shape) if convention == "pulseq" else shape


def pulse_phase(phase: float, frequency: float, lead: float, centre: float, convention: str) -> float:
    """Phase [rad] when a pulse begins, `lead` [s] after its event and `centre` [s] before it acts."""
    if convention == "pulseq":
        return -(phase + 2 * math.pi * frequency * lead)
    return phase + 2 * math.pi * frequency * centre


def receiver(phase: float, frequency: float, convention: str) -> tuple[float, float]:
    """Phase [rad] at the start of a receiver window, and its frequency [Hz]."""
    return (-phase, frequency) if convention == "pulseq" else (phase, 0.0)
