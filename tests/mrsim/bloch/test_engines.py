"""The engines agree with the reference, with each other and with themselves."""

from dataclasses import replace

import numpy as np
import pytest

from mrsim.bloch import engine, table, tasks
from mrsim.bloch.engine import acquire, choose_engine, simulate
from mrsim.bloch.isochromat import isochromat
from mrsim.bloch.reference import reference
from mrsim.sequences import sequence_class
from mrsim.sequences.spin_echo import SpinEcho
from phantoms.phantom import Spins
from tests.mrsim.bloch.test_cuda import anything, refined

LEVELS = (-0.75e-3, -0.25e-3, 0.25e-3, 0.75e-3)
SMALL = {"matrix": (6, 12), "fov": (0.02, 0.024), "bandwidth": 400.0}
QUICK = {"matrix": (2, 13), "fov": (0.02, 0.026), "thickness": 3e-3}
FAST = ("cartesian", "nufft", "isochromat")
START = {"preparation": "equilibrium"}  # the reference takes a steady state repetition by repetition
SCANS = {
    "spin-echo": {"tr": 0.2, "flip": 1.4, "refocusing": 2.8, "te": 0.03, "bandwidth": 400.0},
    "spin-echo, fat": START | {"fat_saturation": True, "spoiling": "gradient", "bandwidth": 400.0},
    "turbo-spin-echo": START | {"echo_train": 2, "effective_echo": 1, "te": 20e-3, "bandwidth": 800.0},
    "inversion-recovery": START | {"bandwidth": 800.0},
    "gre": {},
    "gre, spoiled by phase": START | {"spoiling": "gradient", "dummies": 2},
    "bssfp": {},
    "bssfp, half-alpha": {"preparation": "half-alpha", "te": 1.9e-3},
    "epi": START | {"matrix": (8, 12)},
    "radial": START | {"matrix": (12, 12), "fov": (0.02, 0.02), "spokes": 3},
    "spiral": START | {"matrix": (12, 12), "fov": (0.02, 0.02), "interleaves": 2},
}


def nrmse(found, exact):
    return np.linalg.norm(found - exact) / np.linalg.norm(exact)


def coils_for(spins, n=2):
    rng = np.random.default_rng(9)
    return (rng.standard_normal((n, spins.tissue.size, 2)) @ (1, 1j)).astype(np.complex64)


def fast(spins):
    """Let spins relax fast, so that the reference soon finds its steady state."""
    return replace(spins, t1=spins.t1 / 60, t2=spins.t2 / 10)


@pytest.mark.parametrize("name", SCANS)
def test_isochromats_are_the_reference(random_spins, name):
    """Four tissues, B0, T2', transmit field, slice profile, coils: 1e-6 per pulse, and NumPy's raster."""
    spins = fast(random_spins(7))
    b1 = (0.9 * np.exp(0.4j * np.arange(7) / 7)).astype(np.complex64)
    spins, coils = replace(spins, b1=b1), coils_for(spins)
    events = sequence_class(name.partition(",")[0])(**QUICK | SCANS[name]).events()
    exact = reference(spins, refined(events, 2), coils, 2)
    assert nrmse(isochromat(spins, events, coils, 2), exact) < 1e-5


@pytest.mark.parametrize("repetitions", [1, 3])
def test_isochromats_play_any_events(random_spins, repetitions):
    """Offset pulses in changing gradients, trains around an echo, windows, receivers that turn."""
    spins, events = fast(random_spins(9)), anything(repetitions)
    exact = reference(spins, refined(events, 8), coils_for(spins), 1)
    assert nrmse(acquire(spins, events, coils=coils_for(spins), engine="isochromat", n_sub=1), exact) < 1e-5


@pytest.mark.parametrize("name", ["spin-echo", "bssfp"])
def test_factorisation_through_the_table_is_brute_force(random_spins, name):
    """Many spins look their magnetisation up."""
    spins = random_spins(6000, levels=LEVELS, spread=60.0)
    events = sequence_class(name)(matrix=(4, 24), fov=(0.02, 0.024), thickness=3e-3).events()
    assert choose_engine(events)[0] == "cartesian"
    assert nrmse(acquire(spins, events), acquire(spins, events, engine="isochromat")) < 2e-6


def test_interpolation_of_the_table(random_spins, monkeypatch):
    """Cubic between nodes, against every spin on its own: 1e-6 of the signal."""
    spins = random_spins(4000, levels=LEVELS, spread=200.0)
    sequence = SpinEcho(matrix=(1, 12), fov=(0.02, 0.02))
    looked_up = acquire(spins, sequence)
    monkeypatch.setattr(table, "MAX_LEVELS", 0)
    exact = acquire(spins, sequence, engine="cartesian")
    assert 0 < np.abs(looked_up - exact).max() < 1e-6 * np.abs(exact).max()


