import math

import numpy as np
import pytest

from mrsim.bloch.reference import Isochromats, State, advance
from mrsim.constants import GAMMA_BAR
from mrsim.events.blocks import Block, Rf, compile_blocks
from mrsim.events.rf import Pulse, gaussian, hamming_sinc, hard, instantaneous


def played(pulse, freq):
    """M+ and Mz after `pulse` for each off-resonance [Hz], in the reference."""
    freq = np.asarray(freq, float)
    never = np.full(freq.size, np.inf)
    spins = Isochromats(
        position=np.zeros((3, freq.size)),
        freq=freq,
        t1=never,
        t2=never,
        t2prime=never,
        b1=np.ones(freq.size, complex),
        weight=np.ones((1, freq.size), complex),
    )
    state = State(m=np.zeros((3, 1, freq.size)))
    state.m[2] = 1.0
    advance(spins, compile_blocks([Block(rf=Rf(pulse=pulse))], matrix=(1, 1), pixel_volume=1.0), 0, state)
    x, y, z = state.m[:, 0]
    return x + 1j * y, z


def test_a_pulse_of_phase_0_turns_mz_into_my():
    mxy, mz = played(hard(math.radians(30), 1e-3, use="excitation"), [0.0])
    assert (mxy[0], mz[0]) == (pytest.approx(0.5j), pytest.approx(math.sqrt(0.75)))


def test_hard_pulse_off_resonance():
    """Mz = 1 - (b/w)^2 (1 - cos 2 pi w tau), w^2 = b^2 + f^2, at b = 250 Hz; physics.md section 8."""
    mxy, mz = played(hard(math.pi / 2, 1e-3, use="excitation"), [0, 250, 500, 1000])
    assert mz == pytest.approx([0, 0.197150, 0.613594, 0.998904], abs=1e-6)
    assert abs(mxy) == pytest.approx([1, 0.980373, 0.789622, 0.0468142], abs=1e-6)


def profile(flip, z_mm):
    """physics.md section 8: 2 ms, 5 mm, 512 steps, TBW 4, rephased by exactly half of the gradient."""
    pulse = hamming_sinc(flip, 2e-3, 4.0, use="excitation", steps=512)
    freq = 4.0 / 2e-3 / 5e-3 * np.asarray(z_mm) * 1e-3
    mxy, _ = played(pulse, freq)
    return mxy * np.exp(2j * np.pi * freq * 1e-3)


def test_slice_profile_of_the_hamming_sinc():
    mxy = profile(math.pi / 2, [0, 1, 2, 2.5, 3, 4])
    assert abs(mxy) == pytest.approx(
        [1, 0.994629022, 0.838105389, 0.616773407, 0.355985612, 0.026742743], abs=1e-9
    )
    phase = np.angle(mxy / 1j)
    assert phase == pytest.approx(
        [0, -0.166589191, -0.242517421, -0.215780079, -0.173406917, -0.111771344], abs=1e-9
    )


def test_small_tip_profile_is_the_fourier_transform_of_the_pulse():
    mxy = abs(profile(math.radians(1), [1, 2, 2.5, 3, 4])) / math.sin(math.radians(1))
    transform = [0.957080697, 0.703945941, 0.496775812, 0.291305178, 0.040848695]  # physics.md section 8
    assert mxy == pytest.approx(transform, abs=5e-6)  # the next order is the tip angle squared, 3e-4, over 60


def test_rotation_agrees_with_forward_slr():
    """|Mxy| = 2|a* b|, Mz = |a|^2 - |b|^2 from the product of spin-1/2 rotations (Pauly 1991)."""
    pulse = hamming_sinc(2.0, 2.56e-3, 4.0, use="excitation", phase=0.7)
    freq = np.linspace(-3000, 3000, 41)
    alpha, beta = np.ones(freq.size, complex), np.zeros(freq.size, complex)
    for step in pulse.nutation:
        x, y, z = step.real, step.imag, 2 * np.pi * freq * pulse.dt
        angle = np.sqrt(x**2 + y**2 + z**2)
        c, s = np.cos(angle / 2), np.sinc(angle / 2 / np.pi) / 2
        a, b = c + 1j * z * s, 1j * (x + 1j * y) * s
        alpha, beta = a * alpha - b.conj() * beta, b * alpha + a.conj() * beta
    mxy, mz = played(pulse, freq)
    assert abs(mxy) == pytest.approx(2 * abs(alpha * beta), abs=1e-12)
    assert mz == pytest.approx(abs(alpha) ** 2 - abs(beta) ** 2, abs=1e-12)


def test_peak_b1_is_the_flip_angle_rate():
    assert hard(math.pi / 2, 1e-3, use="excitation").peak_b1 == pytest.approx(250 / GAMMA_BAR)
    assert instantaneous(math.pi, use="refocusing").peak_b1 == 0
    assert hamming_sinc(1.2, 2e-3, 4, use="excitation").flip == pytest.approx(1.2)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"nutation": np.zeros((2, 2))}, "nutation must be one finite row"),
        ({"nutation": np.array([np.nan])}, "nutation must be one finite row"),
        ({"dt": -1e-6}, "dt must be finite and not negative, got -1e-06 s"),
        ({"use": "rest"}, "use must be one of excitation, refocusing, .*, got 'rest'"),
        ({"centre": 4e-5}, "centre must lie in 0 to 3.*e-05 s, got 4e-05 s"),
    ],
)
def test_bad_pulses(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        Pulse(**{"nutation": np.ones(3), "dt": 1e-5, "use": "excitation"} | change)


def test_gaussian_turns_what_lies_beside_it_by_its_spectrum():
    """Small flip: |M+| = sin(flip) exp(-(f / s)^2 / 2) with s = 3 / (pi duration), 7 % at 2.2 / duration."""
    freq = np.array([0.0, 100.0, 220.0])
    mxy, _ = played(gaussian(0.01, 10e-3, use="saturation"), freq)
    spread = 3 / (math.pi * 10e-3)
    assert abs(mxy) == pytest.approx(math.sin(0.01) * np.exp(-((freq / spread) ** 2) / 2), abs=1e-4 * 0.5)
    assert abs(mxy[2] / mxy[0]) == pytest.approx(0.07, abs=0.005)
