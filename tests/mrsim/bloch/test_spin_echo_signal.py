"""Closed forms of the spin echo, through every engine."""

import math

import numpy as np
import pytest
from scipy.optimize import curve_fit

from mrsim.bloch.engine import ENGINES, simulate
from mrsim.constants import GAMMA_BAR
from mrsim.events import Events, Repetition
from mrsim.rf import hard, instantaneous
from mrsim.sequences.spin_echo import SpinEcho
from phantoms.tissues import tissue_table

PIXEL = {"fov": (1e-3, 1e-3), "matrix": (1, 1), "thickness": 1e-3}
every_engine = pytest.mark.parametrize("engine", ENGINES)


def closed_form(pd, t1, t2, te, tr, flip=math.pi / 2, refocusing=math.pi):
    """physics.md section 1."""
    eh, er = np.exp(-te / 2 / t1), np.exp(-(tr - te / 2) / t1)
    recovered = 1 - er + np.cos(refocusing) * er * (1 - eh)
    steady = recovered / (1 - np.cos(flip) * np.cos(refocusing) * eh * er)
    return pd * np.sin(flip) * np.sin(refocusing / 2) ** 2 * np.exp(-te / t2) * steady


@every_engine
@pytest.mark.parametrize(
    ("tissue", "te", "tr", "flip", "refocusing", "signal"),
    [
        (0, 80, 3000, 90, 180, 0.532573888),
        (1, 80, 3000, 90, 180, 0.318190436),
        (2, 80, 3000, 90, 180, 0.244847982),
        (3, 80, 3000, 90, 180, 0.318831514),
        (1, 80, 500, 90, 180, 0.130335811),
        (0, 80, 3000, 90, 160, 0.516738690),
        (1, 80, 3000, 80, 150, 0.291224771),
    ],
)
def test_steady_state(make_spins, engine, tissue, te, tr, flip, refocusing, signal):
    angles = {"flip": math.radians(flip), "refocusing": math.radians(refocusing)}
    sequence = SpinEcho(te=te * 1e-3, tr=tr * 1e-3, rf="ideal", **angles, **PIXEL)
    kspace = simulate(make_spins(0.0, tissue=tissue), sequence, engine=engine)
    assert kspace.ravel() == pytest.approx([signal], rel=1e-6)


@every_engine
def test_shaped_pulses_tend_to_the_closed_form_as_they_become_short(make_spins, engine):
    short = {"rf": "shaped", "pulse_duration": 1e-6, "thickness": 0.1, "max_b1": 1.0, "max_gradient": 9.0}
    sequence = SpinEcho(flip=1.4, refocusing=2.6, **PIXEL | short)
    kspace = simulate(make_spins(0.0), sequence, engine=engine, n_sub=1) * 100  # 1 mm cell, 100 mm slice
    assert kspace.ravel() == pytest.approx([closed_form(0.86, 0.833, 0.083, 80e-3, 3.0, 1.4, 2.6)], rel=1e-5)


def test_slice_profile_is_that_of_the_two_pulses(make_spins):
    """|M+|(z) = |2 a* b| |b_r|^2 with the spin-1/2 rotations of the pulses; relaxation too slow to matter."""
    sequence = SpinEcho(te=20e-3, tr=3e3, bandwidth=200.0, **PIXEL)
    slow = {"t1": 100.0, "t2": 1e5, "t2prime": np.inf, "pd": 1.0, "cell": (1e-3, 1e-3, 1e-3)}
    z = np.linspace(0, 1.2e-3, 13)
    echo = [abs(simulate(make_spins(0.0, z=at, **slow), sequence, n_sub=1).item()) for at in z]
    freq = GAMMA_BAR * sequence.slice_gradient * z
    excitation, refocusing = (spinor(p, f) for p, f in zip(sequence.pulses, (freq, freq / 2), strict=True))
    expected = abs(2 * excitation[0] * excitation[1] * refocusing[1] ** 2)
    assert echo == pytest.approx(expected, abs=1e-4)  # T1 acts during 2.56 ms + 10 ms of 100 s
    assert np.interp(-0.5, -expected, z) == pytest.approx(
        0.478e-3, abs=1e-5
    )  # half of the width said to be 0.96


