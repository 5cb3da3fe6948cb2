"""Gradients that spins are too far apart for: the warning, and that what it asks for is enough."""

import math
import re
import warnings

import numpy as np
import pytest

from mrsim.bloch.engine import acquire
from mrsim.bloch.spoiling import LIMIT, SpoilingWarning, dephasing, nodes_for
from mrsim.sequences import SEQUENCES, sequence_class
from phantoms.phantom import POINT

SMALL = {"fov": (8e-3, 32e-3), "matrix": (4, 16), "spoiling": "gradient"}
SPOILED = {
    "spin-echo": SMALL,
    "inversion-recovery": SMALL,
    "gre": SMALL | {"preparation": "equilibrium", "dummies": 30},
}
LAYERS = np.arange(-1.25e-3, 1.3e-3, 0.5e-3)  # [m] of which the slice is cut
FINE = 96  # nodes: more change nothing (the first test says so of half as many)
STATED = 0.01  # of the largest sample


def grey_matter(make_spins, z=LAYERS, **more):
    return make_spins(0.0, 0.0, z, cell=(1e-3, 1e-3, 5e-4), **more)


def named(spins, sequence, **more):
    """How many nodes or spins the warning asks for."""
    with pytest.warns(SpoilingWarning) as caught:
        signal = acquire(spins, sequence, engine="isochromat", **more)
    return int(re.search(r"take (?:n_sub = )?(\d+)", str(caught[0].message)).group(1)), signal


@pytest.mark.parametrize("name", SPOILED)
def test_the_number_that_it_names_is_enough(name, make_spins):
    spins, sequence = grey_matter(make_spins), sequence_class(name)(**SPOILED[name])
    truth = acquire(spins, sequence, engine="isochromat", n_sub=FINE)
    scale = np.abs(truth).max()
    enough, coarse = named(spins, sequence)
    assert np.abs(coarse - truth).max() > 0.2 * scale  # the warning was due
    finer = acquire(spins, sequence, engine="isochromat", n_sub=enough)  # silent: warnings are errors
    assert np.abs(finer - truth).max() < STATED * scale
    assert enough < FINE
    with pytest.warns(SpoilingWarning):
        acquire(spins, sequence, engine="isochromat", n_sub=enough - 1)


def test_the_crushers_of_a_perfect_slice_have_nodes_too(make_spins):
    """Pulses that act at once leave no profile along z, but crushers dephase across the cell all the same."""
    given = {**SMALL, "rf": "ideal", "refocusing": 2.5, "te": 40e-3}
    spins, sequence = grey_matter(make_spins), sequence_class("spin-echo")(**given)
    truth = acquire(spins, sequence, engine="isochromat", n_sub=FINE)
    scale = np.abs(truth).max()
    enough, coarse = named(spins, sequence)
    assert np.abs(coarse - truth).max() > 2 * STATED * scale
    finer = acquire(spins, sequence, engine="isochromat", n_sub=enough)
    assert np.abs(finer - truth).max() < STATED * scale


def test_points_are_told_how_many_there_must_be(make_spins):
    sequence = sequence_class("spin-echo")(**SMALL)
    height = 0.5e-3

    def points(n):
        z = (np.arange(6 * n) + 0.5) * height / n - 3 * height
        return make_spins(0.0, 0.0, z, cell=POINT, pd=1 / n)

    times, coarse = named(points(1), sequence)
    truth = acquire(points(FINE), sequence, engine="isochromat")
    finer = acquire(points(times), sequence, engine="isochromat")
    assert np.abs(finer - truth).max() < STATED * np.abs(truth).max()
    assert np.abs(coarse - truth).max() > 0.2 * np.abs(truth).max()


@pytest.mark.parametrize("name", SEQUENCES)
def test_the_defaults_of_every_sequence_are_silent(name, make_spins):
    sequence = sequence_class(name)()
    pixel = sequence.fov[1] / sequence.matrix[1]
    spins = make_spins(0.0, cell=(pixel, pixel, 5e-4), tissue=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        acquire(spins, sequence, engine="auto")


def test_a_gradient_echo_dephases_as_often_as_t2_allows():
    sequence = sequence_class("gre")(**SPOILED["gre"])
    events = sequence.events()
    repetition = np.arange(*np.flatnonzero(events.pulse >= 0)[:2])  # one pulse and all until the next like it
    each = events.moment(repetition, events.duration[repetition])[:, 2].sum()
    for t2 in (0.05, 0.1):
        kept = math.floor(-math.log(LIMIT) * t2 / sequence.tr)  # repetitions that leave more than LIMIT
        assert dephasing(events, t2)[2] == pytest.approx(kept * abs(each), rel=1e-6)


@pytest.mark.parametrize("cycles", [0.6, 3.0, 17.3])
def test_nodes_dephase_like_the_whole_cell(cycles):
    for n, well in ((nodes_for(cycles), True), (nodes_for(cycles) - 1, False)):
        at, share = np.polynomial.legendre.leggauss(n)
        c = np.linspace(0, cycles, 2000)
        error = np.abs(np.exp(1j * np.pi * np.outer(c, at)) @ (share / 2) - np.sinc(c)).max()
        assert (error <= 1.05 * LIMIT) == well
