"""Draw the pictures of docs/cardiac.md: steady-state bSSFP of the cardiac phantom, labels, volumes.

python docs/figures/cardiac.py sheet|hearts|labels FILE [--seed 0] [--subject 0] [--pathology NAME]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))
from phantoms.cardiac import Cardiac
from phantoms.cardiac.heart import THICKNESS, Heart, pixel_oracle
from phantoms.tissues import tissue_table

TR, TE, FLIP = 3.2e-3, 1.6e-3, np.radians(60)
PIXEL, CUTS, LAYERS = 1.8e-3, 2, 4  # [m]; spins of a pixel along each side, and across the slice
FULL, CROP = (208, 187), (96, 96)  # pixels y, x
COLOURS = ListedColormap(
    "black #ff5555 #2e8b57 #b22222 #5577ff #3344aa #7fbf7f #ff9999 #88aaff #ffe08a #a0522d #e0b090 #333a44 "
    "#8b4513 #7a3fb0 #b09060 #f5f5f5 #c0c0c0 #90d0d0 #00c0ff #ffff66 #ff00ff #ffb0d0".split()
)
OUTLINES = ListedColormap(["#00000000", "#ff4040b0", "#30c060b0", "#4090ffb0"])


def bssfp() -> np.ndarray:
    """Complex steady-state signal of each tissue at the echo, with its chemical shift (docs/physics.md)."""
    signal = []
    for t in tissue_table("cardiac-1.5T").tissues:
        if t.pd == 0:
            signal.append(0)
            continue
        freq = t.chemical_shift * 42.577478518e6 * 1.5
        e1, e2, theta = np.exp(-TR / t.t1), np.exp(-TR / t.t2), 2 * np.pi * freq * TR + np.pi
        ca, sa = np.cos(FLIP), np.sin(FLIP)
        d = (1 - e1 * ca) * (1 - e2 * np.cos(theta)) - e2 * (e1 - ca) * (e2 - np.cos(theta))
        m = t.pd * (1 - e1) * sa * ((1 - e2 * np.cos(theta)) + 1j * e2 * np.sin(theta)) / d
        signal.append(m * np.exp(-TE * (1 / t.t2 + 1 / t.t2prime) + 2j * np.pi * freq * TE))
    return np.array(signal)


def spins(heart: Heart, phases: np.ndarray, position: float, shape: tuple[int, int]) -> np.ndarray:
    """Labels (frame, z, y, x) of the spins of a slice."""
    y, x = (((np.arange(n * CUTS) + 0.5) / CUTS - n / 2) * PIXEL for n in shape)
    z = position + ((np.arange(LAYERS) + 0.5) / LAYERS - 0.5) * THICKNESS
    return heart.labels(phases, x, y, z)


def image(labels: np.ndarray) -> np.ndarray:
    """Magnitude (frame, y, x) of the mean over the spins of each pixel, as a reader sees it."""
    s = bssfp()[labels].mean(axis=1)
    f, ny, nx = s.shape
    s = s.reshape(f, ny // CUTS, CUTS, nx // CUTS, CUTS).mean(axis=(2, 4))
    return np.abs(s)[:, ::-1, ::-1]


def oracle(labels: np.ndarray) -> np.ndarray:
    """Oracle classes (frame, y, x) as a reader sees them."""
    return pixel_oracle(labels, (LAYERS, CUTS, CUTS))[:, 0, ::-1, ::-1]


def show(ax: plt.Axes, picture: np.ndarray, title: str = "") -> None:
    """One picture in grey."""
    ax.imshow(picture, cmap="gray", vmin=0, vmax=0.21)
    ax.set_title(title, fontsize=7, pad=2)
    ax.axis("off")


def sheet(heart: Heart, path: str) -> None:
    """Slices from base to apex (columns) over the cycle (rows)."""
    positions, es = heart.slice_positions(), heart.end_systole
    phases = np.array([0, es / 2, es, es + 0.3 * (1 - es), 0.97])
    fig, axes = plt.subplots(phases.size, positions.size, figsize=(1.05 * positions.size, 1.13 * phases.size))
    for n, position in enumerate(positions):
        for m, picture in enumerate(image(spins(heart, phases, position, CROP))):
            title = f"{phases[m] * heart.case.rr * 1e3:.0f} ms" if n == 0 else ""
            show(axes[m, n], picture, title)
    save(fig, path)


def hearts(source: Cardiac, path: str) -> None:
    """Mid-ventricular slices of several subjects at end-diastole and end-systole."""
    fig, axes = plt.subplots(2, 6, figsize=(10, 3.9))
    for k in range(6):
        heart = source.heart(k)
        position = heart.slice_positions()[heart.mid_slice]
        pictures = image(spins(heart, np.array([0, heart.end_systole]), position, FULL))
        c = heart.case
        show(axes[0, k], pictures[0], f"{k}: {c.sex}, {c.pathology}")
        show(axes[1, k], pictures[1], f"EDV {c.edv * 1e6:.0f} ml, EF {100 * c.ef:.0f} %")
    save(fig, path)


def labels(heart: Heart, path: str) -> None:
    """Tissues and oracle of a slice, and the volumes over the cycle."""
    position = heart.slice_positions()[heart.mid_slice]
    tissue = spins(heart, np.array([0, heart.end_systole]), position, FULL)
    fig, axes = plt.subplots(1, 4, figsize=(11, 3.1), width_ratios=(1, 1, 1, 1.25))
    axes[0].imshow(tissue[0, LAYERS // 2, ::-1, ::-1], cmap=COLOURS, vmin=0, vmax=22, interpolation="nearest")
    axes[0].set_title("tissues of the spins", fontsize=7, pad=2)
    axes[0].axis("off")
    for ax, picture, classes, name in zip(
        axes[1:], image(tissue), oracle(tissue), ("diastole", "systole"), strict=False
    ):
        show(ax, picture, f"oracle, end-{name}")
        ax.imshow(classes, cmap=OUTLINES, vmin=0, vmax=3, interpolation="nearest")
    phase = np.linspace(0, 1, 400)
    for name, colour in (("LV", "#ff4040"), ("RV", "#4090ff"), ("myocardium", "#30c060")):
        axes[3].plot(phase * heart.case.rr * 1e3, heart.volumes(phase)[name] * 1e6, colour, label=name)
    axes[3].legend(fontsize=6, frameon=False, loc="center right")
    axes[3].set_title("volume [ml] over the time after the R wave [ms]", fontsize=7, pad=2)
    axes[3].tick_params(labelsize=6, direction="in", pad=-12)
    save(fig, path, colours=200)


def save(fig: plt.Figure, path: str, colours: int = 32) -> None:
    """Write with narrow margins and a palette, which keeps the file small."""
    fig.subplots_adjust(0.01, 0.01, 0.99, 0.95, 0.03, 0.12)
    fig.canvas.draw()
    picture = Image.fromarray(np.asarray(fig.canvas.buffer_rgba())[..., :3])
    picture.quantize(colours).save(path, optimize=True)


def main() -> None:
    """Write the picture asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("sheet", "hearts", "labels"))
    parser.add_argument("file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--subject", type=int, default=0)
    parser.add_argument("--pathology", default="")
    a = parser.parse_args()
    source = Cardiac(seed=a.seed, pathology=a.pathology)
    if a.what == "hearts":
        hearts(source, a.file)
    else:
        {"sheet": sheet, "labels": labels}[a.what](source.heart(a.subject), a.file)


if __name__ == "__main__":
    main()
