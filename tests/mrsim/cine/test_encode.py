"""Encoding by FFTs against the sum over spins, and crops against crops of the image."""

import numpy as np
import pytest

from mrsim.cine.encode import Axis, encode
from mrsim.cine.scene import Box, cropped, full_plane
from mrsim.store.case import centred_fft2, centred_ifft2

AXES = (Axis(pixels=7, cuts=3), Axis(pixels=8, cuts=2))  # y, x


def spins_of(first, shape, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64), first


def test_it_is_the_sum_over_spins():
    spins, first = spins_of((3, 2), (9, 11))
    found = encode(spins, first, AXES)
    along = []
    for axis, at, count in ((AXES[1], first[0], 9), (AXES[0], first[1], 11)):
        place = (at + np.arange(count) + 0.5) / axis.cuts - 0.5 - axis.pixels // 2  # [pixel] from the middle
        k = np.arange(axis.pixels) - axis.pixels // 2
        along.append(
            np.exp(-2j * np.pi * np.outer(k, place) / axis.pixels) / axis.cuts / np.sqrt(axis.pixels)
        )
    wanted = np.einsum("qy,px,xy->qp", along[1], along[0], spins)
    assert found == pytest.approx(wanted, abs=1e-5)
    assert encode(spins, first, AXES, np.array([4, 1])) == pytest.approx(wanted[[4, 1]], abs=1e-5)


def test_a_pixel_full_of_spins_is_one():
    image = centred_ifft2(encode(np.ones((16, 21), np.complex64), (0, 0), AXES))
    assert image == pytest.approx(np.ones((7, 8)), abs=1e-5)


def test_a_crop_is_the_transform_of_the_cut_image():
    spins, first = spins_of((2, 3), (13, 17))
    crop = Box(y=(1, 6), x=(2, 8))
    axes = (Axis(pixels=7, cuts=3, crop=(1, 5)), Axis(pixels=8, cuts=2, crop=(2, 6)))
    image = centred_ifft2(encode(spins, first, AXES))[crop.pixels]
    assert encode(spins, first, axes) == pytest.approx(centred_fft2(image), abs=1e-5)


@pytest.mark.parametrize("matrix", [(7, 8), (8, 7)])
def test_the_affine_of_a_crop_is_that_of_its_pixels(matrix):
    plane = full_plane(0.01, (0.07, 0.08), matrix, 8e-3)
    faces = [plane.pixel_faces(name)[[0, -1]] + plane.centre[i] for i, name in enumerate("yx")]
    assert np.ravel(faces) == pytest.approx([-0.035, 0.035, -0.04, 0.04])  # the middle of the slice frame
    part = cropped(plane, Box(y=(2, 5), x=(1, 7)))
    assert part.matrix == (3, 6)
    assert part.affine @ (0, 0, 0, 1) == pytest.approx(plane.affine @ (1, 2, 0, 1))
    assert part.affine @ (5, 2, 0, 1) == pytest.approx(plane.affine @ (6, 4, 0, 1))
