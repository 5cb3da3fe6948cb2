"""Spin echo and inversion recovery through the fast engines: physics.md sections 1, 4, 5 and 6."""

import math

import numpy as np
import pytest
from scipy.optimize import curve_fit

from mrsim.events.blocks import delay
from mrsim.sequences.inversion_recovery import InversionRecovery
from mrsim.sequences.spin_echo import SpinEcho
from phantoms.tissues import tissue_table
from tests.mrsim.bloch.play import (
    DWELL,
    READ,
    TOLERANCE,
    delay_to,
    echo,
    played,
    pulse,
    signal,
    with_crusher_gradients,
)

LINE = {"matrix": (1, 12), "fov": (0.02, 0.02), "bandwidth": 1000.0, "rf": "ideal"}
CSF, GM, WM, FAT = (2.569, 0.329), (0.833, 0.083), (0.500, 0.070), (0.350, 0.070)  # T1, T2 [s]
every_engine = pytest.mark.parametrize("engine", ["cartesian", "isochromat", "nufft"])


def spin_echo(t1, t2, te, tr, flip=math.pi / 2, refocusing=math.pi):
    """physics.md section 1."""
    eh, er = np.exp(-te / 2 / t1), np.exp(-(tr - te / 2) / t1)
    recovered = 1 - er + np.cos(refocusing) * er * (1 - eh)
    steady = recovered / (1 - np.cos(flip) * np.cos(refocusing) * eh * er)
    return np.sin(flip) * np.sin(refocusing / 2) ** 2 * np.exp(-te / t2) * steady


@every_engine
@pytest.mark.parametrize(
    ("tissue", "te", "tr", "flip", "refocusing", "expected"),
    [
        (CSF, 80, 3000, 90, 180, 0.532574),
        (GM, 80, 3000, 90, 180, 0.318190 / 0.86),
        (WM, 80, 3000, 90, 180, 0.244848 / 0.77),
        (FAT, 80, 3000, 90, 180, 0.318832),
        (GM, 80, 500, 90, 180, 0.130336 / 0.86),
        (CSF, 80, 3000, 90, 160, 0.516739),
        (GM, 80, 3000, 80, 150, 0.291225 / 0.86),
        (GM, 76, 2850, 90, 180, 0.3319 / 0.86),
        (WM, 84, 3150, 90, 180, 0.2314 / 0.77),
    ],
)
def test_steady_state(engine, tissue, te, tr, flip, refocusing, expected):
    """Section 1: on and off resonance, with T2' that the echo refocuses; real and positive."""
    times = te * 1e-3, tr * 1e-3
    angles = math.radians(flip), math.radians(refocusing)
    formula = spin_echo(*tissue, *times, *angles)
    assert formula == pytest.approx(expected, abs=7e-5 if te != 80 else 7e-7)  # digits of the table
    sequence = SpinEcho(te=times[0], tr=times[1], flip=angles[0], refocusing=angles[1], **LINE)
    found = echo(sequence, engine, t1=tissue[0], t2=tissue[1], t2prime=0.06, freq=[0.0, 37.5])
    assert found == pytest.approx(formula, rel=TOLERANCE[engine])


def test_fitted_images_return_the_tissue_table():
    """Section 1: PD, T1 and T2 of CSF, GM and WM from images at five TE and five TR."""
    pairs = [(te, 3.0) for te in (20e-3, 40e-3, 80e-3, 120e-3, 200e-3)]
    pairs += [(20e-3, tr) for tr in (0.3, 0.6, 1.2, 2.4, 6.0)]
    tissues = tissue_table("brainweb-1.5T").tissues[1:4]
    given = {name: [getattr(t, name) for t in tissues] for name in ("t1", "t2", "t2prime")}
    signals = np.array(
        [echo(SpinEcho(te=te, tr=tr, **LINE), "cartesian", **given)[:, 0].real for te, tr in pairs]
    )
    for tissue, found in zip(tissues, (signals * [t.pd for t in tissues]).T, strict=True):
        model = lambda pair, pd, t1, t2: pd * spin_echo(t1, t2, *pair)  # noqa: E731
        fit, _ = curve_fit(model, np.array(pairs).T, found, p0=(1.0, 1.0, 0.1), xtol=1e-12)
        assert fit == pytest.approx((tissue.pd, tissue.t1, tissue.t2), rel=1e-5)


@every_engine
def test_readout_bends_at_the_echo(engine):
    """Section 5: |S| = exp(-R2 t) exp(-R2' |t - TE|) and exp(-i 2 pi f (t - TE)), sample by sample."""
    sequence = SpinEcho(**LINE | {"matrix": (1, 24), "bandwidth": 100.0})
    found = signal(sequence, engine, t1=GM[0], t2=GM[1], t2prime=0.02, freq=37.5)[0]
    t = (np.arange(24) - 12) * sequence.dwell  # from the echo
    decay = np.exp(-t / GM[1] - abs(t) / 0.02 - 2j * np.pi * 37.5 * t)
    assert found == pytest.approx(spin_echo(*GM, 80e-3, 3.0) * decay, rel=1e-6)


