"""Draw docs/images/test_objects.png: the vials, and their spin echo from k-space in closed form.

python docs/figures/test_objects.py docs/images/test_objects.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
from phantoms.objects.parts import transform
from phantoms.objects.vials import LENGTH, Vials
from phantoms.tissues import TissueTable

TE, TR = 80e-3, 3.0  # [s]
FOV, N = 0.2, 200  # [m], pixels
COLOURS = ("black", "#4f7fc4", "#ffd34d", *plt.cm.YlGn(np.linspace(0.95, 0.2, 7)), "#d04040")


def signal(table: TissueTable) -> np.ndarray:
    """Spin echo of each tissue: PD (1 - 2 exp(-(TR - TE/2) / T1) + exp(-TR / T1)) exp(-TE / T2)."""
    return np.array(
        [
            t.pd * (1 - 2 * np.exp(-(TR - TE / 2) / t.t1) + np.exp(-TR / t.t1)) * np.exp(-TE / t.t2)
            if t.pd
            else 0.0
            for t in table.tissues
        ]
    )


def closed_form_image(source: Vials, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Image and k-space (y, x) of N x N samples, averaged over the length."""
    k = (np.arange(N) - N // 2) / FOV
    grid = np.stack([*np.meshgrid(k, k), np.zeros((N, N))])  # (3, y, x)
    kspace = transform(source.parts(), values, grid) / LENGTH / (FOV / N) ** 2
    return np.abs(np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace)))), kspace


def main() -> None:
    """Write the picture to the path given."""
    source = Vials(spacing=0.5e-3)
    phantom = source.load(1)
    image, kspace = closed_form_image(source, signal(phantom.tissues))
    figure, axes = plt.subplots(1, 3, figsize=(12, 4.1))
    half = 1e3 * phantom.labels.shape[1] * source.spacing / 2
    show = {"origin": "lower", "interpolation": "nearest"}
    axes[0].imshow(
        phantom.labels[100],
        cmap=mpl.colors.ListedColormap(COLOURS),
        vmin=0,
        vmax=10,
        extent=[-half, half, -half, half],
        **show,
    )
    axes[0].set(title="tissues, 0.5 mm", xlabel="x, to the right [mm]", ylabel="y, to the front [mm]")
    names = [t.name for t in phantom.tissues.tissues[1:]]
    handles = [plt.Rectangle((0, 0), 1, 1, color=c) for c in COLOURS[1:]]
    figure.legend(handles, names, loc="lower center", ncols=10, fontsize=8, frameon=False)
    axes[1].imshow(image, cmap="gray", vmin=0, vmax=0.85, extent=[-100, 100, -100, 100], **show)
    axes[1].set_title(f"closed-form spin echo, TE {TE * 1e3:.0f}, TR {TR * 1e3:.0f} ms")
    axes[2].imshow(np.log10(np.abs(kspace) + 1e-3), cmap="magma", extent=[-500, 500, -500, 500], **show)
    axes[2].set(title="its k-space, log magnitude", xlabel="k_x [1/m]", ylabel="k_y [1/m]")
    figure.subplots_adjust(0.05, 0.2, 0.99, 0.93, 0.22)
    figure.savefig(sys.argv[1], dpi=76, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
