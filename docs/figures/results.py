"""What a benchmark left, as it is kept in the repository: tables, record, and pictures in few colours.

python docs/figures/results.py runs/benchmarks/reduced/seranet-table2 ... (to benchmarks/results/reduced/)
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))
from segnets.benchmarks import pictures, record, text
from segnets.checkpoint import write_json

KEPT = Path(__file__).parents[2] / "benchmarks" / "results"
WIDTH, COLOURS = 1100, 64
# how the work was divided, and where
ONLY_HERE = re.compile(r" --(out|rows|data|max-minutes) \S+| --quiet")


def keep(home: Path) -> Path:
    """Copy the results of one table; returns the new folder."""
    found = record.read(home / record.NAME)
    found["command"] = ONLY_HERE.sub("", found["command"])
    folder = KEPT / found["scale"] / found["name"]
    folder.mkdir(parents=True, exist_ok=True)
    names = pictures.draw_all(found, home)
    for name in names:
        shrink(home / name, folder / name)
    write_json(folder / record.NAME, found)
    (folder / "results.md").write_text(text.markdown(found, names), encoding="utf-8")
    return folder


def shrink(source: Path, target: Path) -> None:
    """Write a picture no wider than WIDTH in COLOURS colours."""
    picture = Image.open(source).convert("RGB")
    if picture.width > WIDTH:
        picture = picture.resize((WIDTH, round(picture.height * WIDTH / picture.width)), Image.LANCZOS)
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(keep(Path(argument)))
