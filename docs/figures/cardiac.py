"""Draw the pictures of docs/cardiac.md: steady-state bSSFP of the cardiac phantom, labels, volumes.

python docs/figures/cardiac.py sheet|hearts|labels|beat FILE [--seed 0] [--subject 0] [--pathology NAME]
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

sys.path.insert(0, str(Path(__file__).parents[2]))
from phantoms.cardiac import Cardiac
from phantoms.cardiac.heart import THICKNESS, Heart, pixel_oracle
from phantoms.tissues import tissue_table

TR, TE, FLIP = 3.2e-3, 1.6e-3, np.radians(60)
PIXEL, CUTS, LAYERS = 1.8e-3, 2, 4  # [m]; spins of a pixel along each side, and across the slice
FULL, CROP = (208, 187), (96, 96)  # pixels y, x
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


def sheet(heart: Heart, path: str, shape: tuple[int, int]) -> None:
    """Slices from base to apex (rows) over the cycle (columns)."""
    positions = heart.slice_positions()
    es = heart.end_systole
    phases = np.array([0, es / 2, es, es + 0.35 * (1 - es), 0.97])
    fig, axes = plt.subplots(
        positions.size, phases.size, figsize=(1.9 * phases.size, 1.9 * positions.size * shape[0] / shape[1])
    )
    for row, position in zip(axes, positions, strict=True):
        for ax, picture, phase in zip(row, image(spins(heart, phases, position, shape)), phases, strict=True):
            show(ax, picture, f"{phase * heart.case.rr * 1e3:.0f} ms" if row is axes[0] else "")
    save(fig, path)


def hearts(source: Cardiac, path: str) -> None:
    """Mid-ventricular slices of several subjects at end-diastole and end-systole."""
    fig, axes = plt.subplots(4, 6, figsize=(10, 7.4))
    for k in range(12):
        heart = source.heart(k)
        position = heart.slice_positions()[heart.mid_slice]
        pictures = image(spins(heart, np.array([0, heart.end_systole]), position, FULL))
        c = heart.case
        title = f"{k}: {c.sex[0]} {c.pathology} EDV {c.edv * 1e6:.0f} EF {c.ef:.2f}"
        show(axes[2 * (k // 6), k % 6], pictures[0], title)
        show(axes[2 * (k // 6) + 1, k % 6], pictures[1])
    save(fig, path)


def save(fig: plt.Figure, path: str) -> None:
    """Write without margins."""
    fig.subplots_adjust(0.01, 0.01, 0.99, 0.97, 0.03, 0.08)
    fig.savefig(path, dpi=90)


def main() -> None:
    """Write the picture asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("sheet", "full", "hearts"))
    parser.add_argument("file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--subject", type=int, default=0)
    parser.add_argument("--pathology", default="")
    a = parser.parse_args()
    source = Cardiac(seed=a.seed, pathology=a.pathology)
    if a.what == "hearts":
        hearts(source, a.file)
    else:
        sheet(source.heart(a.subject), a.file, CROP if a.what == "sheet" else FULL)


if __name__ == "__main__":
    main()
