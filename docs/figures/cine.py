"""Draw the picture of docs/cine.md: both modes of a cine, their difference, and a line through the heart.

python docs/figures/cine.py FILE [--subject 3]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))
from mrsim.datasets.generate import generate
from mrsim.recipes import load_recipe

BRIGHT, FACTOR = 0.2, 5


def main() -> None:
    """Make both cines and draw them."""
    parser = argparse.ArgumentParser(description="Draw the modes of a cine.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--subject", type=int, default=3)
    args = parser.parse_args()
    ideal, gated = (cine(args.subject, mode) for mode in ("ideal", "gated"))
    systole = int((ideal.labels == 1).sum(axis=(1, 2)).argmin())
    line = int(np.argwhere(ideal.labels[0] == 1).mean(axis=0)[1])
    figure, axes = plt.subplots(3, 3, figsize=(7.5, 7.2), width_ratios=(1, 1, 1.6), layout="constrained")
    pictures = {
        "ideal": ideal.image,
        "gated": gated.image,
        f"difference x {FACTOR}": gated.image - ideal.image,
    }
    for row, (name, image) in zip(axes, pictures.items(), strict=True):
        bright = BRIGHT / FACTOR if name.startswith("difference") else BRIGHT
        shown = (np.abs(image[0]).T, np.abs(image[systole]).T, np.abs(image[:, :, line]).T)
        for axis, picture in zip(row, shown, strict=True):
            axis.imshow(picture, cmap="gray", vmin=0, vmax=bright, origin="lower", aspect="auto")
            axis.set(xticks=[], yticks=[])
        row[0].set_ylabel(name)
    for axis, title in zip(axes[0], ("end-diastole", "end-systole", "a line over the beat"), strict=True):
        axis.set_title(title, fontsize=10)
    save(figure, args.file)


def cine(subject: int, mode: str):  # noqa: ANN201 - Case
    """Make the cine of one subject."""
    with tempfile.TemporaryDirectory() as folder:
        store = generate(
            load_recipe("cardiac-cine-80", subjects=(subject,), mode=mode), Path(folder) / "a.zarr"
        )
        return store.cases([0])[0]


def save(figure: plt.Figure, path: Path) -> None:
    """Write a small PNG of 128 greys."""
    figure.savefig(path, dpi=100)
    Image.open(path).convert("P", palette=Image.Palette.ADAPTIVE, colors=128).save(path, optimize=True)


if __name__ == "__main__":
    main()
