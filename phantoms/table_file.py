"""Tissue tables in TOML: those that ship with the package, and the user's own.

    name = "my-scanner"
    field_strength = 1.5                    # [T]
    oracle = ["background", "GM", "WM"]     # optional: the classes to segment, background first
    priority = ["WM", "GM", "background"]   # optional: who wins a pixel that two classes share equally

    [[tissue]]                              # the first row is the surrounding air, pd 0
    label = 0                               # label of the map, or several: [2, 41]
    name = "air"
    pd = 0

    [[tissue]]
    label = [2, 41]
    name = "white matter"
    oracle = "WM"                           # optional: one of the classes above, else the first
    pd = 0.77                               # relative to water
    t1_ms = 500                             # times: required where pd > 0
    t2_ms = 70
    t2star_ms = 61                          # optional: t2_ms
    chemical_shift_ppm = 0                  # optional
    susceptibility_ppm = -9.08              # optional: water, -9.05 (air, +0.36, in the first row)
    diffusivity_um2_per_ms = 0.7            # optional: 0, the mean over directions
    bound_fraction = 0.14                   # optional: 0, bound over free protons (magnetisation transfer)
    exchange_per_s = 3.2                    # optional: 0, from free to bound
    bound_t2_us = 10                        # optional
    source = "who measured it"              # optional

Without `oracle` every tissue is a class of its own. Without `priority` a tie goes to the class listed last.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phantoms.names import known
from phantoms.phantom import OracleClasses, PhantomError
from phantoms.tissues import Tissue, TissueTable

MS, US, PPM, UM2_PER_MS = 1e-3, 1e-6, 1e-6, 1e-9
MAX_LABEL = 65535
WATER, AIR = -9.05, 0.36  # [ppm] volume susceptibility, SI
TABLE_KEYS = ("name", "field_strength", "oracle", "priority", "tissue")
TISSUE_KEYS = (
    "label",
    "name",
    "oracle",
    "pd",
    "t1_ms",
    "t2_ms",
    "t2star_ms",
    "chemical_shift_ppm",
    "susceptibility_ppm",
    "diffusivity_um2_per_ms",
    "bound_fraction",
    "exchange_per_s",
    "bound_t2_us",
    "source",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class TableFile:
    """What a table file says: the tissues, the labels that stand for each, and the oracle classes."""

    table: TissueTable
    labels: tuple[tuple[int, ...], ...]  # labels of the map per tissue class
    oracle: OracleClasses


def read_table(path: Path) -> TableFile:
    """Read a table; PhantomError names the file and what is wrong with it."""
    import tomllib

    try:
        return _parse(tomllib.loads(path.read_text(encoding="utf-8")), default_name=path.stem)
    except OSError as error:
        raise PhantomError(f"tissue table {path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # TOML syntax, not UTF-8, or a value out of place
        raise PhantomError(f"tissue table {path}: {error}") from error


def _parse(document: dict[str, Any], *, default_name: str) -> TableFile:
    for key in document:
        known("key", key, TABLE_KEYS)
    rows = document.get("tissue", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("tissue must be an array of tables, [[tissue]]")
    if "field_strength" not in document:
        raise ValueError("field_strength must be given [T]")
    table = TissueTable(
        name=_text(document, "name", default_name),
        field_strength=_number(document, "field_strength"),
        tissues=tuple(_tissue(row, first=i == 0) for i, row in enumerate(rows)),
    )
    return TableFile(table=table, labels=_labels(rows), oracle=_oracle(document, rows))


def _tissue(row: dict[str, Any], *, first: bool) -> Tissue:
    for key in row:
        known("key of a tissue", key, TISSUE_KEYS)
    pd = _number(row, "pd")
    t2_ms = _number(row, "t2_ms", None if pd else 0.0)
    return Tissue(
        name=_text(row, "name", ""),
        pd=pd,
        t1=_number(row, "t1_ms", None if pd else 0.0) * MS,
        t2=t2_ms * MS,
        t2star=_number(row, "t2star_ms", t2_ms) * MS,
        chemical_shift=_number(row, "chemical_shift_ppm", 0.0) * PPM,
        susceptibility=_number(row, "susceptibility_ppm", AIR if first else WATER) * PPM,
        diffusivity=_number(row, "diffusivity_um2_per_ms", 0.0) * UM2_PER_MS,
        bound_fraction=_number(row, "bound_fraction", 0.0),
        exchange=_number(row, "exchange_per_s", 0.0),
        bound_t2=_number(row, "bound_t2_us", 10.0) * US,
        source=_text(row, "source", ""),
    )


def _labels(rows: list[dict[str, Any]]) -> tuple[tuple[int, ...], ...]:
    seen: dict[int, str] = {}
    result = []
    for row in rows:
        value = row.get("label")
        labels = value if isinstance(value, list) else [value]
        for label in labels or [None]:
            if type(label) is not int or not 0 <= label <= MAX_LABEL:
                raise ValueError(
                    f"label of {row['name']!r} must be a whole number from 0 to {MAX_LABEL}, got {value!r}"
                )
            if label in seen:
                raise ValueError(
                    f"label {label} must stand for one tissue, got {seen[label]!r} and {row['name']!r}"
                )
            seen[label] = row["name"]
        result.append(tuple(labels))
    return tuple(result)


def _oracle(document: dict[str, Any], rows: list[dict[str, Any]]) -> OracleClasses:
    own = "oracle" not in document
    names = [row["name"] for row in rows] if own else _names(document, "oracle")
    if own and (row := next((row for row in rows if "oracle" in row), None)):
        raise ValueError(
            f"oracle of {row['name']!r} must be one of the classes that a line oracle = [...] lists"
        )
    classes = names if own else [known("oracle", _text(row, "oracle", names[0]), names) for row in rows]
    order = _names(document, "priority") if "priority" in document else names[::-1]
    return OracleClasses(
        names=tuple(names),
        of_tissue=tuple(names.index(name) for name in classes),
        priority=tuple(names.index(known("priority", name, names)) for name in order),
    )


def _number(row: dict[str, Any], key: str, default: float | None = None) -> float:
    value = row.get(key, default)
    if value is None:
        raise ValueError(f"{key} of {row.get('name', 'a tissue without name')!r} must be given")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{key} must be a number, got {value!r}")
    return float(value)


def _text(row: dict[str, Any], key: str, default: str) -> str:
    value = row.get(key, default)
    if not isinstance(value, str):
        raise ValueError(f"{key} must be a text, got {value!r}")
    return value


def _names(document: dict[str, Any], key: str) -> list[str]:
    value = document[key]
    if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
        raise ValueError(f"{key} must be a list of class names, got {value!r}")
    return value
