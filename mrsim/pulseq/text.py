"""The text of a Pulseq file 1.2 to 1.5 as tables of numbers in SI; an error names the line that is wrong.

Source: Pulseq file format specification 1.4.1 (Zaitsev, Kroboth, Layton; CC BY 4.0), with the columns that
1.5.0 and 1.5.1 add and without those that 1.2 and 1.3 lack.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MINORS = range(2, 6)  # of version 1
RASTERS = {  # defaults of what files before 1.4 need not say [s]
    "GradientRasterTime": 10e-6,
    "RadiofrequencyRasterTime": 1e-6,
    "AdcRasterTime": 100e-9,
    "BlockDurationRaster": 10e-6,
}
US, NS, PPM = 1e-6, 1e-9, 1e-6
SCALE = {
    "delay": US,
    "centre": US,
    "rise": US,
    "flat": US,
    "fall": US,
    "offset": US,
    "duration": US,
    "dwell": NS,
}
INTEGERS = frozenset(
    "samples magnitude phase_shape times shape modulation type ref next channel value num".split()
)
WORDS = frozenset(("use", "name", "hint"))
COLUMNS = {  # section -> first minor version -> columns after the number of the row
    "[RF]": {
        2: "amplitude magnitude phase_shape delay frequency phase",
        4: "amplitude magnitude phase_shape times delay frequency phase",
        5: "amplitude magnitude phase_shape times centre delay frequency_ppm phase_ppm frequency phase use",
    },
    "[GRADIENTS]": {
        2: "amplitude shape delay",
        4: "amplitude shape times delay",
        5: "amplitude first last shape times delay",
    },
    "[TRAP]": {2: "amplitude rise flat fall delay"},
    "[ADC]": {
        2: "samples dwell delay frequency phase",
        5: "samples dwell delay frequency_ppm phase_ppm frequency phase modulation",
    },
    "[DELAYS]": {2: "delay"},
    "[EXTENSIONS]": {2: "type ref next"},
    "TRIGGERS": {2: "type channel delay duration"},
    "LABELSET": {2: "value name"},
    "LABELINC": {2: "value name"},
    "DELAYS": {2: "num offset factor hint"},
    "ROTATIONS": {2: "w x y z"},
}
SECTIONS = {"[VERSION]", "[DEFINITIONS]", "[BLOCKS]", "[SHAPES]", "[SIGNATURE]", *COLUMNS}
BINARY = b"\x01pulseq\x02"
COMMENT = re.compile(r"(?:^|\s)#")

Real = NDArray[np.float64]
Row = dict[str, Any]
Lines = list[tuple[int, str]]


class PulseqError(ValueError):
    """A file that is no Pulseq file, or not a whole one; the message names file and line."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class PulseqText:
    """What a file says, in SI; the phases of shapes in cycles, gradients in Hz/m, RF in Hz.

    definitions : as they stand
    signed : whether the signature is that of the text; None without one
    blocks : (line, number, duration in rasters or row of delays, rf, gx, gy, gz, adc, extension)
    tables : section -> number -> row; of extensions by their name
    kinds : number of an extension -> its name
    shapes : number -> samples
    """

    path: Path
    version: tuple[int, int, int]
    definitions: dict[str, str]
    signed: bool | None
    blocks: list[tuple[int, ...]]
    tables: dict[str, dict[int, Row]]
    kinds: dict[int, str]
    shapes: dict[int, Real] = field(default_factory=dict)

    def raster(self, name: str) -> float:
        """Definition of a raster [s], or its default."""
        return float(self.definitions.get(name, RASTERS[name]))

    def error(self, line: int, text: str) -> PulseqError:
        """Error about a line of the file; 0 for the whole file."""
        return _error(self.path, line, text)

    def row(self, section: str, number: int, line: int, what: str) -> Row:
        """Row of a table, for the block in a line."""
        row = self.tables.get(section, {}).get(number)
        if row is None:
            raise self.error(line, f"{what} must be defined in {section}, got number {number}")
        return row

    def shape(self, number: int, line: int) -> Real:
        """Give the samples of a shape, for the event in a line."""
        if number not in self.shapes:
            raise self.error(line, f"shape must be defined in [SHAPES], got number {number}")
        return self.shapes[number]


