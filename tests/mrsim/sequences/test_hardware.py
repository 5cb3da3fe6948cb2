"""Every sequence, prepared and spoiled in every way, keeps the limits of the scanner and its own timing."""

import math

import numpy as np
import pytest

from mrsim.constants import GAMMA_BAR
from mrsim.events.hardware import Hardware
from mrsim.pulseq.read import read_pulseq
from mrsim.pulseq.write import write_pulseq
from mrsim.sequences import SEQUENCES, sequence_class

AXES = ("gx", "gy", "gz")
REAL = {"spoiling": "gradient", "preparation": "equilibrium"}
SMALL = {
    "spin-echo": {"matrix": (4, 9)},
    "turbo-spin-echo": {"matrix": (12, 16)},
    "inversion-recovery": {"matrix": (4, 8)},
    "gre": {"matrix": (5, 16)},
    "bssfp": {"matrix": (6, 32)},
    "epi": {"matrix": (9, 24)},
    "diffusion-se": {"matrix": (16, 15)},
    "radial": {"matrix": (24, 24), "spokes": 7},
    "spiral": {"matrix": (32, 32), "interleaves": 3},
}
PREPARED = {"fat_saturation": True, "prepulse": "inversion", "ti": 0.11, "tr": 0.9}
VARIANTS = [(name, SMALL[name]) for name in SEQUENCES]
VARIANTS += [(name, SMALL[name] | REAL) for name in SEQUENCES]
VARIANTS += [(name, SMALL[name] | {"rf": "ideal"}) for name in SEQUENCES]
VARIANTS += [(name, SMALL[name] | REAL | PREPARED) for name in SEQUENCES if name != "bssfp"]
VARIANTS += [(name, SMALL[name] | REAL | {"dummies": 3}) for name in ("gre", "radial", "bssfp", "spin-echo")]
VARIANTS += [
    (
        "turbo-spin-echo",
        {"matrix": (20, 7), "echo_train": 4, "order": "centre-out", "te": 0.06, "refocusing": 2.0},
    ),
    ("bssfp", SMALL["bssfp"] | {"preparation": "half-alpha", "te": 1.7e-3, "phase_step": 2.0}),
    ("epi", {"echo": "spin", "te": 0.0812345, "matrix": (32, 33), "bandwidth": 1234.0}),
    ("diffusion-se", {"direction": (1.0, -2.0, 0.5), "b": 3e8, "max_gradient": 60e-3}),
    ("spiral", {"interleaves": 1, "tr": 0.1, "max_slew": 60.0}),
    (
        "gre",
        {"te": 0.0061234, "tr": 0.0312345, "pulse_duration": 1.3e-3, "thickness": 3e-3, "bandwidth": 217.0},
    ),
]


def identify(variant):
    return variant if isinstance(variant, str) else "-".join(map(str, variant.values())) or "default"


def on_raster(times, raster):
    return np.abs(np.asarray(times) / raster - np.round(np.asarray(times) / raster)).max(initial=0) < 1e-5


@pytest.mark.parametrize(("name", "parameters"), VARIANTS, ids=identify)
def test_hardware_limits(name, parameters):
    sequence = sequence_class(name)(**parameters)
    limits = sequence.hardware
    now, level = 0.0, np.zeros(3)
    for block in sequence.blocks():
        for axis, name_of_axis in enumerate(AXES):
            gradient = getattr(block, name_of_axis)
            times, amplitudes = gradient.corners() if gradient else (np.zeros(1), np.zeros(1))
            if times[0] > 0:
                assert level[axis] == amplitudes[0] == 0
            assert amplitudes[0] == level[axis]
            level[axis] = amplitudes[-1]
            assert level[axis] == 0 or times[-1] == pytest.approx(block.duration)
            assert np.abs(amplitudes).max() <= limits.max_gradient * (1 + 1e-9)
            rise = np.abs(np.diff(amplitudes))
            assert (rise <= limits.max_slew * np.diff(times) * (1 + 1e-9)).all()
            assert on_raster(now + times, limits.gradient_raster)
        if block.rf and block.rf.pulse.dt:
            pulse = block.rf.pulse
            assert pulse.peak_b1 <= limits.max_b1 * (1 + 1e-9)
            assert block.rf.delay >= limits.rf_dead_time - 1e-12
            assert block.duration - block.rf.duration >= limits.rf_ringdown - 1e-12
            if block.gz:
                assert block.gz.delay + block.gz.rise <= block.rf.delay + 1e-12
                assert block.rf.duration <= block.gz.duration - block.gz.fall + 1e-12
            assert on_raster(now + block.rf.delay + pulse.centre, limits.gradient_raster)
        if block.adc:
            assert block.adc.delay >= limits.adc_dead_time - 1e-12
            assert block.duration - block.adc.duration >= limits.adc_dead_time - 1e-12
            assert on_raster(block.adc.dwell, limits.adc_raster)
        now += block.duration
    assert level.tolist() == [0, 0, 0]


