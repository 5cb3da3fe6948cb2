"""mrsim beside MRzero and blochsimulator: the same voxels, the same Pulseq file, one process each.

python benchmarks/peers.py [brainweb | synthetic] [--step 2] [--matrix 90 108] [--threads 1] [--scan SE ...]
    [--tool NAME ...]

One axial brain slice (BrainWeb subject 4, z = +9 mm), one point for each voxel, no T2'. SE and bSSFP, from
equilibrium, written to a file that every tool reads itself. mrsim and blochsimulator play the short pulses of
the file in steps, MRzero at once. Each tool runs in a fresh process on a few voxels first, so that nothing is
compiled on the clock; reading the file is not on the clock either. A spin-step carries one spin from one
receiver sample to the next, whatever else a tool steps through. Needs the extra `peers`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))
from phantoms.phantom import Spins

HEIGHT = 9e-3  # [m]
SHORT = {"rf": "shaped", "thickness": 20e-3, "pulse_duration": 0.1e-3, "tbw": 1.0, "max_b1": 1e-3}
WARM = 16  # voxels
ENOUGH, MOST = 2.0, 5  # [s] of repeated runs, and how many
MB = 1e6
HEAD = "| tool | wall | CPU | spin-steps/s of CPU | memory: before + by the run | NRMSE |"

Run = Callable[[], NDArray[np.complexfloating]]


def mrsim_on(engine: str) -> Callable[[Path, Spins, int], Run]:
    """Prepare one of mrsim's engines."""

    def prepare(file: Path, spins: Spins, threads: int) -> Run:  # noqa: ARG001 - set in the environment
        from mrsim.bloch.engine import acquire
        from mrsim.pulseq.read import read_pulseq

        events = read_pulseq(file).events()
        return lambda: acquire(spins, events, engine=engine, n_sub=1)

    return prepare


def mrsim_steady(file: Path, spins: Spins, threads: int) -> Run:  # noqa: ARG001
    """Prepare the factorised engine, whose scans begin in the steady state instead of in equilibrium."""
    from mrsim.bloch.engine import acquire
    from tests.mrsim.peers.scans import scan

    told = json.loads(file.with_suffix(".json").read_text())
    sequence = scan(file.stem, **{**SHORT, **told, "dummies": 0, "preparation": "steady-state"})
    events = replace(sequence, spoiling="ideal").events() if file.stem == "SE" else sequence.events()
    return lambda: acquire(spins, events, engine="cartesian", n_sub=1)


def mrzero_with(method: str) -> Callable[[Path, Spins, int], Run]:
    """Prepare MRzero's isochromats or its graphs, with its own defaults."""

    def prepare(file: Path, spins: Spins, threads: int) -> Run:
        from mrsim.pulseq.read import read_pulseq
        from tests.mrsim.peers import mrzero

        mrzero.torch.set_num_threads(threads)
        sequence = mrzero.mr0.Sequence.import_file(str(file), exact_trajectories=False)
        data = mrzero.mrzero_object(spins, read_pulseq(file).events(), dephase=False)
        if method == "bloch":
            return lambda: mrzero.bloch(sequence, data)
        return lambda: mrzero.pdg(sequence, data, states=200, weakest=1e-4)

    return prepare


def blochsimulator(file: Path, spins: Spins, threads: int) -> Run:
    """Prepare a phantom of voxels in a row, put to their places."""
    from blochsimulator import BlochSimulator
    from blochsimulator.phantom import Phantom
    from blochsimulator.sequence import load_pulseq

    from mrsim.bloch.weights import amplitudes
    from mrsim.pulseq.read import read_pulseq

    tissue, n = spins.tissue, spins.tissue.size
    weight = amplitudes(spins, read_pulseq(file).events())[tissue]
    maps = {"t1_map": spins.t1[tissue], "t2_map": spins.t2[tissue], "df_map": spins.freq.astype(float)}
    phantom = Phantom(shape=(n,), fov=(1.0,), pd_map=weight, **maps)
    phantom.positions = np.ascontiguousarray(spins.position.T)
    program = load_pulseq(file)
    simulator = BlochSimulator(num_threads=threads)
    return lambda: np.asarray(simulator.simulate_sequence(program, phantom).signal)[None]


STEADY = "mrsim cartesian"
TOOLS: dict[str, Callable[[Path, Spins, int], Run]] = {
    "mrsim isochromat": mrsim_on("isochromat"),
    "mrsim auto": mrsim_on("auto"),
    STEADY: mrsim_steady,
    "MRzero Bloch": mrzero_with("bloch"),
    "MRzero PDG": mrzero_with("pdg"),
    "blochsimulator": blochsimulator,
}