def test_what_is_kept_changes_no_bit(random_spins):
    """A slice after others of a wider and another range of frequencies, and alone."""
    spins = random_spins(3000, levels=LEVELS, spread=40.0)
    sequence = SpinEcho(**SMALL)
    for other in (random_spins(3000, levels=LEVELS, spread=200.0, seed=2), spins):
        after = simulate(other, sequence)
    table._tables.results.clear()
    assert np.array_equal(after, simulate(spins, sequence))


def test_levels_that_differ_in_the_last_bit_are_one():
    z = np.array([1e-3, 0.25e-3, np.nextafter(0.25e-3, 1), -1e-3])
    level, index = table.sorted_levels(z)
    assert level.tolist() == [-1e-3, 0.25e-3, 1e-3]
    assert index.tolist() == [2, 1, 1, 0]


def part_of(spins: Spins, chosen):
    position = np.ascontiguousarray(spins.position[:, chosen])
    return replace(spins, position=position, tissue=spins.tissue[chosen], freq=spins.freq[chosen])


@pytest.mark.parametrize("name", ["cartesian", "nufft", "isochromat", "reference"])
def test_signal_is_linear_in_spins(random_spins, name):
    spins, sequence = random_spins(60), SpinEcho(rf="ideal", **SMALL)
    half = np.arange(60) < 25
    whole, *parts = (
        simulate(s, sequence, engine=name) for s in (spins, *(part_of(spins, p) for p in (half, ~half)))
    )
    assert nrmse(sum(parts), whole) < (1e-5 if name == "nufft" else 3e-7)


@pytest.mark.parametrize("name", FAST)
def test_the_number_of_threads_changes_no_bit(random_spins, monkeypatch, name):
    spins, sequence, results = random_spins(2000, levels=LEVELS), SpinEcho(**SMALL), []
    for threads in (1, 2, 5):
        monkeypatch.setattr(tasks, "get_num_threads", lambda n=threads: n)
        table._tables.results.clear()
        results.append(simulate(spins, sequence, coils=coils_for(spins), engine=name))
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


def test_tasks_pass_errors_on():
    def fail(begin, end):
        raise ArithmeticError(begin, end)

    with pytest.raises(ArithmeticError):
        tasks.in_threads(fail, 10, 3)


def test_empty_spins_are_silent(random_spins):
    nothing = part_of(random_spins(3), np.zeros(3, bool))
    assert not simulate(nothing, SpinEcho(matrix=(3, 12))).any()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"engine": "isocromat"}, "engine must be one of .* got 'isocromat' .did you mean 'isochromat'"),
        ({"coils": np.ones(3)}, r"coils must have shape \(coil, 5\), one value per spin, got \(3,\)"),
        ({"coils": np.full((1, 5), np.nan)}, "coils must be finite"),
        ({"n_sub": 0}, "n_sub must be one count or three .* in 1 to .*, got 0"),
    ],
)
def test_bad_calls(random_spins, change, sentence):
    with pytest.raises(ValueError, match=sentence):
        simulate(random_spins(5), SpinEcho(**SMALL), **change)


def changed(events, where, **columns):
    """Events with some rows of their columns put in place."""
    new = {name: np.array(getattr(events, name)) for name in columns}
    for name, value in columns.items():
        new[name][where] = value
    return replace(events, **new)


def test_cartesian_refuses_what_does_not_factorise(random_spins):
    """Each change breaks one condition of physics.md section 12; brute force takes it."""
    events, spins = SpinEcho(**SMALL).events(), random_spins(5)
    read, rf = np.flatnonzero(events.samples), np.flatnonzero(events.pulse >= 0)
    spoiler = np.flatnonzero(events.spoil)
    breaks = {
        "encoding is not rewound": changed(events, spoiler, spoil=False),
        "changes its phase encode": changed(events, read, gradient=1e-3),
        "encoded along x or y": changed(events, rf, gradient=1e-3),
        "does not begin in its steady state": replace(events, steady_state=False),
        "repetitions differ": changed(events, [2], duration=0.02),
        "lie on no Cartesian grid": replace(events, place=np.zeros(0, int)),
        "fill a line of k-space forwards": replace(events, place=events.place[::-1]),
    }
    for sentence, other in breaks.items():
        with pytest.raises(ValueError, match=f"for engine 'cartesian', but .*{sentence}"):
            acquire(spins, other, engine="cartesian")
        assert choose_engine(other)[0] != "cartesian"
        assert np.abs(acquire(spins, other)).max() > 0


def test_every_engine_is_named():
    assert set(FAST) | {"reference"} == set(engine.ENGINES)
