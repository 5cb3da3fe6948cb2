"""Files that pypulseq writes, against what pypulseq says of them; older ones against arithmetic."""

from __future__ import annotations

import hashlib
import math
import warnings

import numpy as np
import pypulseq as pp
import pytest

from mrsim.constants import GAMMA_BAR
from mrsim.events.blocks import Waveform
from mrsim.pulseq.read import read_pulseq
from mrsim.pulseq.text import PulseqError, decompress
from tests.mrsim.pulseq.examples import EXAMPLES, SYSTEM, gre

HEAD = "[VERSION]\nmajor 1\nminor {}\nrevision 0\n[DEFINITIONS]\n{}\n"
RASTERS = (
    "AdcRasterTime 1e-07\nBlockDurationRaster 1e-05\n"
    "GradientRasterTime 1e-05\nRadiofrequencyRasterTime 1e-06\n"
)
HARD = "shape_id 1\nnum_samples 100\n1\n0\n0\n97\n\nshape_id 2\nnum_samples 100\n0\n0\n98\n"


def text(minor: int, body: str, definitions: str = RASTERS) -> str:
    return HEAD.format(minor, definitions) + body


def read_text(tmp_path, content: str, **options):
    path = tmp_path / "x.seq"
    path.write_text(content)
    return read_pulseq(path, **options)


@pytest.fixture(params=EXAMPLES)
def example(request) -> pp.Sequence:
    return EXAMPLES[request.param]()


def reread(path, **options) -> pp.Sequence:
    """What pypulseq makes of a file; it warns of each file of an older version."""
    seq = pp.Sequence(SYSTEM)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seq.read(str(path), remove_duplicates=False, **options)
    return seq


@pytest.mark.parametrize("old", [False, True], ids=["1.5.0", "1.4.1"])
def test_trajectory_and_sample_times_are_those_of_pypulseq(example, old, tmp_path):
    path = tmp_path / "x.seq"
    example.write(str(path), v141_compat=old)
    theirs = reread(path, detect_rf_use=old)
    k, _, _, _, times = theirs.calculate_kspace()
    ours = read_pulseq(path)
    trajectory = ours.events().trajectory()
    assert ours.version == ((1, 4, 1) if old else (1, 5, 0))
    assert ours.signed
    assert ours.name == example.get_definition("Name")
    assert ours.events().total_duration == pytest.approx(sum(theirs.block_durations.values()), abs=1e-12)
    np.testing.assert_allclose(trajectory.time, times, rtol=0, atol=1e-12)
    np.testing.assert_allclose(trajectory.k.T, k, rtol=0, atol=1e-9 * np.abs(k).max())


def test_rf_is_the_complex_conjugate_of_pypulseqs(example, tmp_path):
    """Compared in the middle of each step; steps follow the shape within its curvature over 1 us."""
    path = tmp_path / "x.seq"
    example.write(str(path))
    theirs = [b.rf for b in map(reread(path).get_block, example.block_events) if b.rf is not None]
    ours = [b.rf for b in read_pulseq(path).blocks() if b.rf is not None]
    assert len(ours) == len(theirs) > 0
    for a, b in zip(ours[:20], theirs[:20], strict=True):
        t = (np.arange(a.pulse.nutation.size) + 0.5) * a.pulse.dt
        hertz = (
            a.pulse.nutation / (2 * np.pi * a.pulse.dt) * np.exp(1j * (a.phase - 2 * np.pi * a.frequency * t))
        )
        shape = np.interp(t, b.t, b.signal) * np.exp(1j * (b.phase_offset + 2 * np.pi * b.freq_offset * t))
        np.testing.assert_allclose(hertz, np.conj(shape), rtol=0, atol=1e-6 * np.abs(shape).max())
        assert a.delay == pytest.approx(b.delay, abs=1e-12)
        assert a.pulse.centre == pytest.approx(b.center, abs=1e-12)
        assert a.pulse.use == b.use


def test_labels_are_those_that_pypulseq_counts(tmp_path):
    path = tmp_path / "x.seq"
    seq = EXAMPLES["mprage"]()
    seq.write(str(path))
    theirs = seq.evaluate_labels(evolution="adc")
    ours = [b.labels for b in read_pulseq(path).blocks() if b.adc is not None]
    assert set(ours[0]) == set(theirs) == {"LIN", "PAR"}
    for name in theirs:
        assert [labels[name] for labels in ours] == list(theirs[name])


