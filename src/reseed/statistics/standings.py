"""The standings of many methods: what `compare` says, for leaderboards, without a row for each pair."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from reseed.statistics.frames import adjusted_p_values
from reseed.statistics.metric import MetricLike, resolved_metric
from reseed.statistics.outcome import method_interval
from reseed.statistics.ranking import Ranks, ranks
from reseed.statistics.sample import Sample, observed_sample
from reseed.statistics.scopes import check_runs, chosen_test, method_means, outcomes
from reseed.statistics.settings import Scope, Settings, checked_settings
from reseed.statistics.table import checked_scores

if TYPE_CHECKING:
    import pandas as pd

    from reseed.statistics.outcome import Outcome
    from reseed.statistics.scopes import Pairs
    from reseed.statistics.scores import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Standings:
    """
    Methods under one scope, in the order of the table; t of them.

    Attributes
    ----------
    n_runs, mean, sd, low, high
        Shape (t,). `sd` is over runs (ddof 1), NaN for one run; low and high are the scope's interval.
    runs
        The metric of each run, one array a method.
    ranks
        With intervals that hold for all methods at once, from the adjusted pairs.
    difference, p_adjusted
        Shape (t, t): row minus column, and its p value adjusted (Holm) for all t(t-1)/2 pairs; the
        diagonal is 0 and 1.
    better
        Shape (t, t): True where the row is significantly better than the column.
    smallest_p
        The largest p value that some pair cannot go below, before adjustment; 0 without such a limit.
    """

    methods: tuple[str, ...]
    test: str
    n_cases: int
    n_patients: int | None
    n_runs: IntArray = field(repr=False)
    mean: FloatArray = field(repr=False)
    sd: FloatArray = field(repr=False)
    low: FloatArray = field(repr=False)
    high: FloatArray = field(repr=False)
    runs: tuple[FloatArray, ...] = field(repr=False)
    ranks: Ranks = field(repr=False)
    difference: FloatArray = field(repr=False)
    p_adjusted: FloatArray = field(repr=False)
    better: BoolArray = field(repr=False)
    smallest_p: float = 0.0


def standings(
    table: pd.DataFrame,
    *,
    metric: MetricLike,
    scope: str = "population",
    confidence_level: float = 0.95,
    rng: np.random.Generator | None = None,
) -> Standings:
    """
    Rank methods, also hundreds of them, on shared cases.

    Parameters
    ----------
    table, metric, scope, confidence_level, rng
        As `compare` takes them; with the scope's default test and Holm's adjustment. One method is
        allowed, and is first.

    Returns
    -------
    Standings
        Its numbers are those that `compare` gives for the same table and seed.

    Raises
    ------
    InvalidTable, UserError
        As `compare` does.
    """
    settings = checked_settings(scope, {"confidence_level": confidence_level})
    resolved = resolved_metric(metric)
    scores = checked_scores(table, resolved)
    check_runs(scores.layout, settings.scope)
    rng = np.random.default_rng(0) if rng is None else rng
    sample = observed_sample(
        scores, resolved, estimator="jackknife", rng=rng, cases_random=settings.scope is not Scope.TEST_SET
    )
    pairs: Pairs = [(b, a) for a, b in combinations(range(scores.layout.n_methods), 2)]
    results = outcomes(sample, settings, pairs, rng) if pairs else []
    adjusted = adjusted_p_values(sample, settings, pairs, results, rng) if pairs else np.empty(0)
    return _standings(sample, settings, pairs, results, adjusted)


def _standings(
    sample: Sample, settings: Settings, pairs: Pairs, results: list[Outcome], adjusted: FloatArray
) -> Standings:
    layout, t = sample.layout, sample.layout.n_methods
    difference, p_adjusted = np.zeros((t, t)), np.ones((t, t))
    better = np.zeros((t, t), dtype=bool)
    for (a, b), outcome, p_value in zip(pairs, results, adjusted, strict=True):
        value = outcome.estimate.value
        difference[a, b], difference[b, a] = value, -value
        p_adjusted[a, b] = p_adjusted[b, a] = p_value
        if p_value <= settings.level:
            first_wins = (value > 0) == sample.metric.higher_is_better
            better[(a, b) if first_wins else (b, a)] = True
    estimates = method_means(sample, settings.scope)
    spans = [
        method_interval(estimate, sample.metric.bounds, confidence_level=settings.confidence_level)
        for estimate in estimates
    ]
    runs = [sample.runs_of(i) for i in range(t)]
    mean = np.array([estimate.value for estimate in estimates])
    return Standings(
        methods=tuple(str(method) for method in layout.methods),
        test=chosen_test(sample, settings),
        n_cases=layout.n_cases,
        n_patients=layout.n_patients if layout.clustered else None,
        n_runs=np.array([len(values) for values in runs]),
        mean=mean,
        sd=np.array([values.std(ddof=1) if len(values) > 1 else np.nan for values in runs]),
        low=np.array([low for low, _ in spans]),
        high=np.array([high for _, high in spans]),
        runs=tuple(runs),
        ranks=ranks(sample.moments.mean, better, higher_is_better=sample.metric.higher_is_better),
        difference=difference,
        p_adjusted=p_adjusted,
        better=better,
        smallest_p=max((outcome.smallest_p for outcome in results), default=0.0),
    )
