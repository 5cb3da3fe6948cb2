"""Multi-echo trains and stimulated echoes through the fast engines: physics.md section 7."""

import math

import numpy as np
import pytest

from mrsim.events.blocks import delay
from mrsim.sequences.turbo_spin_echo import TurboSpinEcho
from tests.mrsim.bloch.play import READ, delay_from, delay_to, echo, played, pulse, signal

T1, T2 = 0.833, 0.083
ECHOES = {
    180: [0.886493, 0.785870, 0.696668, 0.617592, 0.547491, 0.485347],
    120: [0.664870, 0.770520, 0.601066, 0.566045, 0.513770, 0.457531],
    60: [0.221623, 0.377585, 0.416721, 0.402624, 0.344949, 0.307872],
}


def extended_phase_graph(flip, spacing, n, t1, t2, mz=1.0):
    """Echoes (n,) of a CPMG train after a 90 degree pulse along -y, refocused about x, and Mz at the last.

    Rows F+, F-, Z of the states by order, which every half spacing relaxes and shifts (Weigel 2015).
    """
    e1, e2 = math.exp(-spacing / 2 / t1), math.exp(-spacing / 2 / t2)
    c, s = math.cos(flip), math.sin(flip)
    # M+ -> cos^2(a/2) M+ + sin^2(a/2) M-* about x, and dM/dt = gamma M x B turns Mz into +My
    rotation = np.array(
        [
            [(1 + c) / 2, (1 - c) / 2, 1j * s],
            [(1 - c) / 2, (1 + c) / 2, -1j * s],
            [1j * s / 2, -1j * s / 2, c],
        ]
    )
    states = np.zeros((3, 2 * n + 3), complex)
    states[:2, 0] = mz
    echoes = []
    for _ in range(n):
        states = rotation @ shifted(states, e1, e2)
        states = shifted(states, e1, e2)
        echoes.append(states[0, 0])
    return np.array(echoes), states[2, 0].real


def shifted(states, e1, e2):
    """Relax for half an echo spacing, dephase by one order."""
    plus, minus, z = e2 * states[0], e2 * states[1], e1 * states[2]
    z[0] += 1 - e1
    plus, minus = np.append(minus[1].conj(), plus[:-1]), np.append(minus[1:], 0)
    return np.stack([plus, minus, z])


@pytest.mark.parametrize("refocusing", ECHOES)
def test_phase_graph_has_the_tabulated_values(refocusing):
    found, _ = extended_phase_graph(math.radians(refocusing), 10e-3, 6, T1, T2)
    assert found == pytest.approx(ECHOES[refocusing], abs=6e-7)


def train(refocusing, **more):
    line = {"te": 10e-3, "matrix": (6, 12), "fov": (0.02, 0.02), "bandwidth": 1000.0, "rf": "ideal"}
    angle = math.radians(refocusing)
    return TurboSpinEcho(effective_echo=1, echo_train=6, refocusing=angle, **line | more)


@pytest.mark.parametrize("refocusing", [180, 120, 60])
def test_cpmg_train_from_equilibrium(refocusing):
    """Echoes of 10 ms spacing, stimulated ones in phase, whatever off-resonance and T2' are."""
    events = train(refocusing, preparation="equilibrium")
    found = echo(events, "isochromat", t1=T1, t2=T2, t2prime=0.02, freq=[0.0, 33.0])
    assert found == pytest.approx(np.tile(ECHOES[refocusing], (2, 1)), abs=1e-6)


@pytest.mark.parametrize("engine", ["cartesian", "isochromat"])
@pytest.mark.parametrize("refocusing", [180, 120, 60])
def test_cpmg_train_in_the_steady_state(engine, refocusing):
    """TR 0.4 s: the phase graph from the Mz with which each repetition leaves the next."""
    sequence = train(refocusing, tr=0.4)
    graph = lambda mz: extended_phase_graph(sequence.refocusing, 10e-3, 6, T1, T2, mz)  # noqa: E731
    rest = math.exp(-(sequence.tr - 60e-3) / T1)
    left = [1 - rest + rest * graph(mz)[1] for mz in (0.0, 1.0)]  # a linear map of Mz
    steady = left[0] / (1 - left[1] + left[0])
    found = echo(sequence, engine, t1=T1, t2=T2, freq=20.0)[0]
    assert found == pytest.approx(graph(steady)[0], rel=2e-6)


@pytest.mark.parametrize("refocusing", [180, 120, 60])
def test_real_gradients_keep_the_cpmg_condition(refocusing):
    """Spins across one turn of the crusher gradients, off centre in x and y, meet in phase."""
    sequence = train(refocusing, spoiling="gradient", preparation="equilibrium", te=12e-3)
    expected, _ = extended_phase_graph(sequence.refocusing, sequence.echo_spacing, 6, T1, T2)
    z = (np.arange(64) + 0.5) / 64 * sequence.thickness / 4
    x, y = 2e-3, -3e-3
    found = echo(sequence, "isochromat", x=x, y=y, z=z, t1=T1, t2=T2).mean(axis=0)
    ky = sequence.phase_encodes[sequence.lines()[0]]
    assert found == pytest.approx(expected * np.exp(-2j * np.pi * ky * y), rel=2e-6)


def stimulated_echo(flips, **spin):
    """Signals at the spin echo of the first two of three pulses, and at the stimulated one.

    The crushers leave the one coherence that was stored between the second and the third pulse.
    """
    first, second, third = (pulse(flip, -90) for flip in flips)
    tau, mixing, crush = 10e-3, 100e-3, delay(0.0, crusher=True)
    blocks = [first, delay(tau), crush, second, delay_to(tau), crush, READ, delay_from(mixing - tau)]
    events = played(*blocks, crush, crush, third, delay_to(tau), crush, READ)
    return abs(signal(events, freq=12.5, **spin)[0])


@pytest.mark.parametrize(
    ("flips", "spin_echo", "stimulated"), [((90, 90, 90), 0.5, 0.5), ((70, 50, 40), 0.167835, 0.231354)]
)
def test_stimulated_echo_without_relaxation(flips, spin_echo, stimulated):
    """sin(a1) sin^2(a2/2) and sin(a1) sin(a2) sin(a3) / 2."""
    a1, a2, a3 = np.radians(flips)
    formula = math.sin(a1) * math.sin(a2 / 2) ** 2, math.sin(a1) * math.sin(a2) * math.sin(a3) / 2
    assert formula == pytest.approx((spin_echo, stimulated), abs=6e-7)
    assert stimulated_echo(flips) == pytest.approx(formula, rel=1e-6)


def test_stimulated_echo_with_relaxation():
    """exp(-2 tau/T2) exp(-TM/T1) / 2 = 0.348485 at tau 10 ms, TM 100 ms."""
    formula = math.exp(-20e-3 / T2) / 2, math.exp(-20e-3 / T2) * math.exp(-100e-3 / T1) / 2
    assert formula[1] == pytest.approx(0.348485, abs=6e-7)
    assert stimulated_echo((90, 90, 90), t1=T1, t2=T2) == pytest.approx(formula, rel=1e-6)
