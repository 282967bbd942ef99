"""
Obuchowski-Rockette analysis for runs nested in methods: runs random, cases random.

The variance of a difference is MS_A/r_A + MS_B/r_B **plus** the covariance over cases that method and
cases share, Cov2_A + Cov2_B - 2·Cov3. Sources: Obuchowski and Rockette 1995; Hillis 2007 (degrees of
freedom); Hillis 2014, Stat Med 33:330 (nested readers); pairwise Welch form after Satterthwaite 1946.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import fdtrc

if TYPE_CHECKING:
    from reseed.statistics.moderation import ModeratedVariances
    from reseed.statistics.scores import FloatArray, IntArray


@dataclass(frozen=True)
class RunMoments:
    """
    What the analyses need of θ and Σ.

    Per method, shape (t,): number of runs r, mean, MS (variance of run metrics, ddof 1; NaN for one run),
    mean Σ on the diagonal, Cov2 (mean off the diagonal within the method; for one run its variance).
    `cov3` has shape (t, t): mean Σ between two methods, NaN on the diagonal.
    """

    r: IntArray = field(repr=False)
    mean: FloatArray = field(repr=False)
    ms: FloatArray = field(repr=False)
    var_error: FloatArray = field(repr=False)
    cov2: FloatArray = field(repr=False)
    cov3: FloatArray = field(repr=False)

    @property
    def cov_of_means(self) -> FloatArray:
        """Covariance over cases of the methods' means when the runs are fixed, shape (t, t)."""
        own = (self.var_error + (self.r - 1) * self.cov2) / self.r
        matrix = self.cov3.copy()
        np.fill_diagonal(matrix, own)
        return matrix


def run_moments(theta: FloatArray, sigma: FloatArray, method_of_run: IntArray) -> RunMoments:
    """
    Means, mean squares and mean covariances by method.

    Parameters
    ----------
    theta
        Shape (n_runs,): metric of each run.
    sigma
        Shape (n_runs, n_runs): its covariance over cases.
    method_of_run
        Shape (n_runs,): 0..t-1.
    """
    t = int(method_of_run.max()) + 1
    member = (method_of_run[None, :] == np.arange(t)[:, None]).astype(np.float64)  # (t, n_runs)
    r = member.sum(axis=1)
    mean = member @ theta / r
    squares = member @ (theta - mean[method_of_run]) ** 2
    blocks = member @ sigma @ member.T
    trace = member @ np.diag(sigma)
    with np.errstate(invalid="ignore", divide="ignore"):
        ms = np.where(r > 1, squares / (r - 1), np.nan)
        cov2 = np.where(r > 1, (np.diag(blocks) - trace) / (r * (r - 1)), trace)
        cov3 = blocks / np.outer(r, r)
    np.fill_diagonal(cov3, np.nan)
    return RunMoments(r.astype(np.int64), mean, ms, trace / r, cov2, cov3)


@dataclass(frozen=True)
class Estimate:
    """A difference or a mean with its standard error; df is infinite for a normal reference."""

    value: float
    standard_error: float
    df: float


def welch_difference(moments: RunMoments, a: int, b: int, *, truncate: bool = True) -> Estimate:
    """Mean of method a minus mean of method b, each with its own run variance (Welch, Satterthwaite df)."""
    own = moments.ms[[a, b]] / moments.r[[a, b]]
    shared = _shared(moments, a, b)
    variance = float(own.sum()) + (max(shared, 0.0) if truncate else shared)
    spread = float((own**2 / (moments.r[[a, b]] - 1)).sum())
    df = variance * variance / spread if spread > 0 else np.inf
    return Estimate(float(moments.mean[a] - moments.mean[b]), _root(variance), df)


def moderated_difference(moments: RunMoments, a: int, b: int, moderated: ModeratedVariances) -> Estimate:
    """
    As `welch_difference`, with run variances shrunk towards those of all methods.

    The prior variance is shared by both methods and known from all runs only: it enters the degrees of
    freedom once, with `total_df`, beside what is the methods' own.
    """
    own = moderated.variance[[a, b]] / moments.r[[a, b]]
    borrowed = float((moderated.prior_weight[[a, b]] / moments.r[[a, b]]).sum()) * moderated.prior_variance
    variance = float(own.sum()) + max(_shared(moments, a, b), 0.0)
    spread = float((own**2 / moderated.df[[a, b]]).sum()) + borrowed**2 / moderated.total_df
    df = variance * variance / spread if spread > 0 else np.inf
    return Estimate(float(moments.mean[a] - moments.mean[b]), _root(variance), df)


