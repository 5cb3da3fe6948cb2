"""Coils around the chest, where the slices lie oblique to B0."""

import numpy as np
import pytest

from mrsim.cine.field import chest_coils
from mrsim.fields.coils import loop_field
from phantoms.cardiac import Cardiac


def test_coils_stand_around_the_chest_and_hear_what_turns_about_b0():
    heart = Cardiac().heart(3)
    maps = chest_coils(heart, "loops", 6)
    loops = maps.elements.elements
    centres, normals = loops.centres @ heart.axes.T, loops.normals @ heart.axes.T  # in the slice frame
    assert centres @ heart.b0_direction == pytest.approx(0)  # one ring across B0
    assert normals @ heart.b0_direction == pytest.approx(0)
    points = np.random.default_rng(0).uniform(-0.06, 0.06, (3, 50))
    heard = np.abs(maps.sensitivity(*points)) / maps.scale
    for i in range(6):
        field = loop_field(points, centres[i], normals[i], loops.radius)
        across = field - np.outer(heart.b0_direction, heart.b0_direction @ field)
        assert heard[i] == pytest.approx(np.linalg.norm(across, axis=0), rel=1e-5)
    side = np.arange(-0.2, 0.2, 0.01)
    inside = np.argwhere(heart.labels(0.0, side, side, side))[:, ::-1]
    patient = heart.axes.T @ side[inside].T
    patient = patient[:, np.abs(patient[2]) < 0.06]
    for centre in loops.centres:  # nothing of the body lies beyond the plane of a coil
        outward = (centre - loops.centres.mean(axis=0)) * (1, 1, 0)
        outward /= np.linalg.norm(outward)
        assert (outward @ (patient - centre[:, None])).max() < 0
    assert np.linalg.norm(maps.sensitivity(*maps.centre)) == pytest.approx(1, rel=1e-5)
