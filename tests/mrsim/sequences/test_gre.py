"""Spoiled gradient echo against the closed forms of physics.md section 2."""

import dataclasses
import math

import numpy as np
import pytest

from mrsim.sequences.gre import GradientEcho, quadratic_phase
from mrsim.sequences.prepared import PreparedSequence

T1, T2, T2STAR = 0.833, 0.083, 0.069
POINT = {"matrix": (1, 1), "fov": (0.01, 0.01), "bandwidth": 1000.0, "rf": "ideal"}
FLASH = GradientEcho(te=4e-3, tr=10e-3, flip=math.radians(15), **POINT)


def spgr(flip, tr=10e-3):
    e1 = math.exp(-tr / T1)
    return math.sin(flip) * (1 - e1) / (1 - math.cos(flip) * e1)


@pytest.mark.parametrize("flip", [math.radians(15), math.radians(8.860247)])
def test_ideal_spoiling_gives_the_ernst_formula(play, flip):
    events = dataclasses.replace(FLASH, flip=flip).events()
    signal = play(events, t1=T1, t2=T2, t2prime=1 / (1 / T2STAR - 1 / T2))
    assert signal == pytest.approx(spgr(flip) * math.exp(-4 / 69), rel=1e-9)
    assert spgr(math.radians(15)) * math.exp(-4 / 69) == pytest.approx(0.0639146, abs=1e-7)


def test_approach_to_the_steady_state_and_dummies(play):
    """Mz before pulse n + 1: (1 - E)/(1 - Ec)(1 - (Ec)^n) + (Ec)^n."""
    from_start = dataclasses.replace(FLASH, preparation="equilibrium", matrix=(25, 1))
    signal = play(from_start.events(), t1=T1, t2=T2)[0]
    e, c = math.exp(-10e-3 / T1), math.cos(FLASH.flip)
    n = np.arange(25)
    mz = (1 - e) / (1 - e * c) * (1 - (e * c) ** n) + (e * c) ** n
    assert mz[20] == pytest.approx(0.551984, abs=1e-6)
    assert signal == pytest.approx(mz * math.sin(FLASH.flip) * math.exp(-4 / 83), rel=1e-9)
    late = dataclasses.replace(from_start, matrix=(5, 1), dummies=20)
    assert play(late.events(), t1=T1, t2=T2)[0] == pytest.approx(signal[20:], rel=1e-9)


@pytest.mark.parametrize(("increment", "after_pulse"), [(117, 0.066306), (50, 0.066245), (0, 0.098884)])
def test_rf_spoiling(play, increment, after_pulse):
    """One turn per TR across the voxel and quadratic phases are not quite the ideal 0.067729."""
    start = {"preparation": "equilibrium", "dummies": 320} if increment else {}
    sequence = dataclasses.replace(FLASH, spoiling="gradient", rf_increment=math.radians(increment), **start)
    z = np.arange(256) / 256 * sequence.thickness / 4  # one turn of the spoiler
    signal = play(sequence.events(), z=z, t1=T1, t2=T2, total=True).item() * math.exp(4 / 83)
    assert abs(signal) == pytest.approx(after_pulse, abs=3e-6)
    assert abs(np.angle(signal)) < 0.1  # what is left of former excitations turns it a little


def test_quadratic_phase_steps_grow_by_the_increment():
    phase = np.unwrap([quadratic_phase(n, 2.0) for n in range(8)])
    turns = np.diff(phase, 2) / (2 * np.pi)
    assert turns - 2.0 / (2 * np.pi) == pytest.approx(np.round(turns - 2.0 / (2 * np.pi)), abs=1e-9)
    assert quadratic_phase(0, 2.0) == 0


def test_shaped_pulse_leaves_a_real_signal(play):
    sequence = GradientEcho(matrix=(1, 1), fov=(0.01, 0.01), preparation="equilibrium")
    signal = play(sequence.events(), z=np.linspace(-1e-3, 1e-3, 101))[:, 0]
    assert abs(np.angle(signal.sum())) < 2e-3
    assert signal.sum().real * 0.02e-3 == pytest.approx(math.sin(sequence.flip) * 1e-3, rel=0.03)  # one slice


def test_fat_is_saturated_and_water_is_not(play):
    base = GradientEcho(te=4e-3, tr=0.2, preparation="equilibrium", **POINT)
    with_pulse = dataclasses.replace(base, fat_saturation=True)
    freq = [0.0, 10.0, -217.1]
    before, after = (abs(play(s.events(), freq=freq, t1=[1.0, 1.0, 0.35])[:, 0]) for s in (base, with_pulse))
    assert after[:2] / before[:2] == pytest.approx(1, abs=0.005)  # 1 - cos(7 % of 90 degrees)
    assert after[2] / before[2] < 0.02  # T1 during the pulse and its spoiler
    assert issubclass(GradientEcho, PreparedSequence)
