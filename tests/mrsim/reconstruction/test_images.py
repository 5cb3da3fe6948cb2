"""Reconstruction of scans whose image is known: points, and a disc by its closed-form transform."""

import nibabel
import numpy as np
import pytest

from mrsim.reconstruction.images import reconstruct
from mrsim.reconstruction.nifti import write_nifti
from mrsim.slices.plane import SlicePlane
from tests.mrsim.scans import PLANE, cartesian, disc, epi, points, radial, scan_of, spiral

PIXELS = [(5, 9), (20, 30), (16, 20)]
VALUES = np.array([1.0, 0.5, 0.7j])
RADIUS, CENTRE = 0.05, (0.014, -0.01)


def wanted():
    image = np.zeros(PLANE.matrix, complex)
    image[tuple(np.transpose(PIXELS))] = VALUES
    return image


@pytest.mark.parametrize(
    "blocks", [cartesian(), cartesian(placed=False), cartesian(placed=False, shift=0.5), epi()]
)
def test_points_on_a_grid_are_their_pixels(blocks):
    """Also half a cell off, as Pulseq samples: the ramp puts the phase right. float32 signal: 1e-6."""
    images = reconstruct(scan_of(blocks, points(PIXELS, VALUES)))
    assert images.method == "fft"
    np.testing.assert_allclose(images.data[0], wanted(), atol=3e-6)


@pytest.mark.parametrize("blocks", [cartesian(), radial(spokes=70), spiral()])
def test_a_disc_has_its_height_and_place(blocks):
    """Inside 1, outside 0, ringing at the edge; radial and spiral fill a disc of k-space only."""
    image = reconstruct(scan_of(blocks, disc(RADIUS, CENTRE))).data[0]
    y, x = np.meshgrid(PLANE.pixel_centres("y"), PLANE.pixel_centres("x"), indexing="ij")
    r = np.hypot(x - CENTRE[0], y - CENTRE[1])
    inside, outside = image[r < RADIUS - 0.012], image[(r > RADIUS + 0.012) & (r < 0.08)]
    assert inside.real.mean() == pytest.approx(1, abs=0.01)
    assert inside.real.std() < 0.04 and np.abs(outside).mean() < 0.03
    assert np.abs(inside.imag).mean() < 0.02
    shown = np.abs(image) > 0.5
    assert (x[shown].mean(), y[shown].mean()) == pytest.approx(CENTRE, abs=1e-3)


def test_coils_combine_to_what_one_uniform_coil_hears():
    rng = np.random.default_rng(0)
    csm = rng.standard_normal((3, *PLANE.matrix)) + 1j * rng.standard_normal((3, *PLANE.matrix))
    at = csm[:, *np.transpose(PIXELS)]
    scan = scan_of(cartesian(), points(PIXELS, at * VALUES), csm=csm.astype(np.complex64))
    by_maps = reconstruct(scan, combination="maps").data[0]
    np.testing.assert_allclose(by_maps, wanted(), atol=2e-5)
    by_rss = reconstruct(scan).magnitude[0]
    rss = np.sqrt((np.abs(at) ** 2).sum(0)) * np.abs(VALUES)
    np.testing.assert_allclose(by_rss[tuple(np.transpose(PIXELS))], rss, rtol=1e-5)
    with pytest.raises(ValueError, match="did you mean 'maps'"):
        reconstruct(scan, combination="map")


def test_windows_that_count_another_echo_make_another_image():
    first, second = cartesian(), cartesian()
    for block in second:
        if block.adc is not None:
            block.labels["ECO"] = 1
    n = PLANE.matrix[0] * PLANE.matrix[1]
    source = points(PIXELS, VALUES)
    scan = scan_of([*first, *second], lambda k: source(k) * np.where(np.arange(2 * n) < n, 1, 3))
    images = reconstruct(scan)
    assert [f["ECO"] for f in images.frames] == [0, 1]
    np.testing.assert_allclose(images.data, np.stack([wanted(), 3 * wanted()]), atol=1e-5)


@pytest.mark.parametrize("orientation", ["axial", "coronal", "sagittal"])
def test_nifti_puts_a_pixel_where_it_was_in_the_patient(orientation, tmp_path):
    plane = SlicePlane(
        orientation=orientation, centre=(0.01, -0.02, 0.03), fov=(0.16, 0.20), matrix=(32, 40), thickness=4e-3
    )
    images = reconstruct(scan_of(cartesian(plane), points([(5, 9)], [1.0], plane), plane))
    write_nifti(tmp_path / "a.nii.gz", images.magnitude, plane.affine)
    image = nibabel.load(tmp_path / "a.nii.gz")
    peak = np.unravel_index(np.argmax(image.get_fdata()), image.shape)
    assert image.shape == (40, 32, 1) and peak[:2] == (9, 5)
    y, x = plane.pixel_centres("y")[5], plane.pixel_centres("x")[9]
    np.testing.assert_allclose(image.affine @ (*peak, 1), [*plane.to_ras((x, y, 0.0)) * 1e3, 1], atol=1e-4)
    np.testing.assert_allclose(image.get_qform(), image.get_sform(), atol=1e-4)
