"""The engines agree with each other and with themselves."""

import dataclasses

import numpy as np
import pytest

from mrsim.bloch import cartesian, engine, table, tasks
from mrsim.bloch.engine import simulate
from mrsim.bloch.reference import isochromats, receive, with_crusher_gradients
from mrsim.sequences.spin_echo import SpinEcho

LEVELS = (-0.75e-3, -0.25e-3, 0.25e-3, 0.75e-3)
SMALL = {"matrix": (6, 11), "fov": (0.02, 0.022), "bandwidth": 200.0}


def nrmse(found, exact):
    return np.linalg.norm(found - exact) / np.linalg.norm(exact)


def coils_for(spins, n=2):
    rng = np.random.default_rng(9)
    return (rng.standard_normal((n, spins.tissue.size, 2)) @ (1, 1j)).astype(np.complex64)


@pytest.mark.parametrize("rf", ["shaped", "ideal"])
def test_engines_agree_with_the_reference(random_spins, rf):
    """Random spins, B0, T2', slice profile, imperfect angles, short TR, two coils: to float32 rounding."""
    spins = random_spins(40)
    short = {"pulse_duration": 0.64e-3, "max_gradient": 0.2, "max_b1": 1e-4}  # 64 steps: quick in NumPy
    sequence = SpinEcho(rf=rf, flip=1.4, refocusing=2.8, tr=1.0, te=0.04, **SMALL, **short)
    exact, *found = (
        simulate(spins, sequence, coils=coils_for(spins), engine=name, n_sub=3)
        for name in ("reference", "cartesian", "isochromat")
    )
    assert max(nrmse(kspace, exact) for kspace in found) < 5e-7


def test_factorisation_agrees_with_brute_force_through_the_table(random_spins):
    spins = random_spins(6000, levels=LEVELS, spread=150.0)
    sequence = SpinEcho(matrix=(8, 24), fov=(0.02, 0.024))
    assert nrmse(simulate(spins, sequence), simulate(spins, sequence, engine="isochromat")) < 1e-6


def test_interpolation_of_the_table(random_spins, monkeypatch):
    """Cubic between nodes 10 Hz apart, against every spin on its own: 1e-6 of the peak."""
    spins = random_spins(4000, levels=LEVELS, spread=200.0)
    events = SpinEcho(matrix=(1, 4)).events()
    looked_up = cartesian._magnetisation(spins, events, 4)
    monkeypatch.setattr(table, "MAX_LEVELS", 0)
    monkeypatch.setattr(cartesian, "transverse", None)  # not called
    exact = cartesian._magnetisation(spins, events, 4)
    assert 0 < np.abs(looked_up - exact).max() < 1e-6 * np.abs(exact).max()


def test_what_is_kept_changes_no_bit(random_spins):
    """A slice after others of a wider and another range of frequencies, and alone."""
    spins = random_spins(3000, levels=LEVELS, spread=40.0)
    sequence = SpinEcho(**SMALL)
    for other in (random_spins(3000, levels=LEVELS, spread=200.0, seed=2), spins):
        after = simulate(other, sequence)
    table._operators.results.clear()
    table._tables.results.clear()
    assert np.array_equal(after, simulate(spins, sequence))


def test_levels_that_differ_in_the_last_bit_are_one():
    z = np.array([1e-3, 0.25e-3, np.nextafter(0.25e-3, 1), -1e-3])
    level, index = table.sorted_levels(z)
    assert level.tolist() == [-1e-3, 0.25e-3, 1e-3]
    assert index.tolist() == [2, 1, 1, 0]


def test_operators_are_kept_for_another_te(random_spins, monkeypatch):
    spins = random_spins(3000, levels=LEVELS)
    first = simulate(spins, SpinEcho(te=0.08, **SMALL))
    monkeypatch.setattr(table.Nodes, "operators", None)  # not called
    second = simulate(spins, SpinEcho(te=0.09, tr=2.5, **SMALL))
    monkeypatch.undo()
    table._operators.results.clear()
    table._tables.results.clear()
    assert np.array_equal(second, simulate(spins, SpinEcho(te=0.09, tr=2.5, **SMALL)))
    assert nrmse(first, second) > 1e-2


