"""Sequences: frozen parameters that compile to `mrsim.events.Events`."""

from __future__ import annotations

from dataclasses import fields
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NamedTuple

SEQUENCES = {
    "spin-echo": "mrsim.sequences.spin_echo:SpinEcho",
    "turbo-spin-echo": "mrsim.sequences.turbo_spin_echo:TurboSpinEcho",
    "inversion-recovery": "mrsim.sequences.inversion_recovery:InversionRecovery",
    "gre": "mrsim.sequences.gre:GradientEcho",
    "bssfp": "mrsim.sequences.bssfp:BalancedSsfp",
    "epi": "mrsim.sequences.epi:Epi",
    "diffusion-se": "mrsim.sequences.diffusion:DiffusionSpinEcho",
    "radial": "mrsim.sequences.radial:Radial",
    "spiral": "mrsim.sequences.spiral:Spiral",
}
"""Sequence name -> "module:Class"."""

ALIASES = {
    "se": "spin-echo",
    "tse": "turbo-spin-echo",
    "fse": "turbo-spin-echo",
    "ir": "inversion-recovery",
    "flash": "gre",
    "spgr": "gre",
    "truefisp": "bssfp",
    "dwi": "diffusion-se",
}
"""What else sequences are called."""


class Parameter(NamedTuple):
    """One line of what `mrsim sequences` prints; `default` is in `unit` (SI)."""

    name: str
    default: Any
    unit: str
    help: str


def sequence_class(name: str) -> type[Any]:
    """Load the sequence `name`; ValueError with the nearest known name if there is none."""
    name = ALIASES.get(name, name)
    if name not in SEQUENCES:
        near = get_close_matches(name, [*SEQUENCES, *ALIASES], n=1, cutoff=0.5)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"sequence must be one of {', '.join(SEQUENCES)}, got {name!r}{hint}")
    module, _, attribute = SEQUENCES[name].partition(":")
    found: type[Any] = getattr(import_module(module), attribute)
    return found


def describe(name: str) -> tuple[str, tuple[Parameter, ...]]:
    """First line of the sequence's docstring, and its parameters."""
    cls = sequence_class(name)
    rows = (Parameter(f.name, f.default, f.metadata["unit"], f.metadata["help"]) for f in fields(cls))
    return (cls.__doc__ or "").partition("\n")[0], tuple(rows)
