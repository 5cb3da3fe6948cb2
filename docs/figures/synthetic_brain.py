"""Draw docs/images/synthetic_brain.png: two synthetic heads, label maps and their T2-weighted spin echo.

python docs/figures/synthetic_brain.py docs/images/synthetic_brain.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).parents[2]))
from phantoms.phantom import Phantom
from phantoms.synthetic import SyntheticBrain

TE, TR = 80e-3, 3.0  # [s]
AXIAL = (-45, -30, -10, 8, 25, 50)  # z [mm]
CORONAL, SAGITTAL = -8, 6  # y, x [mm]
COLOURS = ("black", "#3b6fd4", "#8f8f8f", "#f4f4f4", "#ffd34d", "#a83232", "#dd9a80", "#d9d2b0", "#ff2020",
           "#ffee99", "#7a3fb0", "#7ec850")  # fmt: skip


def spin_echo(phantom: Phantom) -> np.ndarray:
    """Signal (z, y, x) of the closed form PD (1 - exp(-TR / T1)) exp(-TE / T2), slightly blurred."""
    signal = np.array(
        [
            t.pd * (1 - np.exp(-TR / t.t1)) * np.exp(-TE / t.t2) if t.pd else 0.0
            for t in phantom.tissues.tissues
        ]
    )
    return ndimage.gaussian_filter(signal[phantom.labels].astype(np.float32), 0.45)


def views(volume: np.ndarray) -> list[np.ndarray]:
    """Axial planes seen from below, one coronal and one sagittal plane; the grid is 1 mm."""
    axial = [volume[z + 72, ::-1, ::-1] for z in AXIAL]
    return [*axial, volume[::-1, CORONAL + 126, ::-1], volume[::-1, :, SAGITTAL + 90][:, ::-1]]


def main() -> None:
    """Write the picture to the path given."""
    titles = [
        *(f"axial z = {z} mm" for z in AXIAL),
        f"coronal y = {CORONAL} mm",
        f"sagittal x = {SAGITTAL} mm",
    ]
    widths = [181] * (len(AXIAL) + 1) + [217]
    figure, axes = plt.subplots(4, len(titles), figsize=(14.2, 8.3), width_ratios=widths)
    for subject in range(2):
        phantom = SyntheticBrain(seed=0).load(subject + 1)
        for title, plane, axis in zip(titles, views(phantom.labels), axes[2 * subject], strict=True):
            axis.imshow(plane, cmap=ListedColormap(COLOURS), vmin=0, vmax=11, interpolation="nearest")
            if subject == 0:
                axis.set_title(title, fontsize=8)
        for plane, axis in zip(views(spin_echo(phantom)), axes[2 * subject + 1], strict=True):
            axis.imshow(plane, cmap="gray", vmin=0, vmax=0.6)
    for axis in axes.ravel():
        axis.axis("off")
    names = [t.name for t in phantom.tissues.tissues]
    handles = [plt.Rectangle((0, 0), 1, 1, color=c) for c in COLOURS[1:]]
    figure.legend(handles, names[1:], loc="lower center", ncols=11, fontsize=8, frameon=False)
    figure.subplots_adjust(0.003, 0.035, 0.997, 0.975, 0.02, 0.02)
    figure.savefig(sys.argv[1], dpi=76, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
