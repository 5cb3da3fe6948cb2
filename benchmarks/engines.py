"""The fast engine against brute force: one axial brain slice, k-space NRMSE and speed.

python benchmarks/engines.py [brainweb | synthetic] [--coils N]

BrainWeb subject 4, z = +9 mm (or the first synthetic brain), spins at 0.5 mm, 180 x 216 at 1 mm, shaped
slice profile, susceptibility B0, T2 and T2' during the readout. Best of several runs, kernels compiled and RF
operators warm.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from numba import get_num_threads
from numpy.typing import NDArray

from mrsim.bloch.engine import simulate
from mrsim.fields import susceptibility_b0
from mrsim.sequences.spin_echo import SpinEcho
from mrsim.slices.plane import centred_plane
from mrsim.slices.slab import slab_spins
from phantoms import phantom_source
from phantoms.phantom import Spins

HEIGHT = 9e-3  # [m]
REPEATS = 5


def slice_spins(name: str) -> Spins:
    source = phantom_source(name)
    phantom = source.load(source.subjects()[0])
    sequence = SpinEcho()
    plane = centred_plane(
        phantom, "axial", HEIGHT, fov=sequence.fov, matrix=sequence.matrix, thickness=sequence.thickness
    )
    return slab_spins(phantom, plane, b0=susceptibility_b0(phantom))


def timed(run: Callable[[], NDArray[np.complex64]], repeats: int) -> tuple[float, NDArray[np.complex64]]:
    """Shortest wall time [s], and the result."""
    best, result = np.inf, run()
    for _ in range(repeats):
        begin = time.perf_counter()
        result = run()
        best = min(best, time.perf_counter() - begin)
    return best, result


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("phantom", nargs="?", default="brainweb")
    parser.add_argument("--coils", type=int, default=0)
    options = parser.parse_args()
    spins, sequence = slice_spins(options.phantom), SpinEcho()
    n, (ny, nx) = spins.tissue.size, sequence.matrix
    rng = np.random.default_rng(0)
    coils = (
        (rng.standard_normal((options.coils, n, 2)) @ (1, 1j)).astype(np.complex64) if options.coils else None
    )
    print(
        f"{options.phantom}: {n} spins, {np.unique(spins.position[2]).size} layers, off-resonance "
        f"{spins.freq.min():.0f} to {spins.freq.max():.0f} Hz, {ny} x {nx}, {get_num_threads()} threads"
    )
    fast, kspace = timed(lambda: simulate(spins, sequence, coils=coils), REPEATS)
    slow, exact = timed(lambda: simulate(spins, sequence, coils=coils, engine="isochromat"), 1)
    error = np.linalg.norm(kspace - exact) / np.linalg.norm(exact)
    print(f"cartesian   {fast * 1e3:9.1f} ms")
    print(f"isochromat  {slow * 1e3:9.1f} ms   (4 sub-spins each, {4 * n * ny * nx / slow:.3g} spin-steps/s)")
    print(f"ratio {slow / fast:.0f}, NRMSE {error:.2e} (required 1e-3, aimed 1e-5)")


if __name__ == "__main__":
    main()