def test_hahn_echo_refocuses_off_resonance_and_t2prime():
    """Sections 5 and 6: exp(-80/83) along +y at TE, 5 ms later -2 pi f t; 60 ms after a 180 at 25 ms."""
    hahn = [pulse(90), delay(40e-3, crusher=True), pulse(180, 90, "refocusing")]
    later = [delay(5e-3 - DWELL), READ]
    events = played(*hahn, delay_to(40e-3, crusher=True), READ, *later)
    at_echo, after = signal(events, t2=0.083, freq=37.5)[0]
    assert at_echo == pytest.approx(0.381420j, abs=6e-7)
    assert after == pytest.approx(1j * np.exp(-85 / 83 - 2j * np.pi * 37.5 * 5e-3), rel=1e-6)
    assert np.angle(after / 1j) == pytest.approx(-1.178097, abs=1e-6)
    late = played(pulse(90), delay(25e-3, crusher=True), hahn[2], delay_to(35e-3, crusher=True), READ)
    found = signal(late, t2=0.083, t2prime=1 / (1 / 0.069 - 1 / 0.083))
    assert found == pytest.approx(0.473626j, abs=6e-7)


def test_crushers_remove_the_fid_of_an_imperfect_refocusing_pulse():
    """Section 1: without them M0 cos(90) is 0, but what has recovered in TE / 2 gives sin(beta) of it."""
    beta, half = math.radians(150), 10e-3
    refocus = pulse(150, use="refocusing")
    recovered = (1 - math.exp(-half / 0.5)) * math.sin(beta) * math.exp(-half / 0.07)
    spin = math.sin(beta / 2) ** 2 * math.exp(-2 * half / 0.07)
    unrefocused = math.cos(beta / 2) ** 2 * math.exp(-2 * half / 0.07)
    for crusher, expected in ((True, spin), (False, spin + unrefocused + 1j * recovered)):
        first, second = delay(half, crusher=crusher), delay_to(half, crusher=crusher)
        events = played(pulse(90, -90), first, refocus, second, READ)
        assert signal(events, t1=0.5, t2=0.07)[0, 0] == pytest.approx(expected, rel=1e-6)


def test_ideal_crushers_are_strong_gradients():
    """Section 12: 64 spins across four turns, any flip angles; the ensemble of phases is their mean."""
    blocks = [pulse(75, -90), delay(10e-3, crusher=True), pulse(160, 0, "refocusing")]
    blocks += [delay(5e-3, crusher=True), delay_to(5e-3), READ]
    ideal = signal(played(*blocks), t1=0.5, t2=0.07, freq=25.0)
    z = np.arange(64) / 64 * 1e-3
    events = with_crusher_gradients(played(*blocks), cycles=4, length=1e-3)
    real = signal(events, z=z, t1=0.5, t2=0.07, freq=25.0).mean()
    assert real == pytest.approx(ideal.item(), rel=1e-6)


@every_engine
@pytest.mark.parametrize("ti", [0.1, 0.4, 1.2])
def test_inversion_recovery(engine, ti):
    """Section 4: 1 - 2 exp(-TI/T1) + 2 exp(-(TR - TE/2)/T1) - exp(-TR/T1), times exp(-TE/T2), signed."""
    (t1, t2), te, tr = GM, 20e-3, 3.0
    longitudinal = 1 - 2 * math.exp(-ti / t1) + 2 * math.exp(-(tr - te / 2) / t1) - math.exp(-tr / t1)
    expected = longitudinal * math.exp(-te / t2)
    if ti == 0.4:
        assert expected == pytest.approx(-0.164550, abs=6e-7)
    found = echo(InversionRecovery(ti=ti, tr=tr, te=te, **LINE), engine, t1=t1, t2=t2, freq=[0.0, 30.0])
    assert found == pytest.approx(expected, abs=TOLERANCE[engine])


@every_engine
def test_inversion_recovery_is_null(engine):
    """Section 4: at TI = -T1 ln((1 + exp(-TR/T1)) / 2) for TE = 0, and as TE moves it."""
    (t1, t2), te, tr = GM, 20e-3, 3.0
    assert -t1 * math.log((1 + math.exp(-tr / t1)) / 2) == pytest.approx(0.554968238, abs=2e-9)
    null = -t1 * math.log((1 + 2 * math.exp(-(tr - te / 2) / t1) - math.exp(-tr / t1)) / 2)
    sequence = InversionRecovery(ti=null, tr=tr, te=te, **LINE)
    late = sequence.ti - null  # TI lies on the raster of 10 us
    slope = 2 / t1 * math.exp(-null / t1) * math.exp(-te / t2)
    assert echo(sequence, engine, t1=t1, t2=t2) == pytest.approx(slope * late, abs=1e-7)


@every_engine
def test_saturation_recovery(engine):
    """(1 - exp(-TI/T1)) exp(-TE/T2) whatever came before."""
    sequence = InversionRecovery(prepulse="saturation", ti=0.3, tr=0.5, te=20e-3, **LINE)
    expected = (1 - math.exp(-0.3 / GM[0])) * math.exp(-20e-3 / GM[1])
    found = echo(sequence, engine, t1=GM[0], t2=GM[1], freq=17.0)
    assert found == pytest.approx(expected, rel=TOLERANCE[engine])
