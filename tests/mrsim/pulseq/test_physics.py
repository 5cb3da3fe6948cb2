"""Point spins that play files of pypulseq: which slice, which phase, which side."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from mrsim.bloch.reference import Isochromats, receive
from mrsim.pulseq.read import read_pulseq
from tests.mrsim.pulseq.examples import (
    FOV,
    SYSTEM,
    epi,
    gre,
    haste,
    mprage,
    radial,
    sequence,
    spiral,
    tse,
    ute,
)

pp = pytest.importorskip("pypulseq")


def signal(seq, position=(0.0, 0.0, 0.0), freq=0.0, path=None, **options):
    """(sample,) of one spin that does not relax."""
    seq.write(str(path))
    forever = np.full(1, 1e12)
    spin = Isochromats(
        position=np.array(position, float)[:, None],
        freq=np.array([freq]),
        t1=forever,
        t2=forever,
        t2prime=forever,
        b1=np.ones(1, complex),
        weight=np.ones((1, 1), complex),
    )
    return receive(spin, spoiled(read_pulseq(path, **options).events()))[0]


def spoiled(events):
    """Keep no coherence but that of the last excitation: spins that never relax would keep them all."""
    use = np.array([p.use for p in events.pulses] + [""])[events.pulse]
    return replace(events, spoil=np.append(np.isin(use[1:], ("excitation", "inversion")), False))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.seq"


def fid(phase=0.0, adc_phase=0.0, adc_frequency=0.0):
    """A hard 90 degree pulse and a receiver, no gradients."""
    seq = sequence("fid")
    seq.add_block(
        pp.make_block_pulse(
            math.pi / 2, duration=1e-4, delay=1e-4, phase_offset=phase, system=SYSTEM, use="excitation"
        )
    )
    seq.add_block(
        pp.make_adc(
            8, dwell=1e-4, delay=2e-5, freq_offset=adc_frequency, phase_offset=adc_phase, system=SYSTEM
        )
    )
    return seq


def test_phase_zero_turns_mz_into_plus_my(path):
    np.testing.assert_allclose(signal(fid(), path=path), 1j, atol=1e-9)


@pytest.mark.parametrize(("convention", "sign"), [("pulseq", -1), ("komamri", 1)])
def test_phases_of_pulse_and_receiver_cancel(convention, sign, path):
    phase = 0.7
    got = signal(fid(phase), path=path, convention=convention)
    np.testing.assert_allclose(got, 1j * np.exp(1j * sign * phase), atol=1e-9)
    both = signal(fid(phase, adc_phase=phase), path=path, convention=convention)
    np.testing.assert_allclose(both, 1j, atol=1e-6)  # six digits of the phase are written


def test_off_resonance_turns_clockwise_and_the_receiver_takes_it_off(path):
    """Between samples the spin turns by -2 pi f dwell; a receiver at its frequency stands still."""
    got = signal(fid(), freq=300.0, path=path)
    np.testing.assert_allclose(got[1:] / got[:-1], np.exp(-2j * np.pi * 300 * 1e-4), atol=1e-9)
    still = signal(fid(adc_frequency=300.0), freq=300.0, path=path)
    np.testing.assert_allclose(still[1:] / still[:-1], 1, atol=1e-9)
    start = 0.5e-4  # the first sample, seen from the start of its window
    assert still[0] == pytest.approx(got[0] * np.exp(2j * np.pi * 300 * start), abs=1e-9)


@pytest.mark.parametrize("side", [1, -1])
def test_a_pulse_of_higher_frequency_selects_where_the_gradient_adds_it(side, path):
    """A spin in the moved slice sends as one in the centre did; on the other side, next to nothing."""
    z = 0.01 * side
    centred = signal(gre(n=2), path=path)
    shifted = signal(gre(n=2, position=z), (0, 0, z), path=path)
    largest = np.abs(centred).max()
    np.testing.assert_allclose(shifted, centred, atol=2e-4 * largest)  # phases of 60 rad have six digits
    other = signal(gre(n=2, position=z), (0, 0, -z), path=path)
    assert np.abs(other).max() < 0.02 * largest


def test_off_centre_echo_trains_keep_the_cpmg_condition(path):
    z = 0.008
    centred = signal(tse(n=4, positions=(0.0,)), path=path)
    shifted = signal(tse(n=4, positions=(z,)), (0, 0, z), path=path)
    np.testing.assert_allclose(np.abs(centred), 1, atol=2e-2)
    np.testing.assert_allclose(shifted, centred, atol=1e-4)
    broken = signal(tse(n=4, positions=(z,)), (0, 0, z), path=path, convention="komamri")
    assert np.abs(broken - centred).max() > 0.1  # phases that undo a frequency no longer do


def test_a_receiver_that_follows_a_point_sees_it_in_the_centre(path):
    """Frequency and phase of the receiver 2 pi k.r, as the toolbox moves the field of view."""
    r = (0.013, -0.021)
    centred = signal(gre(n=4), path=path)
    moved = signal(gre(n=4, shift=r), (*r, 0.0), path=path)
    np.testing.assert_allclose(moved, centred, atol=2e-5 * np.abs(centred).max())


@pytest.mark.parametrize("make", [gre, tse, epi, spiral, radial, haste, ute, mprage])
def test_a_spin_in_the_plane_turns_as_k_says(make, path):
    """S(r) = S(0) exp(-i 2 pi k.r): the image transform with +i puts it at r, not mirrored."""
    options = {"n": 4} if make not in (spiral, ute, radial) else {}
    seq = make(**options)
    if make is tse:
        seq = tse(n=4, positions=(0.0,))
    r = (0.011, -0.017, 0.0)
    origin = signal(seq, path=path)
    k = read_pulseq(path).events().trajectory().k
    np.testing.assert_allclose(
        signal(seq, r, path=path), origin * np.exp(-2j * np.pi * k @ r), atol=1e-6 * np.abs(origin).max()
    )


def test_gre_of_a_stranger_is_reconstructed_where_the_spin_is(path):
    """Rows of k-space as they come, the centred transform with +i: the largest pixel is that of the spin."""
    n, row, column = 8, 6, 1
    seq = gre(n)
    r = ((column - n // 2) * FOV / n, (row - n // 2) * FOV / n, 0.0)
    kspace = signal(seq, r, path=path).reshape(n, n) / signal(seq, path=path).reshape(n, n)
    image = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace)))
    assert np.unravel_index(np.abs(image).argmax(), image.shape) == (row, column)
