"""The kernels against the Bloch equation, each on its own, and the order in which they converge."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from mrsim.bloch.kernels import decays, forget, precession
from mrsim.bloch.nodes import BLOCK, Nodes, bench
from mrsim.bloch.program import compile_events
from mrsim.bloch.pulses import TOLERANCE, pulse_operator
from mrsim.bloch.readout import prepare_train, receive, train_shape
from mrsim.bloch.reference import turn
from mrsim.bloch.rotation import cos_sin, cos_sin_32, sinc_cosc
from mrsim.constants import GAMMA_BAR
from mrsim.events.blocks import Block, Rf, Trapezoid, Waveform, compile_blocks
from mrsim.events.rf import Pulse, hard
from mrsim.sequences.spin_echo import SpinEcho

LOOSE = 1e9  # a tolerance for which no step is divided


def bloch_matrix(bx, by, bz, r1, r2):
    """d/dt of (mx, my, mz, 1): dM/dt = M x B with relaxation towards Mz = 1; angular velocities."""
    return np.array([[-r2, bz, -by, 0], [-bz, -r2, bx, 0], [by, -bx, -r1, r1], [0, 0, 0, 0]])


def one_event(block):
    return compile_events(compile_blocks([block], matrix=(1, 1), pixel_volume=1.0))


def node(x=0.0, freq=0.0, r1=0.0, r2=0.0):
    where, rate = np.array([[x], [0.0], [0.0], [freq]]), np.array([[r1], [r2], [0.0]])
    return Nodes(where=where, rate=rate, b1=np.array([[1.0], [0.0]]))


def operator(block, spin, tolerance=LOOSE):
    """(3, 4) map of one spin by the pulse of a block."""
    op, work = np.zeros((12, BLOCK)), np.zeros((11, BLOCK))
    pulse_operator(one_event(block), 0, *spin, 0, 1, tolerance, op, work)
    return op[:, 0].reshape(3, 4)


@settings(deadline=None)  # the first call compiles
@given(st.floats(-1e6, 1e6))
def test_polynomial_cosine_and_sine(cycles):
    """To 1e-15, beside what rounding the argument to its last bit makes of the phase."""
    phase = 2 * math.pi * (cycles - round(cycles))
    assert cos_sin(cycles) == pytest.approx((math.cos(phase), math.sin(phase)), abs=3e-15)
    part = np.float32(cycles - round(cycles))
    phase = 2 * math.pi * float(part)
    assert cos_sin_32(part) == pytest.approx((math.cos(phase), math.sin(phase)), abs=3e-7)


@settings(deadline=None)
@given(st.floats(1e-3, 1.0))
def test_polynomials_of_the_rotation(angle):
    expected = math.sin(angle) / angle, 2 * (math.sin(angle / 2) / angle) ** 2
    assert sinc_cosc(angle**2) == pytest.approx(expected, abs=1e-14)


@settings(deadline=None)
@given(
    freq=st.floats(-1e4, 1e4),
    duration=st.floats(1e-6, 1e-2),
    gx=st.floats(-40e-3, 40e-3),
    x=st.floats(-0.1, 0.1),
)
def test_interval_solves_the_bloch_equation(freq, duration, gx, x):
    prog = one_event(Block(gx=Trapezoid(amplitude=gx, rise=0.0, flat=duration, fall=0.0)))
    spin, room = node(x, freq, 1.2, 12.0), bench(prog, TOLERANCE)
    forget(room)
    whole = prog.whole[0]
    factor = room.factor[precession(prog, *[spin, 0, 1], room, whole)]
    e1 = room.decay[decays(prog, spin, 0, 1, room, prog.interval_time[whole]), 0, 0]
    found = (0.6 + 0.3j) * complex(*factor[:, 0])
    omega = 2 * np.pi * (freq + GAMMA_BAR * gx * x)
    exact = expm(bloch_matrix(0, 0, omega, 1.2, 12.0) * duration) @ (0.6, 0.3, -0.4, 1)
    assert found == pytest.approx(exact[0] + 1j * exact[1], abs=1e-7)
    assert 1 + (-0.4 - 1) * e1 == pytest.approx(exact[2], abs=1e-9)


@settings(deadline=None)
@given(st.floats(-2e3, 2e3), st.floats(0.1, math.pi), st.floats(-math.pi, math.pi))
def test_rf_without_relaxation_only_turns(freq, flip, phase):
    """A constant field is exact however large the angle, and keeps |M|."""
    op = operator(Block(rf=Rf(pulse=hard(flip, 1e-3, phase=phase, use="excitation"))), node(freq=freq))
    field = flip * math.cos(phase) * 1e3, flip * math.sin(phase) * 1e3, 2 * math.pi * freq
    assert op == pytest.approx(expm(bloch_matrix(*field, 0, 0) * 1e-3)[:3], abs=1e-11)
    assert op[:, :3] @ op[:, :3].T == pytest.approx(np.eye(3), abs=1e-12)


def divided(steps, r1, r2):
    """Error of a constant field of 2 ms in so many raster steps, none of them divided."""
    bx, by, freq, time = 700.0, 300.0, 90.0, 2e-3
    pulse = Pulse(nutation=np.full(steps, (bx + 1j * by) * time / steps), dt=time / steps, use="excitation")
    exact = expm(bloch_matrix(bx, by, 2 * np.pi * freq, r1, r2) * time)[:3]
    return np.abs(operator(Block(rf=Rf(pulse=pulse)), node(0, freq, r1, r2)) - exact).max()


def test_rf_with_slow_relaxation_converges_to_the_fourth_order():
    """What is of first order in the relaxation is integrated as by Simpson's rule."""
    errors = np.array([divided(steps, 0.002, 0.02) for steps in (4, 8, 16)])
    assert np.log2(errors[:-1] / errors[1:]) == pytest.approx(4, abs=0.2)


