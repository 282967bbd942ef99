"""`reseed.compare`: one table, one metric, one scope, one result."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from reseed.contracts.errors import InvalidTable, UserError
from reseed.statistics import obuchowski_rockette as nested
from reseed.statistics.cautions import cautions
from reseed.statistics.components import false_claims
from reseed.statistics.design import ErrorTerms, error_terms
from reseed.statistics.frames import (
    CLAIM_LEVEL,
    adjusted_p_values,
    detail_frame,
    method_frame,
    pair_frame,
    rank_frame,
    variance_frame,
)
from reseed.statistics.metric import MetricLike, resolved_metric
from reseed.statistics.result import Comparison
from reseed.statistics.sample import Sample, observed_sample
from reseed.statistics.scopes import Pairs, check_runs, chosen_test, outcomes
from reseed.statistics.scores import CandidateScores, CaseScores, Scores
from reseed.statistics.settings import Scope, Settings, checked_settings
from reseed.statistics.table import checked_scores

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reseed.statistics.scores import RunLayout


def compare(  # noqa: PLR0913  (the public contract: everything after the table is by keyword)
    table: pd.DataFrame | Scores,
    *,
    metric: MetricLike,
    scope: str = "population",
    test: str | None = None,
    baseline: str | None = None,
    adjust: str = "holm",
    covariance: str = "jackknife",
    confidence_level: float = 0.95,
    alternative: str = "two-sided",
    margin: float | None = None,
    run_sd: float | Mapping[str, float] | None = None,
    rng: np.random.Generator | None = None,
) -> Comparison:
    """
    Compare training methods on shared cases.

    Parameters
    ----------
    table
        One row per method, run and case: `method, run, case, score[, reference][, patient][, weight]`;
        per-case metrics need no `reference`, lesion candidates have several rows per case. Patients,
        where named, are the units that are deleted, resampled and flipped.
    metric
        "auroc", "ap", "dsc", "mean", …; over lesion candidates "lesion_ap", "case_auroc", "picai_score",
        …; "a+b" for the mean of two; or a function f(reference, score, weights). See `METRIC_NAMES`.
    scope
        "population": both retrained, new patients (runs and cases random); "test_set": both retrained,
        these patients (cases fixed); "trained_models": these trained models, new patients (runs fixed).
    test
        By default welch_obuchowski_rockette, permutation, or delong (AUROC) and bootstrap_percentile.
    baseline
        Compare every other method with this one; by default all pairs, later method minus earlier.
    adjust
        For several pairs: "holm", "max_t", "dunnett" (with a baseline), "none".
    covariance
        Σ over cases: "jackknife", "delong", "unbiased", "bootstrap".
    confidence_level
        Of all intervals; 1 - confidence_level is the level of significance.
    alternative
        "two-sided", "greater" or "less", about method minus baseline.
    margin
        Adds non-inferiority and equivalence within this margin.
    run_sd
        SD over retrainings known from elsewhere, one for all methods or one each; scope
        "trained_models" only, which has no retrainings of its own to learn it from.
    rng
        Source of randomness of bootstraps and sampled relabellings, by default seeded with 0.

    Returns
    -------
    Comparison
        Frozen; the same table and seed give the same result.

    Raises
    ------
    InvalidTable, UserError
        One line that names the thing, the rule, and what arrived.
    """
    settings = checked_settings(
        scope,
        {
            "test": test,
            "baseline": baseline,
            "adjust": adjust,
            "covariance": covariance,
            "confidence_level": confidence_level,
            "alternative": alternative,
            "margin": margin,
            "run_sd": run_sd,
        },
    )
    resolved = resolved_metric(metric)
    scores = table if isinstance(table, (CaseScores, CandidateScores)) else checked_scores(table, resolved)
    rng = np.random.default_rng(0) if rng is None else rng
    _check_methods(scores.layout, settings)
    sample = observed_sample(
        scores, resolved, estimator=covariance, rng=rng, cases_random=settings.scope is not Scope.TEST_SET
    )
    return _comparison(sample, settings, rng)


def _check_methods(layout: RunLayout, settings: Settings) -> None:
    if layout.n_methods < 2:
        raise InvalidTable(f"a comparison needs two or more methods, got {layout.methods[0]!r} only")
    if settings.baseline is not None and settings.baseline not in layout.methods:
        raise UserError(f"baseline must be one of {', '.join(layout.methods)}, got {settings.baseline!r}")
    check_runs(layout, settings.scope)


def _comparison(sample: Sample, settings: Settings, rng: np.random.Generator) -> Comparison:
    layout = sample.layout
    every_pair: Pairs = [(b, a) for a, b in combinations(range(layout.n_methods), 2)]
    pairs = every_pair
    if settings.baseline is not None:
        base = layout.methods.index(settings.baseline)
        pairs = [(i, base) for i in range(layout.n_methods) if i != base]
    in_play = list(
        dict.fromkeys([*pairs, *(p for p in every_pair if p not in pairs and p[::-1] not in pairs)])
    )
    results = outcomes(sample, settings, in_play, rng)
    shown = results[: len(pairs)]
    adjusted = adjusted_p_values(sample, settings, pairs, shown, rng)
    frame = pair_frame(sample, settings, pairs, shown, adjusted)
    return Comparison(
        metric=sample.metric,
        settings=settings,
        test=chosen_test(sample, settings),
        n_cases=layout.n_cases,
        n_patients=layout.n_patients if layout.clustered else None,
        methods=method_frame(sample, settings),
        runs=pd.DataFrame(
            {
                "method": [layout.methods[i] for i in layout.method_of_run],
                "run": layout.runs,
                "score": sample.theta,
            }
        ),
        pairs=frame,
        details=detail_frame(sample, settings, pairs, shown),
        variance=variance_frame(sample),
        ranks=rank_frame(sample, settings, in_play, results, rng),
        false_claims=pd.DataFrame(
            false_claims(sample.moments, layout.methods, level=CLAIM_LEVEL),
            columns=["method", "sd_run", "se_case", "rate"],
        ),
        error_terms=tuple(_terms(sample, a, b) for a, b in pairs),
        warnings=cautions(sample, settings, pairs, shown),
        overall=_overall(sample, settings),
    )


def _terms(sample: Sample, a: int, b: int) -> ErrorTerms | None:
    moments = sample.moments
    if (moments.r[[a, b]] < 2).any() or np.isnan(sample.sigma).any():
        return None
    return error_terms(moments, a, b, sample.layout.n_patients)


def _overall(sample: Sample, settings: Settings) -> dict[str, float] | None:
    if chosen_test(sample, settings) != "obuchowski_rockette":
        return None
    analysis = nested.pooled_analysis(sample.moments)
    return {"f": analysis.f, "df1": analysis.df1, "df2": analysis.df2, "p_value": analysis.p_value}
