"""Pulses and slice profiles through the isochromat engine: physics.md section 8, scipy.linalg.expm."""

import math
from functools import reduce

import numpy as np
import pytest
from scipy.linalg import expm

from mrsim.constants import GAMMA_BAR
from mrsim.events.blocks import Block, Rf, Trapezoid, Waveform, delay
from mrsim.events.rf import Pulse, hamming_sinc, hard
from mrsim.sequences.spin_echo import SpinEcho
from tests.mrsim.bloch.play import DWELL, READ, echo, played, pulse, signal

SPOIL = delay(0.0, spoil=True)


def after(*blocks, **spins):
    """M+ and Mz just after the blocks: received, and spoiled, turned by 90 degrees and received."""
    half = np.exp(
        DWELL / 2 * (1 / np.asarray(spins.get("t2", 1e9)) + 2j * np.pi * np.asarray(spins.get("freq", 0)))
    )
    mxy = signal(played(*blocks, READ), **spins)[:, 0] * half
    mz = signal(played(*blocks, SPOIL, pulse(90, -90), READ), **spins)[:, 0] * half
    return mxy, mz.real


def bloch_matrix(bx, by, bz, r1, r2):
    """d/dt of (mx, my, mz, 1): dM/dt = M x B, relaxation towards Mz = 1; angular velocities."""
    return np.array([[-r2, bz, -by, 0], [-bz, -r2, bx, 0], [by, -bx, -r1, r1], [0, 0, 0, 0]])


def solved(shape, dt, freq, r1, r2):
    """Mx, My, Mz after a pulse from equilibrium, by exponentials of its steps; freq (step,) [Hz]."""
    steps = zip(shape / dt, freq, strict=True)
    maps = expm(np.stack([bloch_matrix(s.real, s.imag, 2 * np.pi * f, r1, r2) for s, f in steps]) * dt)
    return reduce(lambda m, one: one @ m, maps, np.array([0, 0, 1.0, 1]))[:3]


def test_hard_pulse_off_resonance():
    """Mz = 1 - (b/w)^2 (1 - cos 2 pi w tau), w^2 = b^2 + f^2, at b = 250 Hz and 1 ms."""
    mxy, mz = after(Block(rf=Rf(pulse=hard(math.pi / 2, 1e-3, use="excitation"))), freq=[0.0, 250, 500, 1000])
    assert mz == pytest.approx([0, 0.197150, 0.613594, 0.998904], abs=1e-6)
    assert abs(mxy) == pytest.approx([1, 0.980373, 0.789622, 0.0468142], abs=1e-6)
    assert mxy[0] == pytest.approx(1j, abs=1e-6)


def slice_profile(flip, z):
    """M+ and Mz at z [m] after a pulse in the gradient that selects 5 mm, half of which is rephased."""
    gradient = 4.0 / (2e-3 * GAMMA_BAR * 5e-3)
    shape = hamming_sinc(flip, 2e-3, 4.0, use="excitation", steps=512)
    lobe = lambda g, t: Trapezoid(amplitude=g, rise=0.0, flat=t, fall=0.0)  # noqa: E731
    blocks = [Block(rf=Rf(pulse=shape), gz=lobe(gradient, 2e-3)), Block(gz=lobe(-gradient, 1e-3))]
    return after(*blocks, z=z)


def test_slice_profile_of_a_large_tip():
    z = np.array([0, 1, 2, 2.5, 3, 4]) * 1e-3
    mxy, mz = slice_profile(math.pi / 2, z)
    magnitude = [1.000000, 0.994629, 0.838105, 0.616773, 0.355986, 0.0267428]
    assert abs(mxy) == pytest.approx(magnitude, abs=1e-6)
    phase = [0, -0.166589, -0.242517, -0.215780, -0.173407, -0.111771]
    assert np.angle(mxy / 1j)[:5] == pytest.approx(phase[:5], abs=2e-6)
    assert np.angle(mxy / 1j)[5] == pytest.approx(phase[5], abs=4e-5)  # 1e-6 of |M+| = 0.027
    assert abs(mxy) ** 2 + mz**2 == pytest.approx(1, abs=2e-6)


