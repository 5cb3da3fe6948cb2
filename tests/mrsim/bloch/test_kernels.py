import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from mrsim.bloch import readout
from mrsim.bloch.kernels import BLOCK, cos_sin, prepare_intervals, pulse_operators
from mrsim.bloch.program import compile_events
from mrsim.bloch.reference import turn
from mrsim.events import Events, Repetition
from mrsim.rf import Pulse, hard
from mrsim.sequences.spin_echo import SpinEcho


def bloch_matrix(bx, by, bz, r1, r2):
    """d/dt of (mx, my, mz, 1): dM/dt = M x omega with relaxation towards Mz = 1."""
    return np.array([[-r2, bz, -by, 0], [-bz, -r2, bx, 0], [by, -bx, -r1, r1], [0, 0, 0, 0]])


def operator(pulse, freq, r1, r2):
    op, work = np.zeros((12, BLOCK)), np.zeros((5, BLOCK))
    ones = np.ones(1)
    pulse_operators(pulse.nutation, pulse.dt, freq * ones, r1 * ones, r2 * ones, 1, op, work)
    return op[:, 0].reshape(3, 4)


@settings(deadline=None)  # the first call compiles
@given(st.floats(-1e6, 1e6))
def test_polynomial_cosine_and_sine(cycles):
    """To 1e-15, beside what rounding the argument to its last bit makes of the phase."""
    phase = 2 * math.pi * (cycles - round(cycles))
    assert cos_sin(cycles) == pytest.approx((math.cos(phase), math.sin(phase)), abs=3e-15)


@settings(deadline=None)  # the first call compiles
@given(
    freq=st.floats(-1e4, 1e4),
    duration=st.floats(1e-6, 1e-2),
    gx=st.floats(-40e-3, 40e-3),
    x=st.floats(-0.1, 0.1),
)
def test_interval_solves_the_bloch_equation(freq, duration, gx, x):
    one = Repetition()
    one.add(duration, (gx, 0.0, 0.0), samples=1)
    events = Events(**one.columns(), pulses=(), matrix=(1, 1), pixel_volume=1.0)
    prog = compile_events(events)
    where, rate = np.array([[x], [0.0], [0.0], [freq]]), np.array([[1.2], [12.0], [0.0]])
    factor, e1 = np.zeros((prog.interval_time.size, 2, BLOCK)), np.zeros((prog.times.size, BLOCK))
    prepare_intervals(prog, where, rate, 0, 1, factor, e1, np.zeros_like(e1))
    whole = prog.whole[0]
    found = (0.6 + 0.3j) * complex(*factor[whole, :, 0])
    mz = 1 + (-0.4 - 1) * e1[prog.interval_time[whole], 0]
    omega = 2 * np.pi * (freq + 42.577478461e6 * gx * x)
    exact = expm(bloch_matrix(0, 0, omega, 1.2, 12.0) * duration) @ (0.6, 0.3, -0.4, 1)
    assert (found, mz) == (
        pytest.approx(exact[0] + 1j * exact[1], abs=1e-7),
        pytest.approx(exact[2], abs=1e-9),
    )


@settings(deadline=None)  # the first call compiles
@given(st.floats(-2e3, 2e3), st.floats(0.1, math.pi), st.floats(-math.pi, math.pi))
def test_rf_without_relaxation_only_turns(freq, flip, phase):
    """A constant field is exact in one step, however large, and keeps |M|."""
    op = operator(hard(flip, 1e-3, phase=phase, use="excitation"), freq, 0.0, 0.0)
    field = flip * math.cos(phase) * 1e3, flip * math.sin(phase) * 1e3, 2 * math.pi * freq
    assert op == pytest.approx(expm(bloch_matrix(*field, 0, 0) * 1e-3)[:3], abs=1e-11)
    assert op[:, :3] @ op[:, :3].T == pytest.approx(np.eye(3), abs=1e-12)


def test_rf_with_relaxation_converges_with_the_square_of_the_raster():
    exact = expm(bloch_matrix(1200.0, 400.0, 900.0, 20.0, 200.0) * 2e-3)[:3]
    errors = []
    for steps in (8, 16, 32):
        pulse = Pulse(
            nutation=np.full(steps, (1200 + 400j) * 2e-3 / steps), dt=2e-3 / steps, use="excitation"
        )
        errors.append(np.abs(operator(pulse, 900 / 2 / np.pi, 20.0, 200.0) - exact).max())
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.05)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.05)


def test_reference_turn_solves_the_bloch_equation():
    m = np.array([0.6, 0.3, -0.4]).reshape(3, 1, 1)
    exact = expm(bloch_matrix(0.7, -0.2, 1.1, 0, 0)) @ (0.6, 0.3, -0.4, 1)
    assert turn(m, *(np.array([b]) for b in (0.7, -0.2, 1.1)))[:, 0, 0] == pytest.approx(exact[:3], abs=1e-14)


@pytest.mark.parametrize(("n", "first", "samples"), [(256, 108, 216), (7, 0, 5), (100, 3, 7), (1, 1, 2)])
def test_trains_are_the_exponentials(n, first, samples):
    """Every sample of a block of spins against exp of the time since the echo, to float32 rounding."""
    rng = np.random.default_rng(3)
    cycles, r2, r2p = rng.uniform(-0.5, 0.5, n), rng.uniform(0, 0.01, n), rng.uniform(0, 0.02, n)
    decays = np.exp([-(r2 + r2p), -0.3 * r2p, r2 - r2p, 0.3 * r2p])
    m = rng.standard_normal((2, n))
    heads, tails = readout.train_shape(max(first, samples - first))
    tail, head = np.empty((2, 2, tails, BLOCK), "f4"), np.empty((2, 2, heads, BLOCK), "f4")
    sums, line = np.zeros((2, heads * tails), complex), np.zeros(samples, complex)
    sides = 2 if first else 1
    readout.prepare_trains(cycles, decays, sides, n, tail, head, np.empty((8, BLOCK)))
    readout.receive(m, sides, n, tail, head, np.empty((2, heads, BLOCK), "f4"), sums)
    readout.unfold(sums, first, line)
    t = np.arange(samples)[:, None] - first
    exact = np.exp(-r2 * t - r2p * np.abs(t + 0.3) - 2j * np.pi * cycles * t) @ (m[0] + 1j * m[1])
    assert np.linalg.norm(line - exact) < 3e-7 * np.linalg.norm(exact) * math.sqrt(max(n, 1))


def test_distinct_parts_of_a_sequence_are_compiled_once():
    prog = compile_events(SpinEcho(matrix=(9, 8)).events())
    assert (prog.pulse_dt.size, prog.first.size, prog.adc.size) == (2, 1, 9)
    assert prog.first[0] == 4
    assert prog.interval_time.size <= 9 + 6  # nine phase encodes, and what they share
