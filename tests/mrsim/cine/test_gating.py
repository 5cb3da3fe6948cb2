"""Segmented retrospective gating: who is read when, and frames between the times of a line."""

import numpy as np
import pytest

from mrsim.cine.gating import Timeline, drawn_beats, segments, timeline
from phantoms.cardiac.cycle import Cycle

TR, TE, RR = 2.6e-3, 1.1e-3, 0.9


@pytest.fixture
def uneven():
    return np.array([0.9, 0.7, 1.1])


def test_every_line_is_read_all_through_one_beat(uneven):
    assert segments(22, 8) == 3
    played = timeline(22, 8, TR, TE, RR, uneven)
    starts = np.concatenate([[0], np.cumsum(uneven)])
    times = TE + TR * np.arange(played.line.size)  # the train has no pause
    assert times[-1] < starts[-1] <= times[-1] + TR
    for line in range(22):
        at = times[played.line == line]
        assert np.diff(at) == pytest.approx(8 * TR)
        beat = line % 3  # neighbours in successive beats
        assert starts[beat] <= at[0] < starts[beat] + 8 * TR
        assert starts[beat + 1] - 8 * TR <= at[-1] < starts[beat + 1]
        assert played.share[played.line == line] == pytest.approx((at - starts[beat]) / uneven[beat])
    assert (played.line == -1).any()  # 24 places for 22 lines


def test_systole_lasts_as_long_as_in_a_beat_of_that_length(uneven):
    played = timeline(24, 8, TR, TE, RR, uneven)
    assert played.phase[played.line % 3 == 0] == pytest.approx(played.share[played.line % 3 == 0])
    short = played.line % 3 == 1  # 0.7 s
    ends = np.interp(Cycle(rr=0.7).end_systole, played.share[short], played.phase[short])
    assert ends == pytest.approx(Cycle(rr=RR).end_systole, abs=TR / RR)
    assert (np.diff(played.phase[short]) > 0).all()
    assert played.phase.min() >= 0 and played.phase.max() < 1


def test_frames_lie_between_the_times_of_each_line():
    played = timeline(24, 8, TR, TE, RR, np.full(3, RR))
    signal = np.cos(2 * np.pi * played.share)
    frames = played.resampled(signal[:, None, None].astype(np.complex64), 24, 50)[:, 0, :, 0].real
    wanted = np.cos(2 * np.pi * np.arange(50) / 50)[:, None]
    shares = [played.share[played.line == line] for line in range(24)]
    gap = max(max(np.diff(s).max(), s[0] + 1 - s[-1]) for s in shares)
    assert gap < 2 * 8 * TR / RR
    assert np.abs(frames - wanted).max() <= (2 * np.pi * gap) ** 2 / 8 * 1.001  # of linear interpolation


def test_behind_the_last_time_of_a_line_comes_its_first():
    played = Timeline(line=np.zeros(2, np.intp), share=np.array([0.25, 0.75]), phase=np.array([0.25, 0.75]))
    frames = played.resampled(np.array([1.0, 3.0], np.complex64)[:, None, None], 1, 4)
    assert frames.ravel() == pytest.approx([2, 1, 2, 3])


def test_beats_vary_as_asked():
    rng = np.random.default_rng(0)
    beats = drawn_beats(4000, 0.8, 0.1, rng)
    assert beats.mean() == pytest.approx(0.8, rel=0.01)
    assert beats.std() == pytest.approx(0.08, rel=0.05)
    assert drawn_beats(5, 0.8, 0.0, rng) == pytest.approx(0.8)