def test_slice_profile_of_a_small_tip_is_the_fourier_transform():
    """1 degree: |FT(B1)| to 4.6e-6 of its peak."""
    mxy, _ = slice_profile(math.radians(1), np.array([1, 2, 2.5, 3, 4]) * 1e-3)
    transform = [0.957081, 0.703946, 0.496776, 0.291305, 0.0408487]
    assert abs(mxy) / math.sin(math.radians(1)) == pytest.approx(transform, abs=6e-6)
    z = np.linspace(-8e-3, 8e-3, 33)
    mxy, _ = slice_profile(math.radians(1), z)
    shape = hamming_sinc(1.0, 2e-3, 4.0, use="excitation", steps=512).nutation
    t = (np.arange(512) + 0.5) / 512 - 0.5  # of 2 ms, 4 cycles across which select 5 mm
    exact = np.exp(-2j * np.pi * np.outer(z / 5e-3 * 4.0, -t)) @ shape
    assert mxy / 1j / math.radians(1) == pytest.approx(exact, abs=8e-5)  # (1 degree)^2 / 6 and half a step


@pytest.mark.parametrize("gradient", [(0.0, 0.0), (8e-3, 8e-3), (-3e-3, 12e-3)])
@pytest.mark.parametrize(("t1", "t2"), [(1e9, 1e9), (0.8, 0.08), (5e-3, 0.5e-3)])
def test_shaped_pulse_with_relaxation_in_a_changing_gradient(gradient, t1, t2):
    """Against exponentials of finer steps, to the 1e-6 per pulse that the engine states."""
    steps, dt, z, fine = 60, 20e-6, 2e-3, 1 if gradient[0] == gradient[1] else 20
    rng = np.random.default_rng(4)
    nutation = 0.08 * (rng.standard_normal((steps, 2)) @ (1, 1j)) + 0.05
    duration = steps * dt
    lobe = Block(rf=Rf(pulse=Pulse(nutation=nutation, dt=dt, use="excitation")), gz=ramp(gradient, duration))
    mxy, mz = after(lobe, z=z, freq=70.0, t1=t1, t2=t2)
    share = (np.arange(steps * fine) + 0.5) / (steps * fine)
    freq = 70.0 + GAMMA_BAR * z * (gradient[0] + share * (gradient[1] - gradient[0]))
    x, y, expected = solved(np.repeat(nutation / fine, fine), dt / fine, freq, 1 / t1, 1 / t2)
    assert mxy == pytest.approx(x + 1j * y, abs=2e-6)
    assert mz == pytest.approx(expected, abs=2e-6)


def ramp(gradient, duration):
    return Waveform(times=np.array([0.0, duration]), amplitudes=np.array(gradient)) if any(gradient) else None


@pytest.mark.parametrize("frequency", [0.0, 350.0])
def test_pulse_of_another_frequency_finds_its_spins(frequency):
    """A pulse of frequency f is on resonance for spins f off, its phase that of its centre's frame."""
    shape = hamming_sinc(math.pi / 2, 4e-3, 4.0, use="excitation")
    block = Block(rf=Rf(pulse=shape, frequency=frequency))
    still = after(Block(rf=Rf(pulse=shape)), freq=[0.0, 90.0])
    found = after(block, freq=[frequency, frequency + 90.0])
    assert found[0] == pytest.approx(still[0] * np.exp(-2j * np.pi * frequency * 4e-3), abs=3e-6)
    assert found[1] == pytest.approx(still[1], abs=3e-6)


def test_transmit_field_scales_and_turns():
    """B1+ of 0.8 exp(0.3 i): 0.8 of the flip angle about an axis turned by 0.3 rad."""
    block = Block(rf=Rf(pulse=hard(1.2, 1e-4, use="excitation")))
    mxy = signal(played(block, READ), b1=0.8 * np.exp(0.3j))
    assert mxy == pytest.approx(1j * math.sin(0.96) * np.exp(0.3j), abs=1e-6)


