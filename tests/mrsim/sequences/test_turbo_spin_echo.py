"""Turbo spin echo against the extended phase graph of physics.md section 7."""

import dataclasses
import math

import numpy as np
import pytest

from mrsim.sequences.spin_echo import SpinEcho
from mrsim.sequences.turbo_spin_echo import TurboSpinEcho

POINT = {"matrix": (6, 1), "fov": (0.01, 0.01), "bandwidth": 1000.0, "rf": "ideal"}
CPMG = TurboSpinEcho(te=10e-3, effective_echo=1, echo_train=6, preparation="equilibrium", **POINT)
ECHOES = {
    180: [0.886493, 0.785870, 0.696668, 0.617592, 0.547491, 0.485347],
    120: [0.664870, 0.770520, 0.601066, 0.566045, 0.513770, 0.457531],
    60: [0.221623, 0.377585, 0.416721, 0.402624, 0.344949, 0.307872],
}


@pytest.mark.parametrize("refocusing", ECHOES)
def test_cpmg_echoes(play, refocusing):
    """Real and positive with stimulated echoes, off resonance and with T2' too."""
    events = dataclasses.replace(CPMG, refocusing=math.radians(refocusing)).events()
    signal = play(events, t1=0.833, t2=0.083, t2prime=0.02, freq=[0.0, 33.0])
    assert signal == pytest.approx(np.tile(ECHOES[refocusing], (2, 1)), abs=1e-6)


@pytest.mark.parametrize("refocusing", [120, 60])
def test_real_crushers_and_readouts_keep_the_cpmg_condition(play, refocusing):
    """All pathways of spins off centre, across a turn of the crusher, meet with the phase of the line."""
    sequence = dataclasses.replace(
        CPMG,
        spoiling="gradient",
        refocusing=math.radians(refocusing),
        te=15e-3,
        matrix=(6, 5),
        fov=(0.03, 0.05),
    )
    events = sequence.events()
    z = np.arange(64) / 64 * sequence.thickness / 4
    still, moved = (
        play(events, z=z, x=x, y=y, t1=0.833, t2=0.083, total=True)[0] for x, y in ((0.0, 0.0), (7e-3, 4e-3))
    )
    k = events.trajectory().k
    assert moved == pytest.approx(still * np.exp(-2j * np.pi * (k @ (7e-3, 4e-3, 0))), abs=1e-9)
    ideal = play(dataclasses.replace(sequence, spoiling="ideal").events(), t1=0.833, t2=0.083)[0]
    assert still == pytest.approx(ideal, abs=1e-9)


def test_a_train_of_one_is_a_spin_echo(play):
    shared = POINT | {"te": 20e-3, "tr": 0.8, "flip": 1.3, "refocusing": 2.5}
    one = TurboSpinEcho(echo_train=1, effective_echo=1, **shared)
    signals = [play(s.events(), t1=0.5, t2=0.06, t2prime=0.03) for s in (one, SpinEcho(**shared))]
    assert signals[0] == pytest.approx(signals[1], rel=1e-9)


@pytest.mark.parametrize("order", ["linear", "centre-out"])
@pytest.mark.parametrize("effective_echo", [1, 3, 4])
def test_orders(order, effective_echo):
    sequence = TurboSpinEcho(
        matrix=(24, 8), echo_train=4, effective_echo=effective_echo, te=20e-3 * effective_echo, order=order
    )
    lines = sequence.lines()  # (shot, echo)
    assert lines.shape == (6, 4)
    assert sorted(lines.ravel()) == list(range(24))
    assert 12 in lines[:, effective_echo - 1]
    if order == "linear":
        assert (np.ptp(lines, axis=0) == 5).all()  # each echo reads neighbours
    else:
        away = abs(lines - 12).max(axis=0)
        nearest_first = np.argsort(abs(np.arange(4) - (effective_echo - 1)), kind="stable")
        assert (np.diff(away[nearest_first]) >= 0).all()
