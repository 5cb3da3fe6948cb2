"""The table of the Cartesian engine is as fine as the sequence asks for."""

import math
from dataclasses import replace

import numpy as np
import pytest

from mrsim.bloch.engine import acquire
from mrsim.bloch.table import INTERPOLATION, error_of_every_second, first_step
from mrsim.events.blocks import compile_blocks, delay
from mrsim.sequences.bssfp import BalancedSsfp
from mrsim.sequences.gre import GradientEcho
from tests.mrsim.bloch.play import points, pulse
from tests.mrsim.bloch.test_closed_forms_bssfp import LINE, at_echo


def fluid(n, reach, t1=4.3, t2=2.0):
    """Spins of one tissue in one plane, `reach` [Hz] off at most."""
    freq = np.random.default_rng(1).uniform(-reach, reach, n)
    one = np.ones(1)
    spins = points(freq=freq)
    tissue = np.zeros(n, np.uint8)
    return replace(spins, tissue=tissue, pd=one, t1=t1 * one, t2=t2 * one, t2prime=np.inf * one)


@pytest.mark.parametrize("flip", [5.0, 60.0])
def test_narrow_bands_of_long_t2_are_resolved(flip):
    """physics.md section 3: half a hertz wide at 5 degrees and T2 2 s, 1e-6 of the peak."""
    sequence = BalancedSsfp(tr=5e-3, flip=math.radians(flip), **LINE)
    spins = fluid(8000, 200.0)
    weight = np.random.default_rng(2).standard_normal((6, 8000)).astype(np.complex64)
    found = acquire(spins, sequence, coils=weight, engine="cartesian")[:, sequence.echo_sample] * math.sqrt(
        12
    )
    m = at_echo(4.3, 2.0, spins.freq.astype(float), te=2.5e-3, tr=5e-3, flip=math.radians(flip))
    assert np.abs(found - weight @ m).max() < 3e-6 * np.abs(m).max() * math.sqrt(8000)


def test_unspoiled_echoes_are_brute_force():
    """FISP at one z: bands 33 Hz apart."""
    sequence = GradientEcho(
        spoiling="gradient", rf_increment=0.0, rf="ideal", matrix=(1, 12), fov=(0.02, 0.02)
    )
    spins = fluid(3000, 20.0, t2=0.33)
    exact, found = (acquire(spins, sequence, engine=name) for name in ("isochromat", "cartesian"))
    assert np.abs(found - exact).max() < 3e-6 * np.abs(exact).max()


def test_error_of_cubic_interpolation():
    """In the middle of nodes, here 2 steps apart: 9 h^4 / 384 of the fourth derivative; none of a cubic."""
    x = 0.1 * np.arange(40)
    found = error_of_every_second(np.stack([np.sin(x), np.cos(x)]))
    assert found == pytest.approx(9 / 384 * 0.2**4, rel=0.05)
    assert error_of_every_second(x**3 - x) < 1e-14
    assert INTERPOLATION < 1e-5


@pytest.mark.parametrize(("between", "expected"), [({}, 0.1 / 0.3), ({"crusher": True}, 10.0)])
def test_coherences_between_pulses_are_not_stepped_over(between, expected):
    """Pulses 0.3 s apart with nothing between make bands 3.3 Hz apart; spoiled before the next repetition."""
    blocks = [pulse(90), delay(0.3, **between), pulse(40), delay(0.7, spoil=True)]
    events = compile_blocks(blocks, matrix=(1, 1), pixel_volume=1.0)
    assert first_step(events) == pytest.approx(expected)