def test_slices_without_labels_are_counted_by_frequency(tmp_path):
    path = tmp_path / "x.seq"
    EXAMPLES["tse"]().write(str(path))
    assert [b.labels["SLC"] for b in read_pulseq(path).blocks() if b.adc is not None] == [0] * 8 + [1] * 8


def test_labels_are_set_before_they_are_raised(tmp_path):
    """Whatever their order in the list; blocks of no length count too."""
    body = (
        "[BLOCKS]\n1 0 0 0 0 0 0 1\n2 10 0 0 0 0 1 2\n3 10 0 0 0 0 1 1\n[ADC]\n1 4 10000 10 0 0\n"
        "[EXTENSIONS]\n1 2 1 0\n2 2 1 3\n3 1 1 0\n"
        "extension LABELSET 1\n1 5 LIN\nextension LABELINC 2\n1 2 LIN\n"
    )
    sequence = read_text(tmp_path, text(4, body))
    assert [b.labels for b in sequence.blocks()] == [{"LIN": 7}, {"LIN": 9}]


def test_jemris_file_of_1_2(tmp_path):
    """RF on the default raster of 1 us, blocks as long as their longest part, trapezoids of no length."""
    body = (
        "# Format of blocks:\n[BLOCKS]\n  1  0  1   0   0   0  0\n"
        "  2  0  0   1   2   0  0\n  3  1  0   0   0   0  0\n"
        "  4  0  0   3   0   0  1\n  5  0  0   0   0   6  0\n  6  2  0   3   0   0  0\n"
        "[RF]\n1         2500 1 2   0 0 0\n"
        "[TRAP]\n 1 -315217.4 200  260 200   0\n 2 312500 200  200 200   0\n"
        " 3 250000 160 1000 160   0\n 6 0 0 0 0 0\n"
        "[ADC]\n 1  64  15625 160 0 0\n[DELAYS]\n1 3900\n2 4560\n[SHAPES]\n" + HARD
    )
    sequence = read_text(tmp_path, text(2, body, "Name epi\nNum_Blocks 6"))
    events = sequence.events()
    assert sequence.version == (1, 2, 0)
    assert [b.duration for b in sequence.blocks()] == pytest.approx([1e-4, 6.6e-4, 3.9e-3, 1.32e-3, 4.56e-3])
    assert events.pulses[0].flip == pytest.approx(math.pi / 2)
    assert events.pulses[0].use == "excitation"
    assert events.pulses[0].centre == pytest.approx(50e-6)
    n = np.arange(64)
    trajectory = events.trajectory()
    np.testing.assert_allclose(trajectory.time, 4.66e-3 + 160e-6 + (n + 0.5) * 15.625e-6, atol=1e-12)
    np.testing.assert_allclose(
        trajectory.k[:, 0], -315217.4 * 460e-6 + 250000 * (80e-6 + (n + 0.5) * 15.625e-6), rtol=1e-12
    )
    np.testing.assert_allclose(trajectory.k[:, 1], 312500 * 400e-6, rtol=1e-12)


def test_shapes_of_1_3_meet_between_their_samples(tmp_path):
    """Edges are not in the file: 0 where nothing joins, half-way between the samples where it goes on."""
    body = (
        "[BLOCKS]\n1 0 0 1 0 0 0 0\n2 0 0 2 0 0 0 1\n[GRADIENTS]\n1 1000 1 0\n2 600 2 0\n"
        "[EXTENSIONS]\n1 7 1 0\nextension TRIGGERS 7\n1 2 1 50 150\n"
        "[SHAPES]\nshape_id 1\nnum_samples 4\n0.25\n0.25\n2\n\nshape_id 2\nnum_samples 3\n1\n-0.5\n0\n"
    )
    one, two = read_text(tmp_path, text(3, body, "")).blocks()
    assert isinstance(one.gx, Waveform)
    assert isinstance(two.gx, Waveform)
    np.testing.assert_allclose(one.gx.times, np.array([0, 5, 15, 25, 35, 40]) * 1e-6)
    np.testing.assert_allclose(one.gx.amplitudes * GAMMA_BAR, [0, 250, 500, 750, 1000, 800])
    np.testing.assert_allclose(two.gx.amplitudes * GAMMA_BAR, [800, 600, 300, 300, 0])
    assert two.duration == pytest.approx(200e-6)  # of the trigger