@pytest.mark.parametrize("name", engine.ENGINES)
def test_signal_is_linear_in_spins(random_spins, name):
    spins = random_spins(60)
    half = np.arange(60) < 25
    parts = [
        dataclasses.replace(
            spins,
            position=np.ascontiguousarray(spins.position[:, p]),
            tissue=spins.tissue[p],
            freq=spins.freq[p],
        )
        for p in (half, ~half)
    ]
    sequence = SpinEcho(rf="ideal", **SMALL)
    whole, a, b = (simulate(s, sequence, engine=name) for s in (spins, *parts))
    assert nrmse(a + b, whole) < 3e-7


@pytest.mark.parametrize("name", ["cartesian", "isochromat"])
def test_the_number_of_threads_changes_no_bit(random_spins, monkeypatch, name):
    spins, sequence, results = random_spins(9000, levels=LEVELS), SpinEcho(**SMALL), []
    for threads in (1, 2, 5):
        monkeypatch.setattr(tasks, "get_num_threads", lambda n=threads: n)
        table._operators.results.clear()
        table._tables.results.clear()
        results.append(simulate(spins, sequence, coils=coils_for(spins), engine=name))
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


def test_tasks_pass_errors_on():
    def fail(begin, end):
        raise ArithmeticError(begin, end)

    with pytest.raises(ArithmeticError):
        tasks.in_threads(fail, 10, 3)


def test_ideal_crushers_are_strong_gradients(make_spins):
    """64 sub-spins across four crusher cycles against the ensemble; without crushers an FID stays."""
    n = 64
    z = (np.arange(n) + 0.5) / n * 1e-3 - 0.5e-3
    sequence = SpinEcho(
        rf="ideal", refocusing=2.8, flip=1.3, matrix=(2, 4), fov=(4e-3, 4e-3), bandwidth=200.0
    )
    events = dataclasses.replace(sequence.events(), steady_state=False, box=np.inf)
    one_line = dataclasses.replace(events.first_repetition(), matrix=(2, 4))
    spins = make_spins(np.tile([-1e-3, 0.7e-3], n), z=np.repeat(z, 2), freq=25.0)
    coils = np.ones((1, 2 * n), np.complex64)
    ideal, crushed, neither = (
        receive(isochromats(spins, e, coils, 1), e)
        for e in (
            one_line,
            with_crusher_gradients(one_line, cycles=4, length=1e-3),
            with_crusher_gradients(one_line, cycles=0, length=1e-3),
        )
    )
    assert nrmse(crushed, ideal) < 1e-12
    assert nrmse(neither, ideal) > 1e-2


def test_empty_spins_are_silent(make_spins):
    spins = make_spins(np.zeros(0), np.zeros(0))
    assert not simulate(spins, SpinEcho(matrix=(3, 4))).any()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"engine": "isocromat"}, "engine must be one of .* got 'isocromat' .did you mean 'isochromat'"),
        ({"coils": np.ones(3)}, r"coils must have shape \(coil, 5\), one value per spin, got \(3,\)"),
        ({"coils": np.full((1, 5), np.nan)}, "coils must be finite"),
        ({"n_sub": 0}, "n_sub must lie in 1 to 64, got 0"),
    ],
)
def test_bad_calls(random_spins, change, sentence):
    with pytest.raises(ValueError, match=sentence):
        simulate(random_spins(5), SpinEcho(**SMALL), **change)


def test_cartesian_refuses_what_does_not_factorise(random_spins):
    events = SpinEcho(**SMALL).events()
    oblique = events.gradient.copy()
    oblique[events.samples > 0, 1] = 1e-3
    selective = events.gradient.copy()
    selective[events.pulse >= 0, 0] = 1e-3
    for change in (
        {"spoil": np.zeros_like(events.spoil)},
        {"gradient": oblique},
        {"gradient": selective},
        {"steady_state": False},
        {"duration": np.where(np.arange(events.duration.size) == 2, 0.02, events.duration)},
    ):
        with pytest.raises(ValueError, match="for engine 'cartesian': take engine 'isochromat'"):
            simulate(random_spins(5), dataclasses.replace(events, **change))
