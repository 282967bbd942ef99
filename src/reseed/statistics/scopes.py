"""The three scopes: for each, the outcome of every pair and the interval of every method's mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reseed.contracts.errors import InvalidTable, UserError
from reseed.statistics import obuchowski_rockette as nested
from reseed.statistics.auroc import AurocKernel
from reseed.statistics.covariance import bootstrap_values, case_covariance
from reseed.statistics.moderation import moderated_variances
from reseed.statistics.obuchowski_rockette import Estimate
from reseed.statistics.outcome import Outcome, reference_outcome
from reseed.statistics.paired import (
    BOOTSTRAP_REPLICATES,
    PairedTest,
    bca_test,
    case_differences,
    check_single_case_scores,
    percentile_test,
    sign_flip_p,
)
from reseed.statistics.permutation import permutation_test
from reseed.statistics.scores import CandidateScores
from reseed.statistics.settings import Scope
from reseed.statistics.weighting import bootstrap_weights, stratum_of_patients

if TYPE_CHECKING:
    from reseed.statistics.sample import Sample
    from reseed.statistics.scores import FloatArray, IntArray, RunLayout
    from reseed.statistics.settings import Settings

Pairs = list[tuple[int, int]]


def chosen_test(sample: Sample, settings: Settings) -> str:
    """The named test, or the scope's default for these scores."""
    if settings.test not in (None, "permutation"):
        return str(settings.test)
    match settings.scope:
        case Scope.POPULATION:
            return "welch_obuchowski_rockette"
        case Scope.TEST_SET:
            equal = np.unique(sample.layout.run_counts).size == 1
            return "permutation_mean_difference" if equal else "permutation_studentised"
        case Scope.TRAINED_MODELS:
            by_delong = isinstance(sample.kernel, AurocKernel) and not sample.layout.weighted
            return "delong" if by_delong else "bootstrap_percentile"


def check_runs(layout: RunLayout, scope: Scope) -> None:
    """Refuse a single run where retraining is what the scope is about."""
    if scope is Scope.TRAINED_MODELS:
        return
    for method, count in zip(layout.methods, layout.run_counts, strict=True):
        if count < 2:
            raise InvalidTable(
                f"method {method!r} needs two or more runs for scope {scope.value!r}, got {count}"
            )


def outcomes(sample: Sample, settings: Settings, pairs: Pairs, rng: np.random.Generator) -> list[Outcome]:
    """Outcome of every (method, baseline) pair under the settings' scope and test."""
    match settings.scope:
        case Scope.POPULATION:
            return _population(sample, settings, pairs, rng)
        case Scope.TEST_SET:
            return _test_set(sample, settings, pairs, rng)
        case Scope.TRAINED_MODELS:
            return _trained_models(sample, settings, pairs, rng)


def method_means(sample: Sample, scope: Scope) -> list[Estimate]:
    """Mean of each method with the standard error that belongs to the scope."""
    of_scope = {
        Scope.POPULATION: nested.method_mean,
        Scope.TEST_SET: nested.fixed_cases_mean,
        Scope.TRAINED_MODELS: nested.fixed_runs_mean,
    }[scope]
    return [of_scope(sample.moments, i) for i in range(sample.layout.n_methods)]


def scope_estimates(sample: Sample, settings: Settings, pairs: Pairs) -> list[Estimate]:
    """Difference, standard error and df of every pair by the scope's closed form."""
    moments = sample.moments
    match settings.scope:
        case Scope.TEST_SET:
            return [nested.fixed_cases_difference(moments, a, b) for a, b in pairs]
        case Scope.TRAINED_MODELS:
            return [nested.fixed_runs_difference(moments, a, b) for a, b in pairs]
        case Scope.POPULATION:
            return _population_estimates(sample, chosen_test(sample, settings), pairs)


def covariance_of_means(sample: Sample, scope: Scope) -> FloatArray:
    """Covariance of the methods' means under the scope, shape (t, t)."""
    moments = sample.moments
    between_runs = np.diag(moments.ms / moments.r)
    if scope is Scope.TEST_SET:
        return np.asarray(between_runs)
    if scope is Scope.TRAINED_MODELS:
        return moments.cov_of_means
    of_cases = moments.cov3.copy()
    np.fill_diagonal(of_cases, moments.cov2)
    return np.asarray(between_runs + of_cases)


def _population_estimates(sample: Sample, test: str, pairs: Pairs) -> list[Estimate]:
    moments = sample.moments
    if test == "obuchowski_rockette":
        analysis = nested.pooled_analysis(moments)
        return [nested.pooled_difference(moments, analysis, a, b) for a, b in pairs]
    if test == "moderated_obuchowski_rockette":
        moderated = moderated_variances(moments.ms, (moments.r - 1).astype(np.float64))
        return [nested.moderated_difference(moments, a, b, moderated) for a, b in pairs]
    return [nested.welch_difference(moments, a, b) for a, b in pairs]


def _population(sample: Sample, settings: Settings, pairs: Pairs, rng: np.random.Generator) -> list[Outcome]:
    test = chosen_test(sample, settings)
    alternative, confidence_level = settings.alternative, settings.confidence_level
    if test != "crossed_bootstrap":
        return [
            reference_outcome(estimate, test, alternative=alternative, confidence_level=confidence_level)
            for estimate in _population_estimates(sample, test, pairs)
        ]
    means = crossed_bootstrap_means(sample, BOOTSTRAP_REPLICATES, rng)
    return [
        _bootstrapped(
            means[:, a] - means[:, b], sample.moments.mean[a] - sample.moments.mean[b], test, settings
        )
        for a, b in pairs
    ]


