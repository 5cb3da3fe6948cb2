"""Point spins of any relaxation and frequency through the engines, one signal per spin."""

import math
from dataclasses import replace

import numpy as np

from mrsim.bloch.engine import acquire
from mrsim.constants import GAMMA_BAR
from mrsim.events.blocks import Adc, Block, Rf, compile_blocks, delay
from mrsim.events.rf import instantaneous
from phantoms.phantom import POINT, Spins

TOLERANCE = {"cartesian": 1e-6, "isochromat": 1e-6, "nufft": 1e-5, "reference": 1e-6}  # what they promise
DWELL = 1e-6  # [s] of `READ`, which samples in its middle
READ = Block(adc=Adc(samples=1, dwell=DWELL))


def points(*, x=0.0, y=0.0, z=0.0, freq=0.0, t1=1e9, t2=1e9, t2prime=np.inf, b1=None):
    """Spins of PD 1, each a tissue of its own; y ascending."""
    x, y, z, freq, t1, t2, t2prime = (
        np.ascontiguousarray(a, float)
        for a in np.broadcast_arrays(np.atleast_1d(x), y, z, freq, t1, t2, t2prime)
    )
    return Spins(
        position=np.stack([x, y, z]),
        tissue=np.arange(x.size).astype(np.uint32),
        freq=freq.astype(np.float32),
        cell=POINT,
        pd=np.ones(x.size),
        t1=t1,
        t2=t2,
        t2prime=t2prime,
        b1=None if b1 is None else np.broadcast_to(b1, x.shape).astype(np.complex64),
    )


def signal(what, engine="isochromat", *, mean=False, **spins):
    """(spin, sample) M+ as the receiver sees it, of a sequence or of events, or its mean; see `points`."""
    events = what if hasattr(what, "duration") else what.events()
    n = np.broadcast(*(np.atleast_1d(a) for a in spins.values() if a is not None)).size if spins else 1
    coils = np.full((1, n), 1 / n, np.complex64) if mean else np.eye(n, dtype=np.complex64)
    received = acquire(points(**spins), events, coils=coils, engine=engine)
    return received * math.sqrt(math.prod(events.matrix))


def echo(sequence, engine="isochromat", **spins):
    """(spin, readout) signal in the centre of each readout of a Cartesian sequence."""
    lines = signal(sequence, engine, **spins)
    return lines.reshape(lines.shape[0], -1, sequence.matrix[1])[:, :, sequence.echo_sample]


def played(*blocks, **whole):
    """Events of blocks that start in equilibrium, first sample to last in one row."""
    samples = sum(block.adc.samples for block in blocks if block.adc)
    return compile_blocks(blocks, **{"matrix": (1, samples), "pixel_volume": 1.0} | whole)


def pulse(flip, phase=0.0, use="excitation", **flags):
    """Turn at once by `flip` [degrees] about the axis at `phase` [degrees]."""
    rotation = instantaneous(math.radians(flip), phase=math.radians(phase), use=use)
    return Block(rf=Rf(pulse=rotation), **flags)


def delay_to(duration, **flags):
    """Precess until the sample of `READ` is `duration` [s] away from the pulse before."""
    return delay(max(0.0, duration - DWELL / 2), **flags)


def delay_from(duration, **flags):
    """Precess until `duration` [s] after the sample of `READ`."""
    return delay(duration - DWELL / 2, **flags)


def with_crusher_gradients(events, cycles, length):
    """Replace ideal crushers by gradients of so many `cycles` over `length` [m] along z."""
    gradient = events.gradient.copy()
    crushers = np.flatnonzero(events.crusher)
    gradient[crushers, :, 2] += cycles / (length * GAMMA_BAR * events.duration[crushers])[:, None]
    return replace(events, gradient=gradient, crusher=np.zeros_like(events.crusher))
