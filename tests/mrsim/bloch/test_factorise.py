"""The factorised engine against every spin through every event, and what it refuses."""

import numpy as np
import pytest

from mrsim.bloch.engine import acquire, choose_engine
from mrsim.sequences import sequence_class
from phantoms.phantom import Spins

SMALL = {"fov": (0.02, 0.02), "matrix": (6, 12), "thickness": 3e-3}
FACTORISE = {
    "spin-echo": {"te": 20e-3, "tr": 0.5, "bandwidth": 800.0},
    "gre": {},
    "bssfp": {},
    "turbo-spin-echo": {
        "echo_train": 3,
        "effective_echo": 2,
        "te": 28e-3,
        "bandwidth": 800.0,
        "refocusing": 2.2,
    },
    "inversion-recovery": {},
}


def two_tissues(n=40):
    rng = np.random.default_rng(0)
    position = rng.uniform(-8e-3, 8e-3, (3, n))
    position[2] *= 0.2
    position[1] = np.round(position[1], 3)
    return Spins(
        position=position[:, np.argsort(position[1])], tissue=rng.integers(0, 2, n).astype(np.uint8),
        freq=rng.uniform(-50, 50, n).astype(np.float32), cell=(1e-3, 1e-3, 1e-3), pd=np.ones(2),
        t1=np.array([0.8, 1.0]), t2=np.array([0.08, 0.1]), t2prime=np.array([0.1, 0.03]),
    )  # fmt: skip


@pytest.mark.parametrize("name", FACTORISE)
def test_the_factorised_engine_is_exact(name):
    spins, events = two_tissues(), sequence_class(name)(**SMALL | FACTORISE[name]).events()
    expected = acquire(spins, events, engine="isochromat")
    got = acquire(spins, events, engine="auto")
    assert np.abs(got - expected).max() < 1e-6 * np.abs(expected).max()


def test_what_does_not_factorise_is_left_to_brute_force():
    assert choose_engine(sequence_class("bssfp")(**SMALL))[0] == "cartesian"
    name, reason = choose_engine(sequence_class("bssfp")(**SMALL, preparation="half-alpha"))
    assert name != "cartesian" and reason
    radial = sequence_class("radial")(fov=(0.02, 0.02), matrix=(12, 12), thickness=3e-3).events()
    with pytest.raises(ValueError, match="must factorise"):
        acquire(two_tissues(), radial, engine="cartesian")