def test_half_raster_and_edges_of_1_5(tmp_path):
    body = (
        "[BLOCKS]\n1 4 0 1 0 0 0 0\n[GRADIENTS]\n1 1000 -100 300 1 -1 10\n"
        "[SHAPES]\nshape_id 1\nnum_samples 5\n0.1\n0.5\n1\n0.5\n0.2\n"
    )
    gx = read_text(tmp_path, text(5, body)).blocks()[0].gx
    np.testing.assert_allclose(gx.times, np.array([10, 15, 20, 25, 30, 35, 40]) * 1e-6)
    np.testing.assert_allclose(gx.amplitudes * GAMMA_BAR, [-100, 100, 500, 1000, 500, 200, 300])


def test_rf_between_given_times_is_a_straight_line(tmp_path):
    """A trapezoid of 10 + 20 + 10 us turns by the area under it, whatever the steps."""
    body = (
        "[BLOCKS]\n1 20 1 0 0 0 0 0\n[RF]\n1 5000 1 2 3 100 0 0\n"
        "[SHAPES]\nshape_id 1\nnum_samples 4\n0\n1\n1\n0\n\nshape_id 2\nnum_samples 4\n0\n0\n0\n0\n\n"
        "shape_id 3\nnum_samples 4\n5\n15\n35\n45\n"
    )
    rf = read_text(tmp_path, text(4, body)).blocks()[0].rf
    assert rf.delay == pytest.approx(105e-6)
    assert rf.pulse.duration == pytest.approx(40e-6)
    assert rf.pulse.centre == pytest.approx(20e-6)
    assert rf.pulse.flip == pytest.approx(2 * math.pi * 5000 * 30e-6)


ROTATED = (
    "[BLOCKS]\n1 40 0 1 0 0 1 1\n2 40 0 1 0 2 1 2\n3 40 0 0 1 0 1 1\n"
    "[TRAP]\n1 1000 100 200 100 0\n2 500 50 200 50 20\n"
    "[ADC]\n1 8 25000 100 0 0 0 0 0\n[EXTENSIONS]\n1 1 1 0\n2 1 2 0\n"
    "extension ROTATIONS 1\n1 0.92387953251 0 0 0.38268343236\n2 0.70710678119 0.70710678119 0 0\n"
)


def test_rotations_turn_counter_clockwise(tmp_path):
    """By 45 degrees about z, x goes half to +y; by 90 degrees about x, z goes to -y and x stays."""
    trajectory = read_text(tmp_path, text(5, ROTATED)).events().trajectory()
    t = (np.arange(8) + 0.5) * 25e-6
    along = 1000 * (50e-6 + t)
    first, second, third = np.split(trajectory.k, 3)
    np.testing.assert_allclose(first, np.outer(along, [math.sqrt(0.5), math.sqrt(0.5), 0]), atol=1e-9)
    started = 1000 * 300e-6 * math.sqrt(0.5)  # k of the first block goes on: no pulse was played
    flat = np.minimum(t + 30e-6, 200e-6)
    fallen = np.clip(t + 30e-6 - 200e-6, 0, 50e-6)
    turned = 500 * (25e-6 + flat + fallen - fallen**2 / 100e-6)
    np.testing.assert_allclose(second[:, 0] - started, along, atol=1e-9)
    np.testing.assert_allclose(second[:, 1] - started, -turned, atol=1e-9)
    np.testing.assert_allclose(second[:, 2], 0, atol=1e-9)
    across = np.outer(along, [-math.sqrt(0.5), math.sqrt(0.5), 0])  # y, by 45 degrees
    np.testing.assert_allclose(third - third[0], across - across[0], atol=1e-9)


OFFSETS = (
    "[BLOCKS]\n1 30 1 0 0 0 0 0\n2 30 0 0 0 0 1 0\n3 100 0 0 0 0 0 1\n"
    "[RF]\n1 2500 1 2 0 50 100 -3.45 2 10 0.5 s\n[ADC]\n1 4 10000 20 1 0.25 -5 0.125 3\n"
    "[EXTENSIONS]\n1 1 1 0\nextension DELAYS 1\n1 0 500 2 TE\n"
    "[SHAPES]\n" + HARD + "\nshape_id 3\nnum_samples 4\n0\n0.1\n0.2\n0.3\n"
)