def _error(path: Path, line: int, text: str) -> PulseqError:
    return PulseqError(f"{path.name}, line {line}: {text}" if line else f"{path.name}: {text}")


def read_text(path: Path) -> PulseqText:
    """Read a file; PulseqError if it is not a whole Pulseq file."""
    raw = path.read_bytes()
    if raw.startswith(BINARY):
        raise _error(
            path, 0, "file must be a text, got the binary form that Pulseq gave up: write it anew as .seq"
        )
    try:
        lines = raw.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise _error(
            path, 0, f"file must be a Pulseq text, got bytes that are none: {error.reason}"
        ) from None
    sections = _sections(path, lines)
    for title in ("[VERSION]", "[BLOCKS]"):
        if title not in sections:
            raise _error(
                path, 0, f"file must hold a section {title}, got none: it is cut off or no Pulseq file"
            )
    version = _version(path, sections["[VERSION]"])
    parser = _Parser(path, version[1])
    kinds = {int(title.split()[2]): title.split()[1] for title in sections if title.startswith("extension")}
    return PulseqText(
        path=path,
        version=version,
        definitions=_definitions(sections.get("[DEFINITIONS]", [])),
        signed=_signed(raw, sections.get("[SIGNATURE]", [])),
        blocks=parser.blocks(sections["[BLOCKS]"]),
        tables=parser.tables(sections),
        kinds=kinds,
        shapes=parser.shapes(sections.get("[SHAPES]", [])),
    )


def _sections(path: Path, lines: Sequence[str]) -> dict[str, Lines]:
    """Numbered lines of each section, without comments and empty lines."""
    sections: dict[str, Lines] = {}
    current: Lines | None = None
    for number, text in enumerate(lines, start=1):
        line = COMMENT.split(text, maxsplit=1)[0].strip()
        if not line:
            continue
        title = " ".join(line.split())
        if title in SECTIONS or re.fullmatch(r"extension \w+ \d+", title):
            current = sections.setdefault(title, [])
        elif line.startswith("["):
            raise _error(path, number, f"section must be one of {', '.join(sorted(SECTIONS))}, got {line}")
        elif current is None:
            raise _error(path, number, f"file must begin with a section such as [VERSION], got {line[:40]!r}")
        else:
            current.append((number, line))
    return sections


def _definitions(lines: Lines) -> dict[str, str]:
    parts = (line.split(maxsplit=1) for _, line in lines)
    return {part[0]: part[1] if len(part) > 1 else "" for part in parts}


def _version(path: Path, lines: Lines) -> tuple[int, int, int]:
    told = _definitions(lines)
    try:
        major, minor, revision = (int(told[name]) for name in ("major", "minor", "revision"))
    except (KeyError, ValueError):
        at = lines[0][0] if lines else 0
        raise _error(path, at, f"version must be told as major, minor and revision, got {told}") from None
    if major != 1 or minor not in MINORS:
        known = f"1.{MINORS[0]} to 1.{MINORS[-1]}"
        raise _error(path, lines[0][0], f"version must be {known}, got {major}.{minor}.{revision}")
    return major, minor, revision


def _signed(raw: bytes, lines: Lines) -> bool | None:
    """Whether the hash in the signature is that of all before the newline that goes before it."""
    told = _definitions(lines)
    kind, value = told.get("Type", "").lower(), told.get("Hash", "").lower()
    if kind not in ("md5", "sha1", "sha256") or not value:
        return None
    text = raw[: raw.rindex(b"\n[SIGNATURE]")].removesuffix(b"\r")
    return hashlib.new(kind, text, usedforsecurity=False).hexdigest() == value


