"""Confidence intervals and paired tests over subjects.

The unit of every statement is the **subject**: slices of one brain are not independent, so they are pooled
or averaged inside a subject before anything here sees them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

N_BOOTSTRAP = 10_000
MIN_FOR_BOOTSTRAP = (
    10  # a percentile bootstrap of 3 values cannot leave their range: it covers ~75 %, not 95 %
)
MIN_FOR_TEST = 6  # the smallest p of an exact two-sided signed-rank test is 2 / 2^n: above 0.05 for n < 6
EXACT_UP_TO = 20  # subjects; 2^20 sign patterns are still quick


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A mean over subjects and its 95 % confidence interval; `low` and `high` are NaN where n < 2."""

    mean: float
    std: float  # sample standard deviation, NaN where n < 2
    low: float
    high: float
    n: int
    method: str  # "student-t" | "bootstrap" | "none"

    def within(self, least: float, most: float) -> Interval:
        """Cut the bounds to what the score can be at all, which costs no coverage."""
        if math.isnan(self.low):
            return self
        return replace(self, low=max(self.low, least), high=min(self.high, most))

    def __format__(self, spec: str) -> str:
        spec = spec or ".4f"
        if math.isnan(self.mean):
            return "-"
        inside = "" if math.isnan(self.low) else f" [{self.low:{spec}}, {self.high:{spec}}]"
        return f"{self.mean:{spec}}{inside}"


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedTest:
    """Second minus first, per subject: mean difference with its interval, and p where n allows one."""

    difference: Interval
    p: float | None  # exact two-sided Wilcoxon signed-rank; None where no test is claimed
    p_holm: float | None  # adjusted for the number of comparisons made together
    note: str  # the test in words, or why there is none


def mean_interval(values: ArrayLike, *, confidence: float = 0.95, seed: int = 0) -> Interval:
    """Mean over subjects with a confidence interval: Student's t for few, percentile bootstrap for many.

    values : (subject,) one score each; NaN (no score) is left out
    """
    x = np.asarray(values, dtype=np.float64)
    x = x[~np.isnan(x)]
    if x.size < 2:
        mean = float(x[0]) if x.size else math.nan
        return Interval(mean=mean, std=math.nan, low=math.nan, high=math.nan, n=x.size, method="none")
    method = "student-t" if x.size < MIN_FOR_BOOTSTRAP else "bootstrap"
    bounds = student_t(x, confidence) if method == "student-t" else bootstrap(x, confidence, seed)
    mean, std = float(x.mean()), float(x.std(ddof=1))
    return Interval(mean=mean, std=std, low=bounds[0], high=bounds[1], n=x.size, method=method)


def student_t(x: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    """Student's t interval of the mean: exact at every n for normally distributed subjects."""
    from scipy.stats import t

    half = float(t.ppf((1 + confidence) / 2, x.size - 1)) * float(x.std(ddof=1)) / math.sqrt(x.size)
    return float(x.mean()) - half, float(x.mean()) + half


def bootstrap(x: NDArray[np.float64], confidence: float, seed: int) -> tuple[float, float]:
    """Percentile bootstrap of the mean: subjects drawn with replacement, the same draw at every call."""
    rng = np.random.default_rng(seed)
    means = rng.choice(x, size=(N_BOOTSTRAP, x.size)).mean(axis=1)
    low, high = np.percentile(means, [50 * (1 - confidence), 50 * (1 + confidence)])
    return float(low), float(high)


def signed_rank_p(differences: ArrayLike) -> float:
    """Two-sided p of the Wilcoxon signed-rank test, ties and all; zeros are dropped as Wilcoxon did.

    Every sign pattern of the ranks is enumerated up to 20 subjects; beyond, the normal approximation is used.
    """
    from scipy.stats import rankdata, wilcoxon

    d = np.asarray(differences, dtype=np.float64)
    d = d[d != 0]
    if d.size == 0:
        return 1.0
    if d.size > EXACT_UP_TO:
        return float(wilcoxon(d, method="approx").pvalue)
    ranks = rankdata(np.abs(d))
    sums = np.zeros(1)
    for rank in ranks:  # sums of every sign pattern: (2^n,)
        sums = np.concatenate([sums - rank, sums + rank])
    observed = abs(float(np.sum(np.sign(d) * ranks)))
    return float(np.mean(np.abs(sums) >= observed - 1e-9))


def compare(first: ArrayLike, second: ArrayLike) -> PairedTest:
    """Paired difference `second - first` over the subjects that both scored.

    first, second : (subject,) scores in the same order of subjects; NaN where one has none
    """
    d = np.asarray(second, dtype=np.float64) - np.asarray(first, dtype=np.float64)
    d = d[~np.isnan(d)]
    interval = mean_interval(d)
    if d.size < MIN_FOR_TEST:
        floor = f"a signed-rank test could not fall below p = {min(1.0, 2 / 2**d.size):.3g}"
        return PairedTest(
            difference=interval, p=None, p_holm=None, note=f"n = {d.size}: no test claimed, {floor}"
        )
    p = signed_rank_p(d)
    return PairedTest(
        difference=interval, p=p, p_holm=p, note=f"Wilcoxon signed-rank over n = {d.size} subjects"
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment of p values that are read together; order is kept."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)
    steps = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1.0)
    return [float(value) for value in adjusted]


def with_holm(tests: Sequence[PairedTest]) -> list[PairedTest]:
    """Adjust the `p_holm` of tests that are read side by side."""
    adjusted = iter(holm([test.p for test in tests if test.p is not None]))
    return [test if test.p is None else replace(test, p_holm=next(adjusted)) for test in tests]
