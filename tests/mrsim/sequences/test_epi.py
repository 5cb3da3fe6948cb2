"""Echo-planar imaging: what off-resonance and reversed lines do to a point, and diffusion weighting."""

import dataclasses
import math

import numpy as np
import pytest

from mrsim.constants import GAMMA
from mrsim.imperfections.diffusion import b_values
from mrsim.sequences.diffusion import DiffusionSpinEcho, lobe_weighting
from mrsim.sequences.epi import Epi

IDEAL = {"rf": "ideal", "preparation": "equilibrium"}


def image(kspace):
    """Centred, orthonormal."""
    return np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace), norm="ortho"))


@pytest.mark.parametrize("matrix", [(24, 32), (15, 21)])
@pytest.mark.parametrize("echo", ["gradient", "spin"])
def test_a_point_stays_a_point(play, matrix, echo):
    """Lines forwards and backwards lie on one lattice: no ghost at all, the phase of a spin echo."""
    sequence = Epi(matrix=matrix, echo=echo, te=60e-3, **IDEAL)
    events = sequence.events()
    y, x = 3, -5
    signal = play(events, x=x * sequence.pixel[1], y=y * sequence.pixel[0])
    shown = image(events.sorted_kspace(signal)[0]) / math.sqrt(math.prod(matrix))
    assert shown[matrix[0] // 2 + y, matrix[1] // 2 + x] == pytest.approx(1, abs=1e-9)
    assert np.linalg.norm(shown) == pytest.approx(1)


def test_off_resonance_shifts_along_the_phase_encode(play):
    """By f * echo spacing * lines pixels, 3 here; along the readout by f / bandwidth, here below 0.03."""
    sequence = Epi(matrix=(32, 32), **IDEAL)
    freq = 3 / (32 * sequence.echo_spacing)
    events = sequence.events()
    shown = image(events.sorted_kspace(play(events, freq=freq))[0]) / 32
    assert np.unravel_index(abs(shown).argmax(), shown.shape) == (16 + 3, 16)
    assert abs(shown[19, 16]) > 0.99
    assert np.angle(shown[19, 16] * np.exp(2j * np.pi * freq * sequence.te)) == pytest.approx(0, abs=0.05)


def test_spin_echo_refocuses_t2prime_and_off_resonance_in_the_centre(play):
    sequence = Epi(matrix=(16, 15), echo="spin", **IDEAL)
    events = sequence.events()
    kspace = events.sorted_kspace(play(events, freq=20.0, t2=0.08, t2prime=0.03))[0]
    assert kspace[8, 7] == pytest.approx(math.exp(-sequence.te / 0.08), rel=1e-9)
    plain = dataclasses.replace(sequence, echo="gradient").events()
    kspace = plain.sorted_kspace(play(plain, t2=0.08, t2prime=0.03))[0]
    assert kspace[8, 7] == pytest.approx(math.exp(-sequence.te * (1 / 0.08 + 1 / 0.03)), rel=1e-9)


@pytest.mark.parametrize("direction", [(0.0, 0.0, 1.0), (1.0, -1.0, 0.3)])
def test_b_value_is_that_of_the_lobes(direction):
    """Imaging gradients add a part of their own, and one that changes its sign with that of the lobes."""
    sequence = DiffusionSpinEcho(matrix=(16, 16), direction=direction, b=7e8)
    against = dataclasses.replace(sequence, direction=tuple(-d for d in direction))
    without = dataclasses.replace(sequence, b=0.0)
    assert (sequence.b_total + against.b_total) / 2 - without.b_total == pytest.approx(7e8, rel=1e-9)
    assert sequence.b_total == pytest.approx(7e8, rel=0.05)
    assert 0 < without.b_total < 1e7


def test_weighting_without_ramps_is_stejskal_tanner():
    assert lobe_weighting(20e-3, 40e-3, 0.0) == pytest.approx(GAMMA**2 * 4e-4 * (40e-3 - 20e-3 / 3))


def test_random_walkers_are_attenuated_by_b():
    """3000 spins with D = 2e-9 m2/s walk along the lobes: the mean of their phases is exp(-b D)."""
    sequence = DiffusionSpinEcho(matrix=(16, 16), b=5e8, te=70e-3)
    dt, diffusivity = 1e-4, 2e-9
    blocks = sequence.blocks()
    refocusing = next(i for i, b in enumerate(blocks) if b.rf and b.rf.pulse.use == "refocusing")
    sign, now, gradient = -1.0, 0.0, []
    for i, block in enumerate(blocks[:-2]):  # up to the echo train and through it
        t = np.arange(now + dt / 2, now + block.duration, dt) - now
        lobe = i in (refocusing - 2, refocusing + 2) and block.gz is not None
        if i == refocusing:
            sign = 1.0
        shape = np.interp(t, *block.gz.corners()) if lobe else np.zeros(t.size)
        gradient.append(sign * shape)
        now += t.size * dt
    gradient = np.concatenate(gradient)
    gradient -= gradient.sum() / np.count_nonzero(gradient) * (gradient != 0)  # sampling of the ramps
    rng = np.random.default_rng(0)
    place = np.cumsum(rng.normal(0, math.sqrt(2 * diffusivity * dt), (3000, gradient.size)), axis=1)
    mean = np.exp(1j * GAMMA * dt * (place @ gradient)).mean()
    assert mean == pytest.approx(math.exp(-5e8 * diffusivity), abs=3 / math.sqrt(2 * 3000))


def test_every_line_has_nearly_the_b_value_of_the_centre():
    events = DiffusionSpinEcho(matrix=(16, 16)).events()
    assert np.ptp(b_values(events)) < 0.01 * 1e9
