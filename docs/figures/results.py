"""What benchmarks left, as it is kept in the repository: tables, records, and small pictures.

python docs/figures/results.py runs/benchmarks/reduced/seranet-table2 ... (to benchmarks/results/reduced/)

Then the results of docs/benchmarks.md are written anew from what is kept. What the figures do not say by
themselves stands in a file `remarks.md` beside them, written by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))
from segnets.benchmarks import pictures, record, text
from segnets.checkpoint import write_json

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "benchmarks" / "results"
PAGE, HEADING = ROOT / "docs" / "benchmarks.md", "## Results at the reduced scale"
WIDTH, COLOURS = 1100, 256
# how the work was divided, and where
ONLY_HERE = re.compile(r" --(out|rows|data|max-minutes) \S+| --quiet")
# in the order of the page: heading, how many of the tables (None = all), pictures
SECTIONS = {
    "seranet-table2": ("SERANet, Table 2", 1, "pictures-noise10.png"),
    "all-models": ("All networks", 1, ""),
    "schlemper-figure2": ("Syn-net and LI-net, Figure 2", 0, "figure.png"),
    "schlemper-figure3": ("Syn-net and LI-net, Figure 3", 0, "overlays.png"),
    "schlemper-table1": ("Syn-net and LI-net, Table 1", None, ""),
    "schlemper-table2": ("Syn-net and LI-net, Table 2", None, ""),
    "schlemper-figure4": ("Syn-net and LI-net, Figure 4", None, "codes-*.png"),
    "disk-table1": ("DiSK, Table 1", None, ""),
    "disk-figure2": ("DiSK, Figure 2", 0, "overlays.png"),
}
ABOUT = """\
One seed, no GPU: two cores of an AMD EPYC that several trainings and other work shared, one thread for
each, so that minutes of training are upper bounds. The whole of each, with training curves and pictures, lies
in [benchmarks/results/](../benchmarks/results/reduced); `python docs/figures/results.py FOLDER ...` put it
there.
"""


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
    """Write a picture no wider than WIDTH, in COLOURS colours."""
    picture = Image.open(source).convert("RGB")
    if picture.width > WIDTH:
        picture = picture.resize((WIDTH, round(picture.height * WIDTH / picture.width)), Image.LANCZOS)
    # an octree keeps thin lines apart that a median cut gives one colour
    few = picture.quantize(COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.save(target, optimize=True)


def write_page() -> None:
    """Replace the results of the page, which are its end, by those that are kept."""
    before = PAGE.read_text(encoding="utf-8").split(HEADING)[0]
    kept = [name for name in SECTIONS if (KEPT / "reduced" / name / record.NAME).exists()]
    parts = [HEADING, ABOUT, *(part for name in kept for part in section(name))]
    PAGE.write_text(before + "\n\n".join(part.strip("\n") for part in parts) + "\n", encoding="utf-8")


def section(name: str) -> Iterator[str]:
    """Yield the paragraphs on one benchmark."""
    heading, n_tables, shown = SECTIONS[name]
    folder = KEPT / "reduced" / name
    found = record.read(folder / record.NAME)
    link = f"../benchmarks/results/reduced/{name}"
    yield f"### {heading}"
    yield f"`{found['command']}` ([all of it]({link}/results.md))"
    for table in text.result_tables(found)[:n_tables]:
        yield table.markdown()
    for picture in sorted(folder.glob(shown)) if shown else ():
        yield f"![{heading}, reduced scale]({link}/{picture.name})"
    if claims := text.claims_table(found):
        yield claims.markdown()
    remarks = folder / "remarks.md"
    if remarks.exists():
        yield remarks.read_text(encoding="utf-8")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(keep(Path(argument)))
    write_page()
