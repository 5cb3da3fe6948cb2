"""Balanced SSFP through the fast engines: physics.md sections 3 and 9."""

import math
from dataclasses import replace

import numpy as np
import pytest

from mrsim.sequences.bssfp import BalancedSsfp
from tests.mrsim.bloch.play import TOLERANCE, echo

BLOOD, MYOCARDIUM, FAT = (1.441, 0.290), (1.008, 0.044), (0.343, 0.058)  # T1, T2 [s]
TR, FLIP = 2.6e-3, math.radians(80)
LINE = {"matrix": (1, 12), "fov": (0.5, 0.05), "bandwidth": 5000.0, "rf": "ideal"}
CINE = BalancedSsfp(tr=TR, flip=FLIP, **LINE)
every_engine = pytest.mark.parametrize("engine", ["cartesian", "isochromat", "nufft"])


def after_pulse(t1, t2, freq, tr=TR, flip=FLIP, phase_step=math.pi):
    """M+ just after a pulse that turns Mz into +Mx."""
    e1, e2, c = np.exp(-tr / t1), np.exp(-tr / t2), np.cos(flip)
    theta = 2 * np.pi * np.asarray(freq) * tr + phase_step
    d = (1 - e1 * c) * (1 - e2 * np.cos(theta)) - e2 * (e1 - c) * (e2 - np.cos(theta))
    my = (1 - e1) * np.sin(flip) * (1 - e2 * np.cos(theta)) / d
    mx = (1 - e1) * np.sin(flip) * e2 * np.sin(theta) / d
    return (mx + 1j * my) / 1j


def at_echo(t1, t2, freq, te=TR / 2, **more):
    return after_pulse(t1, t2, freq, **more) * np.exp(-te / t2 - 2j * np.pi * np.asarray(freq) * te)


@every_engine
@pytest.mark.parametrize(
    ("tissue", "expected", "best"),
    [(BLOOD, 0.186524, 48.3228), (MYOCARDIUM, 0.0489762, 23.6018), (FAT, 0.162476, 44.7062)],
)
def test_on_resonance(engine, tissue, expected, best):
    """sin(a) (1 - E1) sqrt(E2) / (1 - (E1 - E2) cos(a) - E1 E2), real and positive; greatest at `best`."""
    t1, t2 = tissue
    flips = np.radians([80.0, best - 1, best, best + 1])
    e1, e2 = math.exp(-TR / t1), math.exp(-TR / t2)
    formula = np.sin(flips) * (1 - e1) * math.sqrt(e2) / (1 - (e1 - e2) * np.cos(flips) - e1 * e2)
    assert formula[0] == pytest.approx(expected, abs=6e-7)
    found = [echo(replace(CINE, flip=f), engine, t1=t1, t2=t2).item() for f in flips]
    assert found == pytest.approx(formula, rel=TOLERANCE[engine])
    assert found[2].real > max(found[1].real, found[3].real)


@every_engine
@pytest.mark.parametrize(("phase_step", "te"), [(math.pi, 1.1e-3), (0.0, 1.3e-3), (2.0, 1.2e-3)])
def test_off_resonance_profile(engine, phase_step, te):
    """Amplitude and phase across two bands and their nulls, whatever T2' is."""
    freq = np.linspace(-391, 387, 24)
    found = echo(replace(CINE, phase_step=phase_step, te=te), engine, freq=freq, t1=0.6, t2=0.1, t2prime=0.01)
    expected = at_echo(0.6, 0.1, np.float32(freq), te=te, phase_step=phase_step)
    assert found[:, 0] == pytest.approx(expected, abs=TOLERANCE[engine])


@every_engine
def test_bands(engine):
    """Nulls at +-1 / (2 TR) = 192.3 Hz, opposite signs beyond them: fat at -220 Hz is inverted."""
    null = 1 / (2 * TR)
    turns = np.array([0, 0.25, 0.45, 0.5]) / TR
    assert abs(after_pulse(*BLOOD, turns)) == pytest.approx(
        [0.187362, 0.149053, 0.0374406, 0.00107996], abs=6e-7
    )
    found = echo(CINE, engine, freq=[0.0, *turns[1:], -null, 2 * null], t1=BLOOD[0], t2=BLOOD[1])[:, 0]
    assert abs(found[:5]) * math.exp(TR / 2 / BLOOD[1]) == pytest.approx(
        abs(after_pulse(*BLOOD, [0.0, *turns[1:], -null])), abs=1e-6
    )
    assert abs(found[3:5]).max() < 0.006 * abs(found[0])
    assert found[5] == pytest.approx(-found[0], rel=2e-5)
    fat = echo(CINE, engine, freq=[-220.0], t1=FAT[0], t2=FAT[1]).item()
    assert fat == pytest.approx(at_echo(*FAT, -220.0), abs=2e-6)
    assert fat.real < -0.04


@pytest.mark.parametrize(("tissue", "degrees"), [(BLOOD, 1.581), (MYOCARDIUM, 10.389)])
def test_the_echo_refocuses_off_resonance(tissue, degrees):
    """Peak-to-peak phase at TR / 2 over 80 % of the band, where free precession would turn by 144 degrees."""
    freq = np.linspace(-0.8, 0.8, 161) / (2 * TR)
    phase = np.angle(echo(CINE, "cartesian", freq=freq, t1=tissue[0], t2=tissue[1])[:, 0])
    assert math.degrees(np.ptp(phase)) == pytest.approx(degrees, abs=1e-3)


def test_half_alpha_preparation_decays_smoothly():
    """By the eigenvalue 0.974405 per TR, E1 cos^2(a/2) + E2 sin^2(a/2) = 0.974781 within 4e-4; section 3."""
    t1, t2 = MYOCARDIUM
    sequence = replace(CINE, matrix=(60, 12), preparation="half-alpha")
    above = echo(sequence, t1=t1, t2=t2)[0].real - at_echo(t1, t2, 0.0).real
    assert (above[40] / above[0]) ** (1 / 40) == pytest.approx(0.974405, abs=2e-5)
    half = FLIP / 2
    scheffler = math.exp(-TR / t1) * math.cos(half) ** 2 + math.exp(-TR / t2) * math.sin(half) ** 2
    assert scheffler == pytest.approx(0.974781, abs=6e-7)
    assert (above[1:] / above[:-1])[5:40] == pytest.approx(scheffler, abs=6e-4)
    assert (above[0] + 0.0489762) == pytest.approx(math.sin(half), rel=0.07)  # T2 during 1.5 TR of 44 ms


def test_bands_of_a_linear_field_across_an_object():
    """Section 9: 1 / (TR dB0/dx) = 3.846 cm between the bands at 100 Hz/cm; along y, which stays in place."""
    y = np.arange(-160, 160) * 0.5e-3
    slope = 100 / 1e-2  # [Hz/m]
    signals = echo(CINE, "cartesian", y=y, freq=slope * y, t1=BLOOD[0], t2=BLOOD[1])[:, 0]
    dark = np.flatnonzero((abs(signals[1:-1]) < abs(signals[:-2])) & (abs(signals[1:-1]) < abs(signals[2:])))
    assert np.diff(y[dark + 1]) == pytest.approx(1 / (TR * slope), abs=0.5e-3)
    assert 1 / (TR * slope) == pytest.approx(3.846e-2, abs=1e-5)
