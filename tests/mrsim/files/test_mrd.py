"""MRD files as a stranger reads them: `ismrmrd` and NumPy alone make the image."""

from dataclasses import replace

import ismrmrd
import numpy as np
import pytest

from mrsim.files.mrd import write_mrd
from tests.mrsim.scans import PLANE, cartesian, disc, epi, points, radial, scan_of, spiral

PIXELS = [(5, 9), (20, 30)]
VALUES = np.array([1.0, 0.5])


def read(path):
    """Header, acquisitions and file."""
    file = ismrmrd.Dataset(str(path), create_if_needed=False)
    header = ismrmrd.xsd.CreateFromDocument(file.read_xml_header())
    return header, [file.read_acquisition(i) for i in range(file.number_of_acquisitions())], file


def stranger_fft(header, acquisitions):
    """The reconstruction of every tutorial: fill the matrix by the headers, ifft2."""
    size = header.encoding[0].encodedSpace.matrixSize
    kspace = np.zeros((acquisitions[0].active_channels, size.y, size.x), complex)
    for a in acquisitions:
        line, centre = a.data, a.center_sample
        if a.is_flag_set(ismrmrd.ACQ_IS_REVERSE):
            line, centre = line[:, ::-1], a.number_of_samples - 1 - centre
        first = size.x // 2 - centre
        kspace[:, a.idx.kspace_encode_step_1, first : first + a.number_of_samples] = line
    axes = (1, 2)
    return np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace, axes), norm="ortho"), axes)


def stranger_sum(header, acquisitions):
    """Plain sum over a trajectory in cycles per pixel, weighted with |k| (a radial scan)."""
    size = header.encoding[0].encodedSpace.matrixSize
    k = np.concatenate([a.traj for a in acquisitions]).astype(float)
    data = np.concatenate([a.data for a in acquisitions], axis=1)
    x, y = np.arange(size.x) - size.x // 2, np.arange(size.y) - size.y // 2
    weighted = data[0] * np.hypot(*k.T)
    return np.exp(2j * np.pi * np.outer(y, k[:, 1])) @ (
        weighted[:, None] * np.exp(2j * np.pi * np.outer(k[:, 0], x))
    )


@pytest.mark.parametrize(("blocks", "kind"), [(cartesian(), "cartesian"), (epi(), "epi")])
def test_a_stranger_reconstructs_lines(blocks, kind, tmp_path):
    """Neither mirrored nor turned, coils apart, and csm is what divides them."""
    rng = np.random.default_rng(0)
    csm = (rng.standard_normal((2, *PLANE.matrix)) + 1j).astype(np.complex64)
    at = csm[:, *np.transpose(PIXELS)]
    labels = rng.integers(0, 4, PLANE.matrix).astype(np.uint8)
    scan = scan_of(blocks, points(PIXELS, at * VALUES), csm=csm, maps={"labels": labels})
    write_mrd(tmp_path / "a.mrd", scan)
    header, acquisitions, file = read(tmp_path / "a.mrd")
    images = stranger_fft(header, acquisitions)
    maps = file.read_array("csm", 0)
    image = (maps.conj() * images).sum(0) / (np.abs(maps) ** 2).sum(0)
    wanted = np.zeros(PLANE.matrix)
    wanted[tuple(np.transpose(PIXELS))] = VALUES
    np.testing.assert_allclose(image, wanted, atol=1e-5)
    np.testing.assert_array_equal(file.read_array("labels", 0), labels)
    assert header.encoding[0].trajectory.value == kind
    assert acquisitions[0].trajectory_dimensions == (2 if kind == "epi" else 0)
    assert sum(a.is_flag_set(ismrmrd.ACQ_IS_REVERSE) for a in acquisitions) == (16 if kind == "epi" else 0)


