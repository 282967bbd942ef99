"""The data frames of a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from reseed.statistics.components import (
    claimed_differences,
    single_run_claims,
    variance_estimates,
    variance_shares,
)
from reseed.statistics.equivalence import margin_test
from reseed.statistics.multiplicity import difference_root, holm, joint_t_adjusted, permutation_max_t
from reseed.statistics.obuchowski_rockette import Estimate
from reseed.statistics.outcome import Outcome, method_interval, reference_outcome
from reseed.statistics.ranking import ranks
from reseed.statistics.result import PAIR_COLUMNS
from reseed.statistics.scopes import Pairs, covariance_of_means, method_means, scope_estimates
from reseed.statistics.settings import Scope, Settings
from reseed.statistics.superiority import probability_of_superiority

if TYPE_CHECKING:
    from reseed.statistics.sample import Sample
    from reseed.statistics.scores import FloatArray

CLAIM_LEVEL = 0.05  # what papers use for a single-run paired test


def adjusted_p_values(
    sample: Sample, settings: Settings, pairs: Pairs, results: list[Outcome], rng: np.random.Generator
) -> FloatArray:
    """P values of the pairs adjusted for their number, as the settings say."""
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
    root = difference_root(covariance_of_means(sample, settings.scope), pairs)
    df = min(outcome.estimate.df for outcome in results)
    return joint_t_adjusted(raw, root, df, alternative=settings.alternative, rng=rng)


def pair_frame(
    sample: Sample, settings: Settings, pairs: Pairs, results: list[Outcome], adjusted: FloatArray
) -> pd.DataFrame:
    """One row a pair: the columns of `PAIR_COLUMNS`."""
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


def detail_frame(sample: Sample, settings: Settings, pairs: Pairs, results: list[Outcome]) -> pd.DataFrame:
    """One row a pair; columns that do not apply are left out."""
    layout = sample.layout
    estimates = scope_estimates(sample, settings, pairs)
    claimed = claimed_differences(sample.theta, sample.sigma, level=CLAIM_LEVEL)
    rows = []
    for (a, b), outcome, estimate in zip(pairs, results, estimates, strict=True):
        _, low, high = _superiority(sample, settings, a, b)
        row = {
            "method": layout.methods[a],
            "baseline": layout.methods[b],
            "superiority_low": low,
            "superiority_high": high,
            "smallest_p": outcome.smallest_p,
            "n_undefined": outcome.n_undefined,
        }
        if np.isfinite(sample.sigma).all():
            claims = single_run_claims(claimed, layout.runs_of(a), layout.runs_of(b), level=CLAIM_LEVEL)
            row |= {f"single_{name}": value for name, value in vars(claims).items()}
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


def method_frame(sample: Sample, settings: Settings) -> pd.DataFrame:
    """One row a method: its mean, its spread over runs, and the scope's interval."""
    layout = sample.layout
    rows = []
    for i, estimate in enumerate(method_means(sample, settings.scope)):
        runs = sample.runs_of(i)
        low, high = method_interval(
            estimate, sample.metric.bounds, confidence_level=settings.confidence_level
        )
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


def variance_frame(sample: Sample) -> pd.DataFrame:
    """Components of variance with their shares."""
    shares = variance_shares(variance_estimates(sample.moments))
    return pd.DataFrame(
        [(c.name, c.estimate, c.share, c.negative) for c in shares],
        columns=["component", "estimate", "share", "negative"],
    )


def rank_frame(
    sample: Sample, settings: Settings, pairs: Pairs, results: list[Outcome], rng: np.random.Generator
) -> pd.DataFrame:
    """Ranks from all pairs; Dunnett has none between two non-baselines, so Holm serves there."""
    layout, t = sample.layout, sample.layout.n_methods
    for_ranks = settings if settings.adjust != "dunnett" else Settings(**{**vars(settings), "adjust": "holm"})
    adjusted = adjusted_p_values(sample, for_ranks, pairs, results, rng)
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
