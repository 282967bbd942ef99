"""`reseed.compare`: one table, one metric, one scope, one result."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from reseed.contracts.errors import InvalidTable, UserError
from reseed.statistics import obuchowski_rockette as nested
from reseed.statistics.cautions import cautions
from reseed.statistics.components import (
    false_claims,
    single_run_claims,
    variance_estimates,
    variance_shares,
)
from reseed.statistics.design import ErrorTerms, error_terms
from reseed.statistics.equivalence import margin_test
from reseed.statistics.metric import MetricLike, resolved_metric
from reseed.statistics.multiplicity import difference_correlation, holm, joint_t_adjusted, permutation_max_t
from reseed.statistics.obuchowski_rockette import Estimate
from reseed.statistics.outcome import Outcome, interval, reference_outcome
from reseed.statistics.ranking import ranks
from reseed.statistics.result import PAIR_COLUMNS, Comparison
from reseed.statistics.sample import Sample, observed_sample
from reseed.statistics.scopes import (
    Pairs,
    check_runs,
    chosen_test,
    covariance_of_means,
    method_means,
    outcomes,
    scope_estimates,
)
from reseed.statistics.scores import CandidateScores, CaseScores, Scores
from reseed.statistics.settings import Scope, Settings, checked_settings
from reseed.statistics.superiority import probability_of_superiority
from reseed.statistics.table import checked_scores

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reseed.statistics.scores import FloatArray, RunLayout

CLAIM_LEVEL = 0.05  # what papers use for a single-run paired test


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
    adjusted = _adjusted(sample, settings, pairs, shown, rng)
    frame = _pair_frame(sample, settings, pairs, shown, adjusted)
    return Comparison(
        metric=sample.metric,
        settings=settings,
        test=chosen_test(sample, settings),
        n_cases=layout.n_cases,
        n_patients=layout.n_patients if layout.clustered else None,
        methods=_method_frame(sample, settings),
        runs=pd.DataFrame(
            {
                "method": [layout.methods[i] for i in layout.method_of_run],
                "run": layout.runs,
                "score": sample.theta,
            }
        ),
        pairs=frame,
        details=_detail_frame(sample, settings, pairs, shown),
        variance=_variance_frame(sample),
        ranks=_rank_frame(sample, settings, in_play, results, rng),
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


def _adjusted(
    sample: Sample, settings: Settings, pairs: Pairs, results: list[Outcome], rng: np.random.Generator
) -> FloatArray:
    raw = np.array([outcome.p_value for outcome in results])
    if settings.adjust == "none" or len(pairs) == 1:
        return raw
    if settings.adjust == "holm":
        return holm(raw)
    if settings.scope is Scope.TEST_SET:
        adjusted = permutation_max_t(
            sample.theta, sample.layout.method_of_run, pairs, alternative=settings.alternative, rng=rng
        )
        return np.asarray(np.maximum(adjusted, raw))
    correlation = difference_correlation(covariance_of_means(sample, settings.scope), pairs)
    df = min(outcome.estimate.df for outcome in results)
    return joint_t_adjusted(raw, correlation, df, alternative=settings.alternative, rng=rng)


def _pair_frame(
    sample: Sample, settings: Settings, pairs: Pairs, results: list[Outcome], adjusted: FloatArray
) -> pd.DataFrame:
    layout = sample.layout
    rows = []
    for (a, b), outcome, p_adjusted in zip(pairs, results, adjusted, strict=True):
        rows.append(
            (
                layout.methods[a],
                layout.methods[b],
                outcome.estimate.value,
                outcome.estimate.standard_error,
                outcome.estimate.df,
                outcome.statistic,
                outcome.p_value,
                float(p_adjusted),
                outcome.low,
                outcome.high,
                outcome.test,
                settings.scope.value,
                int(layout.run_counts[a]),
                int(layout.run_counts[b]),
                layout.n_cases,
                _superiority(sample, settings, a, b)[0],
            )
        )
    return pd.DataFrame(rows, columns=list(PAIR_COLUMNS))


def _superiority(sample: Sample, settings: Settings, a: int, b: int) -> tuple[float, float, float]:
    sign = 1.0 if sample.metric.higher_is_better else -1.0
    chance = probability_of_superiority(
        sign * sample.runs_of(a), sign * sample.runs_of(b), confidence_level=settings.confidence_level
    )
    return chance.value, chance.low, chance.high


def _detail_frame(sample: Sample, settings: Settings, pairs: Pairs, results: list[Outcome]) -> pd.DataFrame:
    """One row a pair; columns that do not apply are left out."""
    layout = sample.layout
    estimates = scope_estimates(sample, settings, pairs)
    rows = []
    for (a, b), outcome, estimate in zip(pairs, results, estimates, strict=True):
        _, low, high = _superiority(sample, settings, a, b)
        claims = single_run_claims(
            sample.theta, sample.sigma, layout.runs_of(a), layout.runs_of(b), level=CLAIM_LEVEL
        )
        row = {
            "method": layout.methods[a],
            "baseline": layout.methods[b],
            "superiority_low": low,
            "superiority_high": high,
            "smallest_p": outcome.smallest_p,
            "n_undefined": outcome.n_undefined,
            **{f"single_{name}": value for name, value in vars(claims).items()},
        }
        if settings.margin is not None:
            result = margin_test(
                estimate,
                settings.margin,
                higher_is_better=sample.metric.higher_is_better,
                confidence_level=settings.confidence_level,
            )
            row |= {f"margin_{name}": value for name, value in vars(result).items()}
        if settings.run_sd is not None:
            row |= _with_run_sd(sample, settings, (a, b), outcome)
        rows.append(row)
    return pd.DataFrame(rows)


def _with_run_sd(
    sample: Sample, settings: Settings, pair: tuple[int, int], outcome: Outcome
) -> dict[str, float]:
    """SE² = SE_case² + σ_A²/r_A + σ_B²/r_B, normal reference."""
    layout = sample.layout
    sd = [settings.run_sd_of(layout.methods[i]) for i in pair]
    added = sum(s * s / int(layout.run_counts[i]) for s, i in zip(sd, pair, strict=True))
    wider = Estimate(
        outcome.estimate.value, float(np.sqrt(outcome.estimate.standard_error**2 + added)), np.inf
    )
    result = reference_outcome(
        wider, "with_run_sd", alternative=settings.alternative, confidence_level=settings.confidence_level
    )
    return {
        "with_run_sd_run_sd_method": sd[0],
        "with_run_sd_run_sd_baseline": sd[1],
        "with_run_sd_standard_error": wider.standard_error,
        "with_run_sd_p_value": result.p_value,
        "with_run_sd_low": result.low,
        "with_run_sd_high": result.high,
    }


def _method_frame(sample: Sample, settings: Settings) -> pd.DataFrame:
    layout = sample.layout
    rows = []
    for i, estimate in enumerate(method_means(sample, settings.scope)):
        runs = sample.runs_of(i)
        low, high = interval(estimate, alternative="two-sided", confidence_level=settings.confidence_level)
        rows.append(
            {
                "method": layout.methods[i],
                "n_runs": len(runs),
                "mean": estimate.value,
                "sd": float(runs.std(ddof=1)) if len(runs) > 1 else np.nan,
                "lowest": float(runs.min()),
                "highest": float(runs.max()),
                "standard_error": estimate.standard_error,
                "df": estimate.df,
                "low": low,
                "high": high,
            }
        )
    return pd.DataFrame(rows)


def _variance_frame(sample: Sample) -> pd.DataFrame:
    shares = variance_shares(variance_estimates(sample.moments))
    return pd.DataFrame(
        [(c.name, c.estimate, c.share, c.negative) for c in shares],
        columns=["component", "estimate", "share", "negative"],
    )


def _rank_frame(
    sample: Sample, settings: Settings, pairs: Pairs, results: list[Outcome], rng: np.random.Generator
) -> pd.DataFrame:
    """Ranks from all pairs; Dunnett has none between two non-baselines, so Holm serves there."""
    layout, t = sample.layout, sample.layout.n_methods
    for_ranks = settings if settings.adjust != "dunnett" else Settings(**{**vars(settings), "adjust": "holm"})
    adjusted = _adjusted(sample, for_ranks, pairs, results, rng)
    better = np.zeros((t, t), dtype=bool)
    for (a, b), outcome, p_value in zip(pairs, results, adjusted, strict=True):
        if p_value <= settings.level:
            first_wins = (outcome.estimate.value > 0) == sample.metric.higher_is_better
            better[(a, b) if first_wins else (b, a)] = True
    table = ranks(sample.moments.mean, better, higher_is_better=sample.metric.higher_is_better)
    return pd.DataFrame(
        {
            "method": layout.methods,
            "rank": table.rank,
            "low": table.low,
            "high": table.high,
            "group": table.groups,
        }
    )


def _overall(sample: Sample, settings: Settings) -> dict[str, float] | None:
    if chosen_test(sample, settings) != "obuchowski_rockette":
        return None
    analysis = nested.pooled_analysis(sample.moments)
    return {"f": analysis.f, "df1": analysis.df1, "df2": analysis.df2, "p_value": analysis.p_value}
