"""Trajectories beside the Cartesian grid against what their names say."""

import math

import numpy as np
import pytest

from mrsim.constants import GAMMA_BAR
from mrsim.sequences.radial import Radial
from mrsim.sequences.spiral import Spiral, archimedean


@pytest.mark.parametrize("angles", ["golden", "uniform"])
def test_spokes(angles):
    """Sample j of spoke s at (j - n // 2) / fov along its angle, steps of 111.246 or 180 / 13 degrees."""
    sequence = Radial(matrix=(20, 20), fov=(0.1, 0.1), spokes=13, angles=angles)
    step = math.radians(111.246117975) if angles == "golden" else math.pi / 13
    s, j = np.divmod(np.arange(13 * 20), 20)
    k = (j - 10) / 0.1 * np.exp(1j * s * step)
    found = sequence.events().trajectory().k
    assert found[:, 0] + 1j * found[:, 1] == pytest.approx(k, abs=1e-6)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"interleaves": 3, "tr": 60e-3},
        {"max_gradient": 20e-3},
        {"matrix": (64, 64), "fov": (0.2, 0.2), "max_slew": 80.0},
    ],
)
def test_spirals_are_archimedean_and_reach_the_edge(parameters):
    """Samples within 7 % of the distance of turns from k = interleaves / (2 pi fov) theta exp(i theta)."""
    sequence = Spiral(**parameters)
    events = sequence.events()
    path = events.trajectory()
    pitch = sequence.interleaves / (2 * math.pi * sequence.fov[0])
    edge = sequence.matrix[0] / (2 * sequence.fov[0])
    for leaf in (0, sequence.interleaves - 1):
        own = path.adc == leaf
        k = (path.k[own, 0] + 1j * path.k[own, 1]) * np.exp(-2j * np.pi * leaf / sequence.interleaves)
        theta = np.abs(k)[:, None] / pitch + np.linspace(-1, 1, 2001)
        off = np.abs(pitch * theta * np.exp(1j * theta) - k[:, None]).min(axis=1)
        assert off.max() < 0.07 / sequence.fov[0]
        assert np.abs(np.diff(k)).max() <= 1 / sequence.fov[0] * (1 + 1e-6)
        assert abs(k[-1]) == pytest.approx(edge, rel=0.01)


def test_the_spiral_is_as_fast_as_it_may():
    """Slew rate or amplitude is used up everywhere but in the first quarter of a turn."""
    sequence = Spiral(max_gradient=20e-3)
    g = sequence.spiral_gradient
    slew = np.abs(np.diff(g)) / sequence.hardware.gradient_raster
    used = np.maximum(slew / sequence.max_slew, np.abs(g[1:]) / sequence.max_gradient)
    assert slew.max() <= sequence.max_slew
    assert np.abs(g).max() <= sequence.max_gradient * (1 + 1e-12)
    assert used[40:-1].min() > 0.97


def test_a_spiral_starts_straight_at_the_full_slew_rate():
    sequence = Spiral()
    g = archimedean(1e4, 1e-3, sequence.hardware)  # so short that it is a straight line
    t = np.arange(g.size) * sequence.hardware.gradient_raster
    assert g.real == pytest.approx(150.0 * t, rel=1e-3)
    assert GAMMA_BAR * 150.0 * t[-1] ** 2 / 2 >= 10.0


def test_radial_signal_is_that_of_its_trajectory(play):
    """A spin off centre, in the steady state of FLASH: every sample has the phase of its k."""
    sequence = Radial(matrix=(8, 8), fov=(0.1, 0.1), spokes=3, rf="ideal")
    events = sequence.events()
    still, moved = (play(events, x=x, y=y, t1=0.05, t2=0.02)[0] for x, y in ((0, 0), (0.012, -0.02)))
    k = events.trajectory().k
    assert moved == pytest.approx(still * np.exp(-2j * np.pi * (k @ (0.012, -0.02, 0))), abs=1e-10)
    e1 = math.exp(-sequence.tr / 0.05)
    ernst = math.sin(sequence.flip) * (1 - e1) / (1 - math.cos(sequence.flip) * e1)
    assert still[4] == pytest.approx(ernst * math.exp(-sequence.te / 0.02), rel=1e-9)


def test_rewound_spiral_leaves_nothing_but_the_spoiler():
    sequence = Spiral(matrix=(32, 32), interleaves=2, spoiling="gradient", preparation="equilibrium")
    events = sequence.events()
    moment = events.moment(np.arange(events.duration.size), events.duration)[:, :3]
    per_shot = np.add.reduceat(moment, events.start, axis=0)
    assert per_shot[:, :2] == pytest.approx(0, abs=1e-6)