def test_a_stranger_reconstructs_a_trajectory(tmp_path):
    centre = (0.014, -0.01)
    write_mrd(tmp_path / "a.mrd", scan_of(radial(), disc(0.04, centre)))
    header, acquisitions, _ = read(tmp_path / "a.mrd")
    image = np.abs(stranger_sum(header, acquisitions))
    y, x = np.nonzero(image > image.max() / 2)
    found = PLANE.pixel_centres("x")[x].mean(), PLANE.pixel_centres("y")[y].mean()
    assert found == pytest.approx(centre, abs=1e-3)
    assert header.encoding[0].trajectory.value == "radial"
    assert [a.idx.kspace_encode_step_1 for a in acquisitions] == list(range(64))
    assert {a.center_sample for a in acquisitions} == {20}


def test_what_a_sequence_leaves_to_the_reconstruction_is_taken_off(tmp_path):
    """A stranger knows nothing of the phase modulation of Pulseq 1.5."""
    plain = scan_of(cartesian(), points(PIXELS, VALUES))
    phase = np.linspace(0, 20, plain.signal.shape[1])
    signal = (plain.signal * np.exp(1j * phase)).astype(np.complex64)
    write_mrd(
        tmp_path / "a.mrd", replace(plain, signal=signal, played=replace(plain.played, modulation=phase))
    )
    header, acquisitions, _ = read(tmp_path / "a.mrd")
    wanted = np.zeros(PLANE.matrix)
    wanted[tuple(np.transpose(PIXELS))] = VALUES
    np.testing.assert_allclose(stranger_fft(header, acquisitions)[0], wanted, atol=1e-5)


def test_headers_hold_units_places_and_flags(tmp_path):
    write_mrd(tmp_path / "a.mrd", scan_of(cartesian(), points(PIXELS, VALUES)))
    header, acquisitions, _ = read(tmp_path / "a.mrd")
    space = header.encoding[0].encodedSpace
    assert (space.matrixSize.x, space.matrixSize.y, space.fieldOfView_mm.x) == (40, 32, pytest.approx(200))
    assert header.sequenceParameters.TE == [5.0] and header.sequenceParameters.flipAngle_deg == [
        pytest.approx(90)
    ]
    assert header.acquisitionSystemInformation.systemFieldStrength_T == 1.5
    assert header.experimentalConditions.H1resonanceFrequency_Hz == pytest.approx(63.866e6, rel=1e-4)
    first, last = acquisitions[0], acquisitions[-1]
    assert first.sample_time_us == pytest.approx(20) and first.center_sample == 20
    # axial: x is anterior (-P), y is right (-L), position in LPS
    np.testing.assert_allclose(first.position, (-10, 20, 30))
    np.testing.assert_allclose(
        (first.read_dir, first.phase_dir, first.slice_dir), [(0, -1, 0), (-1, 0, 0), (0, 0, 1)]
    )
    for acquisition, end in ((first, "FIRST"), (last, "LAST")):
        for name in ("ENCODE_STEP1", "SLICE", "REPETITION"):
            assert acquisition.is_flag_set(getattr(ismrmrd, f"ACQ_{end}_IN_{name}"))
    assert [i for i, a in enumerate(acquisitions) if a.is_flag_set(ismrmrd.ACQ_LAST_IN_MEASUREMENT)] == [31]
    step = acquisitions[1].user_int[0] - first.user_int[0]
    assert step == pytest.approx(1e6 * (1e-3 + 0.4e-3 + 40 * 20e-6), abs=1)  # lobe, ramps, readout
    assert acquisitions[8].acquisition_time_stamp == round(acquisitions[8].user_int[0] / 2500)


def test_a_spiral_and_a_shifted_grid_are_known_for_what_they_are(tmp_path):
    write_mrd(tmp_path / "s.mrd", scan_of(spiral(), points(PIXELS, VALUES)))
    write_mrd(tmp_path / "c.mrd", scan_of(cartesian(placed=False, shift=0.25), points(PIXELS, VALUES)))
    spiral_header, interleaves, _ = read(tmp_path / "s.mrd")
    header, lines, _ = read(tmp_path / "c.mrd")
    assert spiral_header.encoding[0].trajectory.value == "spiral" and len(interleaves) == 8
    assert header.encoding[0].trajectory.value == "cartesian"
    np.testing.assert_allclose(lines[3].traj[20], (0.25 / 40, (3 - 16) / 32), atol=1e-6)
