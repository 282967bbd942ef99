"""What is calibrated: each procedure gives a p value for method A against B, and its interval if any."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from reseed.statistics import obuchowski_rockette as nested
from reseed.statistics.covariance import bootstrap_values
from reseed.statistics.moderation import moderated_variances
from reseed.statistics.multiplicity import difference_root, holm, joint_t_adjusted, permutation_max_t
from reseed.statistics.obuchowski_rockette import Estimate
from reseed.statistics.outcome import reference_outcome
from reseed.statistics.paired import percentile_test
from reseed.statistics.permutation import permutation_p
from reseed.statistics.scopes import covariance_of_means, crossed_bootstrap_means
from reseed.statistics.settings import Scope

if TYPE_CHECKING:
    from reseed.statistics.sample import Sample


@dataclass(frozen=True)
class Verdict:
    """One procedure's answer to one simulated study; the limits are NaN where it has no interval."""

    p_value: float
    low: float = np.nan
    high: float = np.nan


Procedure: TypeAlias = Callable[["Sample", np.random.Generator], Verdict]
_BOOTSTRAP_REPLICATES = 1000


def _from_estimate(estimate: Estimate) -> Verdict:
    outcome = reference_outcome(estimate, "", alternative="two-sided", confidence_level=0.95)
    return Verdict(outcome.p_value, outcome.low, outcome.high)


def welch(sample: Sample, _: np.random.Generator) -> Verdict:
    """Population scope, the default."""
    return _from_estimate(nested.welch_difference(sample.moments, 0, 1))


def pooled(sample: Sample, _: np.random.Generator) -> Verdict:
    """Population scope, pooled run variance."""
    analysis = nested.pooled_analysis(sample.moments)
    return _from_estimate(nested.pooled_difference(sample.moments, analysis, 0, 1))


def moderated(sample: Sample, _: np.random.Generator) -> Verdict:
    """Population scope, run variances shrunk towards those of all methods."""
    shrunk = moderated_variances(sample.moments.ms, (sample.moments.r - 1).astype(np.float64))
    return _from_estimate(nested.moderated_difference(sample.moments, 0, 1, shrunk))


def crossed_bootstrap(sample: Sample, rng: np.random.Generator) -> Verdict:
    """Population scope, runs and patients drawn with replacement, percentile interval."""
    means = crossed_bootstrap_means(sample, _BOOTSTRAP_REPLICATES, rng)
    result = percentile_test(means[:, 0] - means[:, 1], alternative="two-sided", confidence_level=0.95)
    return Verdict(result.p_value, result.low, result.high)


def permutation(sample: Sample, _: np.random.Generator) -> Verdict:
    """Test-set scope with its default statistic."""
    equal = sample.moments.r[0] == sample.moments.r[1]
    statistic = "mean_difference" if equal else "studentised"
    return Verdict(permutation_p(sample.runs_of(0), sample.runs_of(1), statistic=statistic))


def mann_whitney_one_sided(sample: Sample, _: np.random.Generator) -> Verdict:
    """Test-set scope as in the seed paper: exact one-sided Mann-Whitney."""
    return Verdict(
        permutation_p(sample.runs_of(0), sample.runs_of(1), statistic="mann_whitney", alternative="greater")
    )


def averaged_runs(sample: Sample, _: np.random.Generator) -> Verdict:
    """Trained-models scope: the metric averaged over runs, paired over cases."""
    return _from_estimate(nested.fixed_runs_difference(sample.moments, 0, 1))


def single_runs(sample: Sample, _: np.random.Generator) -> Verdict:
    """The convention: one run of each, paired test over cases, two-sided."""
    a, b = int(sample.layout.runs_of(0)[0]), int(sample.layout.runs_of(1)[0])
    sigma = sample.sigma
    variance = max(float(sigma[a, a] + sigma[b, b] - 2 * sigma[a, b]), 0.0)
    return _from_estimate(
        Estimate(float(sample.theta[a] - sample.theta[b]), float(np.sqrt(variance)), np.inf)
    )


