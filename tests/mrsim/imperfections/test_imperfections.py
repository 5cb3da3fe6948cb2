import math
from dataclasses import replace

import numpy as np
import pytest

from mrsim.bloch.reference import reference
from mrsim.constants import GAMMA_BAR
from mrsim.events.blocks import Adc, Block, Rf, Trapezoid, compile_blocks, delay
from mrsim.events.rf import hamming_sinc, instantaneous
from mrsim.imperfections.fields import RADIUS, GradientNonlinearity, fat_spectrum, with_spectrum
from mrsim.imperfections.frame import drifting
from mrsim.imperfections.gradients import EddyCurrent, delayed, with_eddy_currents
from mrsim.imperfections.model import Imperfections
from mrsim.imperfections.receiver import off_phase, quantised, spiked
from mrsim.imperfections.waveforms import waveforms, with_waveforms
from mrsim.sequences.bssfp import BalancedSsfp
from mrsim.sequences.spin_echo import SpinEcho
from mrsim.slices.plane import SlicePlane
from phantoms.phantom import Spins

TRAPEZOID = Trapezoid(amplitude=12e-3, rise=200e-6, flat=3e-3, fall=150e-6, delay=100e-6)


def spins_at(position, freq=0.0, t2=80e-3):
    position = np.atleast_2d(np.asarray(position, float)).T
    n = position.shape[1]
    one = np.ones(1)
    return Spins(
        position=position,
        tissue=np.zeros(n, np.uint8),
        freq=np.full(n, freq, np.float32),
        cell=(1.0, 1.0, 1.0),
        pd=one,
        t1=one,
        t2=one * t2,
        t2prime=one * math.inf,
    )


def readout_events(*, pulse=None, n=32):
    """A pulse, a pause and a readout whose samples lie on ramp, flat and fall of a trapezoid."""
    pulse = pulse or instantaneous(math.pi / 2, phase=-math.pi / 2, use="excitation")
    gz = Trapezoid(amplitude=5e-3, rise=100e-6, flat=pulse.duration, fall=100e-6) if pulse.dt else None
    return compile_blocks(
        [
            Block(rf=Rf(pulse=pulse, delay=100e-6), gz=gz, repetition=True),
            delay(1e-3),
            Block(gx=TRAPEZOID, adc=Adc(samples=n, dwell=100e-6, delay=120e-6)),
        ],
        matrix=(1, n),
        pixel_volume=1.0,
    )


def signal(spins, events):
    return reference(spins, events, np.ones((1, spins.tissue.size), np.complex64), 1)[0]


def test_the_same_gradients_give_the_same_events():
    events = readout_events(pulse=hamming_sinc(1.0, 1e-3, 4.0, use="excitation"))
    again = with_waveforms(events, waveforms(events))
    np.testing.assert_allclose(again.trajectory().k, events.trajectory().k, atol=1e-9)
    np.testing.assert_allclose(again.trajectory().time, events.trajectory().time, atol=1e-12)
    assert again.duration.size == events.duration.size


def test_a_delayed_readout_samples_what_the_gradient_reached_earlier():
    events, late = readout_events(), 37e-6
    k = delayed(events, (late, 0.0, 0.0)).trajectory().k[:, 0]
    time = events.trajectory().time - 1.1e-3 - late  # the block begins after 100 us and 1 ms
    t, g = TRAPEZOID.corners()
    fine = np.linspace(0, 5e-3, 500_001)
    area = np.append(0, np.cumsum(np.interp(fine[:-1] + 5e-9, t, g, left=0, right=0))) * 1e-8
    np.testing.assert_allclose(k, GAMMA_BAR * np.interp(time, fine, area), atol=2e-3)
    flat = slice(5, 20)
    early = events.trajectory().k[flat, 0] - k[flat]
    np.testing.assert_allclose(early, GAMMA_BAR * 12e-3 * late, rtol=1e-9)


def test_pulses_are_cut_where_a_delayed_gradient_has_its_corners():
    pulse = hamming_sinc(1.0, 1e-3, 4.0, use="excitation", phase=0.3)
    events = readout_events(pulse=pulse)
    late = delayed(events, (0.0, 0.0, 33e-6))
    played = np.concatenate([late.pulses[p].nutation for p in late.pulse[late.pulse >= 0]])
    assert abs(played.sum() - pulse.nutation.sum()) < 1e-12
    assert [late.pulses[p].use for p in late.pulse[late.pulse >= 0]].count("excitation") == 1
    moved, shifted = (waveforms(e)[2] for e in (late, events))
    assert moved.at(np.array([133e-6 + 500e-6]), np.array([133e-6 + 501e-6])) == pytest.approx(5e-3)
    assert shifted.time[-1] == pytest.approx(moved.time[-1])


