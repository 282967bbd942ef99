"""
Moderated run variances: each method's MS shrunk towards those of all methods of a leaderboard.

Source: Smyth 2004 (Stat Appl Genet Mol Biol 3:3), empirical Bayes with a scaled inverse chi-squared prior.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import fdtrc, polygamma, psi

from reseed.contracts.errors import UserError

if TYPE_CHECKING:
    from reseed.statistics.scores import BoolArray, FloatArray

FEWEST_METHODS = 4
_FLOOR = 1e-5  # of the median: a variance of 0 has no logarithm; it tells of the prior no more than this
_STANDS_OUT = 0.1  # level of the F test of a method's variance against the prior


@dataclass(frozen=True)
class ModeratedVariances:
    """
    Shrunken run variances, shape (t,), and the prior they were shrunk to.

    `df` are the degrees of freedom of each given the prior (infinite when the methods' variances differ
    no more than chance), `prior_weight` the prior's share in each, `total_df` what all runs hold together,
    which is what the prior variance itself was estimated from. A method that `stands_out` above the
    prior keeps its own variance.
    """

    variance: FloatArray = field(repr=False)
    df: FloatArray = field(repr=False)
    prior_weight: FloatArray = field(repr=False)
    stands_out: BoolArray = field(repr=False)
    prior_variance: float
    prior_df: float
    total_df: float


def moderated_variances(ms: FloatArray, df: FloatArray) -> ModeratedVariances:
    """
    Posterior run variances (d0·s0² + d·MS) / (d0 + d), with d0 + d degrees of freedom.

    Parameters
    ----------
    ms
        Shape (t,): variance over runs of each method.
    df
        Shape (t,): its degrees of freedom, r - 1.

    Raises
    ------
    UserError
        With fewer than four methods, or when most have runs that are all equal.
    """
    if len(ms) < FEWEST_METHODS:
        raise UserError(f"moderated run variances need {FEWEST_METHODS} or more methods, got {len(ms)}")
    if not float(np.median(ms)) > 0:
        raise UserError("moderated run variances need runs that differ, in most methods they are all equal")
    total = float(df.sum())
    prior, prior_df = _prior(np.maximum(ms, _FLOOR * float(np.median(ms))), df)
    apart = fdtrc(df, np.minimum(prior_df, total - df), ms / prior) < _STANDS_OUT
    weight = np.where(apart, 0.0, 1.0 if np.isinf(prior_df) else prior_df / (prior_df + df))
    return ModeratedVariances(
        variance=weight * prior + (1 - weight) * ms,
        df=np.where(apart, df, prior_df + df),
        prior_weight=weight,
        stands_out=apart,
        prior_variance=prior,
        prior_df=prior_df,
        total_df=total,
    )


def _prior(ms: FloatArray, df: FloatArray) -> tuple[float, float]:
    """Variance and degrees of freedom of the prior, from mean and variance of the log variances."""
    half = df / 2
    log_excess = np.log(ms) - psi(half) + np.log(half)
    excess = float(log_excess.var(ddof=1) - polygamma(1, half).mean())
    if excess <= 0:
        return float(df @ ms / df.sum()), np.inf
    prior_df = 2 * _inverse_trigamma(excess)
    return float(np.exp(log_excess.mean() + psi(prior_df / 2) - np.log(prior_df / 2))), prior_df


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
