"""
Where the variance comes from: runs, cases, and their interactions, and what that does to single-run tests.

σ²_run = MS_R - Var_e + Cov2, σ²_case = Cov3, σ²_method×case = Cov2 - Cov3, σ²_run×case = Var_e - Cov2:
variances of a metric of one run on a test set of this size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri

from reseed.contracts.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reseed.statistics.obuchowski_rockette import RunMoments
    from reseed.statistics.scores import BoolArray, FloatArray, IntArray

RUN, CASE, METHOD_CASE, RUN_CASE = "run", "case", "method × case", "run × case"


@dataclass(frozen=True)
class Component:
    """A variance component; a negative estimate stands for "at most 0" and has share 0."""

    name: str
    estimate: float
    share: float

    @property
    def negative(self) -> bool:
        return self.estimate < 0


def variance_shares(estimates: dict[str, float]) -> tuple[Component, ...]:
    """Components with their shares of the total; NaN components are left out of the total."""
    total = sum(max(value, 0.0) for value in estimates.values() if not np.isnan(value))
    return tuple(
        Component(
            name, value, float("nan") if np.isnan(value) else max(value, 0.0) / total if total > 0 else 0.0
        )
        for name, value in estimates.items()
    )


def variance_estimates(moments: RunMoments) -> dict[str, float]:
    """Pooled components over all methods, weighted by their df; NaN where the runs do not tell."""
    r = moments.r.astype(np.float64)
    t = len(r)
    var_error = float(r @ moments.var_error / r.sum())
    upper = np.triu_indices(t, 1)
    cov3 = (
        float(np.outer(r, r)[upper] @ moments.cov3[upper] / np.outer(r, r)[upper].sum()) if t > 1 else np.nan
    )
    several = r > 1
    if not several.any():
        return {RUN: np.nan, CASE: cov3 if t > 1 else var_error, METHOD_CASE: np.nan, RUN_CASE: np.nan}
    df, pairs = r[several] - 1, (r * (r - 1))[several]
    ms = float(df @ moments.ms[several] / df.sum())
    cov2 = float(pairs @ moments.cov2[several] / pairs.sum())
    if t == 1:
        return {RUN: ms - var_error + cov2, CASE: cov2, RUN_CASE: var_error - cov2}
    return {RUN: ms - var_error + cov2, CASE: cov3, METHOD_CASE: cov2 - cov3, RUN_CASE: var_error - cov2}


@dataclass(frozen=True)
class FalseClaims:
    """
    How often a paired test over cases between two single retrainings of one method claims a difference.

    rate = 2·Φ(-z·SE_case / (√2·sd_run)); `sd_run` is the SD of runs on this test set, `se_case` the paired
    standard error between two of them.
    """

    method: str
    sd_run: float
    se_case: float
    rate: float


def false_claims(
    moments: RunMoments, methods: Sequence[str], *, level: float = 0.05
) -> tuple[FalseClaims, ...]:
    """The rate for each method with two or more runs; none where the variance over cases is unknown."""
    z = -float(ndtri(level / 2))
    rows = []
    for i, method in enumerate(methods):
        if moments.r[i] < 2 or np.isnan(moments.cov2[i]):
            continue
        sd_run = float(np.sqrt(moments.ms[i]))
        se_case = float(np.sqrt(max(2 * (moments.var_error[i] - moments.cov2[i]), 0.0)))
        rate = 2 * float(ndtr(-z * se_case / (np.sqrt(2) * sd_run))) if sd_run > 0 else 0.0
        rows.append(FalseClaims(method, sd_run, se_case, rate))
    return tuple(rows)


@dataclass(frozen=True)
class SingleRunClaims:
    """Counts of significant paired tests over cases between single runs of two methods, and of one."""

    level: float
    pairs_between: int
    claims_between: int
    pairs_within: int
    claims_within: int


def claimed_differences(theta: FloatArray, sigma: FloatArray, *, level: float = 0.05) -> BoolArray:
    """
    Which pairs of single runs a two-sided paired test over cases calls different.

    Parameters
    ----------
    theta, sigma
        Shapes (n_runs,) and (n_runs, n_runs): metrics and their covariance over cases.
    level
        Of the test.

    Returns
    -------
    BoolArray
        Shape (n_runs, n_runs). Runs of equal predictions are not different.
    """
    variance = np.diag(sigma)[:, None] + np.diag(sigma) - 2 * sigma
    tiny = 1e-12 * float(np.diag(sigma).max(initial=0.0))
    difference = np.abs(theta[:, None] - theta)
    return np.asarray(
        (variance > tiny) & (difference > -float(ndtri(level / 2)) * np.sqrt(np.maximum(variance, 0.0)))
    )


def single_run_claims(
    claimed: BoolArray, runs_a: IntArray, runs_b: IntArray, *, level: float = 0.05
) -> SingleRunClaims:
    """
    What papers with one run of each would have claimed, over all choices of that run.

    Parameters
    ----------
    claimed
        Shape (n_runs, n_runs): as `claimed_differences` says.
    runs_a, runs_b
        Columns of the two methods' runs.
    level
        At which they were claimed.
    """
    within = [runs for runs in (runs_a, runs_b) if len(runs) > 1]
    return SingleRunClaims(
        level=level,
        pairs_between=len(runs_a) * len(runs_b),
        claims_between=int(claimed[np.ix_(runs_a, runs_b)].sum()),
        pairs_within=sum(len(runs) * (len(runs) - 1) // 2 for runs in within),
        claims_within=sum(int(np.triu(claimed[np.ix_(runs, runs)], 1).sum()) for runs in within),
    )


@dataclass(frozen=True)
class StreamComponents:
    """Run variance split by seed stream; `rest` is what differs between runs whose seeds all agree."""

    components: tuple[Component, ...] = field(default=())


def stream_components(
    theta: FloatArray, sigma: FloatArray, method_of_run: IntArray, levels: dict[str, IntArray]
) -> StreamComponents:
    """
    Variance of each seed stream, from pairs of runs of one method that differ in some streams.

    The expectation of (θ_j - θ_k)²/2, less half the variance over cases of that difference, is the sum of
    the components of the streams in which j and k differ. Least squares over all pairs solves for them
    (method of moments for additive random effects).

    Parameters
    ----------
    theta, sigma, method_of_run
        Metric, covariance over cases and method of every run.
    levels
        For each stream the seed of every run, shape (n_runs,).

    Raises
    ------
    UserError
        If the runs cannot tell the streams apart.
    """
    first, second = np.triu_indices(len(theta), 1)
    same = method_of_run[first] == method_of_run[second]
    first, second = first[same], second[same]
    names = list(levels)
    differs = np.array([levels[name][first] != levels[name][second] for name in names], dtype=np.float64).T
    if len(first) == 0 or not differs.any(axis=0).all():
        idle = [name for i, name in enumerate(names) if len(first) == 0 or not differs[:, i].any()]
        raise UserError(f"seed stream {idle[0]!r} must differ between runs of a method, it never does")
    repeated = ~differs.any(axis=1)
    design = np.column_stack([differs, np.ones(len(first))]) if repeated.any() else differs
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise UserError(
            f"the runs cannot tell the seed streams {', '.join(names)} apart: "
            "some pairs of runs must share one stream's seed while another differs"
        )
    of_cases = sigma[first, first] + sigma[second, second] - 2 * sigma[first, second]
    response = ((theta[first] - theta[second]) ** 2 - of_cases) / 2
    solution, *_ = np.linalg.lstsq(design, response, rcond=None)
    labels = [*names, "rest"] if repeated.any() else names
    return StreamComponents(variance_shares(dict(zip(labels, solution.tolist(), strict=True))))
