"""The curves of a sequence diagram against what the events say."""

import math
from dataclasses import replace

import numpy as np
import pytest

from mrsim.constants import GAMMA, GAMMA_BAR
from mrsim.pictures.timeline import kspace_path, repetitions, ruler, timeline
from mrsim.sequences import SEQUENCES, sequence_class


@pytest.mark.parametrize("name", SEQUENCES)
def test_curves_hold_the_areas_of_the_events(name):
    """Areas under the gradients are the moments, under the RF the flip angles, windows hold all samples."""
    sequence = sequence_class(name)(matrix=(12, 12))
    blocks, events = sequence.blocks(), sequence.events()
    line = timeline(blocks)
    moment = events.moment(np.arange(events.duration.size), events.duration)[:, :3].sum(axis=0)
    area = [np.trapezoid(line.gradients[axis].value, line.gradients[axis].t) for axis in ("gx", "gy", "gz")]
    assert GAMMA_BAR * np.array(area) == pytest.approx(moment, abs=1e-6)
    assert line.duration == pytest.approx(events.total_duration)
    assert sum(w.samples for w in line.windows) == events.n_samples
    for pulse in line.pulses:
        turned = GAMMA * np.trapezoid(pulse.amplitude.value, pulse.amplitude.t)
        assert turned == pytest.approx(pulse.flip)


def test_phases_are_those_of_pulse_and_receiver():
    sequence = sequence_class("bssfp")(matrix=(3, 12), preparation="half-alpha", phase_step=2.0)
    line = timeline(sequence.blocks())
    pulses = [np.exp(1j * p.phase.value[0]) for p in line.pulses]
    assert pulses == pytest.approx(np.exp(1j * (np.arange(-1, 3) * 2.0 - math.pi / 2)))
    assert [np.exp(1j * w.phase.value[0]) for w in line.windows] == pytest.approx(np.exp(2j * np.arange(3)))


def test_the_way_through_k_space_goes_by_the_samples():
    sequence = sequence_class("spin-echo")(matrix=(3, 12))
    events = sequence.events()
    way = kspace_path(events, sequence.tr, 2 * sequence.tr)
    row = events.trajectory().k[12:24]
    assert np.nanmax(np.abs(way[:, :2])) >= np.abs(row[:, :2]).max() - 1e-6
    reading = way[np.isclose(way[:, 1], row[0, 1], atol=1e-6)]
    assert reading[:, 0].min() <= row[:, 0].min() < row[:, 0].max() <= reading[:, 0].max()
    assert np.isnan(way).any(axis=1).sum() == 2  # where it is excited and refocused


def test_long_pauses_are_shortened_and_time_still_runs_forward():
    line = timeline(sequence_class("spin-echo")(matrix=(1, 12)).blocks())
    place = ruler(line)
    at = place(np.linspace(0, line.duration, 500))
    assert (np.diff(at) > 0).all()
    assert len(place.cuts) == 3  # before and after refocusing, and until TR is over
    assert place.place[-1] < 0.01 * line.duration


def test_repetitions_are_marked_or_begin_with_excitations():
    sequence = sequence_class("gre")(matrix=(5, 12))
    blocks = sequence.blocks()
    marked = repetitions(blocks)
    assert len(marked) == 5
    assert repetitions([replace(b, repetition=False) for b in blocks]) == marked
    assert [sum(b.adc.samples for b in blocks[a:e] if b.adc) for a, e in marked] == [12] * 5