def _shared(moments: RunMoments, a: int, b: int) -> float:
    """Cov2_A + Cov2_B - 2·Cov3: variance over cases that more runs do not remove."""
    return float(moments.cov2[a] + moments.cov2[b] - 2 * moments.cov3[a, b])


@dataclass(frozen=True)
class PooledAnalysis:
    """One error term `den` for all pairs; F with df1 and df2 tests all methods at once."""

    ms_t: float
    ms_r: float
    var_error: float
    cov2: float
    cov3: float
    r: float
    den: float
    f: float
    df1: int
    df2: float
    p_value: float


def pooled_analysis(moments: RunMoments, *, truncate: bool = True) -> PooledAnalysis:
    """
    F test of equal means over all methods: F = MS_T / (MS_R + r·max(Cov2 - Cov3, 0)), Hillis df.

    For unequal run counts r is r̃ = (N - Σr²/N)/(t - 1) and the moments are weighted by their counts.
    """
    r = moments.r.astype(np.float64)
    t, n = len(r), float(r.sum())
    r_tilde = float((n - (r**2).sum() / n) / (t - 1))
    grand = float(r @ moments.mean / n)
    ms_t = float(r @ (moments.mean - grand) ** 2 / (t - 1))
    df_runs = r - 1
    ms_r = float(df_runs @ moments.ms / df_runs.sum())
    var_error = float(r @ moments.var_error / n)
    pairs_within = r * (r - 1)
    cov2 = float(pairs_within @ moments.cov2 / pairs_within.sum())
    upper = np.triu_indices(t, 1)
    pairs_between = np.outer(r, r)[upper]
    cov3 = float(pairs_between @ moments.cov3[upper] / pairs_between.sum())
    shared = cov2 - cov3
    den = ms_r + r_tilde * (max(shared, 0.0) if truncate else shared)
    df2 = den**2 / (ms_r**2 / float(df_runs.sum())) if ms_r > 0 else np.inf
    f = ms_t / den if den > 0 else np.nan
    p_value = float(fdtrc(t - 1, df2, f)) if np.isfinite(df2) and np.isfinite(f) else np.nan
    return PooledAnalysis(ms_t, ms_r, var_error, cov2, cov3, r_tilde, den, f, t - 1, df2, p_value)


def pooled_difference(moments: RunMoments, analysis: PooledAnalysis, a: int, b: int) -> Estimate:
    """Mean of a minus mean of b with the pooled error; SE √(2·den/r) when all run counts are equal."""
    shared = (analysis.den - analysis.ms_r) / analysis.r
    variance = analysis.ms_r * (1 / moments.r[a] + 1 / moments.r[b]) + 2 * shared
    return Estimate(float(moments.mean[a] - moments.mean[b]), _root(variance), float(analysis.df2))


def method_mean(moments: RunMoments, a: int) -> Estimate:
    """Mean of one method: SE² = (MS + r·max(Cov2, 0))/r, df after Hillis 2007."""
    r, ms = float(moments.r[a]), float(moments.ms[a])
    total = ms + r * max(float(moments.cov2[a]), 0.0)
    df = total**2 / (ms**2 / (r - 1)) if ms > 0 else np.inf
    return Estimate(float(moments.mean[a]), _root(total / r), df)


def fixed_runs_difference(moments: RunMoments, a: int, b: int) -> Estimate:
    """Mean of a's runs minus mean of b's with the runs fixed: only cases vary, normal reference."""
    covariance = moments.cov_of_means
    variance = covariance[a, a] + covariance[b, b] - 2 * covariance[a, b]
    return Estimate(float(moments.mean[a] - moments.mean[b]), _root(variance), np.inf)


def fixed_runs_mean(moments: RunMoments, a: int) -> Estimate:
    """Mean of a's runs with the runs fixed: only cases vary, normal reference."""
    return Estimate(float(moments.mean[a]), _root(moments.cov_of_means[a, a]), np.inf)


def fixed_cases_difference(moments: RunMoments, a: int, b: int) -> Estimate:
    """Mean of a minus mean of b with the cases fixed: only runs vary (Welch)."""
    parts = moments.ms[[a, b]] / moments.r[[a, b]]
    spread = float((parts**2 / (moments.r[[a, b]] - 1)).sum())
    df = float(parts.sum()) ** 2 / spread if spread > 0 else np.inf
    return Estimate(float(moments.mean[a] - moments.mean[b]), _root(float(parts.sum())), df)


def fixed_cases_mean(moments: RunMoments, a: int) -> Estimate:
    """Mean of one method with the cases fixed: only runs vary."""
    return Estimate(float(moments.mean[a]), _root(moments.ms[a] / moments.r[a]), float(moments.r[a] - 1))


def _root(variance: float) -> float:
    return float(np.sqrt(max(variance, 0.0)))
