"""Steady states in closed form against published numbers, against the train, and against the Bloch engine."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from mrsim.bloch.engine import simulate
from mrsim.cine.readout import lagrange, n_points
from mrsim.cine.steady import STEP, Train, signal_table, steady_state
from phantoms.phantom import Spins
from phantoms.tissues import tissue_table
from tests.mrsim.cine.small import SEQUENCE

TISSUES = tissue_table("cardiac-1.5T")
FLIP = math.radians(80)


@pytest.mark.parametrize(
    ("t1", "t2", "signal"), [(1.441, 0.29, 0.186524), (1.008, 0.044, 0.0489762), (0.343, 0.058, 0.162476)]
)
def test_on_resonance_it_is_the_textbook_formula(t1, t2, signal):
    # numbers of physics.md 3, from M0 sin a (1 - E1) sqrt(E2) / (1 - (E1 - E2) cos a - E1 E2)
    found = steady_state(t1, t2, 0.0, te=1.3e-3, tr=2.6e-3, flip=FLIP, phase_step=math.pi)
    assert found == pytest.approx(signal, rel=1e-5)
    assert abs(found.imag) < 1e-12


def test_bands_lie_where_precession_makes_up_for_the_phase_step():
    turns = np.array([0.0, 0.25, 0.45, 0.5])  # per TR
    after = np.abs(
        steady_state(1.441, 0.29, turns / 2.6e-3, te=0.0, tr=2.6e-3, flip=FLIP, phase_step=math.pi)
    )
    assert after == pytest.approx((0.187362, 0.149053, 0.0374406, 0.00107996), rel=1e-5)
    moved = steady_state(1.441, 0.29, 0.0, te=0.0, tr=2.6e-3, flip=FLIP, phase_step=0.0)
    assert abs(moved) == pytest.approx(0.00107996, rel=1e-5)


@pytest.mark.parametrize("phase_step", [math.pi, 2.0])
def test_the_bloch_engine_ends_in_the_same_state(phase_step):
    sequence = replace(SEQUENCE, matrix=(1, 8), fov=(0.2, 0.2), phase_step=phase_step)
    freq = np.linspace(-400, 400, 33)
    tissue = TISSUES.tissues[1]
    for f in freq:
        spin = Spins(
            position=np.zeros((3, 1)),
            tissue=np.zeros(1, np.uint8),
            freq=np.full(1, f, np.float32),
            cell=(0.025, 0.2, 8e-3),
            pd=np.ones(1),
            t1=np.full(1, tissue.t1),
            t2=np.full(1, tissue.t2),
            t2prime=np.full(1, np.inf),
        )
        echo = simulate(spin, sequence, engine="isochromat")[0, 0, 4] * np.sqrt(8)
        one = steady_state(
            tissue.t1, tissue.t2, f, te=sequence.te, tr=sequence.tr, flip=FLIP, phase_step=phase_step
        )
        assert echo == pytest.approx(complex(one), abs=2e-6)


def test_a_train_approaches_the_table_at_the_rate_of_scheffler():
    sequence = replace(SEQUENCE, preparation="half-alpha")
    table = signal_table(TISSUES, sequence, (-100.0, 100.0))
    train = Train(tissues=TISSUES, sequence=sequence, table=table)
    echoes = list(itertools.islice(train.echoes(), 4000))
    assert echoes[-1] == pytest.approx(table.values, abs=2e-6)
    at = round(-table.first / STEP)
    myocardium = np.array([abs(e[2, at] - table.values[2, at]) for e in echoes[:40]])
    assert echoes[0][2, at] == pytest.approx(0.8 * math.sin(FLIP / 2), rel=0.05)
    e1, e2 = (math.exp(-sequence.tr / t) for t in (TISSUES.tissues[2].t1, TISSUES.tissues[2].t2))
    rate = e1 * math.cos(FLIP / 2) ** 2 + e2 * math.sin(FLIP / 2) ** 2
    assert (myocardium[30] / myocardium[10]) ** (1 / 20) == pytest.approx(rate, abs=1e-3)


def test_tables_are_looked_up_between_their_columns():
    table = signal_table(TISSUES, SEQUENCE, (-300.0, 300.0))
    freq = np.random.default_rng(0).uniform(-300, 300, 1000).astype(np.float32)
    column, share = table.place(freq)
    found = table.values[1, column] * (1 - share) + table.values[1, column + 1] * share
    blood = TISSUES.tissues[1]
    wanted = blood.pd * steady_state(
        blood.t1, blood.t2, freq, te=SEQUENCE.te, tr=SEQUENCE.tr, flip=FLIP, phase_step=math.pi
    )
    assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max() * 2


@pytest.mark.parametrize("reach", [0.3, 1.5, 4.0])
def test_readouts_are_interpolated_to_the_tolerance(reach):
    n = n_points(reach)
    nodes = np.cos(np.pi * (np.arange(n) + 0.5) / n)
    at = np.linspace(-1, 1, 101)
    assert np.abs(np.exp(1j * reach * nodes) @ lagrange(nodes, at) - np.exp(1j * reach * at)).max() < 1e-5
