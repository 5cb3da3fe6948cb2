"""Both modes of a cine against brute force: every pulse, every line at its time, every sample of a readout.

What ideal leaves out is named and bounded here: the readout (R2, off-resonance), the approach to the steady
state, and the time within a frame. The field is of +-45 Hz, as over a heart after shimming.
"""

from copy import copy
from dataclasses import replace

import numpy as np
import pytest

from mrsim.cine.reference import acquire, settled
from tests.mrsim.cine.small import N_FRAMES, TISSUES, N, SmallScan, difference

SETTLE = 3000  # repetitions: what is left of the slowest tissue's approach is 1e-6
ROUNDING = 1e-5  # float32 and the steps of the signal table


@pytest.fixture(scope="module")
def steady():
    scan = SmallScan()
    return settled(scan.field, TISSUES, scan.sequence, SETTLE)


def brute(scan, magnetisation, timeline=None, **options):
    timeline = timeline or scan.timeline
    samples = acquire(scan.scene, copy(magnetisation), timeline, **options)
    return timeline.resampled(samples, N, N_FRAMES)


def on_the_grid(scan):
    """The scan's times, each at the nearest of the moments that the gated mode looks at."""
    n = int(np.ceil(scan.scene.heart.case.rr / scan.sequence.tr))
    return replace(scan.timeline, phase=np.rint(scan.timeline.phase * n) % n / n)


def test_a_heart_at_rest_has_the_same_image_in_both_modes_and_by_brute_force(steady):
    scan = SmallScan(still=True)
    assert difference(scan.ideal(), brute(scan, steady, readout=False)) < ROUNDING
    with_readout = brute(scan, steady)
    assert difference(scan.gated(), with_readout) < ROUNDING
    assert 0.05 < difference(scan.ideal(), with_readout) < 0.08  # what the readout does


def test_a_beating_heart_is_gated_as_by_brute_force(steady):
    scan = SmallScan()
    assert difference(scan.gated(), brute(scan, steady, on_the_grid(scan))) < ROUNDING
    exact = brute(scan, steady)
    assert difference(scan.gated(), exact) < 0.02  # moments of a TR: a spin changes its tissue TR/2 off
    assert difference(scan.ideal(), exact) < 0.10  # the stated bound: readout, and the time within a frame
    no_readout = difference(scan.ideal(), brute(scan, steady, readout=False))
    assert (
        0.01 < no_readout < 0.05
    )  # lines of one frame lie up to 10 ms beside it, between two times 21 ms apart


def test_a_train_from_equilibrium_shows_its_transient():
    scan = SmallScan(preparation="half-alpha", dummies=40)
    found, begun = scan.gated(), settled(scan.field, TISSUES, scan.sequence, 40)
    # off resonance the transient oscillates faster over frequency than the table has columns
    assert difference(found, brute(scan, begun, on_the_grid(scan))) < 1e-3
    assert difference(SmallScan().gated(), found) > 0.2
    assert np.abs(found).max() > 1.2 * np.abs(SmallScan().gated()).max()  # brighter than it will be
