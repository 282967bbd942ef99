"""
Moderated run variances: each method's MS shrunk towards those of all methods of a leaderboard.

Source: Smyth 2004 (Stat Appl Genet Mol Biol 3:3), empirical Bayes with a scaled inverse chi-squared prior.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import polygamma, psi

from reseed.contracts.errors import UserError

if TYPE_CHECKING:
    from reseed.statistics.scores import FloatArray

FEWEST_METHODS = 3
_FLOOR = 1e-5  # of the median: a variance of 0 has no logarithm; it tells of the prior no more than this


@dataclass(frozen=True)
class ModeratedVariances:
    """Shrunken run variances with their degrees of freedom, shape (t,), and the prior they were shrunk to."""

    variance: FloatArray = field(repr=False)
    df: FloatArray = field(repr=False)
    prior_variance: float
    prior_df: float


def moderated_variances(ms: FloatArray, df: FloatArray) -> ModeratedVariances:
    """
    Posterior run variances (d0·s0² + d·MS) / (d0 + d), with d0 + d degrees of freedom.

    d0 is capped at the degrees of freedom that all methods have together: a prior learnt from them
    cannot carry more than they hold.

    Parameters
    ----------
    ms
        Shape (t,): variance over runs of each method.
    df
        Shape (t,): its degrees of freedom, r - 1.

    Raises
    ------
    UserError
        With fewer than three methods, or when most have runs that are all equal.
    """
    if len(ms) < FEWEST_METHODS:
        raise UserError(f"moderated run variances need {FEWEST_METHODS} or more methods, got {len(ms)}")
    centre = float(np.median(ms))
    if not centre > 0:
        raise UserError("moderated run variances need runs that differ, in most methods they are all equal")
    observed, ms = ms, np.maximum(ms, _FLOOR * centre)
    half = df / 2
    log_excess = np.log(ms) - psi(half) + np.log(half)
    mean = float(log_excess.mean())
    excess = float(log_excess.var(ddof=1) - polygamma(1, half).mean())
    most = float(df.sum())
    prior_df = min(2 * _inverse_trigamma(excess), most) if excess > 0 else most
    pooled = float(df @ ms / df.sum())
    prior = float(np.exp(mean + psi(prior_df / 2) - np.log(prior_df / 2))) if prior_df < most else pooled
    total = prior_df + df
    return ModeratedVariances((prior_df * prior + df * observed) / total, total, prior, prior_df)


def _inverse_trigamma(value: float) -> float:
    """Solution x of trigamma(x) = value, by Newton's method on 1/trigamma."""
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, x))
        x += step
        if abs(step) < 1e-10 * x:
            break
    return x