def test_eddy_current_of_a_ramp_is_the_closed_form():
    events, tau = readout_events(), 0.8e-3
    changed = with_eddy_currents(events, (EddyCurrent(axis="x", amplitude=0.05, time=tau),))
    t0, r = 1.1e-3 + TRAPEZOID.delay, TRAPEZOID.rise
    t = t0 + r + np.array([0.1e-3, 1e-3, 2.5e-3])
    c = 12e-3 * tau / r * (1 - math.exp(-r / tau)) * np.exp(-(t - t0 - r) / tau)
    got = waveforms(changed)[0].at(t, t + 1e-9)[:, 0]
    np.testing.assert_allclose(got, 12e-3 - 0.05 * c, atol=0.05 * 12e-3 * 2e-4)
    mirrored = with_eddy_currents(events, (EddyCurrent(axis="y", amplitude=0.05, time=tau),))
    np.testing.assert_allclose(mirrored.trajectory().k, events.trajectory().k, atol=1e-9)


def test_b0_eddy_current_turns_the_phase_by_its_integral():
    events, tau, metres = readout_events(), 0.5e-3, 1e-3
    changed = with_eddy_currents(events, (EddyCurrent(axis="x", amplitude=metres, time=tau, field="b0"),))
    start = 1.1e-3 + TRAPEZOID.delay + TRAPEZOID.rise
    time = events.trajectory().time
    r = TRAPEZOID.rise
    c_end = 12e-3 * tau / r * (1 - math.exp(-r / tau))
    on_ramp = 12e-3 * tau - c_end * tau  # integral of c over the ramp: G tau - tau c(end)
    flat = (time > start) & (time < start + 3e-3)
    integral = on_ramp + c_end * tau * (1 - np.exp(-(time[flat] - start) / tau))
    s, s0 = (signal(spins_at((0, 0, 0)), e)[flat] for e in (changed, events))
    expected = -2 * np.pi * GAMMA_BAR * -metres * integral
    np.testing.assert_allclose(np.angle(s / s0), expected, atol=1e-3)


def test_an_offset_of_the_frame_is_an_offset_of_every_spin():
    pulse = hamming_sinc(1.2, 1e-3, 4.0, use="excitation", phase=0.3)
    events, where = readout_events(pulse=pulse), [(0.01, 0, 0.001), (-0.02, 0, -0.002)]
    np.testing.assert_allclose(
        signal(spins_at(where), drifting(events, 0.0, 55.0)),
        signal(spins_at(where, freq=55.0), events),
        atol=5e-6,
    )


def test_a_steady_state_has_the_offset_of_its_frame():
    """A third of the way from one band of bSSFP to the next, which the steady state must know of."""
    sequence = BalancedSsfp(tr=8e-3, matrix=(2, 16), fov=(0.2, 0.2), rf="ideal")
    here, freq = [(0.01, -0.02, 0.0)], 42.0
    moved = signal(spins_at(here, freq=freq), sequence.events())
    np.testing.assert_allclose(
        signal(spins_at(here), drifting(sequence.events(), 0.0, freq)), moved, atol=1e-7
    )
    assert np.abs(moved).max() > 1e-3


def test_drift_turns_quadratically():
    events = readout_events()
    s, s0 = signal(spins_at((0, 0, 0)), drifting(events, 4000.0)), signal(spins_at((0, 0, 0)), events)
    time, start = events.trajectory().time, 100e-6  # the pulse, from which the spins turn
    expected = -np.pi * 4000.0 * (time**2 - start**2)
    np.testing.assert_allclose(np.angle(s / s0), expected, atol=2e-3)