def spinor(pulse, freq):
    """Cayley-Klein parameters (alpha, beta) of a pulse at off-resonances [Hz]."""
    alpha, beta = np.ones(freq.size, complex), np.zeros(freq.size, complex)
    for step in pulse.nutation:
        x, y, z = step.real, step.imag, 2 * np.pi * freq * pulse.dt
        angle = np.sqrt(x**2 + y**2 + z**2)
        c, s = np.cos(angle / 2), np.sinc(angle / 2 / np.pi) / 2
        a, b = c + 1j * z * s, 1j * (x + 1j * y) * s
        alpha, beta = a * alpha - b.conj() * beta, b * alpha + a.conj() * beta
    return alpha, beta


@every_engine
def test_off_resonance_shifts_the_slice(make_spins, engine):
    """By f / (gamma_bar G): 100 Hz at 10 mT/m are 0.2349 mm; physics.md section 9."""
    gradient, f = 10e-3, 100.0
    thickness = 4 / (2.56e-3 * GAMMA_BAR * gradient)
    sequence = SpinEcho(refocusing_width=1.0, **PIXEL | {"thickness": thickness})
    shift = f / (GAMMA_BAR * gradient)
    assert shift == pytest.approx(0.234866e-3, rel=1e-6)
    z = 0.4 * thickness
    moved = simulate(make_spins(0.0, z=z, freq=f), sequence, engine=engine, n_sub=1)
    still = simulate(make_spins(0.0, z=z + shift), sequence, engine=engine, n_sub=1)
    assert abs(moved) == pytest.approx(abs(still), rel=2e-6)
    assert (
        abs(moved).item() < 0.9 * abs(simulate(make_spins(0.0, z=z), sequence, engine=engine, n_sub=1)).item()
    )


def one_pulse(wait, *, samples=1, dwell=1e-6, gradient=0.0, tr=30.0):
    """Instantaneous 90 along -y, a wait, a readout without gradient."""
    one = Repetition()
    one.add(0.0, pulse=0)
    one.add(wait, (gradient, 0.0, 0.0))
    one.add(samples * dwell, samples=samples)
    one.add(tr, spoil=True)
    pulse = instantaneous(math.pi / 2, phase=-math.pi / 2, use="excitation")
    return Events(**one.columns(), pulses=(pulse,), matrix=(1, samples), pixel_volume=1e-9)


@every_engine
def test_free_induction_decays_with_t2star_and_turns_backwards(make_spins, engine):
    """|S(30 ms)| = 0.647405 at T2* 69 ms, phase exp(-i 2 pi f t); physics.md section 5."""
    spins = make_spins(0.0, pd=1.0, freq=37.5)
    signal = simulate(spins, one_pulse(30e-3), engine=engine).item()
    assert signal == pytest.approx(0.647405392 * np.exp(-2j * np.pi * 37.5 * 30e-3), rel=1e-6)


@every_engine
def test_dephasing_across_frequencies_and_across_a_voxel(make_spins, engine):
    """Midpoint sums of sinc: +-20 Hz in 10 ms, 100 Hz across the voxel in 5 ms; physics.md section 5."""
    still = {"pd": 1.0, "t1": 0.1, "t2": 1e9, "t2prime": np.inf}
    n = 1000
    at = (np.arange(n) + 0.5) / n - 0.5
    spread = simulate(make_spins(np.zeros(n), freq=40 * at, **still), one_pulse(10e-3), engine=engine)
    assert spread.item() / n == pytest.approx(0.756826729, rel=1e-5)
    events = one_pulse(5e-3, gradient=100 / (GAMMA_BAR * 1e-3))
    voxel = simulate(make_spins(at * 1e-3, **still), events, engine=engine)
    assert voxel.item() / n == pytest.approx(0.636619772, rel=1e-5)


def refocused(times, *, samples=1, dwell=1e-6):
    """90 along -y, times[0], 180 along x, times[1], readout."""
    one = Repetition()
    one.add(0.0, pulse=0)
    one.add(times[0], crusher=True)
    one.add(0.0, pulse=1)
    one.add(times[1], crusher=True)
    one.add(samples * dwell, samples=samples)
    one.add(30.0, spoil=True)
    pulses = (
        instantaneous(math.pi / 2, phase=-math.pi / 2, use="excitation"),
        instantaneous(math.pi, use="refocusing"),
    )
    return Events(**one.columns(), pulses=pulses, matrix=(1, samples), pixel_volume=1e-9)


