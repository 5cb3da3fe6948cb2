"""One scan from a phantom to its image: closed-form brightness where the oracle label says."""

import math
from dataclasses import replace

import numpy as np
import pytest

from mrsim.bloch.engine import acquire
from mrsim.events.blocks import compile_blocks
from mrsim.imperfections.model import Imperfections
from mrsim.reconstruction.images import reconstruct
from mrsim.scanner.scan import Played, played, scan_phantom, timing, window_counters
from mrsim.scanner.setup import Setup
from mrsim.sequences.gre import GradientEcho
from mrsim.sequences.spin_echo import SpinEcho
from mrsim.slices.plane import SlicePlane
from phantoms.phantom import BRAIN_ORACLE, POINT, Phantom, Spins
from phantoms.tissues import tissue_table
from tests.mrsim.scans import cartesian

FOV, MATRIX, THICKNESS = (0.048, 0.064), (12, 16), 4e-3
SIGNAL = {1: 0.532574, 2: 0.318190, 3: 0.244848}  # physics.md section 1: CSF, GM, WM at TE 80, TR 3000
PLANE = SlicePlane(fov=FOV, matrix=MATRIX, thickness=THICKNESS)


def blocks_of_tissue():
    """An L of GM, a bar of CSF and a corner of WM on 4 mm voxels that are the pixels of PLANE."""
    image = np.zeros(MATRIX, np.uint8)  # (y, x) = (R, A)
    image[2:9, 3:5], image[7:9, 5:9], image[3:6, 9:13], image[1:3, 12:15] = 2, 2, 1, 3
    affine = np.diag([4e-3, 4e-3, 4e-3, 1.0])
    affine[:3, 3] = -4e-3 * np.array([6, 8, 1])  # voxel (6, 8, 1) in the centre
    return Phantom(
        name="blocks",
        subject="1",
        labels=np.repeat(image.T[None], 3, axis=0),  # (z, y, x) = (S, A, R)
        affine=affine,
        tissues=tissue_table("brainweb-1.5T"),
        oracle=BRAIN_ORACLE,
    )


def spin_echo(**changes):
    given = {"fov": FOV, "matrix": MATRIX, "thickness": THICKNESS, "rf": "ideal", **changes}
    return played("spin-echo", SpinEcho(**given))


def test_the_image_is_the_closed_form_where_the_labels_say():
    """Pixels are whole voxels, so that only truncation differs: 4 spins in a pixel, mean over a region."""
    scan = scan_phantom(blocks_of_tissue(), spin_echo(), PLANE)
    image = reconstruct(scan).magnitude[0]
    for label, signal in SIGNAL.items():
        here = scan.maps["labels"] == label
        assert image[here].mean() == pytest.approx(signal, rel=0.06)
    np.testing.assert_array_equal(image > 0.12, scan.maps["labels"] > 0)


def test_noise_has_its_share_and_imperfections_act_where_they_belong():
    phantom, what = blocks_of_tissue(), spin_echo()
    clean = scan_phantom(phantom, what, PLANE)
    noisy = scan_phantom(phantom, what, PLANE, noise=0.5, seed=3)
    again = scan_phantom(phantom, what, PLANE, noise=0.5, seed=3)
    error = noisy.signal - clean.signal
    rms = np.sqrt(np.mean(np.abs(clean.signal) ** 2))
    assert error.view(np.float32).std() / rms == pytest.approx(0.5, rel=0.15)  # 384 numbers: 4 sigma
    np.testing.assert_array_equal(noisy.signal, again.signal)
    turned = scan_phantom(phantom, what, PLANE, imperfections=Imperfections(receiver_phase=math.pi / 2))
    np.testing.assert_allclose(turned.signal, -1j * clean.signal, atol=1e-6)
    late = scan_phantom(phantom, what, PLANE, imperfections=Imperfections(gradient_delay=(2e-4, 0.0, 0.0)))
    assert np.abs(late.signal - clean.signal).max() > 0.01 * np.abs(clean.signal).max()
    assert late.events is what.events  # the reconstruction does not know of it


def test_timing_is_that_of_the_parameters():
    found = timing(SpinEcho(te=0.05, tr=0.7, flip=1.0, matrix=(4, 16)).events())
    assert found == pytest.approx({"te": 0.05, "tr": 0.7, "flip": 1.0}, rel=1e-4)
    found = timing(GradientEcho(te=8e-3, tr=20e-3, flip=0.2, matrix=(4, 16)).events())
    assert found == pytest.approx({"te": 8e-3, "tr": 20e-3, "flip": 0.2}, rel=1e-4)