def test_receiver_frequency_moves_the_image_along_the_readout():
    n = 64
    sequence = SpinEcho(te=20e-3, tr=1.0, fov=(0.064, 0.064), matrix=(2, n), bandwidth=500.0, rf="ideal")
    events = sequence.events()
    line = signal(spins_at((5e-3, 0, 0), t2=10.0), events)
    moved = off_phase(line[None], events.trajectory(), 0.4, -3 / sequence.readout_duration)[0]
    profile, shifted = (np.fft.ifft(np.fft.ifftshift(x[n:])) for x in (line, moved))
    assert (np.argmax(abs(shifted)) - np.argmax(abs(profile))) % n == 3  # too low a frequency: along +x
    at = np.flatnonzero(events.trajectory().adc == 1)[0]
    assert np.angle(moved[at] / line[at]) == pytest.approx(-0.4, abs=1e-5)


def test_spikes_are_as_many_and_as_large_as_asked():
    clean = np.ones((2, 500), np.complex64)
    hit = spiked(clean, 7, 4.0, np.random.default_rng(1)) - clean
    assert (np.abs(hit) > 0).sum(axis=1).tolist() == [7, 7]
    np.testing.assert_allclose(np.abs(hit[np.abs(hit) > 0]), 4.0, rtol=1e-6)
    with pytest.raises(ValueError, match="spikes must lie in 0 to 500"):
        spiked(clean, 501, 1.0, np.random.default_rng(1))


def test_converter_rounds_uniformly_and_clips():
    rng = np.random.default_rng(2)
    clean = (rng.uniform(-1, 1, (1, 40000)) + 1j * rng.uniform(-1, 1, (1, 40000))).astype(np.complex64)
    step = 2.0 / 2**8
    error = quantised(clean, 8, 1.0) - clean
    assert np.abs(error.real).max() <= step / 2 + 1e-6
    assert error.real.std() == pytest.approx(step / math.sqrt(12), rel=0.02)
    assert np.abs(quantised(clean, 8, 0.5).real).max() == pytest.approx(0.5 - step / 4, rel=1e-6)
    assert np.abs(quantised(clean, 24) - clean).max() < 1e-6


def test_gradient_error_is_harmonic_and_as_large_as_stated():
    coil = GradientNonlinearity(error=(-0.1, 0.05, 0.08))
    for axis in range(3):
        at = np.zeros((3, 1))
        at[axis] = RADIUS
        assert coil.field_position(at)[axis, 0] == pytest.approx(RADIUS * (1 + coil.error[axis]))
    point, h = np.array([[0.05], [-0.08], [0.11]]), 1e-3
    steps = np.vstack([np.eye(3), -np.eye(3)]).T * h
    laplacian = coil.field_position(point + steps).sum(axis=1) - 6 * coil.field_position(point)[:, 0]
    assert np.abs(laplacian).max() / h**2 < 1e-6
    plane = SlicePlane(
        orientation="coronal", centre=(0.0, 0.03, 0.1), fov=(0.2, 0.2), matrix=(4, 4), thickness=1e-3
    )
    moved = coil.apply(spins_at([(0.01, 0.02, 0.0)]), plane)[0].position
    seen = coil.field_position(np.array([[0.02], [0.03], [0.11]]))
    np.testing.assert_allclose(moved[:, 0], [seen[2, 0] - 0.1, seen[0, 0], seen[1, 0] - 0.03])


def test_fat_has_six_lines():
    spectrum, events = fat_spectrum(3.0), readout_events()
    split, source = with_spectrum(spins_at([(0, 0, 0), (0, 0, 0)], freq=-434.0), 0, spectrum)
    assert split.tissue.tolist() == [1, 2, 3, 4, 5, 6] * 2 and source.tolist() == [0] * 6 + [1] * 6
    time = events.trajectory().time - 100e-6
    lines = [
        share * np.exp(-2j * np.pi * f * time)
        for f, share in zip(spectrum.offsets, spectrum.shares, strict=True)
    ]
    ratio = signal(split, events) / signal(spins_at([(0, 0, 0), (0, 0, 0)], freq=-434.0), events)
    np.testing.assert_allclose(ratio, sum(lines), atol=1e-5)
    assert spectrum.offsets[3] == pytest.approx(GAMMA_BAR * 3e-6 * 0.8)


def test_parameters_that_cannot_be():
    with pytest.raises(ValueError, match="drift must be finite, got nan Hz/s"):
        Imperfections(drift=math.nan)
    with pytest.raises(ValueError, match="time must be positive"):
        EddyCurrent(axis="x", amplitude=0.1, time=0.0)
    assert Imperfections().present == ()
    wrong = replace(Imperfections(), drift=1.0, adc_bits=12)
    assert wrong.present == ("drift", "adc_bits")
