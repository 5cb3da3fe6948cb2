"""Whether a sequence factorises: a Bloch solution without encoding, a readout along x and a phase encode."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrsim.bloch.program import SHORTEST_TRAIN
from mrsim.events import COLUMNS, Events

SAME = 1e-6  # [1/m] moments that are equal
ANGLE = 1e-6  # [rad] phases that are equal
ALIKE = tuple(name for name, _, _ in COLUMNS if name not in ("gradient", "phase", "adc"))


def refusal(events: Events) -> str:
    """Why the factorisation would not be exact, or "" if it is."""
    if not events.steady_state:
        return "the scan does not begin in its steady state"
    if not events.place.size:
        return "the samples lie on no Cartesian grid"
    if not _repeats(events):
        return "repetitions differ in more than their phase encode"
    return _readouts(events) or _between_pulses(events)


def per_repetition(events: Events) -> int:
    """Receiver windows of each repetition."""
    return events.n_adc // events.start.size


def _repeats(events: Events) -> bool:
    n = events.start.size
    length = events.duration.size // max(1, n)
    if events.duration.size != n * length or not np.array_equal(events.start, np.arange(n) * length):
        return False
    columns = [getattr(events, name) for name in ALIKE]
    gradient = events.gradient[:, :, (0, 2)].reshape(events.duration.size, -1)
    each = np.column_stack([*columns, gradient]).reshape(n, length, -1)
    turn = events.phase.reshape(n, length) - events.phase.reshape(n, length)[0]
    step = np.exp(1j * (turn - np.arange(n)[:, None] * events.phase_step))
    used = (events.pulse >= 0) | (events.samples > 0)
    return bool((each == each[0]).all() and np.abs(step - 1)[:, used[:length]].max(initial=0.0) < ANGLE)


def _readouts(events: Events) -> str:
    if events.matrix[1] < SHORTEST_TRAIN:
        return f"readouts have fewer than {SHORTEST_TRAIN} samples"
    read = events.samples > 0
    gradient = events.gradient[read]
    path = events.trajectory()
    if not (events.samples[read] == events.matrix[1]).all() or (gradient[:, 0] != gradient[:, 1]).any():
        return "a readout is not taken in one constant gradient"
    if (events.frequency[read] != 0).any() or (events.gradient[events.pulse >= 0][:, :, :2] != 0).any():
        return "receiver or pulses are encoded along x or y"
    k = path.k.reshape(events.start.size, -1, events.matrix[1], 3)
    place = events.place.reshape(*k.shape[:-1])
    if np.abs(k[..., 2]).max() > SAME or np.ptp(k[..., 1], axis=2).max() > SAME:
        return "a readout is encoded along z or changes its phase encode"
    if np.abs(k[..., 0] - k[:1, ..., 0]).max() > SAME:
        return "readouts along x differ from repetition to repetition"
    column = np.arange(events.matrix[1])
    if (place < 0).any() or (place - place[..., :1] != column).any():
        return "a readout does not fill a line of k-space forwards"
    return ""


def _between_pulses(events: Events) -> str:
    """Check that what pulses mix has seen no encoding that depends on the pathway."""
    pulses = np.flatnonzero(events.pulse >= 0)
    if not pulses.size:
        return "nothing is excited"
    moment = np.cumsum(events.moment(np.arange(events.duration.size), events.duration)[:, :2], axis=0)
    spoils, crushers = np.cumsum(events.spoil), np.cumsum(events.crusher)
    a, b = pulses[:-1], pulses[1:]
    gap = moment[b] - moment[a]
    crushed: NDArray[np.intp] = crushers[b] - crushers[a]
    spoiled = spoils[b] > spoils[a]
    use = np.array([p.use for p in events.pulses])[events.pulse[pulses]]
    segment = np.append(0, np.cumsum(spoiled))[:-1]
    for rank in np.unique(segment[~spoiled]):
        mine = np.flatnonzero((segment == rank) & ~spoiled)
        hahn = mine.size == 1 and use[mine[0]] == "excitation" and use[mine[0] + 1] == "refocusing"
        after = crushers[-1] if mine[-1] + 2 >= pulses.size else crushers[pulses[mine[-1] + 2]]
        if hahn and crushed[mine[0]] and after > crushers[pulses[mine[0] + 1]]:
            continue
        if np.abs(gap[mine, 1]).max() > SAME:
            return "phase encoding is not rewound between pulses"
        each = gap[mine, 0] / np.maximum(crushed[mine], 1)
        if np.abs(gap[mine[crushed[mine] == 0], 0]).max(initial=0.0) > SAME or np.ptp(each) > SAME:
            return "the readout is not rewound between pulses"
    return ""


def lines(events: Events) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.float64]]:
    """k_x (readout, sample) of a repetition, and row of k-space and k_y [1/m] of (repetition, readout)."""
    k = events.trajectory().k.reshape(events.start.size, -1, events.matrix[1], 3)
    row = events.place.reshape(k.shape[:-1])[..., 0] // events.matrix[1]
    return k[0, ..., 0], row, k[:, :, 0, 1]
