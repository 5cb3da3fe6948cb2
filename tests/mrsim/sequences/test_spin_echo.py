import dataclasses
import math
import subprocess
import sys

import numpy as np
import pytest

from mrsim.constants import GAMMA_BAR
from mrsim.sequences import SEQUENCES, describe, sequence_class
from mrsim.sequences.spin_echo import SpinEcho


@pytest.mark.parametrize("name", SEQUENCES)
def test_every_sequence_describes_itself_and_compiles(name):
    first_line, parameters = describe(name)
    assert first_line.endswith(".")
    assert all(p.help for p in parameters)
    sequence = sequence_class(name)()
    assert [p.name for p in parameters] == [f.name for f in dataclasses.fields(sequence)]
    assert sequence.events().samples.any()


def test_unknown_sequence_names_the_nearest():
    with pytest.raises(ValueError, match=r"got 'spinecho' .did you mean 'spin-echo'"):
        sequence_class("spinecho")


@pytest.mark.parametrize("rf", ["shaped", "ideal"])
@pytest.mark.parametrize("matrix", [(180, 216), (5, 7), (1, 1)])
def test_trajectory_is_a_centred_lattice_read_around_the_echo(rf, matrix):
    sequence = SpinEcho(rf=rf, matrix=matrix, bandwidth=160.0)
    path = sequence.events().trajectory()
    ny, nx = matrix
    kx = (np.arange(nx) - nx // 2) / sequence.fov[1]
    ky = (np.arange(ny) - ny // 2) / sequence.fov[0]
    assert path.line.tolist() == list(range(ny))
    assert path.k[..., 0] == pytest.approx(np.tile(kx, (ny, 1)), abs=1e-9)
    assert path.k[..., 1] == pytest.approx(np.tile(ky[:, None], (1, nx)), abs=1e-9)
    assert path.k[..., 2] == pytest.approx(0, abs=1e-9)
    assert path.clock == pytest.approx(np.tile(sequence.sample_times, (ny, 1)), abs=1e-12)


def test_repetitions_last_tr_and_stay_within_the_hardware():
    sequence = SpinEcho(tr=0.7, te=30e-3, bandwidth=200.0)
    events = sequence.events()
    assert events.total_duration == pytest.approx(180 * 0.7)
    assert np.abs(events.gradient).max() <= sequence.max_gradient * (1 + 1e-9)
    assert sequence.slice_gradient == pytest.approx(4 / (2.56e-3 * GAMMA_BAR * 1e-3))
    assert all(pulse.peak_b1 < sequence.max_b1 for pulse in sequence.pulses)


def test_lists_of_a_recipe_are_taken_as_tuples():
    assert SpinEcho(fov=[0.18, 0.216], matrix=[180, 216]) == SpinEcho()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"te": 3.0}, r"te must lie in \(0, tr = 3.0 s\), got 3.0 s"),
        ({"te": 0}, "te must be positive, got 0 s"),
        ({"te": 8e-3}, "te must be at least 0.01225.* s for the readout before the echo, got 0.008 s"),
        ({"te": 20e-3, "bandwidth": 40.0}, "te must be at least 0.02956 s for the readout"),
        ({"te": 9e-3, "bandwidth": 500.0}, "te must be at least .* for the encoding between the pulses"),
        ({"tr": 82e-3}, "tr must hold the readout, which ends 0.085.* s after excitation, got 0.082 s"),
        ({"flip": 0}, r"flip must lie in \(0, pi\], got 0 rad"),
        ({"refocusing": 4.0}, r"refocusing must lie in \(0, pi\], got 4.0 rad"),
        ({"bandwidth": -1.0}, "bandwidth must be positive, got -1.0 Hz/px"),
        ({"bandwidth": 2000.0}, "readout gradient must be at most max_gradient = 40 mT/m, got 46.97 mT/m"),
        ({"thickness": 0.5e-3}, "slice gradient must be at most max_gradient = 40 mT/m, got 73.4 mT/m"),
        ({"pulse_duration": 1.5e-3, "thickness": 2e-3}, "B1 of the refocusing pulse must be at most"),
        ({"matrix": (0, 8)}, r"matrix must be two counts \(y, x\) of at least 1, got \(0, 8\)"),
        ({"fov": (0.1, math.nan)}, r"fov must be two positive lengths"),
        ({"rf": "soft"}, "rf must be one of shaped, ideal, got 'soft'"),
        ({"te": math.nan}, "te must be positive, got nan s"),
    ],
)
def test_impossible_parameters_are_refused(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        SpinEcho(**change)


def test_misspelt_parameters_are_type_errors():
    with pytest.raises(TypeError):
        SpinEcho(echo_time=0.08)


def test_events_refuse_what_does_not_fit():
    events = SpinEcho(matrix=(2, 4)).events()
    for change, sentence in [
        ({"duration": events.duration[:-1]}, "must have shape"),
        ({"duration": -events.duration}, "duration must be finite and not negative"),
        ({"pulse": events.pulse + 5}, "pulse must lie in -1 to 1"),
        ({"line": events.line + 1}, "line must lie in 0 to 1, got 2"),
        ({"samples": events.samples * 2}, "samples must be 0 or 4"),
        ({"duration": events.duration * 2}, "event 0 must last as long as its pulse"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            dataclasses.replace(events, **change)


def test_sequences_compile_without_numba():
    code = (
        "import sys, mrsim, mrsim.sequences.spin_echo as s; s.SpinEcho().events();"
        "sys.exit(bool({'numba', 'torch', 'scipy.special'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