def single_runs_bootstrap(sample: Sample, rng: np.random.Generator) -> Verdict:
    """The convention of the seed paper: one run of each, paired bootstrap over cases, one-sided."""
    a, b = int(sample.layout.runs_of(0)[0]), int(sample.layout.runs_of(1)[0])
    replicates = bootstrap_values(
        sample.kernel, _BOOTSTRAP_REPLICATES, rng, reduce=lambda values: values[:, a] - values[:, b]
    )
    result = percentile_test(replicates, alternative="greater", confidence_level=0.95)
    return Verdict(result.p_value)


def run_bootstrap(sample: Sample, rng: np.random.Generator) -> Verdict:
    """Bootstrap of runs alone, percentile; what a plain bootstrap of seeds would do."""
    means = []
    for i in (0, 1):
        runs = sample.runs_of(i)
        means.append(runs[rng.integers(0, len(runs), size=(_BOOTSTRAP_REPLICATES, len(runs)))].mean(axis=1))
    result = percentile_test(means[0] - means[1], alternative="two-sided", confidence_level=0.95)
    return Verdict(result.p_value, result.low, result.high)


def _every_pair(sample: Sample) -> list[tuple[int, int]]:
    return list(combinations(range(sample.layout.n_methods), 2))


def _family_estimates(sample: Sample) -> tuple[list[tuple[int, int]], list[Estimate], np.ndarray]:
    pairs = _every_pair(sample)
    estimates = [nested.welch_difference(sample.moments, a, b) for a, b in pairs]
    raw = np.array([_from_estimate(estimate).p_value for estimate in estimates])
    return pairs, estimates, raw


def smallest_unadjusted(sample: Sample, _: np.random.Generator) -> Verdict:
    """Family of all pairs, population scope: the smallest p value, not adjusted."""
    return Verdict(float(_family_estimates(sample)[2].min()))


def smallest_holm(sample: Sample, _: np.random.Generator) -> Verdict:
    """Family of all pairs, population scope: the smallest p value after Holm."""
    return Verdict(float(holm(_family_estimates(sample)[2]).min()))


def smallest_max_t(sample: Sample, rng: np.random.Generator) -> Verdict:
    """Family of all pairs, population scope: the smallest p value after max-T."""
    pairs, estimates, raw = _family_estimates(sample)
    root = difference_root(covariance_of_means(sample, Scope.POPULATION), pairs)
    df = min(estimate.df for estimate in estimates)
    adjusted = joint_t_adjusted(raw, root, df, alternative="two-sided", rng=rng, n_draws=10_000)
    return Verdict(float(adjusted.min()))


def smallest_permuted_max_t(sample: Sample, rng: np.random.Generator) -> Verdict:
    """Family of all pairs, test-set scope: the smallest p value after closed max-T."""
    adjusted = permutation_max_t(
        sample.theta,
        sample.layout.method_of_run,
        _every_pair(sample),
        alternative="two-sided",
        rng=rng,
        n_relabellings=999,
    )
    return Verdict(float(adjusted.min()))


PROCEDURES: dict[str, tuple[Procedure, str]] = {
    "single_runs": (single_runs, "one run of each, paired over cases (the convention)"),
    "single_runs_bootstrap": (single_runs_bootstrap, "one run of each, paired bootstrap, one-sided"),
    "averaged_runs": (averaged_runs, "trained_models: runs averaged, paired over cases"),
    "permutation": (permutation, "test_set: permutation of runs"),
    "mann_whitney_one_sided": (mann_whitney_one_sided, "test_set: Mann-Whitney permutation, one-sided"),
    "welch": (welch, "population: Welch Obuchowski-Rockette (default)"),
    "pooled": (pooled, "population: pooled Obuchowski-Rockette"),
    "moderated": (moderated, "population: moderated run variances"),
    "crossed_bootstrap": (crossed_bootstrap, "population: crossed bootstrap, percentile"),
    "run_bootstrap": (run_bootstrap, "bootstrap of runs alone"),
    "smallest_unadjusted": (smallest_unadjusted, "any pair, population, not adjusted"),
    "smallest_holm": (smallest_holm, "any pair, population, Holm"),
    "smallest_max_t": (smallest_max_t, "any pair, population, max-T"),
    "smallest_permuted_max_t": (smallest_permuted_max_t, "any pair, test_set, closed max-T"),
}