@pytest.mark.parametrize(("name", "parameters"), VARIANTS, ids=identify)
def test_timing_and_encoding(name, parameters):
    """Repetitions of TR, the centre of k-space at TE, samples on the lattice and in their places."""
    sequence = sequence_class(name)(**parameters)
    events = sequence.events()
    path = events.trajectory()
    length = np.diff(
        np.append(np.cumsum(events.duration)[events.start - 1] * (events.start > 0), events.total_duration)
    )
    lead_in = sequence.preparation == "half-alpha"
    assert length.size == sequence.n_shots + sequence.dummies + lead_in
    assert length[lead_in:] == pytest.approx(sequence.tr, abs=1e-9)
    assert not lead_in or length[0] == pytest.approx(sequence.tr / 2)
    assert path.k[:, 2] == pytest.approx(0, abs=1e-6)

    ends = np.cumsum(events.duration)
    excited = [i for i, p in enumerate(events.pulse) if p >= 0 and events.pulses[p].use == "excitation"]
    pulses = np.array([ends[i] - events.duration[i] + events.pulses[events.pulse[i]].centre for i in excited])
    since = path.time - pulses[np.searchsorted(pulses, path.time) - 1]
    n_y, n_x = sequence.matrix
    if events.place.size:
        y, x = np.divmod(events.place, n_x)
        assert path.k[:, 0] == pytest.approx((x - n_x // 2) / sequence.fov[1], abs=1e-6)
        assert path.k[:, 1] == pytest.approx((y - n_y // 2) / sequence.fov[0], abs=1e-6)
        assert sorted(events.place) == list(range(n_y * n_x))
        centre = since[events.place == n_y // 2 * n_x + n_x // 2]
        # Echo-planar lines are read about their middle, which lies between two samples.
        off = sequence.dwell / 2 if hasattr(sequence, "echo") and n_x % 2 == 0 else 0.0
        assert centre == pytest.approx(sequence.te + off, abs=1e-9)
    else:
        first = np.flatnonzero(np.diff(path.adc, prepend=-1))
        at_centre = first + sequence.echo_sample if name == "radial" else first
        off = (
            0 if name == "radial" else sequence.dwell / 2
        )  # a spiral starts half a dwell before its first sample
        assert since[at_centre] == pytest.approx(sequence.te + off, abs=1e-9)
        reached = GAMMA_BAR * sequence.max_slew * off**2 / 2
        assert np.hypot(*path.k[at_centre, :2].T).max() <= reached + 1e-6


def test_balanced_means_no_area_on_any_axis_from_centre_to_centre():
    sequence = sequence_class("bssfp")(**SMALL["bssfp"], preparation="half-alpha", dummies=2)
    events = sequence.events()
    moment = events.moment(np.arange(events.duration.size), events.duration)[:, :3]
    half = events.moment(np.arange(events.duration.size), events.centre)[:, :3]
    total = np.cumsum(moment, axis=0) - moment + half
    pulses = np.flatnonzero(events.pulse >= 0)
    assert pulses.size == 1 + 2 + 6
    assert total[pulses] == pytest.approx(np.tile(total[pulses[0]], (9, 1)), abs=1e-6)


def test_lobes_are_the_shortest():
    """One raster step less, and the area would need too much slew or gradient."""
    limits = Hardware()
    for area in np.geomspace(1e-8, 3e-4, 30):
        lobe = limits.lobe(area)
        assert lobe.area == pytest.approx(area)
        assert abs(lobe.amplitude) <= limits.max_gradient * (1 + 1e-9)
        assert lobe.amplitude <= limits.max_slew * lobe.rise * (1 + 1e-9)
        shorter = lobe.duration - limits.gradient_raster
        ramp = limits.max_gradient / limits.max_slew
        ramp_and_flat = min(ramp, shorter / 2), max(shorter - 2 * ramp, 0.0)
        peak = min(limits.max_gradient, limits.max_slew * shorter / 2)
        most = peak * (ramp_and_flat[0] + ramp_and_flat[1])
        assert (
            most < area * (1 + 1e-9) + limits.max_gradient * limits.gradient_raster
        )  # ramps are whole steps, too
    assert limits.lobe(-1e-5).area == pytest.approx(-1e-5)
    assert limits.dwell(1.234567e-5) == pytest.approx(1.23e-5)
    assert limits.rastered(10e-6) == pytest.approx(10e-6)
    with pytest.raises(ValueError, match="max_slew must be positive, got nan T/m/s"):
        Hardware(max_slew=math.nan)


@pytest.mark.parametrize("name", SEQUENCES)
def test_every_sequence_with_real_gradients_is_a_pulseq_file(name, tmp_path):
    """Written and read back, it samples the same k-space at the same times, to half a microsecond."""
    sequence = sequence_class(name)(**SMALL[name] | REAL)
    write_pulseq(sequence, tmp_path / "it.seq")
    found, meant = (s.events().trajectory() for s in (read_pulseq(tmp_path / "it.seq"), sequence))
    assert found.time == pytest.approx(meant.time, abs=0.5e-6)
    assert found.k * sequence.fov[0] == pytest.approx(meant.k * sequence.fov[0], abs=0.02)
    assert np.exp(1j * (found.phase - meant.phase)) == pytest.approx(1, abs=1e-6)
