"""Write a sequence as a Pulseq file that a scanner can play."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mrsim.events import Events
from mrsim.events.blocks import Block, with_phase
from mrsim.events.hardware import Hardware
from mrsim.pulseq.tables import RF_RASTER, SLACK, Tables, number

VERSIONS = ("1.4.1", "1.5.0")
ORDER = ("[RF]", "[GRADIENTS]", "[TRAP]", "[ADC]", "[EXTENSIONS]", "LABELSET")
HEADS = {"LABELSET": "extension LABELSET 1"}


def write_pulseq(
    what: Any,  # noqa: ANN401 - any sequence of mrsim, or a row of blocks
    path: Path | str,
    *,
    hardware: Hardware | None = None,
    definitions: Mapping[str, Any] | None = None,
    version: str = "1.5.0",
    dummies: int = 0,
) -> None:
    """Write a sequence, which has `blocks()` and `events()`, or blocks alone.

    hardware : whose rasters, dead times and limits hold; by default those of the sequence
    definitions : Name, FOV [m] x y z, and what else the file shall define
    dummies : first repetitions without receiver, in which a sequence comes to its steady state

    Delays in which nothing is played are rounded so that no block begins more than half a raster off;
    receiver windows begin on the 1 us raster. ValueError, with a remedy, for what no scanner can play.
    """
    if version not in VERSIONS:
        raise ValueError(f"version must be one of {', '.join(VERSIONS)}, got {version!r}")
    blocks = list(what) if isinstance(what, Sequence) else _playable(what, dummies)
    if not blocks:
        raise ValueError("sequence must have blocks, got none")
    limits = hardware or getattr(what, "hardware", None) or Hardware()
    tables = Tables(limits, int(version.split(".")[1]))
    rows = _rows(blocks, tables)
    total = sum(row[1] for row in rows) * limits.gradient_raster
    told = {**_defined(what), **_rasters(limits), "TotalDuration": total, **(definitions or {})}
    text = _text(version, told, rows, tables)
    signature = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    Path(path).write_text(f"{text}\n[SIGNATURE]\nType md5\nHash {signature}\n", newline="\n")


def _playable(sequence: Any, dummies: int) -> list[Block]:  # noqa: ANN401 - any sequence
    """Blocks of a sequence after its dummies; ValueError for what blocks cannot tell."""
    events: Events = sequence.events()
    blocks: list[Block] = sequence.blocks()
    if events.box < math.inf:
        raise ValueError(f'slice must be selected by pulses, got a box of {events.box} m: take rf="shaped"')
    if events.steady_state and not dummies:
        raise ValueError("dummies must be at least 1 to come to the steady state, got 0")
    if np.any(getattr(sequence, "modulation", 0.0)):
        raise ValueError("modulation must be 0, which is all that can be written, got phases of a receiver")
    starts = [i for i, block in enumerate(blocks) if block.repetition and i > 0]
    first = [replace(b, adc=None, labels={}) for b in blocks[: starts[0] if starts else len(blocks)]]
    step = events.phase_step
    return [with_phase(b, -step * before) for before in range(dummies, 0, -1) for b in first] + blocks


def _rows(blocks: Sequence[Block], tables: Tables) -> list[list[int]]:
    """Lay out number, length in rasters, and events of each block that takes time."""
    raster = tables.hardware.gradient_raster
    rows: list[list[int]] = []
    clock, played = 0.0, 0
    for at, block in enumerate(blocks, start=1):
        events = tables.block(block, at)
        clock += block.duration
        content = tables.content(block)
        if content > block.duration + SLACK * raster:
            rule = f"block {at} must last {content:.6g} s for its events and the dead times"
            raise ValueError(f"{rule}, got {block.duration:.6g} s")
        length = round(clock / raster) - played
        if length * raster < content - SLACK * raster:
            raise ValueError(
                f"block {at} must end on the {raster * 1e6:g} us raster, got {block.duration} s of length"
            )
        played += length
        if length:
            rows.append([len(rows) + 1, length, *events])
    return rows


def _rasters(hardware: Hardware) -> dict[str, float]:
    return {
        "AdcRasterTime": hardware.adc_raster,
        "BlockDurationRaster": hardware.gradient_raster,
        "GradientRasterTime": hardware.gradient_raster,
        "RadiofrequencyRasterTime": RF_RASTER,
    }


def _defined(what: Any) -> dict[str, Any]:  # noqa: ANN401 - a sequence or blocks
    """Name, FOV x y z and matrix of a sequence, as far as it has them."""
    told: dict[str, Any] = {}
    if not isinstance(what, Sequence):
        told["Name"] = getattr(what, "name", type(what).__name__)
    fov, thickness = getattr(what, "fov", None), getattr(what, "thickness", 0.0)
    if fov is not None:
        told["FOV"] = (fov[1], fov[0], thickness)
    if getattr(what, "matrix", None) is not None:
        told["Nx"], told["Ny"] = what.matrix[1], what.matrix[0]
    return told


def _text(version: str, definitions: Mapping[str, Any], rows: list[list[int]], tables: Tables) -> str:
    """All sections but the signature."""
    parts = ["# Pulseq sequence file", "# Created by mrsim", ""]
    numbers = zip(("major", "minor", "revision"), version.split("."), strict=True)
    parts += ["[VERSION]", *(f"{name} {value}" for name, value in numbers), ""]
    parts += ["[DEFINITIONS]", *(f"{key} {_value(value)}" for key, value in sorted(definitions.items())), ""]
    parts += ["# number duration rf gx gy gz adc extensions", "[BLOCKS]"]
    parts += [" ".join(map(str, row)) for row in rows] + [""]
    for section in ORDER:
        if section in tables.rows:
            parts.append(HEADS.get(section, section))
            parts += [" ".join(map(str, (n, *row))) for row, n in tables.rows[section].items()] + [""]
    parts += ["[SHAPES]", ""]
    for (size, words), n in tables.shapes.items():
        parts += [f"shape_id {n}", f"num_samples {size}", *words, ""]
    return "\n".join(parts)


def _value(value: Any) -> str:  # noqa: ANN401 - of a definition
    if isinstance(value, str):
        return " ".join(value.split())
    return " ".join(number(v) for v in (value if isinstance(value, Sequence) else [value]))
