import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import expm

from mrsim.bloch.dynamic import Concomitant, Dynamics, dynamic
from mrsim.bloch.pools import NEAREST, BoundPool, exchange, super_lorentzian
from mrsim.bloch.reference import reference
from mrsim.constants import GAMMA_BAR
from mrsim.events.blocks import Adc, Block, Rf, Trapezoid, compile_blocks, delay
from mrsim.events.rf import Pulse, hamming_sinc, instantaneous
from mrsim.imperfections.motion import Flow, Moving, periodic, rigid
from mrsim.sequences.spin_echo import SpinEcho
from phantoms.motion import Motion, Path, TimeCurve, Translate
from phantoms.phantom import Spins


def spins_at(position, freq=0.0, t1=1.0, t2=0.1):
    position = np.atleast_2d(np.asarray(position, float)).T
    n, one = position.shape[1], np.ones(1)
    return Spins(
        position=position, tissue=np.zeros(n, np.uint8), freq=np.full(n, freq, np.float32),
        cell=(1.0, 1.0, 1.0), pd=one, t1=one * t1, t2=one * t2, t2prime=one * 0.05,
    )  # fmt: skip


def play(spins, events, **dynamics):
    coils = np.ones((1, spins.tissue.size), np.complex64)
    return dynamic(spins, events, coils, 1, Dynamics(**dynamics))[0] * math.sqrt(math.prod(events.matrix))


def excite(flip=math.pi / 2):
    return Block(rf=Rf(pulse=instantaneous(flip, phase=-math.pi / 2, use="excitation")), repetition=True)


def received(*blocks, gx=None, samples=1):
    """Events of an excitation, the blocks, and a receiver window."""
    adc = Block(gx=gx, adc=Adc(samples=samples, dwell=1e-6))
    return compile_blocks([excite(), *blocks, adc], matrix=(1, samples), pixel_volume=1.0)


def lobe(amplitude, flat=2e-3, ramp=0.2e-3):
    return Trapezoid(amplitude=amplitude, rise=ramp, flat=flat, fall=ramp)


def test_spins_at_rest_send_what_the_reference_says():
    sequence = SpinEcho(te=20e-3, tr=0.9, fov=(0.02, 0.02), matrix=(2, 8), bandwidth=800.0, thickness=3e-3)
    rng = np.random.default_rng(3)
    where = rng.uniform(-4e-3, 4e-3, (5, 3))
    spins = replace(spins_at(where[np.argsort(where[:, 1])], freq=21.0), cell=(1e-3, 1e-3, 1e-3))
    coils = (rng.normal(size=(2, 5)) + 1j * rng.normal(size=(2, 5))).astype(np.complex64)
    expected = reference(spins, sequence.events(), coils, 2)
    got = dynamic(spins, sequence.events(), coils, 2, Dynamics())
    assert np.abs(got - expected).max() < 2e-6 * np.abs(expected).max()


def test_flow_turns_by_the_first_moment():
    speed, gradient, flat, ramp = 0.1, 15e-3, 2e-3, 0.2e-3
    events = received(Block(gx=lobe(gradient, flat, ramp)), Block(gx=lobe(-gradient, flat, ramp)))
    spins = spins_at([(0.0, 0.0, 0.0), (0.0, 0.0, 0.0)])
    flow = Flow(spins=np.array([1]), velocity=(speed, 0.0, 0.0), length=1.0)
    split = [play(spins_at([(0.0, 0.0, 0.0)]), events)[0]]
    split.append(play(spins, events, motion=Moving(flows=(flow,)))[0] - split[0])
    first_moment = -gradient * (flat + ramp) * (flat + 2 * ramp)  # of the pair of lobes
    assert np.angle(split[1] / split[0]) == pytest.approx(
        -2 * math.pi * GAMMA_BAR * first_moment * speed, rel=1e-4
    )


def test_fresh_spins_replace_those_that_flow_out():
    repeats, tr, length, speed = 6, 0.02, 0.01, 0.15  # 3 mm of 10 mm per repetition
    blocks = [
        b
        for _ in range(repeats)
        for b in (excite(0.6), Block(adc=Adc(samples=1, dwell=1e-6)), delay(tr, spoil=True))
    ]
    events = compile_blocks(blocks, matrix=(1, repeats), pixel_volume=1.0)
    z = (np.arange(1000) + 0.5) / 1000 * length - length / 2
    spins = spins_at(np.column_stack([0 * z, 0 * z, z]), t1=1e9, t2=1e9)
    flow = Flow(spins=np.arange(1000), velocity=(0.0, 0.0, speed), length=length)
    got = np.abs(play(spins, events, motion=Moving(flows=(flow,)))) / 1000
    new = speed * tr / length
    expected = []
    for n in range(repeats):
        ages = [min(new, max(0.0, 1 - a * new)) if a < n else max(0.0, 1 - n * new) for a in range(n + 1)]
        expected.append(math.sin(0.6) * sum(p * math.cos(0.6) ** a for a, p in enumerate(ages)))
    np.testing.assert_allclose(got, expected, rtol=3e-3)


