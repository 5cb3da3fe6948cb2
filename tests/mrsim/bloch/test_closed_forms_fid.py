"""Free precession, T2', dephasing, chemical shift through the engines: physics.md sections 5 and 9."""

import math

import numpy as np
import pytest

from mrsim.constants import GAMMA_BAR
from mrsim.events.blocks import Adc, Block, Trapezoid
from mrsim.sequences.gre import GradientEcho
from tests.mrsim.bloch.play import READ, TOLERANCE, delay_to, played, pulse, signal

EXCITE = pulse(90, -90)  # Mz into +Mx
T2, T2STAR = 0.083, 0.069
T2PRIME = 1 / (1 / T2STAR - 1 / T2)


def fid(time, gradient=0.0, **spins):
    """Signal `time` [s] after the pulse, in a gradient along x [T/m]."""
    gx = Trapezoid(amplitude=gradient, rise=0.0, flat=time, fall=0.0) if gradient else None
    start = delay_to(time) if gx is None else Block(gx=gx)
    return signal(played(EXCITE, start, READ), **spins)[:, 0]


def test_free_induction_decay():
    """exp(-t/T2*) exp(-i 2 pi f t): 0.647405 at 30 ms."""
    assert T2PRIME == pytest.approx(0.409071429)
    freq = np.array([0.0, 37.5, -300.25])
    found = fid(30e-3, t2=T2, t2prime=T2PRIME, freq=freq)
    assert abs(found) == pytest.approx(0.647405, abs=6e-7)
    assert found == pytest.approx(np.exp(-30e-3 / T2STAR - 2j * np.pi * freq * 30e-3), rel=1e-6)


def test_isochromats_of_a_lorentzian_line_decay_with_t2prime():
    """20 001 Cauchy quantiles of half width 1 / (2 pi T2') give exp(-t/T2*) to 2.1e-4, their tails."""
    width = 1 / (2 * math.pi * T2PRIME)
    assert width == pytest.approx(0.389064, abs=6e-7)
    u = (np.arange(20001) + 0.5) / 20001
    freq = width * np.tan(math.pi * (u - 0.5))
    found = fid(30e-3, t2=T2, freq=freq, mean=True)
    assert found == pytest.approx(0.647405, abs=2.2e-4)


@pytest.mark.parametrize(
    ("time", "spread", "along_x", "expected"), [(10e-3, 40.0, False, 0.756827), (5e-3, 100.0, True, 0.636620)]
)
def test_dephasing_is_a_sinc(time, spread, along_x, expected):
    """Uniform +-20 Hz in 10 ms: sinc 0.4; 100 Hz across a voxel by a gradient in 5 ms: sinc 0.5."""
    at = (np.arange(1000) + 0.5) / 1000 - 0.5  # midpoints: (pi spread time / 1000)^2 / 24 = 1e-7
    if along_x:
        found = fid(time, spread / (GAMMA_BAR * 1e-3), x=at * 1e-3, mean=True)
    else:
        found = fid(time, freq=at * spread, mean=True)
    assert np.sinc(spread * time) == pytest.approx(expected, abs=6e-7)
    assert found == pytest.approx(expected, abs=2e-6)


def test_water_and_fat_are_in_and_out_of_phase():
    """3.4 ppm at 1.5 T is 217.145 Hz: opposed at 2.302607 ms, in phase at 4.605215 ms."""
    freq = 3.4e-6 * GAMMA_BAR * 1.5
    assert freq == pytest.approx(217.145140, abs=1e-5)
    opposed, in_phase = (fid(te, freq=[0.0, -freq]).sum() for te in (2.302607e-3, 4.605215e-3))
    assert opposed == pytest.approx(0, abs=3e-6)
    assert in_phase == pytest.approx(2, abs=1e-6)


@pytest.mark.parametrize("engine", ["cartesian", "isochromat", "nufft"])
def test_fat_is_displaced_along_the_readout(engine):
    """By f / bandwidth per pixel, 220 Hz of 110 Hz/px: two whole pixels, with the phase of TE."""
    sequence = GradientEcho(
        matrix=(1, 16), fov=(0.016, 0.016), bandwidth=110.0, te=12e-3, tr=50e-3, rf="ideal"
    )
    freq = -2 / sequence.readout_duration
    assert freq == pytest.approx(-220, rel=1e-3)  # the dwell lies on a raster
    fat, water = signal(sequence, engine, x=3e-3, freq=[freq, 0.0])
    image = lambda line: np.fft.fftshift(np.fft.ifft(np.fft.ifftshift(line)))  # noqa: E731
    expected = np.roll(image(water), -2) * np.exp(-2j * np.pi * freq * sequence.te)
    assert image(fat) == pytest.approx(expected, abs=TOLERANCE[engine])
    assert abs(image(fat)).argmax() == 8 + 3 - 2


def test_changing_gradients_are_integrated():
    """Samples on a ramp: exp(-i 2 pi gamma_bar x times the area so far), in windows of any gradient."""
    rise, samples = 1e-3, 50
    ramp = Trapezoid(amplitude=20e-3, rise=rise, flat=0.5e-3, fall=rise)
    events = played(EXCITE, Block(gx=ramp, adc=Adc(samples=samples, dwell=50e-6)))
    t = (np.arange(samples) + 0.5) * 50e-6
    fine = np.linspace(0, 2.5e-3, 250001)
    area = np.cumsum(np.append(0, np.diff(fine) * mid(np.interp(fine, *ramp.corners()))))
    x = np.array([-0.05, 0.002, 0.11])
    expected = np.exp(-2j * np.pi * GAMMA_BAR * x[:, None] * np.interp(t, fine, area))
    assert signal(events, x=x) == pytest.approx(expected, abs=2e-6)


def mid(values):
    return (values[1:] + values[:-1]) / 2
