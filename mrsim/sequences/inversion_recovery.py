"""Inversion recovery: a spin echo of inverted magnetisation."""

from __future__ import annotations

from dataclasses import dataclass

from mrsim.sequences.base import parameter
from mrsim.sequences.spin_echo import SpinEcho


@dataclass(frozen=True, kw_only=True, slots=True)
class InversionRecovery(SpinEcho):
    """Spin echo with an inversion TI before each excitation; the image is signed.

    With prepulse "saturation" the same is a saturation recovery.
    """

    te: float = parameter(20e-3, "s", "echo time")
    prepulse: str = parameter("inversion", "", "inversion or saturation, ti before each excitation")

    def __post_init__(self) -> None:
        if self.prepulse == "none":
            raise ValueError("prepulse must be inversion or saturation, got 'none': take spin-echo")
        SpinEcho.__post_init__(self)
