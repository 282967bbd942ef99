"""One pair's result under one scope, and the tests that a normal or t reference gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reseed.statistics.equivalence import t_quantile, tail_p
from reseed.statistics.obuchowski_rockette import Estimate
from reseed.statistics.permutation import p_of_tails


@dataclass(frozen=True)
class Outcome:
    """
    Method minus baseline under one test.

    `n_undefined` counts resamples on which the metric was undefined; `smallest_p` is the smallest p
    value within reach (0 where there is no such bound).
    """

    estimate: Estimate
    statistic: float
    p_value: float
    low: float
    high: float
    test: str
    n_undefined: int = 0
    smallest_p: float = 0.0


def interval(estimate: Estimate, *, alternative: str, confidence_level: float) -> tuple[float, float]:
    """Confidence interval of an estimate; one-sided for a one-sided alternative."""
    alpha = 1 - confidence_level
    quantile = t_quantile(1 - (alpha / 2 if alternative == "two-sided" else alpha), estimate.df)
    half = quantile * estimate.standard_error
    low = -np.inf if alternative == "less" else estimate.value - half
    high = np.inf if alternative == "greater" else estimate.value + half
    return float(low), float(high)


def method_interval(
    estimate: Estimate, bounds: tuple[float, float], *, confidence_level: float
) -> tuple[float, float]:
    """Two-sided interval of one method's mean, cut at the values that its metric can have."""
    low, high = interval(estimate, alternative="two-sided", confidence_level=confidence_level)
    return max(low, bounds[0]), min(high, bounds[1])


def reference_outcome(estimate: Estimate, test: str, *, alternative: str, confidence_level: float) -> Outcome:
    """Outcome of an estimate against its own t or normal distribution."""
    p_value = p_of_tails(tail_p(estimate.value, estimate), tail_p(-estimate.value, estimate), alternative)
    low, high = interval(estimate, alternative=alternative, confidence_level=confidence_level)
    statistic = estimate.value / estimate.standard_error if estimate.standard_error > 0 else np.nan
    return Outcome(estimate, float(statistic), p_value, low, high, test)
