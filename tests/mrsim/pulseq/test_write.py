"""Files that are written: read back by us and by pypulseq, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pypulseq as pp
import pytest

from mrsim.events.blocks import Adc, Block, Rf, Trapezoid, Waveform, delay
from mrsim.events.hardware import Hardware
from mrsim.events.rf import hamming_sinc, hard, instantaneous
from mrsim.pulseq.read import read_pulseq
from mrsim.pulseq.tables import compress, resampled
from mrsim.pulseq.text import decompress
from mrsim.pulseq.write import write_pulseq
from mrsim.sequences import SEQUENCES, sequence_class
from tests.mrsim.pulseq.examples import EXAMPLES

LIMITS = Hardware()
SMALL = {"matrix": (16, 16), "spoiling": "gradient", "echo_train": 4, "preparation": "equilibrium"}
LOOSE = Hardware(
    max_slew=1e4, max_b1=1e-3, rf_ringdown=20e-6
)  # examples and shapes that pypulseq did not check


def small(name: str):
    """A sequence of the table at small size, with real spoilers."""
    cls = sequence_class(name)
    known = {f: SMALL[f] for f in SMALL if f in cls.__dataclass_fields__}
    if name in ("bssfp",):
        known.pop("preparation", None)
    return cls(**known)


def steps(events):
    """Time, complex field [Hz] and use of all RF, on the 1 us raster."""
    begin = np.cumsum(events.duration) - events.duration
    played = []
    for e in np.flatnonzero(events.pulse >= 0):
        pulse = events.pulses[events.pulse[e]]
        n = round(pulse.duration / 1e-6)
        t = (np.arange(n) + 0.5) * 1e-6
        field = resampled(pulse.nutation, n) * np.exp(
            1j * (events.phase[e] - 2 * np.pi * events.frequency[e] * t)
        )
        played.append((begin[e], field))
    return played


@pytest.mark.parametrize("version", ["1.5.0", "1.4.1"])
@pytest.mark.parametrize("name", SEQUENCES)
def test_every_sequence_survives_the_file(name, version, tmp_path):
    """Moments, times, phases, pulses; delays lie on the 10 us raster, receivers on that of 1 us."""
    path = tmp_path / "x.seq"
    sequence = small(name)
    dummies = 2 if sequence.events().steady_state else 0
    write_pulseq(sequence, path, dummies=dummies, version=version)
    back = read_pulseq(path)
    a, b = sequence.events(), back.events()
    ours, theirs = a.trajectory(), b.trajectory()
    late = b.total_duration - a.total_duration
    assert back.signed
    assert back.fov == pytest.approx(sequence.fov)
    assert back.matrix == tuple(sequence.matrix)
    assert back.thickness == pytest.approx(sequence.thickness)
    np.testing.assert_allclose(theirs.time - late, ours.time, rtol=0, atol=10.5e-6)
    steepest = np.abs(np.diff(ours.k[: sequence.matrix[1]], axis=0)).max() / a.dwell[a.samples > 0].min()
    np.testing.assert_allclose(theirs.k, ours.k, rtol=0, atol=0.5e-6 * steepest + 1e-6 * np.abs(ours.k).max())
    np.testing.assert_allclose(np.exp(1j * theirs.phase), np.exp(1j * ours.phase), atol=1e-8)
    np.testing.assert_allclose(theirs.clock, ours.clock, rtol=0, atol=25e-6)
    played, again = steps(a), steps(b)[-len(steps(a)) :]
    for (_, field), (_, same) in zip(played, again, strict=True):
        np.testing.assert_allclose(same, field, atol=1e-7 * np.abs(field).max())


@pytest.mark.parametrize("name", SEQUENCES)
def test_pypulseq_finds_no_fault_in_the_timing(name, tmp_path):
    path = tmp_path / "x.seq"
    sequence = small(name)
    write_pulseq(sequence, path, dummies=2 if sequence.events().steady_state else 0)
    system = pp.Opts(
        max_slew=200,
        slew_unit="T/m/s",
        rf_dead_time=LIMITS.rf_dead_time,
        rf_ringdown_time=LIMITS.rf_ringdown,
        adc_dead_time=LIMITS.adc_dead_time,
    )
    seq = pp.Sequence(system)
    seq.read(str(path), remove_duplicates=False)
    sound, report = seq.check_timing()
    assert sound, report
    k, _, _, _, times = seq.calculate_kspace()
    trajectory = read_pulseq(path).events().trajectory()
    np.testing.assert_allclose(trajectory.k.T, k, atol=1e-9 * np.abs(k).max())
    np.testing.assert_allclose(trajectory.time, times, atol=1e-12)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_strangers_file_survives(name, tmp_path):
    path = tmp_path / "x.seq"
    EXAMPLES[name]().write(str(path))
    first = read_pulseq(path)
    write_pulseq(first, tmp_path / "y.seq", hardware=LOOSE)
    second = read_pulseq(tmp_path / "y.seq")
    a, b = first.events(), second.events()
    np.testing.assert_allclose(b.trajectory().k, a.trajectory().k, atol=1e-9 * np.abs(a.trajectory().k).max())
    np.testing.assert_allclose(b.trajectory().time, a.trajectory().time, atol=1e-12)
    for (t, field), (s, same) in zip(steps(a), steps(b), strict=True):
        assert s == pytest.approx(t, abs=1e-12)
        np.testing.assert_allclose(same, field, atol=1e-8 * np.abs(field).max())
    assert [x.labels for x in second.blocks() if x.adc] == [x.labels for x in first.blocks() if x.adc]


@pytest.mark.parametrize(("name", "refocuses"), [("bssfp", False), ("gre", True), ("epi", True)])
def test_balanced_files_have_no_single_pathway(name, refocuses, tmp_path):
    write_pulseq(small(name), tmp_path / "a.seq", dummies=1)
    assert read_pulseq(tmp_path / "a.seq").events().refocuses is refocuses


def test_dummies_lead_up_to_the_phase_of_the_first_repetition(tmp_path):
    path = tmp_path / "x.seq"
    sequence = small("bssfp")
    write_pulseq(sequence, path, dummies=3)
    step = sequence.events().phase_step
    phases = [b.rf.phase for b in read_pulseq(path).blocks() if b.rf is not None]
    turns = np.diff(np.unwrap(phases)) - step
    np.testing.assert_allclose(np.exp(1j * turns), 1, atol=1e-8)
    assert len(phases) == 3 + 16
    assert step == pytest.approx(math.pi)


def test_rounded_delays_do_not_add_up(tmp_path):
    """Every delay of 14 us alone would be 10 us."""
    path = tmp_path / "x.seq"
    rf = Block(rf=Rf(pulse=hard(0.1, 1e-4, use="excitation"), delay=1e-4), duration=250e-6)
    write_pulseq([b for _ in range(50) for b in (rf, delay(14e-6))], path)
    events = read_pulseq(path).events()
    begin = (np.cumsum(events.duration) - events.duration)[events.pulse >= 0]
    np.testing.assert_allclose(begin, 1e-4 + np.arange(50) * 264e-6, rtol=0, atol=5.001e-6)


def lobe(amplitude: float = 5e-3, **times: float) -> Trapezoid:
    return Trapezoid(amplitude=amplitude, **{"rise": 1e-4, "flat": 1e-3, "fall": 1e-4, **times})


SINC = hamming_sinc(math.pi / 2, 2e-3, 4, use="excitation")
ADC = Adc(samples=16, dwell=10e-6, delay=100e-6)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (delay(1e-3, crusher=True), r'must not crush or spoil ideally: take spoiling="gradient"'),
        (delay(1e-3, spoil=True), r'must not crush or spoil ideally: take spoiling="gradient"'),
        (
            Block(rf=Rf(pulse=instantaneous(1.0, use="excitation"))),
            r'must not be instantaneous: take rf="shaped"',
        ),
        (Block(rf=Rf(pulse=SINC)), r"must start after 0\.0001 s dead time, got 0\.0 s"),
        (
            Block(rf=Rf(pulse=SINC, delay=1e-4)),
            r"block 1 must last 0\.00213 s for its events and the dead times",
        ),
        (
            Block(rf=Rf(pulse=hard(math.pi, 2e-5, use="refocusing"), delay=1e-4), duration=1e-3),
            r"must not exceed max_b1 = 25 uT, got 587\.2 uT: take a longer one",
        ),
        (
            Block(gx=lobe(50e-3, rise=1e-3, fall=1e-3)),
            r"gx of block 1 must not exceed max_gradient = 40 mT/m",
        ),
        (Block(gx=lobe(20e-3)), r"gx of block 1 must not slew faster than 150 T/m/s"),
        (Block(gx=lobe(rise=1.23e-4)), r"corners of gx of block 1 must be a multiple of 10 us, got 123 us"),
        (
            Block(gy=Waveform(times=np.array([0.0, 1e-3]), amplitudes=np.array([5e-3, 0.0]))),
            r"gy must not jump",
        ),
        (
            Block(adc=Adc(samples=16, dwell=1.234e-5, delay=1e-4), duration=1e-3),
            r"dwell time of the receiver window of block 1 must be a multiple of 0\.1 us, got 12\.34 us",
        ),
        (Block(adc=Adc(samples=16, dwell=1e-5), duration=1e-3), r"must start after 1e-05 s dead time"),
        (Block(adc=replace(ADC, dwell=10.1e-6), duration=271.6e-6), r"block 1 must end on the 10 us raster"),
    ],
)
def test_what_no_scanner_plays_is_refused(block, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        write_pulseq([block], tmp_path / "x.seq")
    assert not (tmp_path / "x.seq").exists()


def test_ideal_pulses_and_endless_preparation_are_refused(tmp_path):
    spin_echo = sequence_class("spin-echo")
    with pytest.raises(ValueError, match=r'take rf="shaped"'):
        write_pulseq(spin_echo(rf="ideal", matrix=(8, 8)), tmp_path / "x.seq", dummies=1)
    with pytest.raises(ValueError, match="dummies must be at least 1"):
        write_pulseq(spin_echo(spoiling="gradient", matrix=(8, 8)), tmp_path / "x.seq")
    with pytest.raises(ValueError, match=r"version must be one of 1\.4\.1, 1\.5\.0, got '1\.3\.1'"):
        write_pulseq([delay(1e-3)], tmp_path / "x.seq", version="1.3.1")


def test_shapes_are_packed_without_drift():
    rng = np.random.default_rng(0)
    for shape in (
        np.ones(1000),
        np.linspace(0, 1, 300),
        rng.uniform(-1, 1, 500),
        np.arange(40.0),
        np.array([1.0]),
    ):
        words = compress(shape)
        packed = np.array([float(word) for word in words])
        back = packed if packed.size == shape.size else decompress(packed, shape.size)
        np.testing.assert_allclose(back, shape, atol=0.6e-9)
    assert compress(np.ones(1000)) == ("1", "0", "0", "997")