def crossed_bootstrap_means(sample: Sample, n_replicates: int, rng: np.random.Generator) -> FloatArray:
    """
    Method means when patients, and runs within each method, are drawn with replacement.

    Returns
    -------
    FloatArray
        Shape (n_replicates, t); NaN where the metric of a drawn run is undefined.
    """
    layout = sample.layout

    def drawn_means(values: FloatArray) -> FloatArray:
        columns = []
        for i in range(layout.n_methods):
            runs = layout.runs_of(i)
            drawn = runs[rng.integers(0, len(runs), size=(len(values), len(runs)))]
            columns.append(np.take_along_axis(values, drawn, axis=1).mean(axis=1))
        return np.stack(columns, axis=1)

    return bootstrap_values(sample.kernel, n_replicates, rng, reduce=drawn_means)


def _bootstrapped(replicates: FloatArray, observed: float, test: str, settings: Settings) -> Outcome:
    result = percentile_test(
        replicates, alternative=settings.alternative, confidence_level=settings.confidence_level
    )
    return _with_bootstrap_error(replicates, observed, test, result)


def _with_bootstrap_error(replicates: FloatArray, observed: float, test: str, result: PairedTest) -> Outcome:
    error = float(np.nanstd(replicates, ddof=1))
    statistic = observed / error if error > 0 else np.nan
    estimate = Estimate(float(observed), error, np.inf)
    return Outcome(
        estimate, float(statistic), result.p_value, result.low, result.high, test, result.n_undefined
    )


def _test_set(sample: Sample, settings: Settings, pairs: Pairs, rng: np.random.Generator) -> list[Outcome]:
    test = chosen_test(sample, settings)
    results = []
    for a, b in pairs:
        result = permutation_test(
            sample.runs_of(a),
            sample.runs_of(b),
            statistic=test.removeprefix("permutation_"),
            alternative=settings.alternative,
            confidence_level=settings.confidence_level,
            rng=rng,
        )
        estimate = nested.fixed_cases_difference(sample.moments, a, b)
        results.append(
            Outcome(
                estimate,
                result.statistic,
                result.p_value,
                result.low,
                result.high,
                test,
                smallest_p=result.smallest_p,
            )
        )
    return results


def _trained_models(
    sample: Sample, settings: Settings, pairs: Pairs, rng: np.random.Generator
) -> list[Outcome]:
    test = chosen_test(sample, settings)
    if test.startswith("bootstrap"):
        return _paired_bootstrap(sample, settings, pairs, rng)
    alternative, confidence_level = settings.alternative, settings.confidence_level
    moments = sample.moments
    if test == "delong":
        delong = case_covariance(sample.kernel, "delong", rng).matrix
        moments = nested.run_moments(sample.theta, delong, sample.layout.method_of_run)
    results = []
    for a, b in pairs:
        estimate = nested.fixed_runs_difference(moments, a, b)
        if test in ("paired_t", "sign_flip"):
            scores = check_single_case_scores(sample.scores, test)
            estimate = Estimate(estimate.value, estimate.standard_error, float(sample.layout.n_patients - 1))
        outcome = reference_outcome(
            estimate, test, alternative=alternative, confidence_level=confidence_level
        )
        if test == "sign_flip":
            p_value = sign_flip_p(
                case_differences(scores, a, b), sample.layout, alternative=alternative, rng=rng
            )
            outcome = Outcome(estimate, outcome.statistic, p_value, outcome.low, outcome.high, test)
        results.append(outcome)
    return results


def _paired_bootstrap(
    sample: Sample, settings: Settings, pairs: Pairs, rng: np.random.Generator
) -> list[Outcome]:
    test = chosen_test(sample, settings)
    layout, kernel = sample.layout, sample.kernel
    member = (layout.method_of_run[:, None] == np.arange(layout.n_methods)) / layout.run_counts
    stratum = _stratum(sample) if test.endswith("stratified") else None
    means = np.concatenate(
        [
            kernel.weighted(W) @ member
            for W in bootstrap_weights(layout, BOOTSTRAP_REPLICATES, rng, stratum_of_patient=stratum)
        ]
    )
    left_out = kernel.leave_one_out() @ member if test.startswith("bootstrap_bca") else None
    results = []
    for a, b in pairs:
        replicates, observed = (
            means[:, a] - means[:, b],
            float(sample.moments.mean[a] - sample.moments.mean[b]),
        )
        if left_out is None:
            results.append(_bootstrapped(replicates, observed, test, settings))
            continue
        result = bca_test(
            replicates,
            observed,
            left_out[:, a] - left_out[:, b],
            alternative=settings.alternative,
            confidence_level=settings.confidence_level,
        )
        results.append(_with_bootstrap_error(replicates, observed, test, result))
    return results


def _stratum(sample: Sample) -> IntArray:
    scores, layout = sample.scores, sample.layout
    if isinstance(scores, CandidateScores):
        has_lesion = np.zeros(layout.n_cases, dtype=np.int64)
        np.maximum.at(has_lesion, scores.row_case[0], scores.row_reference[0])
        return stratum_of_patients(layout, has_lesion)
    if scores.reference is None:
        raise UserError("stratified resampling needs classes, these per-case values have none")
    return stratum_of_patients(layout, scores.reference)