def test_magnetisation_is_conserved_without_relaxation():
    """|M| = 1 whatever pulses, gradients and off-resonance do; section 13."""
    rng = np.random.default_rng(8)
    blocks = []
    for _ in range(12):
        shape = 0.2 * (rng.standard_normal((30, 2)) @ (1, 1j))
        lobe = ramp(rng.uniform(-0.02, 0.02, 2), 30 * 10e-6)
        rf = Rf(
            pulse=Pulse(nutation=shape, dt=10e-6, use="other"),
            phase=float(rng.uniform(0, 6)),
            frequency=200.0,
        )
        blocks += [Block(rf=rf, gz=lobe, gx=lobe), delay(2e-3)]
    x, freq = rng.uniform(-0.05, 0.05, 20), rng.uniform(-300, 300, 20)
    mxy, mz = after(*blocks, x=x, z=x[::-1], freq=freq)
    assert abs(mxy) ** 2 + mz**2 == pytest.approx(1, abs=2e-6)
    assert np.ptp(mz) > 0.5


def spinor(shape, freq):
    """Cayley-Klein parameters (alpha, beta) of a pulse at off-resonances [Hz] (Pauly 1991)."""
    alpha, beta = np.ones(freq.size, complex), np.zeros(freq.size, complex)
    for step in shape.nutation:
        x, y, z = step.real, step.imag, 2 * np.pi * freq * shape.dt
        angle = np.sqrt(x**2 + y**2 + z**2)
        c, s = np.cos(angle / 2), np.sinc(angle / 2 / np.pi) / 2
        a, b = c + 1j * z * s, 1j * (x + 1j * y) * s
        alpha, beta = a * alpha - b.conj() * beta, b * alpha + a.conj() * beta
    return alpha, beta


LINE = {"matrix": (1, 12), "fov": (0.02, 0.02), "bandwidth": 1000.0, "thickness": 5e-3}
every_engine = pytest.mark.parametrize("engine", ["cartesian", "isochromat", "nufft"])


@every_engine
def test_profile_of_a_spin_echo_is_that_of_both_pulses(engine):
    """|M+|(z) = 2 |a b| |b_r|^2 of the spin-1/2 rotations; half of its width is 0.48 slices."""
    sequence = SpinEcho(te=20e-3, tr=1e5, **LINE)
    z = np.linspace(0, 6e-3, 13)
    found = abs(echo(sequence, engine, z=z, t1=1e3)[:, 0])  # TE / T1 = 2e-5
    freq = GAMMA_BAR * sequence.slice_gradient * z
    excitation = spinor(sequence.pulse(sequence.flip, "excitation"), freq)
    refocusing = spinor(sequence.pulse(sequence.refocusing, "refocusing"), freq / sequence.refocusing_width)
    expected = abs(2 * excitation[0] * excitation[1] * refocusing[1] ** 2)
    assert found == pytest.approx(expected, abs=2e-5)
    assert np.interp(-0.5, -found, z) == pytest.approx(0.48 * 5e-3, abs=5e-5)


@every_engine
def test_off_resonance_displaces_the_slice(engine):
    """By -f / (gamma_bar G): 100 Hz at 10 mT/m are 0.2349 mm; section 9."""
    thickness = 4 / (2.56e-3 * GAMMA_BAR * 10e-3)
    sequence = SpinEcho(te=20e-3, refocusing_width=1.0, **LINE | {"thickness": thickness})
    shift = 100.0 / (GAMMA_BAR * sequence.slice_gradient)
    assert shift == pytest.approx(0.234866e-3, abs=6e-10)
    z = np.array([0.1, 0.3, 0.45]) * thickness
    moved, still = (
        abs(echo(sequence, engine, z=at, freq=f, t1=0.8, t2=0.08)) for at, f in ((z, 100.0), (z + shift, 0.0))
    )
    assert moved == pytest.approx(still, abs=4e-6)
    assert abs(still - abs(echo(sequence, engine, z=z, t1=0.8, t2=0.08))).max() > 0.03


@every_engine
def test_short_pulses_tend_to_the_closed_form(engine):
    """1 us long, selecting 50 m; T2 acts for 3 us of 80 ms, 4e-5, twice."""
    angles = {"te": 20e-3, "tr": 0.9, "flip": 1.4, "refocusing": 2.6}
    short = {"pulse_duration": 1e-6, "thickness": 50.0, "max_b1": 1.0}
    sequences = SpinEcho(**angles, **LINE | short), SpinEcho(**angles, **LINE, rf="ideal")
    found, expected = (echo(s, engine, t1=0.8, t2=0.08).item() for s in sequences)
    assert found == pytest.approx(expected, rel=2e-5)
