import numpy as np
import pytest

from mrsim.bloch.reference import Isochromats, receive


@pytest.fixture
def play():
    """Signal (spin, sample) of each of some point spins in the reference, in the order of time."""

    def signal(events, *, x=0.0, y=0.0, z=0.0, freq=0.0, t1=1e9, t2=1e9, t2prime=np.inf, b1=1.0, total=False):
        x, y, z, freq, t1, t2, t2prime, b1 = np.broadcast_arrays(
            np.atleast_1d(x).astype(float), y, z, freq, t1, t2, t2prime, b1
        )
        spins = Isochromats(
            position=np.stack([x, y, z]),
            freq=freq.astype(float),
            t1=t1.astype(float),
            t2=t2.astype(float),
            t2prime=t2prime.astype(float),
            b1=b1.astype(complex),
            weight=np.full((1, x.size), 1 / x.size + 0j) if total else np.eye(x.size, dtype=complex),
        )
        return receive(spins, events)

    return signal