def test_a_step_of_the_object_is_a_phase_ramp_on_the_lines_after_it():
    sequence = SpinEcho(
        te=10e-3, tr=50e-3, fov=(0.02, 0.02), matrix=(6, 8), bandwidth=2000.0, rf="ideal", thickness=3e-3
    )
    spins, shift, when = spins_at([(1e-3, -2e-3, 0.0)]), 1.5e-3, 3 * 50e-3 - 5e-3
    step = rigid([when, when + 1e-3], [[0, 0, 0], [0, shift, 0]], [[0, 0, 0], [0, 0, 0]])
    still, moved = (play(spins, sequence.events(), motion=m).reshape(6, 8) for m in (None, step))
    k = sequence.phase_encodes
    np.testing.assert_allclose(moved[:3], still[:3], rtol=1e-5)
    np.testing.assert_allclose(
        moved[3:] / still[3:], np.exp(-2j * np.pi * k[3:] * shift)[:, None] * np.ones(8), atol=2e-5
    )


def test_turning_the_object_turns_where_it_is():
    turned = rigid([0.0, 1e-3], [[0, 0, 0]] * 2, [[0, 0, math.pi / 2]] * 2)
    np.testing.assert_allclose(
        turned.positions(np.array([[0.01], [0.0], [0.0]]), 0.5)[:, 0], [0, 0.01, 0], atol=1e-12
    )


def test_breathing_moves_smoothly_through_a_readout():
    period, reach, gradient = 20e-3, 4e-3, 3e-3
    motion = periodic(Translate(offset=(reach, 0.0, 0.0)), period, knots=256)
    events = received(gx=Trapezoid(amplitude=gradient, rise=0.0, flat=12e-3, fall=0.0), samples=12000)
    got = play(spins_at([(0.0, 0.0, 0.0)], t2=1e9), events, motion=motion)[::1500]
    t = events.trajectory().time[::1500]
    w = 2 * math.pi / period
    turns = GAMMA_BAR * gradient * reach * (t - np.sin(w * t) / w) / 2
    decay = np.exp(-t / 0.05)
    np.testing.assert_allclose(got / decay, np.exp(-2j * np.pi * turns), atol=2e-3)


def test_a_path_with_a_reset_begins_anew():
    offset = np.zeros((3, 3, 1))
    action = Path(offset=offset, reset=np.array([[False], [True], [False]]))
    motion = Moving(motions=(Motion(action=action, time=TimeCurve(t=[0.0, 0.2], share=[0.0, 1.0])),))
    fresh = [
        bool(motion.renewed(np.zeros((3, 1)), a, b)[0]) for a, b in ((0.0, 0.09), (0.09, 0.11), (0.11, 0.3))
    ]
    assert fresh == [False, True, False]


def test_concomitant_field_of_a_readout_gradient():
    field, gradient, flat, ramp, z = 0.5, 25e-3, 4e-3, 0.2e-3, 0.08
    events = received(Block(gx=lobe(gradient, flat, ramp)), Block(gx=lobe(-gradient, flat, ramp)))
    concomitant = Concomitant(field_strength=field, axes=(1, 0, 2), centre=(0.0, 0.0, z))
    spins = spins_at([(0.01, 0.0, 0.0)])
    turned = play(spins, events, concomitant=concomitant) / play(spins, events)
    expected = GAMMA_BAR * gradient**2 * z**2 / (2 * field) * 2 * (flat + 2 * ramp / 3)
    assert np.angle(turned[0]) == pytest.approx(
        math.remainder(-2 * math.pi * expected, 2 * math.pi), abs=1e-4
    )
    point, g = np.array([[0.03], [-0.05], [0.07]]), np.array([0.01, -0.02, 0.015])
    true = math.hypot(
        field + g @ point[:, 0],
        g[0] * point[2, 0] - g[2] * point[0, 0] / 2,
        g[1] * point[2, 0] - g[2] * point[1, 0] / 2,
    )  # the size of a field without divergence and curl
    plain = Concomitant(field_strength=field, axes=(0, 1, 2)).frequency(g, point)[0]
    assert plain == pytest.approx(GAMMA_BAR * (true - field - g @ point[:, 0]), rel=5e-3)


POOL = BoundPool(
    fraction=np.array([0.15]), exchange=np.array([4.0]), r1=np.array([1.0]), t2=np.array([12e-6])
)


