"""Intervals and paired tests against scipy, full enumeration and their promised coverage."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from segnets import statistics


def test_the_interval_of_three_subjects_covers_the_mean_as_often_as_it_says():
    """1500 studies of 3 subjects: standard error of the coverage 0.6 %. A bootstrap covers near 75 %."""
    rng = np.random.default_rng(1)
    studies = rng.normal(0.8, 0.05, (1500, 3))
    intervals = [statistics.mean_interval(s) for s in studies]
    covered = np.mean([i.low <= 0.8 <= i.high for i in intervals])
    assert covered == pytest.approx(0.95, abs=0.02)
    naive = np.mean([(b := statistics.bootstrap(s, 0.95, 0))[0] <= 0.8 <= b[1] for s in studies[:150]])
    assert naive < 0.85


def test_the_bootstrap_agrees_with_scipy_and_repeats_itself():
    x = np.random.default_rng(2).beta(8, 2, 40)
    ours = statistics.mean_interval(x)
    theirs = stats.bootstrap(
        (x,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(3)
    )
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert ours.method == "bootstrap"
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.03 * width)  # both are Monte Carlo
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.03 * width)
    assert statistics.mean_interval(x) == ours


def test_one_subject_has_a_mean_and_no_interval_and_missing_scores_are_left_out():
    one = statistics.mean_interval([0.5, math.nan])
    assert (one.mean, one.n, one.method) == (0.5, 1, "none")
    assert math.isnan(one.low)
    assert f"{one:.2f}" == "0.50"
    assert f"{statistics.mean_interval([math.nan]):.2f}" == "-"


@pytest.mark.parametrize("d", [[0.1, 0.3, -0.2, 0.5, 0.4, 0.7, 0.15], [1, 1, 1, -1, 2, 2, -3, 1]])
def test_the_signed_rank_p_is_that_of_every_sign_pattern(d):
    ranks = stats.rankdata(np.abs(d))
    observed = abs(np.sum(np.sign(d) * ranks))
    patterns = [abs(np.dot(signs, ranks)) for signs in itertools.product((-1, 1), repeat=len(d))]
    assert statistics.signed_rank_p(d) == pytest.approx(np.mean(np.array(patterns) >= observed - 1e-9))


def test_without_ties_the_signed_rank_p_is_scipys_and_long_lists_fall_back_to_it():
    d = np.random.default_rng(4).normal(0.2, 1, 12)
    assert statistics.signed_rank_p(d) == pytest.approx(stats.wilcoxon(d, method="exact").pvalue)
    d = np.random.default_rng(5).normal(0.2, 1, 60)
    assert statistics.signed_rank_p(d) == pytest.approx(stats.wilcoxon(d, method="approx").pvalue)
    assert statistics.signed_rank_p(np.zeros(8)) == 1.0


def test_no_test_is_claimed_for_three_subjects_and_the_smallest_p_of_six_is_below_five_percent():
    few = statistics.compare([0.7, 0.8, 0.9], [0.72, 0.83, 0.91])
    assert few.p is None
    assert "n = 3: no test claimed" in few.note
    assert "0.25" in few.note  # 2 / 2^3
    assert few.difference.mean == pytest.approx(0.02)
    six = statistics.compare(np.zeros(6), np.arange(1, 7))
    assert six.p == pytest.approx(2 / 64)


def test_pairs_with_a_missing_partner_are_left_out():
    result = statistics.compare([0.5, math.nan, 0.7], [0.6, 0.9, 0.9])
    assert result.difference.n == 2
    assert result.difference.mean == pytest.approx(0.15)


def test_holm_by_hand():
    """Smallest times 3, next times 2, and never decreasing: (0.01, 0.04, 0.03) -> (0.03, 0.06, 0.06)."""
    assert statistics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    tests = statistics.with_holm(
        [statistics.compare(np.zeros(6), np.arange(1, 7)), statistics.compare([0, 0], [1, 2])] * 2
    )
    assert [t.p_holm for t in tests] == [pytest.approx(4 / 64), None, pytest.approx(4 / 64), None]
