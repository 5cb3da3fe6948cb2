"""The few pieces of HTML that a report is made of. Text is escaped here and nowhere else."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from segnets.tables import Table

NUMBER = re.compile(r"^[-+]?[\d.,]+( ± [\d.]+| of \d+)?( ?\[.*\])?$")
SOURCES = {
    "paper": "paper",
    "ours": "ours",
}  # second part of a heading, or a cell -> class of its column or row
STATES = ("not run", "failed", "unfinished", "-")
VERDICTS = {"holds": "good", "does not hold": "bad"}


def text(value: object) -> str:
    """Escape, and turn `code` and **bold** of our own sentences into elements."""
    escaped = html.escape(str(value), quote=False)
    escaped = re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped)
    return re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", escaped)


def anchor(name: str) -> str:
    """Turn a name into an id that a link can point to."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-") or "top"


def link(target: str, label: str) -> str:
    """Link to an element of this page."""
    return f'<a href="#{anchor(target)}">{text(label)}</a>'


def listed(lines: Iterable[str]) -> str:
    """Bulleted list of sentences."""
    items = "".join(f"<li>{text(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def escaped(value: str) -> str:
    """Escape for an attribute."""
    return html.escape(value)


def image(path: Path, caption: str = "") -> str:
    """Put a PNG or GIF into the page."""
    kind, data = path.suffix.lstrip("."), base64.b64encode(path.read_bytes()).decode()
    return picture(f'<img alt="{escaped(caption)}" src="data:image/{kind};base64,{data}">', caption)


def picture(inside: str, caption: str = "") -> str:
    """Put a figure round an image or a drawing; nothing round nothing."""
    below = f"<figcaption>{text(caption)}</figcaption>" if caption else ""
    return f"<figure>{inside}{below}</figure>" if inside else ""


def row(parts: Sequence[str]) -> str:
    """Put parts side by side where there is room."""
    return f'<div class="row">{"".join(parts)}</div>' if any(parts) else ""


def folded(summary: str, inside: str) -> str:
    """Show something only when it is asked for; works without a script."""
    return f"<details><summary>{text(summary)}</summary>{inside}</details>"


def pairs(values: Mapping[str, object], title: str) -> str:
    """Two columns: names and values."""
    rows = "".join(
        f'<tr><td>{text(name)}</td><td class="text">{text(_shown(value))}</td></tr>'
        for name, value in values.items()
    )
    return f'<div class="wide"><table><caption>{text(title)}</caption><tbody>{rows}</tbody></table></div>'


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def table(table_: Table, links: Mapping[str, str] | None = None) -> str:
    """Render a table; headings `Dice, paper` and `Dice, ours` are joined under one `Dice`.

    links : text of a first cell -> name on this page that it links to
    """
    kinds = [_kind(head) for head in table_.header]
    columns = list(zip(*table_.rows, strict=True)) if table_.rows else [()] * len(kinds)
    words = [i > 0 and any(_is_text(cell) for cell in column) for i, column in enumerate(columns)]
    body = "".join(f"<tr>{_row(row, kinds, words, links or {})}</tr>" for row in table_.rows)
    caption = f"<caption>{text(table_.title.strip('*'))}</caption>" if table_.title else ""
    notes = "".join(f'<p class="note">{text(note)}</p>' for note in table_.notes)
    head = _head(table_.header, words)
    return f'<div class="wide"><table>{caption}{head}<tbody>{body}</tbody></table></div>{notes}'


def _head(header: Sequence[str], words: Sequence[bool]) -> str:
    if not any(_kind(head) for head in header):
        return f"<thead><tr>{''.join(_th(h, w) for h, w in zip(header, words, strict=True))}</tr></thead>"
    split = [head.rpartition(", ") if _kind(head) else (head, "", "") for head in header]
    first = ""
    for name, group in groupby(range(len(split)), key=lambda i: split[i][0] if split[i][2] else f"#{i}"):
        where = list(group)
        if split[where[0]][2]:
            first += f'<th class="span" colspan="{len(where)}">{text(name)}</th>'
        else:
            first += f'<th rowspan="2"{_class(words[where[0]])}>{text(header[where[0]])}</th>'
    second = "".join(f'<th class="{source}">{source}</th>' for _, _, source in split if source)
    return f"<thead><tr>{first}</tr><tr>{second}</tr></thead>"


def _th(head: str, words: bool) -> str:
    return f"<th{_class(words)}>{text(head)}</th>"


def _class(words: bool) -> str:
    return ' class="text"' if words else ""


def _kind(head: str) -> str:
    return SOURCES.get(head.rpartition(", ")[2], "") if ", " in head else ""


def _row(row: Sequence[str], kinds: Sequence[str], words: Sequence[bool], links: Mapping[str, str]) -> str:
    whole = SOURCES.get(row[1], "") if len(row) > 1 else ""  # rows that alternate between paper and ours
    cells = []
    for i, cell in enumerate(row):
        css = [kinds[i] or (whole if i else "")] + ["text"] * words[i]
        css += ["none"] * (cell in STATES) + [VERDICTS.get(cell, "")]
        inside = link(links[cell], cell) if i == 0 and cell in links else text(cell)
        used = " ".join(filter(None, css))
        cells.append(f'<td class="{used}">{inside}</td>' if used else f"<td>{inside}</td>")
    return "".join(cells)


def _is_text(cell: str) -> bool:
    return bool(cell) and not NUMBER.match(cell) and cell not in (*STATES, *SOURCES)
