"""Read a Pulseq file as a sequence of blocks and events."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrsim.constants import GAMMA_BAR
from mrsim.events import Events
from mrsim.events.blocks import Adc, Block, Gradient, Rf, compile_blocks
from mrsim.pulseq.convention import check, pulse_phase, pulse_shape, receiver
from mrsim.pulseq.encoding import Encoding, find_encoding, on_grid
from mrsim.pulseq.gradients import GradientReader, rotate, rotation_matrix
from mrsim.pulseq.pulses import pulse_of
from mrsim.pulseq.text import PPM, PulseqText, Row, read_text

REWOUND = 0.1  # [1/m] moment that is none: a turn in 10 m
SHORT = 0.1  # [s] between excitations: transverse magnetisation of the ones before is still there
THICKNESS = 1e-3  # [m] of a slice about which the file tells nothing
KNOWN = ("TRIGGERS", "LABELSET", "LABELINC", "DELAYS", "ROTATIONS")
IGNORED = ("RF_SHIMS",)  # one transmitter is simulated

Real = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class PulseqSequence:
    """A sequence from a Pulseq file; what the file does not tell can be set with `dataclasses.replace`.

    version : of the file format
    definitions : what the file defines, as it stands
    signed : whether the signature is that of the text; None without one
    content : the blocks
    fov : [m] y, x that the trajectory encodes, else what the file defines
    matrix : pixels y, x of the image that it is meant for
    thickness : [m] of the slice, by FOV z or SliceThickness
    modulation : (sample,) [rad] phase that the author left to the reconstruction to take off, for moving the
        image (1.5); the receiver does not
    """

    name: str
    version: tuple[int, int, int]
    definitions: Mapping[str, str]
    signed: bool | None
    content: tuple[Block, ...]
    fov: tuple[float, float]
    matrix: tuple[int, int]
    thickness: float
    modulation: Real

    def blocks(self) -> list[Block]:
        """All blocks, with the labels that hold when each receives."""
        return list(self.content)

    def events(self) -> Events:
        """Compile to arrays; samples have places if they lie on the Cartesian grid of `fov` and `matrix`."""
        return _compiled(self)


@lru_cache(maxsize=4)
def _compiled(sequence: PulseqSequence) -> Events:
    pixel = [side / n for side, n in zip(sequence.fov, sequence.matrix, strict=True)]
    events = compile_blocks(
        sequence.content, matrix=sequence.matrix, pixel_volume=pixel[0] * pixel[1] * sequence.thickness
    )
    place = on_grid(events.trajectory().k, sequence.fov, sequence.matrix)
    return replace(events, place=place, refocuses=not _balanced(events))


def _balanced(events: Events) -> bool:
    """Tell whether all gradients are rewound from each of many excitations to the next, soon after."""
    excites = events.used_as("excitation")
    first = np.flatnonzero(excites & ~np.concatenate(([False], excites[:-1])))
    every = np.arange(events.duration.size)
    passed = np.cumsum(events.moment(every, events.duration), axis=0)[first[1:] - 1]
    steps = np.diff(passed, axis=0)
    return len(steps) > 1 and bool((np.abs(steps[:, :3]) < REWOUND).all() and (steps[:, 3] < SHORT).all())


def read_pulseq(
    path: Path | str,
    *,
    field_strength: float | None = None,
    delays: Mapping[str, float] | None = None,
    convention: str = "pulseq",
) -> PulseqSequence:
    """Read a `.seq` file of version 1.2 to 1.5.

    field_strength : [T] of the scanner, for offsets in ppm
    delays : hint -> [s] of soft delays that shall not be the file's own
    convention : "pulseq", or "komamri" to read phases as KomaMRI does, see `mrsim.pulseq.convention`

    PulseqError, which is a ValueError, names the line that is wrong.
    """
    check(convention)
    text = read_text(Path(path))
    reader = _Reader(text, field_strength, dict(delays or {}), convention)
    content = _with_slices(reader.blocks())
    encoding = _encoding(text, content)
    return PulseqSequence(
        name=text.definitions.get("Name", "").strip() or Path(path).stem,
        version=text.version,
        definitions=text.definitions,
        signed=text.signed,
        content=tuple(content),
        fov=encoding.fov,
        matrix=encoding.matrix,
        thickness=encoding.thickness,
        modulation=np.concatenate([np.zeros(0), *reader.modulation]),
    )


def _encoding(text: PulseqText, content: list[Block]) -> Encoding:
    """Field of view and matrix, by the trajectory and by what the file defines."""
    told = {name: _numbers(text.definitions.get(name, "")) for name in ("FOV", "Nx", "Ny", "SliceThickness")}
    sides = [*told["FOV"], 0.0, 0.0, 0.0][:3]
    if max(sides) > 1:  # files before 1.4 tell it in mm
        sides = [side * 1e-3 for side in sides]
    thickness = next((t for t in (*told["SliceThickness"], sides[2]) if t > 0), THICKNESS)
    counts = [int(next(iter(told[name]), 0)) for name in ("Ny", "Nx")]
    labels = [block.labels for block in content if block.adc is not None]
    events = compile_blocks(content, matrix=(1, 1), pixel_volume=1.0)
    return find_encoding(events.trajectory(), labels, (sides[1], sides[0]), (counts[0], counts[1]), thickness)


def _numbers(text: str) -> list[float]:
    try:
        return [float(token) for token in text.split()]
    except ValueError:
        return []


class _Reader:
    """Makes the blocks of one file; blocks that are the same become one object, which is compiled once."""

    def __init__(
        self, text: PulseqText, field_strength: float | None, delays: dict[str, float], convention: str
    ) -> None:
        self.text = text
        self.field_strength = field_strength
        self.delays = delays
        self.convention = convention
        self.gradients = GradientReader(text)
        self.pulses: dict[int, Rf] = {}
        self.labels: dict[str, int] = {}
        self.modulation: list[Real] = []
        self.known: dict[tuple[Any, ...], Block] = {}
        self._check_extensions()

    def _check_extensions(self) -> None:
        required = set(self.text.definitions.get("RequiredExtensions", "").split())
        missing = sorted(required - {*KNOWN, *IGNORED})
        if missing:
            raise self.text.error(
                0, f"RequiredExtensions must be among {', '.join(KNOWN)}, got {', '.join(missing)}"
            )
        skipped = sorted(set(self.text.kinds.values()) - set(KNOWN))
        if skipped:
            warnings.warn(
                f"{self.text.path.name}: extensions {', '.join(skipped)} are left out", stacklevel=4
            )

    def blocks(self) -> list[Block]:
        """All blocks that take time."""
        rows = self.text.blocks
        extensions = [self._extensions(row) for row in rows]
        names = {entry["name"] for listed in extensions for _, entry in listed if "name" in entry}
        self.labels = dict.fromkeys(sorted(names), 0)
        durations = np.array([self._duration(*both) for both in zip(rows, extensions, strict=True)])
        gradients = self.gradients.of_blocks(rows, durations)
        made = []
        for row, listed, duration, axes in zip(rows, extensions, durations, gradients, strict=True):
            self._count(listed)
            if duration > 0:
                made.append(self._block(row, listed, float(duration), axes))
        return made

    def _extensions(self, row: tuple[int, ...]) -> list[tuple[str, Row]]:
        """Kind and content of all that a block refers to."""
        found: list[tuple[str, Row]] = []
        number, steps = row[8], 0
        while number:
            entry = self.text.row("[EXTENSIONS]", number, row[0], "extension")
            kind = self.text.kinds.get(entry["type"])
            if kind is None:
                raise self.text.error(entry["line"], f"extension type must be defined, got {entry['type']}")
            if kind in KNOWN:
                found.append((kind, self.text.row(kind, entry["ref"], entry["line"], "extension")))
            number, steps = entry["next"], steps + 1
            if steps > len(self.text.tables["[EXTENSIONS]"]):
                raise self.text.error(
                    row[0], "list of extensions must end, got one that leads back to itself"
                )
        return found

    def _count(self, extensions: list[tuple[str, Row]]) -> None:
        """Counters that hold at the end of a block: first all are set, then all are raised."""
        for kind, entry in extensions:
            if kind == "LABELSET":
                self.labels[entry["name"]] = entry["value"]
        for kind, entry in extensions:
            if kind == "LABELINC":
                self.labels[entry["name"]] += entry["value"]

    def _duration(self, row: tuple[int, ...], extensions: list[tuple[str, Row]]) -> float:
        """Length of a block [s]: told from 1.4 on, before that of its longest part or of its delay."""
        line, number = row[0], row[2]
        if self.text.version[1] >= 4:
            told = number * self.text.raster("BlockDurationRaster")
            return next((self._soft(entry, told) for kind, entry in extensions if kind == "DELAYS"), told)
        parts = [self.gradients.duration(g, line) for g in row[4:7] if g]
        parts += [entry["delay"] + entry["duration"] for kind, entry in extensions if kind == "TRIGGERS"]
        if number:
            parts.append(self.text.row("[DELAYS]", number, line, "delay")["delay"])
        if row[3]:
            parts.append(self._rf(row[3], line).duration)
        if row[7]:
            adc = self.text.row("[ADC]", row[7], line, "ADC")
            parts.append(adc["delay"] + adc["samples"] * adc["dwell"])
        return max(parts, default=0.0)

    def _soft(self, entry: Row, told: float) -> float:
        """Length of a soft delay [s]."""
        value = self.delays.get(entry["hint"])
        if value is None:
            return told
        length = float(value / entry["factor"] + entry["offset"])
        if length < 0:
            raise ValueError(f"delay {entry['hint']} must leave at least 0 s of waiting, got {value} s")
        return length

    def _block(
        self,
        row: tuple[int, ...],
        extensions: list[tuple[str, Row]],
        duration: float,
        axes: list[Gradient | None],
    ) -> Block:
        line, turned = row[0], [entry for kind, entry in extensions if kind == "ROTATIONS"]
        key = (row[3], *map(id, axes), row[7], duration, *(id(entry) for entry in turned))
        if key in self.known:
            return self.known[key]
        for entry in turned:
            axes = rotate(axes, rotation_matrix(entry))
        adc = self._adc(row[7], line) if row[7] else None
        try:
            block = Block(
                rf=self._rf(row[3], line) if row[3] else None,
                gx=axes[0],
                gy=axes[1],
                gz=axes[2],
                adc=adc,
                duration=duration,
                labels=dict(self.labels) if adc is not None else {},
            )
        except ValueError as error:
            raise self.text.error(line, str(error)) from None
        if adc is None:
            self.known[key] = block
        return block

    def _offset(self, row: Row, name: str) -> float:
        """Frequency [Hz] or phase [rad] of an event; the part in ppm or rad/MHz grows with the field."""
        relative = row.get(f"{name}_ppm", 0.0)
        if relative == 0:
            return float(row[name])
        if self.field_strength is None:
            raise self.text.error(row["line"], f"{name} is told in ppm: set field_strength")
        return float(row[name] + relative * PPM * GAMMA_BAR * self.field_strength)

    def _rf(self, number: int, line: int) -> Rf:
        if number not in self.pulses:
            row = self.text.row("[RF]", number, line, "RF")
            phase, frequency = self._offset(row, "phase"), self._offset(row, "frequency")
            pulse, lead = pulse_of(self.text, row)
            self.pulses[number] = Rf(
                pulse=replace(pulse, nutation=pulse_shape(pulse.nutation, self.convention)),
                delay=row["delay"] + lead,
                phase=pulse_phase(phase, frequency, lead, pulse.centre, self.convention),
                frequency=frequency,
            )
        return self.pulses[number]

    def _adc(self, number: int, line: int) -> Adc | None:
        row = self.text.row("[ADC]", number, line, "ADC")
        if row["samples"] < 1:
            return None
        if row["dwell"] <= 0:
            raise self.text.error(row["line"], f"dwell must be positive, got {row['dwell']} s")
        told = row.get("modulation", 0)
        modulation = self.text.shape(told, row["line"]) if told else np.zeros(row["samples"])
        if modulation.size != row["samples"]:
            raise self.text.error(
                row["line"], f"phase modulation must have {row['samples']} samples, got {modulation.size}"
            )
        self.modulation.append(-modulation if self.convention == "pulseq" else modulation)
        phase, frequency = receiver(
            self._offset(row, "phase"), self._offset(row, "frequency"), self.convention
        )
        return Adc(
            samples=row["samples"], dwell=row["dwell"], delay=row["delay"], phase=phase, frequency=frequency
        )


def _with_slices(blocks: list[Block]) -> list[Block]:
    """Count slices by the frequency of their excitation, where a file does not label them."""
    frequencies, now = [], 0.0
    for block in blocks:
        if block.rf is not None and block.rf.pulse.use == "excitation":
            now = block.rf.frequency
        if block.adc is not None:
            frequencies.append(now)
    different = sorted(set(frequencies))
    if len(different) < 2 or any("SLC" in block.labels for block in blocks):
        return blocks
    slices = iter([different.index(f) for f in frequencies])
    return [replace(b, labels={**b.labels, "SLC": next(slices)}) if b.adc is not None else b for b in blocks]
