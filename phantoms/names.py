"""One sentence for an unknown name: the known ones, and the nearest."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def known(what: str, name: str, names: Iterable[str]) -> str:
    """`name` if it is one of `names`, else a ValueError that lists them with the nearest match."""
    names = tuple(names)
    if name in names:
        return name
    near = get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise ValueError(f"{what} must be one of {', '.join(names)}, got {name!r}{hint}")
