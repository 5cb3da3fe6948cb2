"""Blocks and the events that they become, held against what the blocks themselves say at any time."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrsim.bloch.reference import Isochromats, State, advance
from mrsim.constants import GAMMA_BAR
from mrsim.events.blocks import Adc, Block, Rf, Trapezoid, Waveform, compile_blocks, delay, with_phase
from mrsim.events.rf import gaussian, hamming_sinc, hard, instantaneous

WHOLE = {"matrix": (1, 1), "pixel_volume": 1.0}
EXCITE = instantaneous(math.pi / 2, use="excitation")
REFOCUS = hard(math.pi, 0.4e-3, use="refocusing")


def amplitude(gradient, t):
    """[T/m] at times t [s] since the start of the block."""
    return np.interp(t, *gradient.corners(), left=0.0, right=0.0) if gradient else np.zeros(t.shape)


def gradients(rng):
    """Random trapezoid, waveform or none, within 2 ms."""
    kind = rng.integers(3)
    if kind == 0:
        rise, flat, fall, late = rng.uniform(1e-5, 4e-4, 4)
        return Trapezoid(amplitude=rng.uniform(-0.03, 0.03), rise=rise, flat=flat, fall=fall, delay=late)
    if kind == 1:
        n = rng.integers(2, 9)
        return Waveform(times=np.sort(rng.uniform(0, 2e-3, n)), amplitudes=rng.uniform(-0.03, 0.03, n))
    return None


def random_block(rng, rf=None, receive=False):
    dwell = rng.uniform(5e-6, 5e-5)
    adc = (
        Adc(samples=30, dwell=dwell, delay=rng.uniform(0, 5e-4), phase=0.3, frequency=400.0)
        if receive
        else None
    )
    axes = {axis: gradients(rng) for axis in ("gx", "gy", "gz")}
    block = Block(rf=Rf(pulse=rf, delay=rng.uniform(0, 1e-3)) if rf else None, adc=adc, **axes)
    return replace(block, duration=block.duration + rng.uniform(0, 1e-4))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_trajectory_is_the_integral_of_the_gradients(seed):
    """Excited at once, refocused in the middle of a pulse: the sum of fine steps, sign changed in between."""
    rng = np.random.default_rng(seed)
    blocks = [
        random_block(rng, EXCITE),
        random_block(rng, receive=True),
        random_block(rng, REFOCUS),
        random_block(rng, receive=True),
    ]
    path = compile_blocks(blocks, **WHOLE).trajectory()
    step = 2e-7
    k, since = np.zeros(3), 0.0
    expected, clocks, times, phases, begin = [], [], [], [], 0.0
    for block in blocks:
        t = np.arange(0, block.duration + 2 * step, step)
        mid = t[:-1] + step / 2
        g = np.stack([amplitude(getattr(block, axis), mid) for axis in ("gx", "gy", "gz")])
        moment = np.concatenate([np.zeros((3, 1)), np.cumsum(g, axis=1) * step * GAMMA_BAR], axis=1)
        until = lambda at, t=t, moment=moment: np.array([np.interp(at, t, m) for m in moment])  # noqa: E731
        if block.rf:
            at = block.rf.delay + block.rf.pulse.centre
            k = -until(at) if block.rf.pulse.use == "excitation" else -(k + until(at)) - until(at)
            since = -at if block.rf.pulse.use == "excitation" else -(since + at) - at
        if block.adc:
            at = block.adc.delay + (np.arange(30) + 0.5) * block.adc.dwell
            expected.append(k[:, None] + until(at))
            clocks.append(since + at)
            times.append(begin + at)
            phases.append(block.adc.phase - 2 * np.pi * 400.0 * (at - block.adc.delay))
        k, since, begin = k + until(block.duration), since + block.duration, begin + block.duration
    assert path.k.T == pytest.approx(np.concatenate(expected, axis=1), abs=0.25)  # 30 mT/m in one step: 0.25
    assert path.clock == pytest.approx(np.concatenate(clocks), abs=1e-12)
    assert path.time == pytest.approx(np.concatenate(times), abs=1e-12)
    assert path.phase == pytest.approx(np.concatenate(phases), abs=1e-9)
    assert path.adc.tolist() == [0] * 30 + [1] * 30


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_gradient_columns_are_the_shapes_of_the_blocks(seed):
    rng = np.random.default_rng(seed)
    block = random_block(rng, hamming_sinc(1.0, 0.7e-3, 4.0, use="excitation"), receive=False)
    events = compile_blocks([block], **WHOLE)
    assert events.total_duration == pytest.approx(block.duration, rel=1e-12)
    start = np.cumsum(events.duration) - events.duration
    for share in (0.2, 0.7):
        within = (1 - share) * events.gradient[:, 0] + share * events.gradient[:, 1]
        at = start + share * events.duration
        expected = np.stack([amplitude(getattr(block, axis), at) for axis in ("gx", "gy", "gz")], axis=1)
        assert within == pytest.approx(expected, abs=1e-9 * 0.03 / 1e-8)  # corners closer than 1 ns are one


def final_state(events, spins):
    state = State(m=np.zeros((3, 1, spins.freq.size)))
    state.m[2] = 1.0
    for event in range(events.duration.size):
        advance(spins, events, event, state)
    return state.m[:, 0]


def still(freq, z):
    n = np.size(freq)
    one = np.full(n, 1e12)
    return Isochromats(
        position=np.stack([np.zeros(n), np.zeros(n), z]), freq=freq, t1=one, t2=one, t2prime=one,
        b1=np.ones(n, complex), weight=np.ones((1, n), complex),
    )  # fmt: skip


PULSES = [
    hamming_sinc(2.0, 1.28e-3, 4.0, phase=0.4, use="refocusing"),
    hard(1.0, 1.1e-3, use="refocusing"),
    gaussian(1.5, 1e-3, use="refocusing"),
    replace(hamming_sinc(1.0, 1.28e-3, 4.0, use="refocusing"), centre=1.28e-3),
]


@pytest.mark.parametrize("pulse", PULSES)
@pytest.mark.parametrize("frequency", [0.0, 300.0])
def test_a_pulse_cut_at_gradient_corners_turns_the_spins_the_same(pulse, frequency):
    """Corners that bend nothing cut it anywhere; rotations in a constant field compose."""
    rng = np.random.default_rng(3)
    freq, z = rng.uniform(-500, 500, 9), rng.uniform(-3e-3, 3e-3, 9)
    late, corners = 1.3e-4, np.concatenate([[0, 2e-3], rng.uniform(1e-4, 1.5e-3, 12)])
    bent = Waveform(times=np.sort(corners), amplitudes=np.full(14, 7e-3))
    plain = Waveform(times=np.array([0, 2e-3]), amplitudes=np.full(2, 7e-3))
    rf = Rf(pulse=pulse, delay=late, phase=0.2, frequency=frequency)
    whole, cut = (compile_blocks([Block(rf=rf, gz=g)], **WHOLE) for g in (plain, bent))
    assert cut.duration.size > whole.duration.size + 5
    played = [final_state(events, still(freq, z)) for events in (whole, cut)]
    assert played[1] == pytest.approx(played[0], abs=1e-10)
    uses = [p.use for p in cut.pulses]
    assert uses.count("refocusing") == 1
    assert set(uses) <= {"refocusing", "other"}
    at = np.cumsum(cut.duration) - cut.duration
    centre = [
        a + cut.pulses[p].centre for a, p in zip(at, cut.pulse, strict=True) if p >= 0 and uses[p] != "other"
    ]
    assert centre == [pytest.approx(late + pulse.centre, abs=1e-12)]


@given(cuts=st.lists(st.floats(0, 1), min_size=1, max_size=6), centre=st.floats(0, 1))
def test_parts_of_a_pulse_are_the_pulse(cuts, centre):
    pulse = replace(hamming_sinc(1.2, 0.64e-3, 4.0, use="excitation"), centre=centre * 0.64e-3)
    edges = np.unique(np.round([0.0, *cuts, 1.0], 6)) * 0.64e-3
    pieces = [part for a, b in itertools.pairwise(edges) for part in pulse.part(a, b)]
    assert sum(p.duration for p in pieces) == pytest.approx(pulse.duration)
    assert sum(p.nutation.sum() for p in pieces) == pytest.approx(pulse.nutation.sum(), abs=1e-12)
    assert [p.use for p in pieces].count("excitation") == 1
    assert EXCITE.part(0.0, 0.0) == [EXCITE]


def test_an_instantaneous_pulse_splits_a_gradient_where_it_acts():
    lobe = Trapezoid(amplitude=0.02, rise=1e-4, flat=4e-4, fall=1e-4)
    adc = Adc(samples=1, dwell=1e-5)
    for late in (0.0, 5e-5, 3e-4, 6e-4):
        blocks = [Block(gx=lobe, rf=Rf(pulse=EXCITE, delay=late)), Block(adc=adc)]
        k = compile_blocks(blocks, **WHOLE).trajectory().k[0, 0]
        fine = np.linspace(late, 6e-4, 20001)
        assert k == pytest.approx(GAMMA_BAR * np.trapezoid(amplitude(lobe, fine), fine), abs=1e-4)


def test_crushers_spoilers_repetitions_and_places_stay_with_their_blocks():
    read = Block(adc=Adc(samples=3, dwell=1e-5, place=(5, -1)))
    blocks = [
        Block(rf=Rf(pulse=EXCITE), repetition=True),
        delay(1e-3, crusher=True),
        read,
        delay(0.0, spoil=True),
        Block(rf=Rf(pulse=EXCITE), repetition=True),
        Block(adc=Adc(samples=2, dwell=1e-5)),
    ]
    events = compile_blocks(blocks, matrix=(2, 3), pixel_volume=1.0)
    assert events.crusher.tolist() == [False, True, False, False, False, False]
    assert events.spoil.tolist() == [False, False, False, True, False, False]
    assert events.start.tolist() == [0, 4]
    assert events.place.tolist() == [5, 4, 3, -1, -1]
    assert events.first_repetition().place.tolist() == [5, 4, 3]
    sorted_ = events.sorted_kspace(np.arange(5, dtype=np.complex64)[None])
    assert sorted_.tolist() == [[[0, 0, 0], [2, 1, 0]]]


def test_samples_that_share_a_place_are_averaged():
    read = Block(adc=Adc(samples=2, dwell=1e-5, place=(0, 1)))
    events = compile_blocks([read, read], matrix=(1, 2), pixel_volume=1.0)
    assert events.sorted_kspace(np.array([[1, 2, 5, 8j]])).tolist() == [[[3, 1 + 4j]]]


def test_phase_turns_pulse_and_receiver_alike():
    block = Block(rf=Rf(pulse=EXCITE, phase=0.1), adc=Adc(samples=1, dwell=1e-5, delay=1e-3, phase=0.2))
    turned = with_phase(block, 1.0)
    assert (turned.rf.phase, turned.adc.phase) == (1.1, 1.2)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (
            lambda: Block(gx=Trapezoid(amplitude=1, rise=1, flat=1, fall=1), duration=2.0),
            "duration must hold",
        ),
        (lambda: Block(duration=math.inf), "duration must hold the parts"),
    ],
)
def test_bad_blocks(build, sentence):
    with pytest.raises(ValueError, match=sentence):
        build()


def test_events_refuse_what_does_not_fit():
    blocks = [Block(rf=Rf(pulse=REFOCUS)), Block(adc=Adc(samples=4, dwell=1e-5, place=(0, 1)))]
    events = compile_blocks(blocks, matrix=(1, 4), pixel_volume=1.0)
    for change, sentence in [
        ({"duration": events.duration[:-1]}, "must have shape"),
        ({"duration": events.duration * np.nan}, "duration must be finite"),
        ({"duration": -events.duration}, "duration must not be negative"),
        ({"pulse": events.pulse + 5}, "pulse must lie in -1 to 0"),
        ({"place": events.place + 1}, "place must lie in -1 to 3, got 4"),
        ({"place": events.place[:2]}, "place must hold one number for each of 4 samples"),
        ({"first": events.first + 1e-4}, "samples of event 1 must be taken during it"),
        ({"adc": events.adc + 2}, "adc must number the receiver windows"),
        ({"duration": events.duration * 2}, "event 0 must last as long as its pulse"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            replace(events, **change)
