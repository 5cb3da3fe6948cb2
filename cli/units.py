"""The factors by which the command line becomes SI, and the lists and pairs that it writes as text."""

from __future__ import annotations

import math
import re

MS = 1e-3  # [s]
MM = 1e-3  # [m]
DEG = math.pi / 180  # [rad]
PERCENT = 1e-2

FIELD_UNITS = {"s": ("ms", 1 / MS), "m": ("mm", 1 / MM), "rad": ("deg", 1 / DEG)}
QUANTITY = re.compile(r"(?<![\w.])(-?\d[\d.]*(?:e[+-]?\d+)?) (s|m|rad)(?![\w/*]|\.\w)")


def in_field_units(message: str) -> str:
    """Write a sentence about SI values in the units that the command line takes: `0.006 s` as `6 ms`."""

    def converted(found: re.Match[str]) -> str:
        unit, factor = FIELD_UNITS[found[2]]
        return f"{float(found[1]) * factor:.6g} {unit}"

    if message.endswith(" rad"):
        message = re.sub(r"(?<!\d )\bpi\b", "180 deg", message)
    return QUANTITY.sub(converted, message)


def integers(text: str) -> tuple[int, ...]:
    """`4,5,18` or `0-7` or both; ValueError says what a list looks like."""
    numbers: list[int] = []
    try:
        for part in text.split(","):
            first, dash, last = part.strip().partition("-")
            numbers.extend(range(int(first), int(last if dash else first) + 1))
    except ValueError:
        numbers = []
    if not numbers:
        raise ValueError(f"a list of numbers must look like 4,5,18 or 0-7, got {text!r}")
    return tuple(numbers)


def pair(text: str) -> tuple[float, float]:
    """`180x216` as (y, x); a single number is both."""
    try:
        values = [float(part) for part in text.lower().split("x")]
    except ValueError:
        values = []
    if len(values) not in (1, 2):
        raise ValueError(f"a pair must look like 180x216 (y x x) or 256, got {text!r}")
    return values[0], values[-1]


def whole_pair(text: str) -> tuple[int, int]:
    """`180x216` as two whole numbers; one alone would make pixels of another shape, unless that is meant."""
    y, x = pair(text)
    if not (y.is_integer() and x.is_integer()):
        raise ValueError(f"matrix must be whole numbers, got {text!r}")
    if "x" not in text.lower():
        raise ValueError(
            f"matrix must be two numbers, phase encode x readout, such as 180x216, got {text!r}: "
            f"write {text}x{text} for a square one, with --fov to match"
        )
    return int(y), int(x)


def variation(text: str) -> dict[str, float | str]:
    """`5` (te and tr) or `te=5,flip=10,per=case`: relative half widths in percent, and how often to draw."""
    try:
        if "=" not in text:
            return {"te": float(text) * PERCENT, "tr": float(text) * PERCENT}
        pairs = (part.split("=") for part in text.split(","))
        named = {name.strip(): value.strip() for name, value in pairs}
        return {name: value if name == "per" else float(value) * PERCENT for name, value in named.items()}
    except ValueError:
        raise ValueError(f"vary must look like 5 or te=5,tr=5,flip=10 [± %], got {text!r}") from None
