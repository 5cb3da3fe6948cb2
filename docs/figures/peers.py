"""Draw docs/images/peers-mrzero.png: one brain slice by mrsim and by MRzero, and ten times the difference.

python docs/figures/peers.py docs/images/peers-mrzero.png [brainweb | synthetic]

Prints a row of the table of docs/peers.md for each scan. Needs the extra `peers`; takes some minutes, nearly
all of them in MRzero.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
from mrsim.bloch.engine import acquire
from mrsim.bloch.spoiling import SpoilingWarning
from mrsim.events import Events
from mrsim.slices.plane import centred_plane, upright
from phantoms import phantom_source
from phantoms.phantom import Phantom, Spins
from tests.mrsim.peers import mrzero
from tests.mrsim.peers.objects import slice_spins
from tests.mrsim.peers.scans import image, nrmse, scan, without_t2prime

STEP, HEIGHT = 2e-3, 9e-3  # [m] from voxel to voxel; of the slice
GEOMETRY = {"fov": (0.180, 0.216), "matrix": (90, 108), "thickness": 5e-3}
LAYERS = 65  # mrsim's spins across a voxel that MRzero takes as a box
MAGNIFIED = 10

Told = mrzero.mr0.Sequence
Runs = tuple[Callable[[], np.ndarray], Callable[[], np.ndarray]]


def timed(run: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    """Run it; result and processor time [s]."""
    begin = time.process_time()
    return run(), time.process_time() - begin


def both(name: str, phantom: Phantom) -> tuple[np.ndarray, np.ndarray, str]:
    """Images by mrsim and by MRzero, and what was measured."""
    sequence = scan(name, **GEOMETRY)
    events = sequence.events()
    plane = centred_plane(phantom, "axial", HEIGHT, **GEOMETRY)
    voxels = slice_spins(phantom, plane, step=STEP)
    told = mrzero.mrzero_sequence(events)
    if name == "bSSFP":
        ours, theirs = by_bloch(voxels, events, told)
    else:
        ours, theirs = by_graphs(voxels, slice_spins(phantom, plane, step=STEP, layers=LAYERS), events, told)
    (found, cpu), (other, their_cpu) = timed(ours), timed(theirs)
    images = image(found, sequence), image(other, sequence)
    largest = np.abs(images[0] - images[1]).max() / np.abs(images[0]).max()
    row = f"| {name} | {nrmse(images[1], images[0]):.2e} | {largest:.2e} | {cpu:.2g} s | {their_cpu:.2g} s |"
    return *images, row


def by_bloch(voxels: Spins, events: Events, told: Told) -> Runs:
    """Take the same isochromats in both; bSSFP never dephases across a voxel."""
    spins = without_t2prime(voxels)
    data = mrzero.mrzero_object(spins, events, dephase=False)
    return lambda: acquire(spins, events, engine="isochromat", n_sub=1), lambda: mrzero.bloch(told, data)


def by_graphs(voxels: Spins, spins: Spins, events: Events, told: Told) -> Runs:
    """Take graphs of voxels in MRzero, and isochromats within the same voxels in mrsim."""
    data = mrzero.mrzero_object(voxels, events, height=GEOMETRY["thickness"])
    ours = lambda: acquire(spins, events, engine="isochromat", n_sub=1)  # noqa: E731
    return ours, lambda: mrzero.pdg(told, data, weakest=1e-5)


def main() -> None:
    """Write the picture to the path given."""
    warnings.simplefilter("ignore", SpoilingWarning)  # part of the difference that is shown
    source = phantom_source(sys.argv[2] if len(sys.argv) > 2 else "brainweb")
    phantom = source.load(source.subjects()[0])
    names = ("SE", "GRE", "bSSFP")
    figure, axes = plt.subplots(3, 3, figsize=(6.6, 8.2))
    for row, name in zip(axes, names, strict=True):
        ours, theirs, table = both(name, phantom)
        print(table, flush=True)
        top = np.quantile(np.abs(ours), 0.995)
        shown = np.abs(ours), np.abs(theirs), MAGNIFIED * np.abs(theirs - ours)
        titles = ("mrsim", "MRzero", f"difference x {MAGNIFIED}")
        for axis, picture, title in zip(row, shown, titles, strict=True):
            axis.imshow(upright(picture, "axial"), cmap="gray", vmin=0, vmax=top, interpolation="nearest")
            axis.set_title(f"{name}, {title}", fontsize=9)
            axis.axis("off")
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.97, 0.02, 0.09)
    figure.savefig(sys.argv[1], dpi=80, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