class _Parser:
    """Turns lines into numbers by the columns of one minor version."""

    def __init__(self, path: Path, minor: int) -> None:
        self.path = path
        self.minor = minor

    def tables(self, sections: dict[str, Lines]) -> dict[str, dict[int, Row]]:
        tables: dict[str, dict[int, Row]] = {}
        for title, lines in sections.items():
            name = title.split()[1] if title.startswith("extension") else title
            if name in COLUMNS:
                versions = COLUMNS[name]
                columns = versions[max(v for v in versions if v <= self.minor)].split()
                tables[name] = dict(self._row(name, columns, *line) for line in lines)
        if self.minor >= 4 and "[DELAYS]" in tables:
            raise _error(
                self.path, 0, f"section [DELAYS] must not be there from 1.4 on, got it in 1.{self.minor}"
            )
        return tables

    def _row(self, section: str, columns: Sequence[str], number: int, line: str) -> tuple[int, Row]:
        tokens = line.split(maxsplit=len(columns)) if columns[-1] == "hint" else line.split()
        if len(tokens) != len(columns) + 1:
            raise _error(
                self.path,
                number,
                f"{section} must have {len(columns) + 1} columns in 1.{self.minor}, got {line!r}",
            )
        row: Row = {"line": number}
        for name, token in zip(columns, tokens[1:], strict=True):
            row[name] = token if name in WORDS else self._number(number, token, name)
        return int(self._number(number, tokens[0], "samples")), row

    def _number(self, line: int, token: str, column: str) -> float:
        try:
            value = float(token)
        except ValueError:
            raise _error(self.path, line, f"{column} must be a number, got {token!r}") from None
        if not np.isfinite(value) or (column in INTEGERS and value != int(value)):
            rule = "whole" if column in INTEGERS else "finite"
            raise _error(self.path, line, f"{column} must be a {rule} number, got {token}")
        return int(value) if column in INTEGERS else value * SCALE.get(column, 1.0)

    def blocks(self, lines: Lines) -> list[tuple[int, ...]]:
        """Nine numbers of each block; files before 1.3 know no extensions."""
        if not lines:
            raise _error(self.path, 0, "section [BLOCKS] must hold at least one block, got none")
        width = 7 if self.minor < 3 else 8
        return [(number, *self._block(number, line, width), *((0,) * (8 - width))) for number, line in lines]

    def _block(self, number: int, line: str, width: int) -> list[int]:
        tokens = line.split()
        if len(tokens) != width or not all(token.isdecimal() for token in tokens):
            raise _error(
                self.path, number, f"block must be {width} whole numbers in 1.{self.minor}, got {line!r}"
            )
        return [int(token) for token in tokens]

    def shapes(self, lines: Lines) -> dict[int, Real]:
        shapes = {}
        for number, head, samples in self._split_shapes(lines):
            length, packed = self._samples(number, samples)
            if self.minor >= 4 and packed.size == length:
                shapes[head] = packed
                continue
            try:
                shapes[head] = decompress(packed, length)
            except ValueError as error:
                raise _error(
                    self.path, number, f"shape {head} {error}: the file is cut off or damaged"
                ) from None
        return shapes

    def _split_shapes(self, lines: Lines) -> Iterator[tuple[int, int, Lines]]:
        starts = [i for i, (_, line) in enumerate(lines) if line.lower().startswith("shape_id")]
        for begin, end in pairwise([*starts, len(lines)]):
            number, line = lines[begin]
            yield number, int(self._number(number, line.split()[-1], "samples")), lines[begin + 1 : end]

    def _samples(self, number: int, lines: Lines) -> tuple[int, Real]:
        """Length of a shape, and what is stored of it."""
        head = lines[0][1].lower().split() if lines else []
        if len(head) != 2 or head[0] not in ("num_samples", "num_uncompressed"):
            raise _error(self.path, number, "shape must tell num_samples in its second line, got none")
        length = int(self._number(lines[0][0], head[1], "samples"))
        return length, np.array([self._number(at, line, "sample") for at, line in lines[1:]], np.float64)


def decompress(packed: Real, length: int) -> Real:
    """Undo the run-length coded derivative: after a number that comes twice, how often it still comes."""
    steps: list[Real] = []
    values = packed.tolist()
    i = 0
    while i < len(values):
        if i + 2 < len(values) and values[i] == values[i + 1]:
            if not 0 <= values[i + 2] <= length or values[i + 2] != int(values[i + 2]):
                raise ValueError(f"must repeat values a whole number of times, got {values[i + 2]}")
            steps.append(np.full(int(values[i + 2]) + 2, values[i]))
            i += 3
        else:
            steps.append(packed[i : i + 1])
            i += 1
    shape = np.concatenate(steps) if steps else np.zeros(0)
    if shape.size != length:
        raise ValueError(f"must have {length} samples, got {shape.size}")
    return np.cumsum(shape)
