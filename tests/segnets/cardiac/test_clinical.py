"""Volumes, ejection fraction and mass of discs whose areas are known."""

import math

import numpy as np
import pytest
from scipy.stats import pearsonr

from segnets.cardiac import clinical

NAMES = ("background", "LV", "myocardium", "RV")
PIXEL, PITCH = 1.0e-3, 10e-3  # [m]


def disc(radius, centre=(0.0, 0.0), n=160):
    """(y, x) pixels of 1 mm whose centres lie in a disc; radius and centre in metres."""
    y, x = np.meshgrid(*(2 * [(np.arange(n) - n / 2 + 0.5) * PIXEL]), indexing="ij")
    return np.hypot(y - centre[0], x - centre[1]) < radius


def beating_heart(cavity, wall, right):
    """(frame, y, x) a ring of `wall` round a disc of radius `cavity`, beside it a disc of radius `right`."""
    labels = []
    for a, b in zip(cavity, right, strict=True):
        one = np.zeros((160, 160), np.uint8)
        one[disc(b, (0.0, 0.05))] = 3
        one[disc(a + wall)] = 2
        one[disc(a)] = 1
        labels.append(one)
    return np.stack(labels)


def counts(labels):
    """(class, frame) pixels."""
    return np.stack([(labels == c).sum(axis=(1, 2)) for c in range(len(NAMES))])


def test_volumes_ejection_fraction_and_mass_of_discs_are_those_of_geometry():
    """A disc of radius r has pi r^2 / pixel^2 pixels, to about the square root of the length of its rim."""
    cavity, right = np.array([24e-3, 20e-3, 15e-3, 22e-3]), np.array([15e-3, 14e-3, 10e-3, 15e-3])
    beat = clinical.volumes(counts(beating_heart(cavity, 8e-3, right)), NAMES, PIXEL**2 * PITCH)
    es = clinical.end_systole(beat["LV"])
    assert es == 2
    figures = clinical.measure(beat, es)
    expected = {
        "lv_edv": np.pi * 24e-3**2 * PITCH,
        "lv_esv": np.pi * 15e-3**2 * PITCH,
        "rv_edv": np.pi * 15e-3**2 * PITCH,
        "rv_esv": np.pi * 10e-3**2 * PITCH,
        "lv_mass": 1050 * np.pi * (32e-3**2 - 24e-3**2) * PITCH,
        "ef": 1 - (15 / 24) ** 2,
    }
    assert set(figures) == set(clinical.MEASURES)
    assert figures == {name: pytest.approx(value, rel=0.02) for name, value in expected.items()}


def test_a_cavity_that_is_a_tenth_too_wide_is_a_fifth_too_large_and_its_fraction_stays():
    cavity, right = np.array([24e-3, 18e-3]), np.full(2, 12e-3)
    truth, wide = (
        clinical.measure(clinical.volumes(counts(beating_heart(c, 8e-3, right)), NAMES, 1e-8), 1)
        for c in (cavity, 1.1 * cavity)
    )
    errors = clinical.percent_errors(wide, truth)
    assert errors["lv_edv"] == pytest.approx(21, abs=2)  # 1.1^2 = 1.21
    assert errors["ef"] == pytest.approx(0, abs=2)  # but for the pixels
    assert errors["rv_edv"] == errors["rv_esv"]  # the wider wall covers the same of the right ventricle
    assert clinical.percent_errors(truth, truth) == dict.fromkeys(clinical.MEASURES, 0.0)


def test_end_systole_of_the_reference_is_read_in_both():
    """A network that is one frame late has wrong volumes there, not another frame."""
    lv = np.array([10.0, 6.0, 4.0, 8.0])
    beat = {"LV": np.roll(lv, 1), "myocardium": np.ones(4), "RV": np.ones(4)}
    assert clinical.measure(beat, clinical.end_systole(lv))["lv_esv"] == 6


def test_hearts_without_a_ventricle_have_no_fraction_and_no_error():
    beat = {name: np.zeros(3) for name in NAMES[1:]}
    nothing = clinical.measure(beat, 0)
    assert math.isnan(nothing["ef"])
    assert all(math.isnan(e) for e in clinical.percent_errors(nothing, nothing).values())


def test_correlation_is_pearsons_over_complete_pairs():
    rng = np.random.default_rng(0)
    a = rng.normal(size=12)
    b = a + rng.normal(size=12)
    assert clinical.correlation([*a, math.nan], [*b, 1.0]) == pytest.approx(pearsonr(a, b).statistic)
    assert math.isnan(clinical.correlation([0.5], [0.5]))
    assert math.isnan(clinical.correlation([0.5, 0.6], [0.4, 0.4]))


@pytest.mark.parametrize(
    ("names", "there"),
    [(NAMES, True), (("background", "CSF", "GM", "WM"), False), (("background", "LV", "RV"), False)],
)
def test_only_hearts_have_hearts(names, there):
    assert clinical.has_heart(names) is there
