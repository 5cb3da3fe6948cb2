"""The dipole field where B0 lies oblique to the grid."""

import numpy as np
import pytest

from mrsim.fields.dipole import dipole_field
from tests.mrsim.fields.test_b0 import PPM, ball, sphere_field

OBLIQUE = np.array((0.48, 0.6, 0.64))  # a unit vector x y z


def test_field_of_a_sphere_in_an_oblique_magnet():
    field = dipole_field(9.4 * PPM * ball(64, 10, 1, 1, 1), (1, 1, 1), tuple(OBLIQUE)) / PPM
    for place in ((20, 0, 0), (0, 20, 0), (0, 0, 20), (12, 15, 16), (-12, 15, -16), (16, 0, -12)):
        x, y, z = place
        along = float(np.dot(place, OBLIQUE))
        wanted = sphere_field(along, x * x + y * y + z * z - along**2, 10, 9.4)
        assert field[32 + z, 32 + y, 32 + x] == pytest.approx(wanted, abs=5e-3)
    assert abs(field[32, 32, 32]) < 1e-3


def test_along_z_it_is_the_field_that_it_was():
    chi = PPM * ball(16, 5, 1, 2, 1)
    assert np.array_equal(dipole_field(chi, (1, 2, 1)), dipole_field(chi, (1, 2, 1), (0.0, 0.0, 1.0)))