def test_slices_off_the_centre_are_within_reach():
    """A thickness is tbw / duration [Hz] wide: three times that is three thicknesses off the plane."""
    sequence = SpinEcho(matrix=(2, 16), thickness=THICKNESS, spoiling="gradient")
    assert played("spin-echo", sequence).off_centre == 0
    frequency = 3 * sequence.tbw / sequence.pulse_duration
    blocks = [replace(b, rf=replace(b.rf, frequency=-frequency)) if b.rf else b for b in sequence.blocks()]
    events = compile_blocks(blocks, **sequence.whole())
    what = Played(name="x", events=events, counters=window_counters(blocks))
    assert what.off_centre == pytest.approx(3 * THICKNESS, rel=1e-6)
    assert what.slice_offsets == pytest.approx(np.full(2, -3 * THICKNESS), rel=1e-6)


def point(z):
    """GM at a height z [m]."""
    cloud = {
        "position": np.array([[0.0], [0.0], [z]]),
        "tissue": np.zeros(1, np.uint8),
        "freq": np.zeros(1, np.float32),
    }
    return Spins(
        **cloud, cell=POINT, pd=np.ones(1), t1=np.ones(1), t2=np.full(1, 0.1), t2prime=np.full(1, np.inf)
    )


def test_mrd_says_where_the_slice_lies_that_a_frequency_selects(tmp_path):
    """5 mm below the plane, and there the spins answer."""
    import ismrmrd

    from mrsim.files.mrd import write_mrd

    sequence = SpinEcho(fov=FOV, matrix=MATRIX, thickness=THICKNESS, spoiling="gradient")
    frequency = -5e-3 / THICKNESS * sequence.tbw / sequence.pulse_duration
    blocks = [replace(b, rf=replace(b.rf, frequency=frequency)) if b.rf else b for b in sequence.blocks()]
    what = Played(
        name="x", events=compile_blocks(blocks, **sequence.whole()), counters=window_counters(blocks)
    )
    below, above = (acquire(point(z), what.events, engine="isochromat") for z in (-5e-3, 5e-3))
    assert np.abs(above).max() < 0.05 * np.abs(below).max()
    scan = scan_phantom(blocks_of_tissue(), what, PLANE, n_sub=64)
    write_mrd(tmp_path / "a.mrd", scan)
    first = ismrmrd.Dataset(str(tmp_path / "a.mrd"), create_if_needed=False).read_acquisition(1)
    assert first.position[2] == pytest.approx(1e3 * PLANE.centre[2] - 5, rel=1e-5)
    assert np.abs(scan.signal).max() > 0


def test_counters_fit_their_windows():
    events = spin_echo().events
    with pytest.raises(ValueError, match=r"counters must be given for each of 12 receiver windows, got 0"):
        Played(name="x", events=events, counters=())
    blocks = cartesian()
    blocks[2].labels["NAV"] = 1
    assert [c.get("NAV", 0) for c in window_counters(blocks)][:2] == [1, 0]


def test_a_file_of_spins_lies_in_the_frame_of_the_gradients(tmp_path):
    """KomaMRI's x is the readout: one spin 8 mm along x and -4 mm along y shows there."""
    from phantoms.cloud import SpinCloud
    from phantoms.spin_files.files import write_spins

    one = np.ones(1)
    cloud = SpinCloud(
        name="one",
        position=np.array([[8e-3], [-4e-3], [0.0]]),
        pd=one,
        t1=one,
        t2=0.1 * one,
        t2prime=np.inf * one,
        freq=0 * one,
    )
    write_spins(cloud, tmp_path / "one.phantom")
    setup = Setup(phantom=str(tmp_path / "one.phantom"))
    scan = setup.run(spin_echo(), FOV, THICKNESS)
    image = reconstruct(scan).magnitude[0]
    assert np.unravel_index(image.argmax(), image.shape) == (6 - 1, 8 + 2)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"phantom": "brainwb"}, "did you mean 'brainweb'"),
        ({"b0": "of"}, "did you mean 'off'"),
        ({"coils": 0}, "coils must be at least 1"),
        ({"phantom": "a.h5", "b0": "smooth"}, "b0 must be off for a file of spins"),
        ({"phantom": "a.h5", "every": 2}, "must not be given for a file of spins, got every 2"),
        ({"phantom": "sphere", "tissues": "brainweb-3T"}, "tissues must not be given for sphere"),
        ({"field_strength": 0.0}, "field_strength must be positive"),
    ],
)
def test_impossible_setups_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        Setup(**options)
