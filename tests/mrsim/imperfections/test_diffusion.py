import math

import numpy as np
import pytest

from mrsim.bloch.dynamic import Dynamics, dynamic
from mrsim.bloch.reference import reference
from mrsim.constants import GAMMA
from mrsim.events.blocks import Adc, Block, Rf, Trapezoid, compile_blocks, delay
from mrsim.events.rf import hamming_sinc, instantaneous
from mrsim.imperfections.diffusion import b_values, with_diffusion
from mrsim.imperfections.motion import Flow, Moving
from phantoms.phantom import Spins


def stejskal_tanner(pulse_duration=0.0):
    """Two trapezoids of 20 mT/m around a refocusing pulse: events, and the b-value of the closed form."""
    ramp, flat, gap = 0.4e-3, 6e-3, 5e-3
    lobe = Trapezoid(amplitude=20e-3, rise=ramp, flat=flat, fall=ramp)
    if pulse_duration:
        excite, refocus = (
            hamming_sinc(a, pulse_duration, 4.0, use=u)
            for a, u in ((math.pi / 2, "excitation"), (math.pi, "refocusing"))
        )
    else:
        excite, refocus = (
            instantaneous(math.pi / 2, use="excitation"),
            instantaneous(math.pi, use="refocusing"),
        )
    blocks = [
        Block(rf=Rf(pulse=excite), repetition=True), Block(gx=lobe), delay(gap),
        Block(rf=Rf(pulse=refocus)), delay(gap), Block(gx=lobe),
        Block(adc=Adc(samples=3, dwell=1e-5, delay=1e-4)),
    ]  # fmt: skip
    delta, big = flat + ramp, flat + 2 * ramp + 2 * gap + pulse_duration
    b = (GAMMA * 20e-3) ** 2 * (delta**2 * (big - delta / 3) + ramp**3 / 30 - delta * ramp**2 / 6)
    return compile_blocks(blocks, matrix=(1, 3), pixel_volume=1.0), b


@pytest.mark.parametrize("pulse_duration", [0.0, 2e-3])
def test_b_value_of_trapezoids_is_the_closed_form(pulse_duration):
    events, b = stejskal_tanner(pulse_duration)
    np.testing.assert_allclose(b_values(events), b, rtol=1e-9)


def test_signal_is_attenuated_tissue_by_tissue():
    events, b = stejskal_tanner()
    one = np.ones(2)
    spins = Spins(
        position=np.zeros((3, 2)), tissue=np.array([0, 1], np.uint8), freq=np.zeros(2, np.float32),
        cell=(1.0, 1.0, 1.0), pd=one, t1=one, t2=one * 0.1, t2prime=one * math.inf,
    )  # fmt: skip
    coils = np.array([[1.0, 0.0], [0.0, 1.0]], np.complex64)
    still = reference(spins, events, coils, 1)
    moved = with_diffusion(lambda *scan: reference(*scan, 1), spins, events, coils, [3e-9, 0.0])
    np.testing.assert_allclose(moved[0] / still[0], math.exp(-b * 3e-9), rtol=1e-5)
    np.testing.assert_allclose(moved[1], still[1], rtol=1e-6)
    at_once = with_diffusion(
        lambda *scan: reference(*scan, 1), spins, events, coils, [3e-9, 0.0], together=True
    )
    np.testing.assert_allclose(at_once, moved, atol=1e-7)
    with pytest.raises(ValueError, match="diffusivity must be 2 numbers"):
        with_diffusion(lambda *scan: reference(*scan, 1), spins, events, coils, [1e-9])


def test_what_diffuses_may_flow_too():
    """Only the second tissue flows: it is told by the number of its spins, whichever diffuse alike."""
    events, b = stejskal_tanner()
    one = np.ones(2)
    spins = Spins(
        position=np.array([[0.0, 1e-3], [0.0, 0.0], [0.0, 0.0]]), tissue=np.array([0, 1], np.uint8),
        freq=np.zeros(2, np.float32), cell=(1e-3, 1e-3, 1e-3), pd=one, t1=one, t2=one * 0.1,
        t2prime=one * math.inf,
    )  # fmt: skip
    flow = Flow(spins=np.array([1]), velocity=(0.0, 2e-3, 0.0), length=1.0)

    def acquire(*scan):
        return dynamic(*scan, 1, Dynamics(motion=Moving(flows=(flow,))))

    coils = np.eye(2, dtype=np.complex64)
    still = acquire(spins, events, coils)
    moved = with_diffusion(acquire, spins, events, coils, [3e-9, 1e-9], together=True)
    np.testing.assert_allclose(moved[0] / still[0], math.exp(-b * 3e-9), rtol=1e-5)
    np.testing.assert_allclose(moved[1] / still[1], math.exp(-b * 1e-9), rtol=1e-5)
