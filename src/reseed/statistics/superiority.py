"""P(A > B): the chance that one retraining of A scores better than one retraining of B on these cases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri, stdtrit

if TYPE_CHECKING:
    from reseed.statistics.scores import FloatArray


@dataclass(frozen=True)
class Superiority:
    """U / (r_A · r_B), ties counted one half, with an interval."""

    value: float
    low: float
    high: float


def probability_of_superiority(
    a: FloatArray, b: FloatArray, *, confidence_level: float = 0.95
) -> Superiority:
    """
    Chance that a run of `a` exceeds a run of `b`, with a logit interval from the placements.

    Source: Brunner and Munzel 2000 (variance and degrees of freedom of the placements). When the runs
    do not overlap the placements have no spread; the interval then is that of n = min(r) successes in
    n tries (exact binomial), so it never closes at 1.

    Parameters
    ----------
    a, b
        Shapes (r_A,) and (r_B,): run-level metrics. NaN limits if either has one run only.
    confidence_level
        Of the interval.
    """
    won = (a[:, None] > b) + 0.5 * (a[:, None] == b)
    value = float(won.mean())
    if len(a) < 2 or len(b) < 2:
        return Superiority(value, np.nan, np.nan)
    alpha = 1 - confidence_level
    parts = np.array([won.mean(axis=1).var(ddof=1) / len(a), won.mean(axis=0).var(ddof=1) / len(b)])
    variance = float(parts.sum())
    n = min(len(a), len(b))
    if value in (0.0, 1.0) or variance <= 0:
        limit = (alpha / 2) ** (1 / n)
        low, high = (limit, 1.0) if value == 1 else (0.0, 1 - limit) if value == 0 else (0.0, 1.0)
        return Superiority(value, low, high)
    df = variance**2 / float((parts**2 / (np.array([len(a), len(b)]) - 1)).sum())
    quantile = float(stdtrit(df, 1 - alpha / 2)) if np.isfinite(df) else float(ndtri(1 - alpha / 2))
    logit = np.log(value / (1 - value))
    half = quantile * np.sqrt(variance) / (value * (1 - value))
    return Superiority(value, float(_expit(logit - half)), float(_expit(logit + half)))


def _expit(x: float) -> float:
    return float(1 / (1 + np.exp(-np.clip(x, -700, 700))))
