"""Values that parameters of frozen dataclasses get as text: `te=80` in the field's unit becomes 0.08 s."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from cli.describe import SHOWN

YES, NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0")


class Row(Protocol):
    """A parameter: name, default in SI, SI unit."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def default(self) -> Any:  # noqa: ANN401  of the parameter's own type
        """Its default in SI, whose type its values have."""
        ...

    @property
    def unit(self) -> str:
        """SI unit."""
        ...


def parse_pairs(pairs: Iterable[str], rows: Iterable[Row], what: str) -> dict[str, Any]:
    """`name=value` texts as SI values of the parameters `rows`; ValueError for what is unknown or unreadable.

    what : the sentence's subject, "parameter of gre"
    """
    from phantoms.names import known

    by_name: Mapping[str, Row] = {row.name: row for row in rows}
    found = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise ValueError(f"{what} must look like name=value, got {pair!r}")
        row = by_name[known(what, name.strip().replace("-", "_"), by_name)]
        found[row.name] = parse_value(text.strip(), row)
    return found


def parse_value(text: str, row: Row) -> Any:  # noqa: ANN401  of the parameter's own type
    """Text in the unit that `mrsim sequences` shows, as the type of the default, in SI."""
    shown, factor = SHOWN.get(row.unit, (row.unit, 1.0))
    try:
        if isinstance(row.default, tuple):
            parts = text.lower().replace("x", ",").split(",")
            if len(parts) == 1:
                parts *= len(row.default)
            return tuple(_scalar(p, d, factor) for p, d in zip(parts, row.default, strict=True))
        return _scalar(text, row.default, factor)
    except ValueError:
        kind = f"a value in {shown}" if shown not in ("", "1") else f"{_kind(row.default)}"
        raise ValueError(f"{row.name} must be {kind}, like {_example(row, factor)}, got {text!r}") from None


def _scalar(text: str, default: Any, factor: float) -> Any:  # noqa: ANN401
    if isinstance(default, bool):
        if text.lower() not in YES + NO:
            raise ValueError
        return text.lower() in YES
    if isinstance(default, int):
        return int(text)
    if isinstance(default, float):
        return round(float(text) * factor, 12)  # 35 ms is 0.035 s, not 0.035000000000000003 s
    return text


def _kind(default: Any) -> str:  # noqa: ANN401
    one = default[0] if isinstance(default, tuple) else default
    return "yes or no" if isinstance(one, bool) else "whole" if isinstance(one, int) else "a number"


def _example(row: Row, factor: float) -> str:
    """Give the default as it would be typed."""
    values = row.default if isinstance(row.default, tuple) else (row.default,)
    return "x".join(f"{v / factor:.6g}" if isinstance(v, float) else str(v) for v in values)
