"""Spin-steps per second of the brute-force engine on one core, beside the core's peak multiply-add rate.

python benchmarks/spin_steps.py

A spin-step carries one spin from a sample of the readout to the next and adds it to the signal: one complex
multiply-add, four float32 FMAs. Samples in a gradient that changes (spirals) have a phase of their own each.
A step of RF turns a spin about its own axis for one raster step, in float64, as an affine map of all that can
be before. The peak is measured in the same run, with eight independent chains of FMAs per vector lane.
Processor time of one thread, the best of many short runs, since the machine may be shared.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numba import njit, set_num_threads

from mrsim.bloch.isochromat import isochromat
from mrsim.bloch.nodes import BLOCK, Nodes, bench
from mrsim.bloch.program import compile_events
from mrsim.bloch.pulses import TOLERANCE, pulse_operator
from mrsim.bloch.readout import prepare_train, receive, train_shape
from mrsim.sequences.spin_echo import SpinEcho
from mrsim.sequences.spiral import Spiral
from phantoms.phantom import Spins

SAMPLES, LINES, SPINS = 216, 180, 8192
CHAINS = 8


@njit(fastmath={"contract"})
def eight(a, v):  # noqa: ANN001, ANN201
    """Eight FMAs, each of which waits for the one before."""
    c = np.float32(0.25)
    return (((((((a * v + c) * v + c) * v + c) * v + c) * v + c) * v + c) * v + c) * v + c


@njit(fastmath={"contract"})
def multiply_add(x, y, out, repeats):  # noqa: ANN001, ANN201
    """`CHAINS` independent chains of eight FMAs for each element, with three memory accesses among them."""
    for _ in range(repeats):
        for i in range(x.size):
            v, w = x[i], y[i]
            a, b, c, d = eight(v, w), eight(v + w, w), eight(v - w, w), eight(w, w)
            e, f, g, h = eight(w, v), eight(v + w, v), eight(w - v, v), eight(v, v)
            out[i] = ((a + b) + (c + d)) + ((e + f) + (g + h))


@njit
def readouts(m, heads, tails, tail, head, scaled, sums, lines):  # noqa: ANN001, ANN201
    """Receive a block of spins in `lines` lines: the inner loop of the engine."""
    for _ in range(lines):
        receive(m, BLOCK, heads, tails, tail, head, scaled, sums)


@njit
def pulses(prog, nodes, tolerance, op, work, repeats):  # noqa: ANN001, ANN201
    """Compute the maps of a block of spins under the first pulse."""
    for _ in range(repeats):
        pulse_operator(prog, 0, nodes.where, nodes.rate, nodes.b1, 0, BLOCK, tolerance, op, work)


def best(run: Callable[[], object], repeats: int = 40) -> float:
    """Shortest processor time [s]."""
    run()
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        run()
        times.append(time.process_time() - begin)
    return min(times)


def peak_fma() -> float:
    x, y, out = np.full(1024, 0.5, np.float32), np.full(1024, 0.4, np.float32), np.empty(1024, np.float32)
    return 100 * x.size * CHAINS * 8 / best(lambda: multiply_add(x, y, out, 100))


def readout_rate() -> float:
    rng = np.random.default_rng(0)
    heads, tails = train_shape(SAMPLES // 2)
    tail, head = np.empty((2, tails, BLOCK), np.float32), np.empty((2, heads, BLOCK), np.float32)
    turns, ones, work = rng.uniform(-0.5, 0.5, BLOCK), np.ones(BLOCK), np.empty((6, BLOCK))
    prepare_train(turns, ones, ones, BLOCK, heads, tails, tail, head, work)
    scaled, sums = np.empty((2, heads, BLOCK), np.float32), np.zeros(heads * tails, np.complex128)
    m = rng.standard_normal((2, BLOCK))
    time = best(lambda: readouts(m, heads, tails, tail, head, scaled, sums, 2 * LINES))
    return BLOCK * SAMPLES * LINES / time


def rf_rate() -> float:
    """Excitation of a 1 mm slice in its gradient, spins of all kinds in and beside it."""
    rng = np.random.default_rng(0)
    prog = compile_events(SpinEcho(matrix=(2, 16)).events())
    where = rng.uniform(-2e-3, 2e-3, (4, BLOCK))
    where[3] = rng.uniform(-100, 100, BLOCK)
    rate = rng.uniform(0.5, 12.0, (3, BLOCK))
    nodes = Nodes(where=where, rate=rate, b1=np.stack([np.ones(BLOCK), np.zeros(BLOCK)]))
    room, repeats = bench(prog, TOLERANCE), 10
    time = best(lambda: pulses(prog, nodes, TOLERANCE, room.op[0], room.scratch, repeats))
    return BLOCK * int(prog.pulse_start[1]) * repeats / time


def some_spins(n: int) -> Spins:
    rng = np.random.default_rng(0)
    return Spins(
        position=np.sort(rng.uniform(-0.08, 0.08, (3, n)), axis=1) * [[1], [1], [0]],
        tissue=np.zeros(n, np.uint8),
        freq=rng.uniform(-100, 100, n).astype(np.float32),
        cell=(5e-4, 5e-4, 5e-4),
        **{
            name: np.array([value])
            for name, value in {"pd": 1, "t1": 0.8, "t2": 0.08, "t2prime": 0.4}.items()
        },
    )


def engine_rate(sequence: SpinEcho | Spiral, n_sub: int) -> float:
    """Run it all: RF of every spin, the steady state, the crusher ensemble, phase encodes, readouts."""
    spins, events = some_spins(SPINS // n_sub), sequence.events()
    coils = np.ones((1, spins.tissue.size), np.complex64)
    return SPINS * events.n_samples / best(lambda: isochromat(spins, events, coils, n_sub), 4)


def main() -> None:
    set_num_threads(1)
    peak, burst = peak_fma(), readout_rate()
    print(f"peak FMA rate      {peak:8.3g} /s float32, one core")
    print(f"readout            {burst:8.3g} spin-steps/s, {4 * burst / peak:.0%} of the peak")
    print(f"RF                 {rf_rate():8.3g} spin-steps/s   (required 1e8)")
    for name, sequence, n_sub in (
        ("ideal pulses", SpinEcho(rf="ideal", matrix=(LINES, SAMPLES)), 1),
        ("shaped pulses", SpinEcho(matrix=(LINES, SAMPLES)), 4),
        ("spiral", Spiral(), 4),
    ):
        print(
            f"engine, {name:<13} {engine_rate(sequence, n_sub):8.3g} spin-steps/s   (required 1e9, aimed 3e9)"
        )


if __name__ == "__main__":
    main()
