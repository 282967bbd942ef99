"""The standings of many methods say what `compare` says of the same table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from reseed.contracts.errors import InvalidTable
from reseed.statistics import Scope, compare, standings
from reseed.statistics.ranking import LETTERED_UP_TO


def drawn_table(rng: np.random.Generator, n_methods: int, n_runs: int, n_cases: int = 60) -> pd.DataFrame:
    reference = (np.arange(n_cases) < n_cases // 3).astype(float)
    common = 0.5 * rng.standard_normal(n_cases)
    rows = []
    for method in range(n_methods):
        strength = 0.5 + 3.0 * method / n_methods
        for run in range(n_runs):
            score = strength * reference + common + 0.6 * rng.standard_normal(n_cases)
            rows += [(f"m{method}", run, f"c{case}", score[case], reference[case]) for case in range(n_cases)]
    return pd.DataFrame(rows, columns=["method", "run", "case", "score", "reference"])


@pytest.mark.parametrize("scope", list(Scope))
def test_standings_are_those_of_compare(scope: Scope) -> None:
    """Means, intervals, ranks, letters and adjusted p values are the same as in the long way."""
    table = drawn_table(np.random.default_rng(3), n_methods=5, n_runs=6)

    found = standings(table, metric="auroc", scope=scope)
    result = compare(table, metric="auroc", scope=scope)

    assert list(found.methods) == result.methods["method"].tolist()
    for name in ("n_runs", "mean", "sd", "low", "high"):
        np.testing.assert_array_equal(getattr(found, name), result.methods[name])
    for name in ("rank", "low", "high"):
        np.testing.assert_array_equal(getattr(found.ranks, name), result.ranks[name])
    assert list(found.ranks.groups) == result.ranks["group"].tolist()
    place = {method: i for i, method in enumerate(found.methods)}
    for row in result.pairs.itertuples():
        a, b = place[str(row.method)], place[str(row.baseline)]
        assert found.difference[a, b] == -found.difference[b, a] == row.difference
        assert found.p_adjusted[a, b] == found.p_adjusted[b, a] == row.p_adjusted
    assert found.better.sum() > 0


def test_one_method_is_first() -> None:
    """A leaderboard of one has an interval and rank 1 of 1."""
    found = standings(drawn_table(np.random.default_rng(1), 1, 3), metric="auroc")

    assert (found.ranks.rank[0], found.ranks.low[0], found.ranks.high[0]) == (1, 1, 1)
    assert found.low[0] < found.mean[0] < found.high[0]


def test_a_single_run_is_refused_where_retraining_is_the_question() -> None:
    """One run says nothing about a retraining."""
    table = drawn_table(np.random.default_rng(1), 2, 1)

    with pytest.raises(InvalidTable, match="needs two or more runs"):
        standings(table, metric="auroc", scope="population")
    assert standings(table, metric="auroc", scope="trained_models").n_runs.tolist() == [1, 1]


def test_many_methods_have_rank_intervals_and_no_letters() -> None:
    """Letters of many methods could double with each: there are none beyond the alphabet."""
    found = standings(
        drawn_table(np.random.default_rng(2), LETTERED_UP_TO + 14, 3, 40), metric="auroc", scope="population"
    )

    assert set(found.ranks.groups) == {""}
    assert (found.ranks.low <= found.ranks.rank).all()
    assert found.ranks.low.max() > 1