def test_offsets_in_ppm_grow_with_the_field(tmp_path):
    larmor = GAMMA_BAR * 3
    rf_block, adc_block, _ = read_text(tmp_path, text(5, OFFSETS), field_strength=3.0).blocks()
    assert rf_block.rf.frequency == pytest.approx(10 - 3.45e-6 * larmor)
    assert rf_block.rf.phase == pytest.approx(-(0.5 + 2e-6 * larmor))
    assert rf_block.rf.pulse.use == "saturation"
    assert adc_block.adc.frequency == pytest.approx(-5 + 1e-6 * larmor)
    assert adc_block.adc.phase == pytest.approx(-(0.125 + 0.25e-6 * larmor))
    with pytest.raises(PulseqError, match="set field_strength"):
        read_text(tmp_path, text(5, OFFSETS))


def test_what_the_reconstruction_shall_take_off_is_kept(tmp_path):
    sequence = read_text(tmp_path, text(5, OFFSETS), field_strength=0.0)
    np.testing.assert_allclose(sequence.modulation, [0, -0.1, -0.2, -0.3])
    np.testing.assert_allclose(sequence.events().trajectory().phase[0], -0.125 + 2 * np.pi * 5 * 5e-6)


def test_soft_delays(tmp_path):
    """value / factor + offset."""

    def read(**delays):
        return read_text(tmp_path, text(5, OFFSETS), field_strength=0.0, delays=delays).blocks()[2]

    assert read().duration == pytest.approx(1e-3)
    assert read(TE=4e-3).duration == pytest.approx(2.5e-3)
    with pytest.raises(ValueError, match="delay TE must leave at least 0 s"):
        read(TE=-4e-3)


def test_komamri_takes_phases_as_they_stand_about_the_centre_of_the_pulse(tmp_path):
    rf_block, adc_block, _ = read_text(
        tmp_path, text(5, OFFSETS), field_strength=0.0, convention="komamri"
    ).blocks()
    assert rf_block.rf.phase == pytest.approx(0.5 + 2 * math.pi * 10 * 50e-6)
    assert (adc_block.adc.phase, adc_block.adc.frequency) == (0.125, 0.0)


def test_use_that_is_not_told_follows_from_the_flip_angle(tmp_path):
    uses = []
    for hertz in (2500, 2501):  # 90 and 90.04 degrees
        body = f"[BLOCKS]\n1 30 1 0 0 0 0 0\n[RF]\n1 {hertz} 1 2 0 0 0 0\n[SHAPES]\n{HARD}"
        uses.append(read_text(tmp_path, text(4, body)).blocks()[0].rf.pulse.use)
    assert uses == ["excitation", "refocusing"]


def test_signature(tmp_path):
    body = text(4, "[BLOCKS]\n1 30 0 0 0 0 0 0\n")
    value = hashlib.md5(body.encode()).hexdigest()
    assert read_text(tmp_path, body).signed is None
    assert read_text(tmp_path, f"{body}\n[SIGNATURE]\nType md5\nHash {value}\n").signed is True
    assert read_text(tmp_path, f"{body}#\n\n[SIGNATURE]\nType md5\nHash {value}\n").signed is False


def test_unknown_extensions_are_left_out_unless_required(tmp_path):
    body = "[BLOCKS]\n1 30 0 0 0 0 0 1\n[EXTENSIONS]\n1 4 1 0\nextension FANCY 4\n1 2 3\n"
    with pytest.warns(UserWarning, match="FANCY are left out"):
        assert len(read_text(tmp_path, text(5, body)).blocks()) == 1
    with pytest.raises(PulseqError, match=r"RequiredExtensions must be among .*, got FANCY"):
        read_text(tmp_path, text(5, body, RASTERS + "RequiredExtensions FANCY"))


def test_same_blocks_are_one_object(tmp_path):
    """So that a scan of many repetitions compiles each block once."""
    path = tmp_path / "x.seq"
    gre().write(str(path))
    blocks = read_pulseq(path).blocks()
    assert blocks[4] is blocks[9]
    assert len({id(b.gz) for b in blocks if b.rf is not None}) == 1