@every_engine
def test_hahn_echo_refocuses_off_resonance(make_spins, engine):
    """exp(-80/83) without phase at TE, -2 pi f t after it; physics.md section 6."""
    spins = make_spins(0.0, pd=1.0, t2prime=np.inf, freq=37.5)
    events = refocused((40e-3, 40e-3), samples=2, dwell=5e-3)
    at_echo, later = simulate(spins, events, engine=engine).ravel() * math.sqrt(2)  # orthonormal
    assert at_echo == pytest.approx(0.3814195145, rel=1e-6)
    assert np.angle(later) == pytest.approx(-1.178097245, rel=1e-6)


@every_engine
def test_t2prime_is_refocused_at_the_spin_echo_only(make_spins, engine):
    """180 at 25 ms, read at 60 ms: exp(-60/T2) exp(-10/T2'); at 50 ms: T2 alone; physics.md section 5."""
    spins = make_spins(0.0, pd=1.0)
    assert simulate(spins, refocused((25e-3, 35e-3)), engine=engine).item() == pytest.approx(
        0.473626058, rel=1e-6
    )
    at_echo = simulate(spins, refocused((25e-3, 25e-3)), engine=engine).item()
    assert at_echo == pytest.approx(math.exp(-50 / 83), rel=1e-6)


@every_engine
def test_t2prime_bends_at_the_echo(make_spins, engine):
    """During the readout |S| = exp(-R2 t) exp(-R2' |t - TE|): samples 1 ms apart, four before it."""
    sequence = SpinEcho(rf="ideal", bandwidth=1 / 8e-3, **PIXEL | {"matrix": (1, 8)})
    kspace = simulate(make_spins(0.0), sequence, engine=engine).ravel()
    t = sequence.sample_times
    r2, r2prime = 1 / 0.083, 1 / 0.069 - 1 / 0.083
    assert t == pytest.approx(1e-3 * np.arange(-4, 4))
    assert abs(kspace / kspace[4]) == pytest.approx(np.exp(-r2 * t - r2prime * abs(t)), rel=1e-6)


@pytest.mark.parametrize("name", ["brainweb-1.5T", "brainweb-3T"])
def test_relaxation_times_are_recovered_by_a_fit(make_spins, name):
    """PD, T1 and T2 of CSF, GM, WM from images at five TE and five TR return the tissue table."""
    for tissue in tissue_table(name).tissues[1:4]:
        properties = {"pd": tissue.pd, "t1": tissue.t1, "t2": tissue.t2, "t2prime": tissue.t2prime}
        spins = make_spins(0.0, freq=20.0, **properties)
        pairs = [(te, 3.0) for te in (15e-3, 40e-3, 80e-3, 120e-3, 200e-3)]
        pairs += [(15e-3, tr) for tr in (0.3, 0.6, 1.2, 2.4, 6.0)]
        te, tr = np.array(pairs).T
        signal = [simulate(spins, SpinEcho(te=e, tr=r, rf="ideal", **PIXEL)).real.item() for e, r in pairs]
        found, _ = curve_fit(
            lambda t, pd, t1, t2: closed_form(pd, t1, t2, *t),
            (te, tr),
            signal,
            p0=(1.0, 1.0, 0.1),
            xtol=1e-12,
        )
        assert found == pytest.approx((tissue.pd, tissue.t1, tissue.t2), rel=1e-5)


def test_hard_refocusing_pulse_of_finite_length_keeps_its_timing():
    """A 1 ms hard 180 on resonance inverts the dephasing clock in its centre."""
    one = Repetition()
    one.add(1e-3, pulse=0)
    one.add(20e-3)
    one.add(1e-3, pulse=1)
    one.add(20e-3)
    one.add(1e-6, samples=1)
    pulses = (
        hard(math.pi / 2, 1e-3, use="excitation"),
        hard(math.pi, 1e-3, use="refocusing"),
    )
    events = Events(**one.columns(), pulses=pulses, matrix=(1, 1), pixel_volume=1e-9)
    assert events.trajectory().clock.item() == pytest.approx(
        20.5e-3 - 21e-3
    )  # centre to centre, then to readout
