"""The GPU engine: agreement with the CPU, spin-steps per second, and brainweb-se by brute force.

    python -m benchmarks.gpu --phantom-dir BRAINWEB       # from the root of the repository
    python -m benchmarks.gpu --resume gpu.json --out .    # goes on where a call that ran out of time stopped
    NUMBA_ENABLE_CUDASIM=1 python -m benchmarks.gpu --smoke --out /tmp

Prints tables and writes gpu.json to --out ($OUT, or here) after every figure. Of the set, a call computes the
subjects whose volumes are there and which --resume does not hold, until --limit seconds are over: spins,
off-resonance and k-space of every slice, not labels or files. Needs NumPy, SciPy and Numba with CUDA alone.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numba import cuda

from mrsim.bloch.cuda.device import description, require_gpu
from mrsim.bloch.cuda.engine import Player, isochromat, load
from mrsim.bloch.cuda.walk import operators
from mrsim.bloch.engine import acquire, simulate
from mrsim.bloch.weights import SUB_POSITIONS
from mrsim.events import Events
from mrsim.fields import FieldMap, susceptibility_b0
from mrsim.recipes import Recipe, load_recipe
from mrsim.recipes.sources import source_of
from mrsim.sequences import SEQUENCES, sequence_class
from mrsim.slices.plane import centred_plane
from mrsim.slices.slab import slab_spins
from phantoms import phantom_source
from phantoms.phantom import Phantom, PhantomError, PhantomSource, Spins

TOLERANCE = 1e-5  # error relative to the largest sample
NODES = 1 << 18  # spins of a batch: what the rates are measured with
CHEAP = {  # what keeps a sequence short; the rest is as it comes
    "turbo-spin-echo": {"echo_train": 4, "effective_echo": 2},
    "radial": {"spokes": 12},
}

Result = dict[str, Any]


def random_spins(n: int, seed: int = 0) -> Spins:
    """Spins of three tissues in a head, with off-resonance, T2' and a transmit field that is not uniform."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-0.08, 0.08, (2, n))
    b1 = (1 + 0.1 * rng.standard_normal(n)) * np.exp(0.1j * rng.standard_normal(n))
    return Spins(
        position=np.stack([x, np.sort(y), rng.uniform(-1e-3, 1e-3, n)]),
        tissue=rng.integers(0, 3, n).astype(np.uint8),
        freq=(40 * rng.standard_normal(n)).astype(np.float32),
        cell=(5e-4, 5e-4, 5e-4),
        pd=np.array([1.0, 0.86, 0.77]),
        t1=np.array([2.569, 0.833, 0.5]),
        t2=np.array([0.329, 0.083, 0.07]),
        t2prime=np.array([0.07, 0.4, 0.47]),
        b1=b1.astype(np.complex64),
    )


def random_coils(n: int, coils: int) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(1)
    return (rng.standard_normal((coils, n)) + 1j * rng.standard_normal((coils, n))).astype(np.complex64)


