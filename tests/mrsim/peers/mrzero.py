"""MRzero (MRzeroCore on PyPI) as the second opinion: our events and spins in its terms.

Its pulses act at once, so only sequences of ideal pulses can be told. Its precession turns as ours; its
pulses turn the other way about their axis, which is a pulse of ours with a phase of pi more. It knows neither
ideal crushers nor spoilers, so gradients must do their work.
"""

from __future__ import annotations

import math
import warnings
from itertools import pairwise

import numpy as np

from mrsim.bloch.weights import amplitudes, box_share
from mrsim.events import Events
from phantoms.phantom import Spins

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its own dependencies
    import MRzeroCore as mr0  # noqa: N813 - the name that its own manual gives it
    import torch

POINT = 1e-9  # [m] extent of a voxel along an axis in which it is a point
NEVER = 1e9  # [s] T2' of spins that do not dephase
USES = {"excitation": mr0.PulseUsage.EXCIT, "refocusing": mr0.PulseUsage.REFOC}


def mrzero_sequence(events: Events) -> mr0.Sequence:
    """One repetition for each pulse; ValueError for what MRzero cannot play."""
    if any(p.dt > 0 for p in events.pulses):
        raise ValueError("pulses must be ideal, got shaped ones: MRzero plays every pulse at once")
    if events.crusher.any() or events.spoil.any() or events.frequency.any() or events.steady_state:
        raise ValueError("events must hold real gradients, one frequency and a start in equilibrium")
    sequence = mr0.Sequence(normalized_grads=False)
    bounds = np.append(np.flatnonzero(events.pulse >= 0), events.duration.size)
    for begin, end in pairwise(bounds):
        steps = [_steps(events, event) for event in range(begin + 1, end)]
        time, moment, used, turn = (np.concatenate(part) for part in zip(*steps, strict=True))
        repetition = sequence.new_rep(time.size)
        pulse = events.pulses[events.pulse[begin]]
        nutation = complex(pulse.nutation[0])
        repetition.pulse.angle = torch.tensor(abs(nutation), dtype=torch.float32)
        angle = math.atan2(nutation.imag, nutation.real) + events.phase[begin] + math.pi
        repetition.pulse.phase = torch.tensor(angle, dtype=torch.float32)
        repetition.pulse.usage = USES.get(pulse.use, mr0.PulseUsage.UNDEF)
        repetition.event_time[:] = torch.from_numpy(time)
        repetition.gradm[:] = torch.from_numpy(moment)
        repetition.adc_usage[:] = torch.from_numpy(used)
        repetition.adc_phase[:] = torch.from_numpy(-turn)
    return sequence


def _steps(events: Events, event: int) -> tuple[np.ndarray, ...]:
    """Cut an event at its samples: times [s], moments (n, 3) [1/m], whether a sample ends it, its phase."""
    n = events.samples[event]
    sample = events.first[event] + np.arange(n) * events.dwell[event]
    edges = np.concatenate(([0.0], sample, [events.duration[event]]))
    moment = np.diff(events.moment(np.full(edges.size, event), edges)[:, :3], axis=0)
    used = np.append(np.ones(n, np.int32), 0)
    return np.diff(edges), moment, used, events.phase[event] * used


def mrzero_object(
    spins: Spins, events: Events, *, height: float = POINT, dephase: bool = True
) -> mr0.SimData:
    """Voxels at the spins, boxes of `height` [m] in z, that weigh what the spins weigh in `events`.

    dephase : whether spins have their T2'
    """
    tissue = spins.tissue
    share = box_share(spins.position[2], spins.cell[2], events.box)
    t2prime = np.minimum(spins.t2prime, NEVER)[tissue] if dephase else NEVER
    columns = {
        "PD": amplitudes(spins, events)[tissue] * share,
        "T1": spins.t1[tissue],
        "T2": spins.t2[tissue],
        "T2dash": np.broadcast_to(t2prime, tissue.shape),
        "B0": spins.freq,
    }
    voxels = mr0.CustomVoxelPhantom(
        pos=spins.position.T.astype(np.float32),
        **{name: np.asarray(value, np.float32) for name, value in columns.items()},
        D=0.0,
        voxel_size=(POINT, POINT, height),
        voxel_shape="box",
    )
    return voxels.build()


def bloch(sequence: mr0.Sequence, data: mr0.SimData) -> np.ndarray:
    """Signal (1, sample) of one isochromat for each voxel."""
    signal = mr0.isochromat_sim(sequence, data, 1, print_progress=False)
    return signal[:, 0].numpy()[None]


def pdg(sequence: mr0.Sequence, data: mr0.SimData, *, states: int = 300, weakest: float = 1e-4) -> np.ndarray:
    """Signal (1, sample) by phase distribution graphs, of states down to `weakest`."""
    graph = mr0.compute_graph(sequence, data, states, weakest)
    signal = mr0.execute_graph(graph, sequence, data, weakest, weakest, print_progress=False)
    return signal[:, 0].numpy()[None]