def test_rf_with_fast_relaxation_converges_to_the_second_order():
    """T2 of the length of the pulse: the term in the square of the relaxation is of order 2."""
    errors = np.array([divided(steps, 50.0, 500.0) for steps in (16, 32, 64)])
    assert np.log2(errors[:-1] / errors[1:]) == pytest.approx(2, abs=0.2)


def integrated(nutation, dt, freq, r1, r2):
    """(3, 4) map of RF steps in a precession that goes from freq[0] to freq[1] [Hz], by Runge-Kutta 8."""
    state, slope = np.eye(4), (freq[1] - freq[0]) / (nutation.size * dt)
    for i, step in enumerate(nutation / dt):

        def rate(t, flat, b=step):
            matrix = bloch_matrix(b.real, b.imag, 2 * np.pi * (freq[0] + slope * t), r1, r2)
            return (matrix @ flat.reshape(4, 4)).ravel()

        ends = i * dt, (i + 1) * dt
        solution = solve_ivp(rate, ends, state.ravel(), method="DOP853", rtol=1e-12, atol=1e-13)
        state = solution.y[:, -1].reshape(4, 4)
    return state[:3]


def in_a_ramp(steps, tolerance):
    """Error of a pulse of 1 ms in a gradient that ramps from 0 to 40 mT/m."""
    x, time, gradient = 2e-3, 1e-3, 40e-3
    halves = np.array([0.4, 1.1 + 0.5j])
    shape = np.repeat(halves, steps // 2) / (steps // 2)
    ramp = Waveform(times=np.array([0.0, time]), amplitudes=np.array([0.0, gradient]))
    pulse = Pulse(nutation=shape, dt=time / steps, use="excitation")
    spin = node(x, 30.0, 2.0, 20.0)
    exact = integrated(halves, time / 2, (30.0, 30.0 + GAMMA_BAR * gradient * x), 2.0, 20.0)
    return np.abs(operator(Block(rf=Rf(pulse=pulse), gx=ramp), spin, tolerance) - exact).max()


def test_rf_in_a_changing_gradient_converges_to_the_fourth_order():
    """The commutator of RF and gradient enters by the Magnus series."""
    errors = np.array([in_a_ramp(steps, LOOSE) for steps in (20, 40, 80)])
    assert (np.log2(errors[:-1] / errors[1:]) > 3.5).all()


@pytest.mark.parametrize("seed", range(12))
def test_the_error_of_a_pulse_keeps_below_the_tolerance(seed):
    """Coarse steps of any size, in a ramp, relaxing slowly or fast, divided as the bound asks."""
    rng = np.random.default_rng(seed)
    steps, dt, freq = int(rng.integers(1, 6)), 10 ** rng.uniform(-5, -3.3), rng.uniform(-1e3, 1e3)
    nutation = rng.uniform(0.1, 2) * (rng.standard_normal((steps, 2)) @ (1, 1j))
    tolerance, gradient, x = 10 ** rng.uniform(-7, -3), rng.choice([0, 10e-3]), rng.uniform(-5e-3, 5e-3)
    r1, r2 = 10 ** rng.uniform(-1, 2), 10 ** rng.uniform(0, 3.5)
    ramp = Waveform(times=np.array([0.0, steps * dt]), amplitudes=np.array([0.0, gradient]))
    block = Block(rf=Rf(pulse=Pulse(nutation=nutation, dt=dt, use="excitation")), gx=ramp)
    exact = integrated(nutation, dt, (freq, freq + GAMMA_BAR * gradient * x), r1, r2)
    assert np.abs(operator(block, node(x, freq, r1, r2), tolerance) - exact).max() < tolerance


def test_reference_turn_solves_the_bloch_equation():
    m = np.array([0.6, 0.3, -0.4]).reshape(3, 1, 1)
    exact = expm(bloch_matrix(0.7, -0.2, 1.1, 0, 0)) @ (0.6, 0.3, -0.4, 1)
    assert turn(m, *(np.array([b]) for b in (0.7, -0.2, 1.1)))[:, 0, 0] == pytest.approx(exact[:3], abs=1e-14)


@pytest.mark.parametrize(("n", "samples"), [(256, 216), (7, 5), (100, 7), (1, 2)])
def test_trains_are_the_exponentials(n, samples):
    """Every sample of a block of spins against exp of the time since the first, to float32 rounding."""
    rng = np.random.default_rng(3)
    cycles, rate, begin = rng.uniform(-0.5, 0.5, n), rng.uniform(-0.01, 0.02, n), rng.uniform(0.5, 1, n)
    m = rng.standard_normal((2, n))
    heads, tails = train_shape(samples)
    tail, head = np.empty((2, tails, BLOCK), "f4"), np.empty((2, heads, BLOCK), "f4")
    prepare_train(cycles, np.exp(-rate), begin, n, heads, tails, tail, head, np.empty((6, BLOCK)))
    sums = np.zeros(heads * tails, complex)
    receive(m, n, heads, tails, tail, head, np.empty((2, heads, BLOCK), "f4"), sums)
    t = np.arange(samples)[:, None]
    exact = np.exp(-(rate + 2j * np.pi * cycles) * t) * begin @ (m[0] + 1j * m[1])
    assert np.linalg.norm(sums[:samples] - exact) < 3e-7 * np.linalg.norm(exact) * math.sqrt(n)


def test_distinct_parts_of_a_sequence_are_compiled_once():
    prog = compile_events(SpinEcho(matrix=(9, 16)).events())
    assert (prog.pulse_dt.size, prog.trains.size - 1, prog.read.size) == (2, 1, 9)
    assert prog.skip.tolist() == [0, 8]  # before the echo and after it
    assert prog.interval_time.size <= 9 + 8  # nine phase encodes, and what they share
