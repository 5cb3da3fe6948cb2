"""Field of view and matrix of made-up trajectories, and the places of their samples."""

from __future__ import annotations

import numpy as np
import pytest

from mrsim.events import Trajectory
from mrsim.pulseq.encoding import find_encoding, on_grid

FOV, THICKNESS = (0.2, 0.24), 5e-3  # y, x
NONE = (0.0, 0.0)


def lines(rows, columns, shift: float = 0.0, reverse: bool = False) -> Trajectory:
    """Straight readouts at whole `columns` and `rows` of a grid of FOV, every other one backwards."""
    windows = []
    for i, row in enumerate(rows):
        x = (np.asarray(columns) + shift) / FOV[1]
        windows.append(
            np.column_stack([x[::-1] if reverse and i % 2 else x, np.full(x.size, row / FOV[0]), 0 * x])
        )
    return as_trajectory(windows)


def as_trajectory(windows) -> Trajectory:
    k = np.concatenate(windows)
    adc = np.repeat(np.arange(len(windows)), [len(w) for w in windows])
    zero = np.zeros(len(k))
    return Trajectory(adc=adc, event=adc, time=zero, k=k, clock=zero, phase=zero)


def found(trajectory, labels=None, fov=NONE, matrix=(0, 0)):
    n = int(trajectory.adc.max()) + 1
    result = find_encoding(trajectory, labels or [{}] * n, fov, matrix, THICKNESS)
    return result.fov, result.matrix


@pytest.mark.parametrize("shift", [0.0, 0.5, -0.5, 0.2])
@pytest.mark.parametrize("reverse", [False, True])
def test_regular_lines_tell_fov_and_matrix(shift, reverse):
    fov, matrix = found(lines(range(-8, 8), range(-16, 16), shift, reverse))
    assert fov == pytest.approx(FOV)
    assert matrix == (16, 32)


def test_partial_fourier_asymmetric_echo_and_odd_matrix():
    assert found(lines(range(-3, 8), range(-6, 16)), fov=FOV)[1] == (16, 32)
    assert found(lines(range(-3, 4), range(-7, 8)))[1] == (7, 15)
    assert found(lines(range(-3, 2), range(-6, 16)), fov=FOV, matrix=(16, 32))[1] == (16, 32)


@pytest.mark.parametrize("known", ["fov", "labels"])
def test_lines_left_out_do_not_make_the_field_of_view_smaller(known):
    rows = range(-8, 8, 2)
    trajectory = lines(rows, range(-16, 16))
    options = {"fov": FOV} if known == "fov" else {"labels": [{"LIN": row + 8} for row in rows]}
    assert found(trajectory, **options)[0] == pytest.approx(FOV)
    assert found(trajectory)[0][0] == pytest.approx(FOV[0] / 2)


def test_oversampling_widens_the_field_of_view():
    fov, matrix = found(lines(range(-8, 8), np.arange(-16, 16, 0.5)), fov=FOV, matrix=(16, 32))
    assert fov == pytest.approx((FOV[0], 2 * FOV[1]))
    assert matrix == (16, 64)


def test_navigators_do_not_count():
    trajectory = as_trajectory(
        [np.array([[0.0, 0.0, 0.0], [0.7, 0.0, 0.0]]), *np.split(lines(range(4), range(4)).k, 4)]
    )
    labels = [{"NAV": 1}] + [{"NAV": 0}] * 4
    assert found(trajectory, labels)[0] == pytest.approx(FOV)


def test_spokes_take_the_field_of_view_of_the_file_or_of_their_steps():
    r = (np.arange(32) - 15.5) / 0.2
    spokes = [np.outer(r, [np.cos(a), np.sin(a), 0]) for a in np.arange(5) * np.pi / 5]
    assert found(as_trajectory(spokes)) == (pytest.approx((0.2, 0.2)), (32, 32))
    assert found(as_trajectory(spokes), fov=(0.1, 0.1))[1] == (16, 16)


def test_places_are_those_of_the_grid_with_its_centre_at_half():
    trajectory = lines(range(-2, 2), range(-4, 4), reverse=True)
    place = on_grid(trajectory.k, FOV, (4, 8))
    expected = np.arange(32).reshape(4, 8)
    expected[1::2] = expected[1::2, ::-1]
    np.testing.assert_array_equal(place, expected.ravel())
    np.testing.assert_array_equal(on_grid(trajectory.k, FOV, (4, 6))[:8], [-1, 0, 1, 2, 3, 4, 5, -1])


def test_lines_that_end_with_plus_instead_of_minus_half_are_as_good():
    """As JEMRIS encodes: on the pixels, exp(i 2 pi k r) is the same for both."""
    trajectory = lines(range(-1, 3), range(-4, 4))
    assert found(trajectory)[1] == (4, 8)
    np.testing.assert_array_equal(on_grid(trajectory.k, FOV, (4, 8))[::8], [8, 16, 24, 0])


def test_what_is_off_the_grid_or_three_dimensional_has_no_places():
    flat = lines(range(-2, 2), range(-4, 4))
    assert not on_grid(lines(range(-2, 2), range(-4, 4), shift=0.5).k, FOV, (4, 8)).size
    assert not on_grid(flat.k + np.outer(np.arange(32), [0, 0, 1.0]), FOV, (4, 8)).size
