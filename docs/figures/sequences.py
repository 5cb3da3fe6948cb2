"""Draw docs/images/sequence-*.png with the commands that stand in docs/sequences.md.

python docs/figures/sequences.py docs/images [gre epi ...]

Every figure is the diagram, the brain and the sphere that the three commands under its heading write
(MRSIM_BRAINWEB_DIR must hold BrainWeb subject 04). The time of each command is printed.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import sys
import tempfile
import time
from pathlib import Path

from click.testing import CliRunner
from PIL import Image

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
from cli.mrsim import main as mrsim  # noqa: E402

WIDTH, PICTURE = 1200, 500  # [pixels] of the figure, and height of the images in it
INKS, GREYS = 64, 80  # colours of the diagram and of the images, so that the file stays small


def commands(page: str) -> dict[str, list[str]]:
    """Find the commands of each sequence: heading -> lines that begin with mrsim."""
    found = {}
    for section in page.split("\n## ")[1:]:
        name = section.splitlines()[0].strip()
        if lines := re.findall(r"^(mrsim .*?)$", section.replace("\\\n", " "), re.MULTILINE):
            found[name] = lines
    return found


def pictures(lines: list[str]) -> list[Image.Image]:
    """Run the commands in an empty folder and open what they write."""
    found = []
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for line in lines:
            begin = time.monotonic()
            arguments = shlex.split(line)[1:]
            result = CliRunner().invoke(mrsim, arguments, catch_exceptions=False)
            if result.exit_code:
                raise SystemExit(f"{line}\n{result.output}")
            out = arguments[arguments.index("--out") + 1]
            print(f"  {time.monotonic() - begin:5.1f} s  {line}", flush=True)
            found.append(Image.open(out).convert("RGB"))
            found[-1].load()
    return found


def composed(diagram: Image.Image, *scans: Image.Image) -> Image.Image:
    """Put the diagram above the images."""
    diagram = diagram.resize((WIDTH, WIDTH * diagram.height // diagram.width), Image.Resampling.LANCZOS)
    whole = Image.new("RGB", (WIDTH, diagram.height + PICTURE), "white")
    whole.paste(diagram, (0, 0))
    for i, scan in enumerate(scans):
        small = scan.resize((scan.width * PICTURE // scan.height, PICTURE), Image.Resampling.LANCZOS)
        middle = WIDTH * (2 * i + 1) // (2 * len(scans))
        whole.paste(small, (middle - small.width // 2, diagram.height))
    return whole.quantize(palette=palette(diagram), dither=Image.Dither.NONE)


def palette(diagram: Image.Image) -> Image.Image:
    """Carry the colours of the diagram and a scale of greys, as `Image.quantize` wants them."""
    inks = (diagram.quantize(INKS, method=Image.Quantize.MAXCOVERAGE).getpalette() or [])[: 3 * INKS]
    greys = [round(255 * i / (GREYS - 1)) for i in range(GREYS) for _ in range(3)]
    carrier = Image.new("P", (1, 1))
    carrier.putpalette(inks + greys)
    return carrier


def main() -> None:
    """Draw all figures, or those that are named."""
    folder = Path(sys.argv[1]).resolve()
    page = commands((ROOT / "docs/sequences.md").read_text(encoding="utf-8"))
    for name in sys.argv[2:] or page:
        print(name)
        composed(*pictures(page[name])).save(folder / f"sequence-{name}.png", optimize=True)


if __name__ == "__main__":
    main()
