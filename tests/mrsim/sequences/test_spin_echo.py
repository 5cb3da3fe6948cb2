"""Spin echo: closed form (physics.md section 1), parameters, and what every sequence's table promises."""

import dataclasses
import math
import subprocess
import sys

import numpy as np
import pytest

from mrsim.constants import GAMMA_BAR
from mrsim.sequences import ALIASES, SEQUENCES, describe, sequence_class
from mrsim.sequences.spin_echo import SpinEcho

POINT = {"matrix": (1, 1), "fov": (0.01, 0.01), "rf": "ideal"}


@pytest.mark.parametrize("name", SEQUENCES)
def test_every_sequence_describes_itself_and_compiles(name):
    first_line, parameters = describe(name)
    assert first_line.endswith(".")
    assert all(p.help for p in parameters)
    sequence = sequence_class(name)()
    assert [p.name for p in parameters] == [f.name for f in dataclasses.fields(sequence)]
    assert {"te", "tr", "flip", "matrix", "fov", "thickness", "bandwidth"} <= {p.name for p in parameters}
    assert sequence.events().n_samples
    assert sequence.events() is sequence_class(name)().events()


def test_other_names_and_unknown_ones():
    assert sequence_class("flash") is sequence_class("gre")
    assert set(ALIASES.values()) <= set(SEQUENCES)
    assert not set(ALIASES) & set(SEQUENCES)
    with pytest.raises(ValueError, match=r"got 'spinecho' .did you mean 'spin-echo'"):
        sequence_class("spinecho")


@pytest.mark.parametrize(
    ("t1", "t2", "te", "tr", "flip", "refocusing", "signal"),
    [
        (2.569, 0.329, 80, 3000, 90, 180, 0.532573888),
        (0.833, 0.083, 80, 3000, 90, 180, 0.318190436 / 0.86),
        (0.833, 0.083, 80, 500, 90, 180, 0.130335811 / 0.86),
        (2.569, 0.329, 80, 3000, 90, 160, 0.516738690),
        (0.833, 0.083, 80, 3000, 80, 150, 0.291224771 / 0.86),
    ],
)
def test_steady_state(play, t1, t2, te, tr, flip, refocusing, signal):
    """Real and positive, whatever the off-resonance and T2'."""
    angles = {"flip": math.radians(flip), "refocusing": math.radians(refocusing)}
    events = SpinEcho(te=te * 1e-3, tr=tr * 1e-3, **angles, **POINT).events()
    echo = play(events, t1=t1, t2=t2, t2prime=0.05, freq=[0.0, 37.5])
    assert echo == pytest.approx(signal, rel=1e-8)


def test_real_crushers_do_what_ideal_ones_stand_for(play):
    """128 spins across one turn of a crusher, which the spoiler of T2 << TR need not help."""
    ideal = SpinEcho(te=0.03, tr=2.0, flip=1.4, refocusing=2.4, preparation="equilibrium", **POINT)
    real = dataclasses.replace(ideal, spoiling="gradient")
    z = np.arange(128) / 128 * ideal.thickness / 4
    mean = play(real.events(), z=z, t1=0.8, t2=0.05, total=True)
    assert mean == pytest.approx(play(ideal.events(), t1=0.8, t2=0.05), abs=1e-9)


def test_slice_selection_is_rephased(play):
    """The echo of the whole slice has no phase to speak of, and half of its width is 0.48 slices."""
    sequence = SpinEcho(te=0.02, tr=3.0, preparation="equilibrium", matrix=(1, 1), fov=(0.01, 0.01))
    echo = play(sequence.events(), z=np.linspace(-1e-3, 1e-3, 41))
    assert abs(np.angle(echo.sum())) < 0.01
    assert np.interp(-0.5, -abs(echo[20:, 0]), np.linspace(0, 1e-3, 21)) == pytest.approx(0.48e-3, abs=1e-5)
    assert sequence.slice_gradient == pytest.approx(4 / (2.56e-3 * GAMMA_BAR * 1e-3))


def test_times_between_the_raster_move_to_it():
    sequence = SpinEcho(te=0.0812345, tr=2.7654321)
    assert (sequence.te, sequence.tr) == (0.08124, 2.76543)
    assert dataclasses.replace(sequence) == sequence
    assert (SpinEcho(te=35e-3).te, SpinEcho().te) == (35e-3, 80e-3)