def write_case(folder: Path, options: argparse.Namespace) -> tuple[int, int]:
    """Write the scans as files and the spins; count spins and samples."""
    from mrsim.pulseq.write import write_pulseq
    from mrsim.slices.plane import centred_plane
    from phantoms import phantom_source
    from tests.mrsim.peers.objects import slice_spins
    from tests.mrsim.peers.scans import scan, without_t2prime

    told: dict[str, Any] = {"fov": (0.180, 0.216), "matrix": tuple(options.matrix)}
    source = phantom_source(options.phantom)
    phantom = source.load(source.subjects()[0])
    for name in options.scan:
        write_pulseq(scan(name, **SHORT, **told), folder / f"{name}.seq")
        (folder / f"{name}.json").write_text(json.dumps(told))
    plane = centred_plane(phantom, "axial", HEIGHT, thickness=SHORT["thickness"], **told)
    spins = without_t2prime(slice_spins(phantom, plane, step=options.step * 1e-3))
    np.savez(
        folder / "spins.npz", **{f.name: getattr(spins, f.name) for f in fields(spins) if f.name != "b1"}
    )
    return spins.tissue.size, int(np.prod(options.matrix))


def first(spins: Spins, n: int) -> Spins:
    """Keep the first `n` spins."""
    return replace(spins, position=spins.position[:, :n], tissue=spins.tissue[:n], freq=spins.freq[:n])


def memory(kind: str) -> int:
    """Resident memory [byte] of this process, now (VmRSS) or at most so far (VmHWM), from Linux."""
    status = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in status if line.startswith(kind)).split()[1])


def play(tool: str, file: Path, threads: int) -> None:
    """Run one tool and print what it took as JSON; the image goes beside the file."""
    warnings.simplefilter("ignore")
    with np.load(file.with_name("spins.npz")) as held:
        stored = {name: held[name] for name in held.files}
    spins = Spins(**{**stored, "cell": tuple(float(side) for side in stored["cell"])})
    TOOLS[tool](file, first(spins, WARM), threads)()
    run = TOOLS[tool](file, spins, threads)
    before = memory("VmRSS")
    wall, cpu, signal = [], [], np.empty(0)
    while not wall or (sum(wall) < ENOUGH and len(wall) < MOST):
        begin, used = time.perf_counter(), time.process_time()
        signal = run()
        wall.append(time.perf_counter() - begin)
        cpu.append(time.process_time() - used)
    peak = max(before, memory("VmHWM"))
    np.save(file.with_name(f"{file.stem}-{tool}.npy"), signal)
    took = {"wall": min(wall), "cpu": min(cpu), "before": before, "peak": peak}
    print(json.dumps(took))


def report(scan: str, tool: str, folder: Path, options: argparse.Namespace, spin_steps: int) -> str:
    """Run a tool in a process of its own; its row of the table."""
    count = str(options.threads)
    limits = {name: count for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS")}
    command = [sys.executable, __file__, "--play", tool, str(folder / f"{scan}.seq"), "--threads", count]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **limits},
            capture_output=True,
            text=True,
            check=False,
            timeout=options.limit,
        )
    except subprocess.TimeoutExpired:
        return f"| {tool} | stopped after {options.limit} s | | | | |"
    if done.returncode:
        return f"| {tool} | {done.stderr.strip().splitlines()[-1]} | | | | |"
    took = json.loads(done.stdout.splitlines()[-1])
    error = "other start" if tool == STEADY else f"{difference(folder, scan, tool):.1e}"
    return (
        f"| {tool} | {took['wall']:.3g} s | {took['cpu']:.3g} s | {spin_steps / took['cpu']:.2g} "
        f"| {took['before'] / MB:.0f} + {(took['peak'] - took['before']) / MB:.0f} MB | {error} |"
    )


def difference(folder: Path, scan: str, tool: str) -> float:
    """NRMSE of the magnitude image against that of the first tool."""
    found, expected = (np.load(folder / f"{scan}-{name}.npy")[0] for name in (tool, next(iter(TOOLS))))
    shape = tuple(json.loads((folder / f"{scan}.json").read_text())["matrix"])
    images = [np.abs(np.fft.ifft2(signal.reshape(shape))) for signal in (found, expected)]
    return float(np.linalg.norm(images[0] - images[1]) / np.linalg.norm(images[1]))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("phantom", nargs="?", default="brainweb")
    parser.add_argument("--step", type=float, default=2.0, help="from voxel to voxel [mm]")
    parser.add_argument("--matrix", type=int, nargs=2, default=(90, 108))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--limit", type=float, default=1800.0, help="for each tool [s]")
    parser.add_argument("--scan", nargs="+", default=["SE", "bSSFP"])
    parser.add_argument("--tool", nargs="+", default=list(TOOLS))
    parser.add_argument("--play", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.play:
        return play(options.play[0], Path(options.play[1]), options.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        n_spins, n_samples = write_case(folder, options)
        ny, nx = options.matrix
        print(f"{options.phantom}: {n_spins} spins, {ny} x {nx}, threads: {options.threads}")
        for scan in options.scan:
            print(f"\n{scan}\n{HEAD}\n|---|---|---|---|---|---|")
            for tool in dict.fromkeys([next(iter(TOOLS)), *options.tool]):
                print(report(scan, tool, folder, options, n_spins * n_samples), flush=True)
    return None


if __name__ == "__main__":
    main()
