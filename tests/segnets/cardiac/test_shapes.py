"""Distances of shapes that were displaced or resized by known amounts."""

import math

import numpy as np
import pytest

from segnets.cardiac import shapes


def disc(radius, centre=(40, 40), n=80):
    y, x = np.mgrid[:n, :n]
    return np.hypot(y - centre[0], x - centre[1]) <= radius


def test_equal_answers_lie_on_their_mean():
    same = np.repeat(disc(12)[None], 5, axis=0)
    found = shapes.within_subject(same, (1.8, 1.8))
    assert found.hd.tolist() == [0] * 5 == found.md.tolist()
    assert found.empty == 0


def test_shifted_answers_lie_as_far_from_the_mean_as_they_were_shifted():
    """Two thirds of the answers agree, so they are the mean; the others are moved by 3 pixels of 1.8 mm.

    The farthest points of a disc moved along x lie on that axis, by the shift; on average over the rim the
    normal distance is |shift cos(angle)|, 2 / pi of it.
    """
    stay, moved = disc(15), disc(15, (40, 43))
    found = shapes.within_subject(np.stack([stay, stay, stay, stay, moved, moved]), (1.8, 1.8))
    assert found.hd[:4].tolist() == [0] * 4
    assert found.hd[4:] == pytest.approx(3 * 1.8)
    assert found.md[4:] == pytest.approx(3 * 1.8 * 2 / math.pi, rel=0.1)


def test_rings_lie_as_far_apart_as_their_radii():
    found = shapes.distances_to(disc(10), np.stack([disc(r) for r in (10, 14, 20)]), (1.0, 1.0))
    assert found.hd == pytest.approx([0, 4, 10], abs=0.5)  # half a pixel of rim
    assert found.md == pytest.approx([0, 4, 10], abs=0.5)


def test_the_mean_of_three_subjects_is_the_middle_one():
    """Concentric discs: what two of three hold is the disc of the middle radius."""
    averages = np.stack([disc(r).astype(float) for r in (8, 12, 18)])
    np.testing.assert_array_equal(shapes.mean_shape(averages.mean(axis=0)), disc(12))
    found = shapes.between_subjects(averages, (2.0, 2.0))
    assert found.hd == pytest.approx([8, 0, 12], abs=1.0)
    # a network that answers the mean of the population has no distance at all
    alike = shapes.between_subjects(np.repeat(averages[:1], 3, axis=0), (2.0, 2.0))
    assert alike.hd.tolist() == alike.md.tolist() == [0, 0, 0]


def test_shapes_without_overlap_have_no_mean_and_are_counted():
    apart = np.stack([disc(5, (20, 20 * k)) for k in (1, 2, 3)])
    found = shapes.within_subject(apart, (1.0, 1.0))
    assert found.empty == 3
    assert found.hd == pytest.approx(math.hypot(80, 80))


def test_centring_moves_the_cavity_to_the_middle_and_keeps_the_rest_around_it():
    labels = np.zeros((2, 80, 80), np.uint8)
    for one, centre in zip(labels, ((30, 44), (47, 33)), strict=True):
        one[disc(12, centre)] = 2
        one[disc(8, centre)] = 1
    moved = shapes.centred(labels, cavity=1)
    np.testing.assert_array_equal(moved[0], moved[1])
    assert np.argwhere(moved[0] == 1).mean(axis=0) == pytest.approx([40, 40])
    np.testing.assert_array_equal(moved[0] == 2, disc(12) & ~disc(8))
    nothing = np.full((1, 8, 8), 2, np.uint8)
    np.testing.assert_array_equal(shapes.centred(nothing, cavity=1), nothing)


def test_rank_sum_tells_samples_apart_that_are():
    """10 against 10 without overlap: z = 50 / sqrt(10 * 10 * 21 / 12) = 3.78, p = 1.57e-4."""
    low, high = np.arange(10.0), np.arange(10.0) + 20
    assert shapes.rank_sum_p(low, high) == pytest.approx(math.erfc(50 / math.sqrt(175) / math.sqrt(2)))
    assert shapes.rank_sum_p(low, low) == pytest.approx(1)