def test_lists_of_a_recipe_are_taken_as_tuples():
    assert SpinEcho(fov=[0.18, 0.216], matrix=[180, 216]) == SpinEcho()


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("spin-echo", {"te": 3.0}, r"te must lie in \(0, tr = 3.0 s\), got 3.0 s"),
        ("spin-echo", {"te": 0}, "te must be positive, got 0 s"),
        ("spin-echo", {"te": math.nan}, "te must be positive, got nan s"),
        (
            "spin-echo",
            {"te": 0.012},
            "te must be at least 0.01262 s for readout before the echo, got 0.012 s",
        ),
        (
            "spin-echo",
            {"te": 9e-3, "bandwidth": 700.0},
            "te must be at least .* for encoding between the pulses",
        ),
        (
            "spin-echo",
            {"tr": 82e-3},
            "tr must be at least 0.0853.* for all that a repetition plays, got 0.082 s",
        ),
        ("spin-echo", {"flip": 0}, r"flip must lie in \(0, pi\], got 0 rad"),
        ("spin-echo", {"refocusing": 4.0}, r"refocusing must lie in \(0, pi\], got 4.0 rad"),
        ("spin-echo", {"bandwidth": -1.0}, "bandwidth must be positive, got -1.0 Hz/px"),
        (
            "spin-echo",
            {"bandwidth": 2000.0},
            "readout gradient must be at most max_gradient = 40 mT/m, got 47.28",
        ),
        (
            "spin-echo",
            {"thickness": 0.5e-3},
            "slice gradient must be at most max_gradient = 40 mT/m, got 73.4",
        ),
        (
            "spin-echo",
            {"pulse_duration": 1e-3, "thickness": 3e-3},
            "B1 of the refocusing pulse must be at most",
        ),
        ("spin-echo", {"matrix": (0, 8)}, r"matrix must be two counts \(y, x\) of at least 1, got \(0, 8\)"),
        ("spin-echo", {"fov": (0.1, math.nan)}, r"fov must be two positive lengths"),
        ("spin-echo", {"rf": "soft"}, "rf must be one of shaped, ideal, got 'soft'"),
        ("spin-echo", {"tbw": 0.0}, "tbw must be positive, got 0.0$"),
        ("spin-echo", {"dummies": 3}, "dummies must be 0 in the steady state, got 3"),
        ("spin-echo", {"dummies": -1}, "dummies must be a whole number of at least 0, got -1"),
        ("spin-echo", {"fat_saturation": 1}, "fat_saturation must be true or false, got 1"),
        (
            "spin-echo",
            {"prepulse": "inversion", "ti": 1e-3},
            "ti must be at least .* s for what is between prepulse",
        ),
        (
            "gre",
            {"spoiling": "gradient"},
            "preparation must be equilibrium .* if phases that never repeat spoil",
        ),
        ("bssfp", {"tr": 3e-3}, "t[er] must be at least"),
        (
            "bssfp",
            {"preparation": "alpha"},
            "preparation must be one of steady-state, half-alpha, equilibrium",
        ),
        ("turbo-spin-echo", {"echo_train": 7}, "echo_train must divide the 180 lines of the matrix, got 7"),
        ("turbo-spin-echo", {"effective_echo": 9}, "effective_echo must lie in 1 to echo_train = 6, got 9"),
        ("inversion-recovery", {"prepulse": "none"}, "prepulse must be inversion or saturation, got 'none'"),
        ("epi", {"te": 10e-3}, "te must be at least .* s for half of the echo train, got 0.01 s"),
        (
            "diffusion-se",
            {"b": 3e9},
            r"b must be at most 1.* s/m2 at this te, got 3e\+09 s/m2: take a longer te",
        ),
        ("diffusion-se", {"direction": (0, 0, 0)}, "direction must be a vector"),
        ("radial", {"matrix": (64, 32)}, "matrix must be square"),
        ("spiral", {"fov": (0.2, 0.3)}, "fov must be square"),
        ("spiral", {"interleaves": 1}, "tr must be at least"),
    ],
)
def test_impossible_parameters_are_refused(name, change, sentence):
    with pytest.raises(ValueError, match=sentence):
        sequence_class(name)(**change)


def test_misspelt_parameters_are_type_errors():
    with pytest.raises(TypeError):
        SpinEcho(echo_time=0.08)


def test_sequences_compile_without_heavy_libraries():
    code = (
        "import sys, mrsim.sequences as s; [s.sequence_class(n)().events() for n in s.SEQUENCES];"
        "sys.exit(bool({'numba', 'torch', 'matplotlib', 'scipy.special'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
