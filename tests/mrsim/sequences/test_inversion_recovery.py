"""Inversion and saturation recovery against physics.md section 4."""

import math

import numpy as np
import pytest

from mrsim.sequences.inversion_recovery import InversionRecovery

POINT = {"matrix": (1, 1), "fov": (0.01, 0.01), "bandwidth": 1000.0, "rf": "ideal"}
T1, T2 = 0.833, 0.083


def test_signal_is_signed(play):
    signal = play(
        InversionRecovery(ti=0.4, tr=3.0, te=20e-3, **POINT).events(), t1=T1, t2=T2, freq=[0.0, 30.0]
    )
    assert signal == pytest.approx(-0.164550, abs=1e-6)


def test_null(play):
    """TI = -T1 ln((1 + e^(-TR/T1)) / 2) = 554.968 ms at TE = 0; later by what TE adds."""
    tr, te = 3.0, 20e-3
    assert -T1 * math.log((1 + math.exp(-tr / T1)) / 2) == pytest.approx(0.554968, abs=1e-6)
    null = -T1 * math.log((1 + 2 * math.exp(-(tr - te / 2) / T1) - math.exp(-tr / T1)) / 2)
    signal = play(InversionRecovery(ti=null, tr=tr, te=te, **POINT).events(), t1=T1, t2=T2)
    assert abs(signal).item() < 1e-5  # half a raster step of TI is 5 us of 0.6 s


def test_saturation_recovery_forgets_what_was_before(play):
    sequence = InversionRecovery(prepulse="saturation", ti=0.3, tr=0.5, te=20e-3, **POINT)
    assert play(sequence.events(), t1=T1, t2=T2) == pytest.approx(
        (1 - math.exp(-0.3 / T1)) * math.exp(-20 / 83), rel=1e-9
    )


def test_real_inversion_pulse_inverts_at_its_centre(play):
    """0.48 ms at 24.5 uT, over +-100 Hz and the whole slice: to 2 % of the equilibrium."""
    real = InversionRecovery(ti=0.4, tr=3.0, matrix=(1, 1), fov=(0.01, 0.01), preparation="equilibrium")
    plain = InversionRecovery(ti=0.4, tr=3.0, preparation="equilibrium", **POINT)
    freq = np.array([-100.0, 0.0, 100.0])
    found, ideal = (play(s.events(), freq=freq, t1=T1, t2=T2)[:, 0] for s in (real, plain))
    assert found == pytest.approx(ideal, abs=0.02)
