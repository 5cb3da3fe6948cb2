"""Processor time of a mid-ventricular cine of 80 x 80 x 50 in both modes, and by brute force.

    python benchmarks/cine.py                    # 50 ideal cines, 2 gated, 3 repetitions by brute force
    python benchmarks/cine.py --cines 8 --gated 1 --brute 1

Whole runs of `mrsim generate --recipe cardiac-cine-80`, stores included, kernels compiled before. The time of
1000 cines is that of those that were made, times their number; the time of brute force is that of a few of
its repetitions times their number. Both say so.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from mrsim.cine import reference
from mrsim.cine.gating import Timeline, segments
from mrsim.cine.scene import Scene, full_plane
from mrsim.cine.simulation import prepare
from mrsim.datasets.generate import draw_all, generate
from mrsim.recipes import Recipe, load_recipe
from mrsim.recipes.sources import source_of
from mrsim.store import Store

CORES = 2
WANTED = 15.0  # [min] for 1000 cines


def main() -> None:
    parser = argparse.ArgumentParser(description="Processor time of a cine.")
    parser.add_argument("--cines", type=int, default=50)
    parser.add_argument("--gated", type=int, default=2)
    parser.add_argument("--brute", type=int, default=3, help="repetitions to play")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder) / "warm.zarr", 1, "ideal")
        ideal, seconds, wall = run(Path(folder) / "ideal.zarr", args.cines, "ideal")
        minutes = 1000 * seconds / CORES / 60
        print(f"ideal       {seconds:8.2f} s per cine, processor, of {args.cines}; {wall:.2f} s wall")
        print(f"            {minutes:8.1f} min for 1000 on {CORES} cores, extrapolated (wanted: {WANTED:g})")
        gated, slow, _ = run(Path(folder) / "gated.zarr", args.gated, "gated")
        k, reference_k = gated.kspace(range(args.gated)), ideal.kspace(range(args.gated))
        apart = np.linalg.norm(k - reference_k) / np.linalg.norm(k)
        print(f"gated       {slow:8.2f} s per cine, processor, of {args.gated}; {slow / seconds:.0f} x ideal")
        print(f"            {apart:8.3f} root mean square of gated less ideal over that of gated")
    hours = brute_force(args.brute) / 3600
    print(
        f"brute force {hours:8.1f} h per cine, extrapolated from {args.brute} repetitions, one layer of spins"
    )
    print(f"            {3600 * hours / seconds:8.0f} times ideal, {3600 * hours / slow:.0f} times gated")


def recipe_of(n: int, mode: str) -> Recipe:
    """Take the shipped recipe for the first `n` subjects."""
    return load_recipe("cardiac-cine-80", subjects=tuple(range(n)), mode=mode)


def run(path: Path, n: int, mode: str) -> tuple[Store, float, float]:
    """Make a store: it, processor and wall time of each cine [s]."""
    begin, wall = time.process_time(), time.perf_counter()
    store = generate(recipe_of(n, mode), path)
    return store, (time.process_time() - begin) / n, (time.perf_counter() - wall) / n


def brute_force(n: int) -> float:
    """Processor time [s] of the whole scan of one slice, from `n` of its repetitions."""
    recipe = recipe_of(1, "gated")
    source = source_of(recipe)
    draw = draw_all(recipe, source)[0]
    subject, sequence = prepare(recipe, source, draw), recipe.sequence
    plane = full_plane(draw.positions[0], sequence.fov, sequence.matrix, sequence.thickness)
    scene = Scene(heart=subject.heart, plane=plane, cuts=(1, 2, 2), phases=np.zeros(1))
    field = scene.field(subject.b0, scene.whole)
    times = []
    for count in (1, 1 + n):  # the difference leaves out what is done once
        timeline = Timeline(
            line=np.arange(count), share=np.linspace(0, 0.1, count), phase=np.linspace(0, 0.1, count)
        )
        begin = time.process_time()
        reference.acquire(scene, reference.settled(field, draw.table, sequence, 0), timeline)
        times.append(time.process_time() - begin)
    assert recipe.cine is not None
    beats = segments(sequence.matrix[0], recipe.cine.segment)
    repetitions = beats * subject.heart.case.rr / sequence.tr
    return (times[1] - times[0]) / n * repetitions


if __name__ == "__main__":
    main()
