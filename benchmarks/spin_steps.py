"""Spin-steps per second of the brute-force engine on one core, beside the core's peak multiply-add rate.

python benchmarks/spin_steps.py

A spin-step carries one spin from a sample of the readout to the next and adds it to the signal: one complex
multiply-add, four float32 FMAs. The peak is measured in the same run, with eight independent chains of FMAs
per vector lane. Processor time of one thread, the best of many short runs, since the machine may be shared.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numba import njit, set_num_threads

from mrsim.bloch.engine import simulate
from mrsim.bloch.kernels import BLOCK
from mrsim.bloch.readout import prepare_trains, receive, train_shape
from mrsim.sequences.spin_echo import SpinEcho
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
def readouts(m, tail, head, scaled, sums, lines):  # noqa: ANN001, ANN201
    """Receive a block of spins in `lines` lines: the inner loop of the engine."""
    for _ in range(lines):
        receive(m, 2, BLOCK, tail, head, scaled, sums)


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
    tail, head = np.empty((2, 2, tails, BLOCK), np.float32), np.empty((2, 2, heads, BLOCK), np.float32)
    prepare_trains(
        rng.uniform(-0.5, 0.5, BLOCK), np.ones((4, BLOCK)), 2, BLOCK, tail, head, np.empty((8, BLOCK))
    )
    scaled, sums = np.empty((2, heads, BLOCK), np.float32), np.zeros((2, heads * tails), np.complex128)
    m = rng.standard_normal((2, BLOCK))
    return BLOCK * SAMPLES * LINES / best(lambda: readouts(m, tail, head, scaled, sums, LINES))


def engine_rate(rf: str) -> float:
    """Run it all: RF of every spin, dummy repetitions, crusher ensemble, phase encodes, readouts."""
    rng = np.random.default_rng(0)
    n = SPINS if rf == "ideal" else SPINS // 4  # the shaped profile makes four sub-spins of each
    spins = Spins(
        position=np.sort(rng.uniform(-0.08, 0.08, (3, n)), axis=1) * [[1], [1], [0]],
        tissue=np.zeros(n, np.uint8),
        freq=rng.uniform(-100, 100, n).astype(np.float32),
        cell=(5e-4, 5e-4, 5e-4),
        **{
            name: np.array([value])
            for name, value in {"pd": 1, "t1": 0.8, "t2": 0.08, "t2prime": 0.4}.items()
        },
    )
    sequence = SpinEcho(rf=rf, matrix=(LINES, SAMPLES))
    return SPINS * SAMPLES * LINES / best(lambda: simulate(spins, sequence, engine="isochromat"), 8)


def main() -> None:
    set_num_threads(1)
    peak, burst = peak_fma(), readout_rate()
    print(f"peak FMA rate      {peak:8.3g} /s float32, one core")
    print(f"readout            {burst:8.3g} spin-steps/s, {4 * burst / peak:.0%} of the peak")
    for rf in ("ideal", "shaped"):
        print(f"engine, rf {rf:<7} {engine_rate(rf):8.3g} spin-steps/s   (required 1e9, aimed 3e9)")


if __name__ == "__main__":
    main()
