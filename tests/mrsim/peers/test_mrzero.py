"""Images of one brain slice by mrsim and by MRzero, which shares no code with it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from mrsim.bloch.engine import acquire
from mrsim.pulseq.read import read_pulseq
from mrsim.pulseq.write import write_pulseq
from mrsim.slices.plane import centred_plane
from phantoms import phantom_source
from tests.mrsim.peers.objects import slice_spins
from tests.mrsim.peers.scans import SCANS, image, nrmse, scan, without_t2prime

pytest.importorskip("MRzeroCore", reason="MRzeroCore is not installed: pip install 'mrsim[peers]'")
pytestmark = [
    pytest.mark.filterwarnings("ignore:To copy construct from a tensor"),  # in MRzero itself
    pytest.mark.filterwarnings("ignore::mrsim.bloch.spoiling.SpoilingWarning"),  # the same few spins in both
]

FOV, MATRIX, STEP = (0.2, 0.24), (24, 28), 5e-3
SMALL = {"fov": FOV, "matrix": MATRIX}
TURN = {"SE": {"refocusing": math.radians(160)}}  # so that the crushers have work to do
SHORT = {"rf": "shaped", "thickness": 20e-3, "pulse_duration": 0.1e-3, "tbw": 1.0, "max_b1": 1e-3}


@pytest.fixture(scope="module")
def brain():
    return phantom_source("synthetic", spacing=STEP).load(1)


@pytest.fixture(scope="module")
def mrzero():
    from tests.mrsim.peers import mrzero

    return mrzero


def spins_of(brain, sequence, layers=1):
    shape = {name: getattr(sequence, name) for name in ("fov", "matrix", "thickness")}
    return slice_spins(brain, centred_plane(brain, "axial", 10e-3, **shape), step=STEP, layers=layers)


@pytest.mark.parametrize("name", SCANS)
def test_bloch_images_agree(name, brain, mrzero):
    """The same isochromats, five across the slice where gradients spoil: only float32 is between them."""
    sequence = scan(name, **SMALL, **TURN.get(name, {}))
    events = sequence.events()
    spins = without_t2prime(spins_of(brain, sequence, 1 if name == "bSSFP" else 5))
    theirs = mrzero.bloch(mrzero.mrzero_sequence(events), mrzero.mrzero_object(spins, events, dephase=False))
    ours = acquire(spins, events, engine="isochromat", n_sub=1)
    assert np.ptp(spins.freq) > 200
    assert nrmse(image(ours, sequence), image(theirs, sequence)) < 1e-4


@pytest.mark.parametrize("name", ["SE", "GRE"])
def test_phase_graph_images_agree(name, brain, mrzero):
    """Their voxels are boxes, ours 65 spins across the slice, T2' included; graphs leave weak states out."""
    sequence = scan(name, **SMALL)
    events = sequence.events()
    voxels = mrzero.mrzero_object(spins_of(brain, sequence), events, height=sequence.thickness)
    theirs = mrzero.pdg(mrzero.mrzero_sequence(events), voxels, weakest=1e-5)
    ours = acquire(spins_of(brain, sequence, 65), events, engine="isochromat", n_sub=1)
    assert nrmse(image(ours, sequence), image(theirs, sequence)) < 1e-2


@pytest.mark.parametrize("name", SCANS)
def test_mrzero_reads_what_we_write(name, brain, mrzero, tmp_path):
    """Their reader of Pulseq files with their simulator, against ours; pulses act at once in theirs.

    Like KomaMRI, MRzero plays the phases of a file as they stand to spins that turn as ours. Its receiver is
    a quarter of a turn ahead.
    """
    path = tmp_path / "scan.seq"
    sequence = scan(name, **SMALL, **SHORT, **TURN.get(name, {}))
    write_pulseq(sequence, path)
    spins = without_t2prime(spins_of(brain, sequence))
    spins = replace(spins, freq=spins.freq / 2)  # less turn during a pulse
    voxels = mrzero.mrzero_object(spins, sequence.events(), dephase=False)
    theirs = mrzero.bloch(mrzero.mr0.Sequence.import_file(str(path)), voxels)
    ours = acquire(spins, read_pulseq(path, convention="komamri").events(), engine="isochromat", n_sub=1)
    assert nrmse(image(ours, sequence), 1j * image(theirs, sequence)) < 1e-2
