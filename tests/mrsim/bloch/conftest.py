import numpy as np
import pytest

from phantoms.phantom import Spins

# physics.md section 1: T1, T2, T2* [s] and PD of CSF, GM, WM, fat
T1 = np.array([2.569, 0.833, 0.500, 0.350])
T2 = np.array([0.329, 0.083, 0.070, 0.070])
T2STAR = np.array([0.058, 0.069, 0.061, 0.058])
PD = np.array([1.0, 0.86, 0.77, 1.0])


@pytest.fixture
def make_spins():
    """Spins at (x, y, z) [m] of tissue CSF, GM, WM, fat = 0 to 3; anything else by name."""

    def make(x, y=0.0, z=0.0, *, tissue=1, freq=0.0, cell=(1e-3, 1e-3, 1e-3), **properties):
        x, y, z, tissue, freq = np.broadcast_arrays(np.atleast_1d(x), y, z, tissue, freq)
        order = np.argsort(y, kind="stable")
        given = {"pd": PD, "t1": T1, "t2": T2, "t2prime": 1 / (1 / T2STAR - 1 / T2)}
        given |= {name: np.full(4, value) for name, value in properties.items()}
        return Spins(
            position=np.ascontiguousarray(np.stack([x, y, z])[:, order], np.float64),
            tissue=tissue[order].astype(np.uint8),
            freq=freq[order].astype(np.float32),
            cell=cell,
            **given,
        )

    return make


@pytest.fixture
def random_spins(make_spins):
    """`n` spins of all tissues within `extent` [m], `spread` [Hz] off, z of `levels` or any."""

    def make(n, *, extent=8e-3, spread=100.0, levels=None, seed=0):
        rng = np.random.default_rng(seed)
        x, y = rng.uniform(-extent, extent, (2, n))
        z = rng.uniform(-1.2e-3, 1.2e-3, n) if levels is None else rng.choice(levels, n)
        freq = spread * rng.standard_normal(n)
        return make_spins(x, y, z, tissue=rng.integers(0, 4, n), freq=freq, cell=(1e-3, 1e-3, 5e-4))

    return make