def test_exchange_is_the_matrix_exponential():
    r1, w, t = np.array([0.8]), np.array([35.0]), 0.07
    free, bound = exchange(POOL, r1, np.array([[0.3]]), np.array([[0.9]]), t, w)
    back = 4.0 / 0.15
    a = np.array([[-(0.8 + 4), 4, 0.8], [back, -(1.0 + back + 35), 1.0], [0, 0, 0]])
    np.testing.assert_allclose([free[0, 0], bound[0, 0], 1], expm(a * t) @ [0.3, 0.9, 1.0], rtol=1e-12)
    still = exchange(POOL, np.zeros(1), np.array([[0.3]]), np.array([[0.9]]), t, np.zeros(1) - 0.0)
    assert exchange(POOL, r1, np.ones((1, 1)), np.ones((1, 1)), 3.0, None)[0] == pytest.approx(1.0)
    assert still[0].shape == (1, 1)


def test_exchange_conserves_what_both_pools_have():
    alone = BoundPool(
        fraction=np.array([0.15]), exchange=np.array([4.0]), r1=np.array([0.0]), t2=np.array([12e-6])
    )
    free, bound = exchange(alone, np.array([1e-9]), np.array([[0.3]]), np.array([[0.9]]), 0.05, None)
    assert free[0, 0] + 0.15 * bound[0, 0] == pytest.approx(0.3 + 0.15 * 0.9, rel=1e-8)


def test_super_lorentzian_is_its_integral():
    width = lambda u: abs(3 * u * u - 1)  # noqa: E731
    for offset in (1.5e3, 8e3):
        f = lambda u, o=offset: 12e-6 / width(u) * math.exp(-2 * (2 * math.pi * o * 12e-6 / width(u)) ** 2)  # noqa: E731
        exact = math.sqrt(2 / math.pi) * quad(f, 0, 1, points=[1 / math.sqrt(3)], limit=400)[0]
        assert super_lorentzian(offset, 12e-6) == pytest.approx(exact, rel=2e-3)
    assert super_lorentzian(0.0, 12e-6) == super_lorentzian(NEAREST, 12e-6)


def test_off_resonant_irradiation_reaches_henkelmans_steady_state():
    """Long RF 4 kHz off resonance saturates the free pool by way of the bound one."""
    w1, offset, t1, t2 = 2 * math.pi * 150.0, 2e3, 0.3, 0.08
    steps, dt = 1000, 1e-3
    pulse = Pulse(nutation=np.full(steps, w1 * dt, complex), dt=dt, use="saturation")
    blocks = [
        Block(rf=Rf(pulse=pulse, frequency=offset), repetition=True),
        delay(0.0, spoil=True),
        excite(math.pi / 2),
    ]
    blocks.append(Block(adc=Adc(samples=1, dwell=1e-6)))
    events = compile_blocks(blocks, matrix=(1, 1), pixel_volume=1.0)
    spins = spins_at([(0, 0, 0)], t1=t1, t2=t2)
    got = abs(play(spins, events, pool=POOL)[0]) * math.exp(0.5e-6 / 0.05)
    w = math.pi * w1**2 * super_lorentzian(offset, 12e-6)
    back, k, rrf = 4.0 / 0.15, 4.0, w1**2 * (1 / t2) / ((2 * math.pi * offset) ** 2 + 1 / t2**2)
    a = np.array([[-(1 / t1 + k + rrf), k], [back, -(1.0 + back + w)]])
    expected = np.linalg.solve(a, [-1 / t1, -1.0])[0]
    assert got == pytest.approx(expected, rel=0.01)
    assert expected < 0.75  # a real saturation


def test_selective_pulse_moves_with_the_spin():
    """A spin carried into the slice before the pulse is excited as one that has always been there."""
    pulse = hamming_sinc(math.pi / 2, 2e-3, 4.0, use="excitation")
    gz = Trapezoid(amplitude=10e-3, rise=0.2e-3, flat=2e-3, fall=0.2e-3)
    blocks = [
        delay(10e-3),
        Block(rf=Rf(pulse=pulse, delay=0.2e-3), gz=gz),
        Block(adc=Adc(samples=1, dwell=1e-6)),
    ]
    events = compile_blocks(blocks, matrix=(1, 1), pixel_volume=1.0)
    carry = rigid([0.0, 5e-3], [[0, 0, 0], [0, 0, 0.03]], [[0, 0, 0]] * 2)
    inside = play(spins_at([(0, 0, 0)]), events)
    np.testing.assert_allclose(play(spins_at([(0, 0, -0.03)]), events, motion=carry), inside, atol=1e-6)
    assert abs(play(spins_at([(0, 0, -0.03)]), events)[0]) < 0.02 * abs(inside[0])
