"""Balanced SSFP against the closed forms of physics.md section 3."""

import dataclasses
import math

import numpy as np
import pytest

from mrsim.sequences.bssfp import BalancedSsfp

POINT = {"matrix": (1, 1), "fov": (0.5, 0.01), "rf": "ideal"}
CARDIAC = BalancedSsfp(tr=2.6e-3, flip=math.radians(80), **POINT)


def profile(t1, t2, tr, te, flip, freq, phase_step=math.pi):
    """M+ at TE as the receiver sees it, for a pulse along -y."""
    e1, e2, c = np.exp(-tr / t1), np.exp(-tr / t2), np.cos(flip)
    theta = 2 * np.pi * freq * tr + phase_step
    d = (1 - e1 * c) * (1 - e2 * np.cos(theta)) - e2 * (e1 - c) * (e2 - np.cos(theta))
    my = (1 - e1) * np.sin(flip) * (1 - e2 * np.cos(theta)) / d
    mx = (1 - e1) * np.sin(flip) * e2 * np.sin(theta) / d
    return (mx + 1j * my) / 1j * np.exp(-te / t2 - 2j * np.pi * freq * te)


def test_closed_form_has_the_tabulated_values():
    at = lambda t1, t2: profile(t1, t2, 2.6e-3, 1.3e-3, math.radians(80), 0.0)  # noqa: E731
    assert at(1.441, 0.290) == pytest.approx(0.186524, abs=1e-6)
    assert at(1.008, 0.044) == pytest.approx(0.0489762, abs=1e-7)
    assert at(0.343, 0.058) == pytest.approx(0.162476, abs=1e-6)


def test_on_resonance_signal_is_real_and_te_is_half_of_tr(play):
    assert CARDIAC.te == 1.3e-3
    assert dataclasses.replace(CARDIAC, te=math.nan, tr=3e-3).te == 1.5e-3
    signal = play(CARDIAC.events(), t1=[1.008, 0.343], t2=[0.044, 0.058])[:, 0]
    assert signal == pytest.approx([0.0489762, 0.162476], abs=1e-6)


@pytest.mark.parametrize("phase_step", [math.pi, 0.0, 2.0])
@pytest.mark.parametrize("te", [2.5e-3, 1.5e-3])
def test_off_resonance_profile(play, phase_step, te):
    """Amplitude and phase across two bands, with T2' left out."""
    sequence = BalancedSsfp(tr=5e-3, te=te, flip=0.7, phase_step=phase_step, **POINT)
    freq = np.linspace(-199, 203, 24)
    signal = play(sequence.events(), freq=freq, t1=0.1, t2=0.05, t2prime=0.01)[:, 0]
    assert signal == pytest.approx(profile(0.1, 0.05, 5e-3, te, 0.7, freq, phase_step), abs=2e-9)


def test_nulls_lie_half_a_band_beside_the_passband(play):
    """1/(2 TR) off: |M| falls to (1 - E1)(1 - E2) sin / D; the neighbouring band has the opposite sign."""
    signal = play(BalancedSsfp(tr=5e-3, flip=1.0, **POINT).events(), freq=[0, 100, 200], t1=0.1, t2=0.05)[
        :, 0
    ]
    assert abs(signal[1]) == pytest.approx(abs(profile(0.1, 0.05, 5e-3, 2.5e-3, 1.0, 100.0)), abs=1e-9)
    assert abs(signal[1]) < 0.15 * abs(signal[0])
    assert signal[2] == pytest.approx(-signal[0], abs=1e-9)


def test_half_alpha_preparation_decays_smoothly(play):
    """Towards the steady state by the eigenvalue 0.974405 per TR, without oscillation; myocardium."""
    sequence = dataclasses.replace(CARDIAC, matrix=(60, 1), preparation="half-alpha")
    signal = play(sequence.events(), t1=1.008, t2=0.044)[0]
    assert abs(signal.imag).max() < 1e-9
    above = signal.real - 0.0489762
    assert above[40:60] / above[38:58] == pytest.approx(0.974405**2, abs=1e-5)
    assert signal[0] == pytest.approx(math.sin(math.radians(40)), rel=0.07)  # T2 during 1.5 TR of 44 ms
    rough = dataclasses.replace(sequence, preparation="equilibrium")
    assert np.ptp(np.diff(play(rough.events(), t1=1.008, t2=0.044)[0].real)) > 0.3


def test_dummies_are_repetitions_that_are_not_read(play):
    read = dataclasses.replace(CARDIAC, matrix=(30, 1), preparation="half-alpha")
    late = dataclasses.replace(read, matrix=(6, 1), dummies=24)
    found = [play(s.events(), freq=40.0, t1=1.0, t2=0.05)[0] for s in (read, late)]
    assert found[1] == pytest.approx(found[0][24:], abs=1e-12)


def test_encoding_is_undone_before_the_next_pulse(play):
    """A spin off centre in x and y sees only the phase of its place."""
    sequence = BalancedSsfp(
        matrix=(4, 8), fov=(0.04, 0.08), thickness=8e-3, bandwidth=1500.0, preparation="half-alpha"
    )
    events = sequence.events()
    at = {"t1": 0.2, "t2": 0.05, "freq": 20.0, "z": 1e-3}
    moved, still = (play(events, x=x, y=y, **at)[0] for x, y in ((9e-3, -13e-3), (0.0, 0.0)))
    k = events.trajectory().k
    assert moved == pytest.approx(still * np.exp(-2j * np.pi * (k @ (9e-3, -13e-3, 0))), abs=1e-9)