def agreement(smoke: bool) -> list[Result]:
    """Largest difference between GPU and CPU, relative to the largest sample, for every sequence."""
    n, matrix, names = (3, (2, 8), ["spin-echo"]) if smoke else (3000, (32, 32), [*SEQUENCES])
    spins, coils, rows = random_spins(n), random_coils(n, 2), []
    for name in names:
        cheap = {"rf": "ideal"} if smoke else CHEAP.get(name, {})
        events = sequence_class(name)(fov=(0.2, 0.2), matrix=matrix, **cheap).events()
        scan = partial(acquire, spins, events, coils=coils)
        on_cpu, expected = timed(partial(scan, engine="reference" if smoke else "isochromat"))
        first, _ = timed(partial(scan, device="cuda"))  # with the compilation
        second, found = timed(partial(scan, device="cuda"))
        error = float(np.abs(found - expected).max() / np.abs(expected).max())
        rows.append(
            {"sequence": name, "error": error, "cpu_s": on_cpu, "gpu_first_s": first, "gpu_s": second}
        )
        print(
            f"{name:<20} {error:9.2e} {'ok' if error < TOLERANCE else 'WRONG':<6}"
            f"CPU {on_cpu:6.2f} s   GPU {second:6.3f} s (first {first:.1f} s)"
        )
    return rows


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Wall time [s], and the result."""
    begin = time.perf_counter()
    result = run()
    return time.perf_counter() - begin, result


def rate(work: float, launch: Callable[[], object], smoke: bool) -> float:
    """Units of `work` per second of a launch, median of several that take some 0.1 s each."""
    launch()
    cuda.synchronize()
    seconds, _ = timed(lambda: (launch(), cuda.synchronize()))
    times, repeats = 1 if smoke else max(1, int(0.1 / seconds)), 1 if smoke else 7

    def several() -> None:
        for _ in range(times):
            launch()
        cuda.synchronize()

    return work * times / median(timed(several)[0] for _ in range(repeats))


def loaded(events: Events, nodes: int, coils: int = 1) -> Player:
    """Put a batch of point spins on the GPU, their echoes computed."""
    spins = random_spins(nodes)
    player, cloud = load(spins, events, random_coils(nodes, coils), (1, 1, 1))
    player.take(cloud, 0)
    player.play(events.phase_step / (2 * np.pi) if events.steady_state else float("nan"))
    cuda.synchronize()
    return player


def rates(smoke: bool) -> list[Result]:
    """Units of work per second of each kernel, and of the engine from host array to host array."""
    n, matrix, rf = (4, (2, 16), "ideal") if smoke else (NODES, (180, 216), "shaped")
    rows: list[Result] = []

    def found(what: str, work: float, unit: str, launch: Callable[[], object]) -> None:
        rows.append({"what": what, "rate": rate(work, launch, smoke), "unit": f"{unit}/s"})
        print(f"{what:<46} {rows[-1]['rate']:9.3g} {unit}/s")

    spin_echo = sequence_class("spin-echo")(matrix=matrix, fov=(0.18, 0.216), rf=rf).events()
    spiral = sequence_class("spiral")(matrix=(matrix[0],) * 2, fov=(0.2, 0.2), interleaves=2).events()
    for coils in (8, 1):
        player = loaded(spin_echo, n, coils)
        for group in player.chunks[0].trains[-1:]:
            work = player.count.size * group.line.size * coils * group.count
            launch = partial(player.receive_train, group, player.echoes(player.chunks[0].rows))
            found(f"readout, constant gradient, {coils} coils", work, "spin-steps", launch)
    last = int(player.prog.read[-1]) + 1
    found("events between, spin echo", player.count.size * last, "spin-events", partial(player.walk, 0, last))
    parts = int(np.diff(player.prog.pulse_start) @ player.pulses.pieces.copy_to_host())
    launch = partial(operators[player.grid], player.pulses, player.nodes, player.op)
    found("RF, operators of pulses", player.count.size * parts, "spin-steps", launch)
    player = loaded(spiral, n)
    chunk = player.chunks[0]
    begin, end = chunk.samples[0]
    launch = partial(player.receive_samples, begin, end, chunk.row, player.echoes(chunk.rows))
    found("readout, changing gradient, 1 coil", player.count.size * (end - begin), "spin-steps", launch)
    for name, events in (("spin echo", spin_echo), ("spiral", spiral)):
        spins = random_spins(n if smoke else 4 * NODES)
        launch = partial(isochromat, spins, events, np.ones((1, spins.tissue.size), np.complex64), (1, 1, 1))
        found(f"engine, {name}, host to host", spins.tissue.size * events.n_samples, "spin-steps", launch)
    return rows


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Head:
    """A subject in the scanner; `few` limits the spins of a slice."""

    recipe: Recipe
    phantom: Phantom
    b0: FieldMap | None
    few: int | None

    def spins(self, z: float) -> Spins:
        """Spins of the slice at z [m]."""
        sequence = self.recipe.sequence
        plane = centred_plane(self.phantom, "axial", z, sequence.fov, sequence.matrix, sequence.thickness)
        spins = slab_spins(self.phantom, plane, b0=self.b0)
        if self.few is None:
            return spins
        few = np.flatnonzero(np.abs(spins.position[2]) < sequence.thickness / 2)[: self.few]
        return replace(spins, position=spins.position[:, few], tissue=spins.tissue[few], freq=spins.freq[few])

    def scan(self, z: float) -> int:
        """Scan a slice by brute force; number of its spins."""
        spins = self.spins(z)
        simulate(spins, self.recipe.sequence, device="cuda")
        return int(spins.tissue.size)

    def check(self) -> Result:
        """Scan the middle slice on the GPU alone, and by the factorised engine on the CPU."""
        positions, sequence = self.recipe.slices.positions, self.recipe.sequence
        spins = self.spins(positions[len(positions) // 2])
        exact = simulate(spins, sequence, engine="reference" if self.few else "cartesian")
        seconds, found = timed(lambda: simulate(spins, sequence, device="cuda"))
        return {"nrmse": float(np.linalg.norm(found - exact) / np.linalg.norm(exact)), "slice_s": seconds}


def head(recipe: Recipe, source: PhantomSource, subject: int, few: int | None) -> Head:
    phantom, b0 = source.load(subject), None
    if recipe.scanner.b0 == "susceptibility":
        b0 = susceptibility_b0(phantom, strength=recipe.scanner.b0_strength)
    return Head(recipe=recipe, phantom=phantom, b0=b0, few=few)


def scan_subjects(
    recipe: Recipe, source: PhantomSource, done: dict[str, Result], until: float, few: int | None
) -> Iterator[None]:
    """Scan every slice of the subjects that are not in `done` until time is up; stop after each of them."""
    for subject in recipe.phantom.subjects:
        if str(subject) in done:
            continue
        if time.monotonic() > until:
            print("time is up: the same command with --resume goes on")
            return
        try:
            loading, patient = timed(partial(head, recipe, source, subject, few))
        except PhantomError:
            print(f"subject {subject:>3}: no volume here")
            continue
        row = patient.check()
        with ThreadPoolExecutor() as pool:
            scanning, sizes = timed(lambda p=patient, t=pool: list(t.map(p.scan, recipe.slices.positions)))
        row |= {"load_s": loading, "scan_s": scanning, "slices": len(sizes), "spins": sum(sizes)}
        print(
            f"subject {subject:>3}: loaded in {loading:.1f} s, {len(sizes)} slices in {scanning:.1f} s, "
            f"the middle one alone in {row['slice_s']:.2f} s, NRMSE against the CPU {row['nrmse']:.1e}"
        )
        done[str(subject)] = row
        yield


def machine() -> Result:
    found: Result = {"gpu": description(), "python": platform.python_version(), "cores": os.cpu_count()}
    for name in ("numba", "numba-cuda", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def summary(done: dict[str, Result], recipe: Recipe) -> None:
    """Say what the set took, as far as it is done."""
    rows = list(done.values())
    if not rows:
        return
    load_s, scan_s, slices, spins = (sum(r[k] for r in rows) for k in ("load_s", "scan_s", "slices", "spins"))
    nodes = spins * (1 if recipe.sequence.rf == "ideal" else SUB_POSITIONS)
    steps = nodes * math.prod(recipe.sequence.matrix)
    print(
        f"{recipe.name}: {len(rows)} of {len(recipe.phantom.subjects)} subjects, {slices} slices; "
        f"loading {load_s:.0f} s, scanning {scan_s:.0f} s, {steps / scan_s:.3g} spin-steps/s; worst NRMSE "
        f"{max(r['nrmse'] for r in rows):.1e}"
    )


def main() -> None:
    begin = time.monotonic()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--phantom-dir", help="BrainWeb volumes; without, the set is synthetic-se")
    parser.add_argument("--resume", type=Path, help="gpu.json of a call before")
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", ".")))
    parser.add_argument("--limit", type=float, default=480, help="seconds after which no subject is begun")
    parser.add_argument("--smoke", action="store_true", help="a few spins, for Numba's CUDA simulator")
    options = parser.parse_args()
    require_gpu()
    results: Result = {}
    if options.resume and options.resume.exists():
        results = json.loads(options.resume.read_text())

    def save() -> None:
        (options.out / "gpu.json").write_text(json.dumps(results, indent=1))

    results["machine"] = machine()
    print(", ".join(f"{k} {v}" for k, v in results["machine"].items()))
    for name, measure in (("agreement", agreement), ("rates", rates)):
        if name not in results:
            results[name] = measure(options.smoke)
            save()
    if options.smoke:
        recipe = load_recipe("synthetic-se", matrix=(2, 16), subjects=(1,), slices=1, rf="ideal", b0="off")
        source = phantom_source("sphere")
    else:
        recipe = load_recipe("brainweb-se" if options.phantom_dir else "synthetic-se")
        source = source_of(recipe, options.phantom_dir)
    done = results.setdefault(recipe.name, {})
    for _ in scan_subjects(recipe, source, done, begin + options.limit, 4 if options.smoke else None):
        save()
    summary(done, recipe)
    if max(row["error"] for row in results["agreement"]) >= TOLERANCE:
        raise SystemExit(f"GPU and CPU must agree to {TOLERANCE}")


if __name__ == "__main__":
    main()
