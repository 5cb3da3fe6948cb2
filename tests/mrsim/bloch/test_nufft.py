"""The NUFFT engine against brute force, and what it must refuse."""

from dataclasses import replace

import numpy as np
import pytest

from mrsim.bloch import answers
from mrsim.bloch.distinct import distinct
from mrsim.bloch.engine import choose_engine
from mrsim.bloch.isochromat import isochromat
from mrsim.bloch.low_rank import interpolation
from mrsim.bloch.nufft import nufft
from mrsim.bloch.segments import refusal, segments
from mrsim.events.blocks import Block, Rf, compile_blocks, delay
from mrsim.events.rf import hard
from mrsim.sequences import sequence_class
from tests.mrsim.scans import EXCITE, cartesian, line, lobe, radial

HARD = hard(1.0, 1e-3, use="excitation")
SMALL = {"matrix": (16, 16), "fov": (0.02, 0.02), "thickness": 3e-3}
AGREE = 2e-5  # of the largest sample: 1e-5 of rank and transforms, float32 of the signals


def compiled(blocks, **whole):
    return compile_blocks(blocks, matrix=(16, 16), pixel_volume=1e-8, **whole)


def balanced(shots=5):
    """Spokes of a balanced sequence, everything rewound before the next pulse: the transient, no spoiling."""
    blocks = []
    for i in range(shots):
        direction = np.array((np.cos(i), np.sin(i)))
        spoke = line(direction, -8 * 50 * direction, 50.0, 16, {})
        area = sum(np.array([b.gx.area, b.gy.area]) for b in spoke[1:]) * 42.577478518e6
        blocks += [*spoke, Block(gx=lobe(-area[0]), gy=lobe(-area[1])), delay(2e-3)]
    return blocks


def disagreement(spins, events, n_coils=2, **options):
    rng = np.random.default_rng(1)
    shape = (n_coils, spins.tissue.size)
    coils = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)
    exact = isochromat(spins, events, coils, 4)
    return np.abs(nufft(spins, events, coils, 4, **options) - exact).max() / np.abs(exact).max()


@pytest.mark.parametrize("name", ["radial", "spiral", "epi", "diffusion-se"])
def test_it_is_brute_force_for_shaped_pulses_off_resonance_and_t2prime(name, random_spins):
    events = sequence_class(name)(**SMALL).events()
    assert refusal(events) == ""
    assert disagreement(random_spins(300, spread=60.0, levels=(-1e-3, 0.0, 0.5e-3)), events) < AGREE


def test_it_is_brute_force_where_encoding_is_rewound(random_spins):
    events = compiled(balanced(), refocuses=False)
    assert refusal(events) == "" and segments(events).first.size == 5
    assert disagreement(random_spins(200), events) < AGREE


def test_off_resonance_is_interpolated_to_the_tolerance(random_spins, monkeypatch):
    monkeypatch.setattr(answers, "MOST_WALKED", 50)
    events = sequence_class("spiral")(**SMALL).events()
    assert disagreement(random_spins(400, spread=60.0, levels=(0.0, 0.5e-3)), events) < AGREE


def test_brute_force_is_chosen_where_few_spins_share_an_answer(random_spins):
    """A long scan on its way to the steady state answers sharply to off-resonance; a spiral does not."""
    bssfp = sequence_class("bssfp")(matrix=(8, 16), preparation="equilibrium", dummies=150).events()
    spiral, many = sequence_class("spiral")(**SMALL).events(), random_spins(6000, levels=(0.0,))
    chosen = lambda events, spins: choose_engine(events, spins=spins)[0]  # noqa: E731
    assert refusal(bssfp) == ""
    assert chosen(bssfp, random_spins(100)) == "isochromat"
    assert chosen(bssfp, many) == "isochromat"
    assert chosen(bssfp, replace(many, freq=np.zeros_like(many.freq))) == "nufft"
    assert chosen(spiral, many) == "nufft"


def test_a_looser_tolerance_costs_what_it_says(random_spins):
    """Fewer transforms, and an error between the tolerance and what float32 leaves."""
    events = sequence_class("spiral")(**SMALL).events()
    error = disagreement(random_spins(300, spread=100.0), events, tolerance=1e-2)
    assert 1e-5 < error < 1e-2


def test_cells_dephase_across_x_and_y(random_spins):
    events, spins = sequence_class("epi")(**SMALL).events(), random_spins(100, levels=(0.0,))
    coils, n_sub = np.ones((1, 100), np.complex64), (3, 2, 2)
    exact = isochromat(spins, events, coils, n_sub)
    assert np.abs(nufft(spins, events, coils, n_sub) - exact).max() < AGREE * np.abs(exact).max()
    assert np.abs(nufft(spins, events, coils, 2) - exact).max() > 0.01 * np.abs(exact).max()


def test_b1_is_that_of_each_spin(random_spins):
    spins = random_spins(150, levels=(0.0,))
    b1 = np.exp(0.3j * spins.position[0] / 8e-3) * (1 + 30 * spins.position[1])
    spins = replace(spins, b1=b1.astype(np.complex64))
    assert disagreement(spins, sequence_class("radial")(**SMALL).events()) < AGREE


@pytest.mark.parametrize(
    ("blocks", "sentence"),
    [
        (radial(spokes=3), "neither rewound nor spoiled"),
        ([Block(rf=Rf(pulse=HARD), gx=lobe(100.0)), *cartesian()[1:3]], "in a gradient along x or y"),
        ([EXCITE, Block(gz=lobe(1e4), adc=cartesian()[2].adc)], "along z is on during the readout"),
    ],
)
def test_what_mixes_encoding_and_contrast_is_refused(blocks, sentence, random_spins):
    events = compiled(blocks)
    assert sentence in refusal(events)
    spins = random_spins(3)
    with pytest.raises(ValueError, match=sentence):
        nufft(spins, events, np.ones((1, 3), np.complex64), 1)


def test_interpolation_finds_the_rank():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((40, 5)) + 1j, rng.standard_normal((5, 3000)) + 0.5j
    pivots, basis = interpolation(lambda columns: a @ b[:, columns], 3000, 1e-9)
    assert pivots.size == 5
    np.testing.assert_allclose((a @ b)[:, pivots] @ basis, a @ b, atol=1e-9)


def test_distinct_rows_are_those_of_numpy():
    rng = np.random.default_rng(1)
    columns = [rng.integers(0, 7, 1000), rng.choice([-0.5, 0.0, 2.5], 1000), rng.integers(0, 3, 1000)]
    first, which = distinct(columns)
    rows, expected = np.unique(np.column_stack(columns), axis=0, return_inverse=True)
    assert (np.column_stack(columns)[first] == rows).all()
    assert (which == expected.ravel()).all()