def test_run_length_code():
    """Examples of the specification: ramp, zeros, ones."""
    packed = np.array([0, 0.1, 0.15, 0.25, 0.5, 0, 0, 2, -0.25, -0.25, 2])
    shape = [0, 0.1, 0.25, 0.5, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0]
    np.testing.assert_allclose(decompress(packed, 13), shape, atol=1e-15)
    np.testing.assert_array_equal(decompress(np.array([0.0, 0, 98]), 100), np.zeros(100))
    np.testing.assert_array_equal(decompress(np.array([1.0, 0, 0, 97]), 100), np.ones(100))


GOOD = text(
    4,
    "[BLOCKS]\n1 30 1 1 0 0 1 0\n[RF]\n1 2500 1 2 0 0 0 0\n[TRAP]\n1 1000 100 100 100 0\n"
    "[ADC]\n1 4 10000 100 0 0\n[SHAPES]\n" + HARD,
)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("minor 4", "minor 6", r"x\.seq, line 2: version must be 1\.2 to 1\.5, got 1\.6\.0"),
        ("minor 4", "minor 1", r"version must be 1\.2 to 1\.5, got 1\.1\.0"),
        ("minor 4\n", "", r"line 2: version must be told as major, minor and revision"),
        (HEAD.format(4, RASTERS), "", r"section \[VERSION\], got none"),
        ("[BLOCKS]\n1 30 1 1 0 0 1 0\n", "", r"section \[BLOCKS\], got none"),
        ("1 30 1 1 0 0 1 0", "", r"section \[BLOCKS\] must hold at least one block"),
        (
            "1 30 1 1 0 0 1 0",
            "1 30 1 1 0 0 1",
            r"line 12: block must be 8 whole numbers in 1\.4, got '1 30 1 1 0 0 1'",
        ),
        ("1 30 1 1 0 0 1 0", "1 30 7 1 0 0 1 0", r"line 12: RF must be defined in \[RF\], got number 7"),
        (
            "1 30 1 1 0 0 1 0",
            "1 30 1 5 0 0 1 0",
            r"line 12: gradient must be defined in \[GRADIENTS\], got number 5",
        ),
        ("1 30 1 1 0 0 1 0", "1 30 1 1 0 0 1 3", r"line 12: extension must be defined in \[EXTENSIONS\]"),
        (
            "1 30 1 1 0 0 1 0",
            "1 20 1 1 0 0 1 0",
            r"line 12: duration must hold the parts of the block, 0\.0003",
        ),
        ("1 2500 1 2 0 0 0 0", "1 2500 1 2 0 0 0", r"line 14: \[RF\] must have 8 columns in 1\.4"),
        (
            "1 2500 1 2 0 0 0 0",
            "1 2500 1 9 0 0 0 0",
            r"line 14: shape must be defined in \[SHAPES\], got number 9",
        ),
        ("1 1000 100", "1 ten 100", r"line 16: amplitude must be a number, got 'ten'"),
        ("1 4 10000", "1 4.5 10000", r"line 18: samples must be a whole number, got 4\.5"),
        ("0\n0\n97\n", "0\n0\n", r"line 20: shape 1 must have 100 samples, got 3: the file is cut off"),
        ("num_samples 100\n1\n", "", r"line 20: shape must tell num_samples"),
        ("[TRAP]", "[TRAPS]", r"line 15: section must be one of .*, got \[TRAPS\]"),
        ("[SHAPES]", "[DELAYS]\n1 10\n[SHAPES]", r"section \[DELAYS\] must not be there from 1\.4 on"),
    ],
)
def test_a_damaged_file_gets_one_sentence(old, new, message, tmp_path):
    assert old in GOOD
    with pytest.raises(PulseqError, match=message) as error:
        read_text(tmp_path, GOOD.replace(old, new, 1))
    assert "\n" not in str(error.value)


def test_a_file_cut_off_anywhere_is_refused_or_shorter(tmp_path):
    """No traceback but PulseqError, at every tenth byte."""
    assert len(read_text(tmp_path, GOOD).blocks()) == 1
    for end in range(0, len(GOOD) - 12, 10):
        with pytest.raises(PulseqError):
            read_text(tmp_path, GOOD[:end])


@pytest.mark.parametrize("raw", [b"\x01pulseq\x02rest", b"\x89PNG\r\n\xff\xfe", b"just words\n"])
def test_foreign_files_get_one_sentence(raw, tmp_path):
    path = tmp_path / "x.seq"
    path.write_bytes(raw)
    with pytest.raises(PulseqError, match=r"^x\.seq(, line 1)?: file must "):
        read_pulseq(path)
