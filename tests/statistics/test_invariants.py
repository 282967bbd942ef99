"""What must not matter, does not: invariants of `reseed.compare` over random studies."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reseed
from tests.statistics.conftest import case_table, simulated_table

SCOPES = ["population", "test_set", "trained_models"]
NUMBERS = ["difference", "standard_error", "df", "statistic", "p_value", "p_adjusted", "low", "high"]
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=15, deadline=None)


def study(seed, run_counts=(3, 4)):
    return simulated_table(np.random.default_rng(seed), list(run_counts), n_positive=7, n_negative=9)


def numbers(table, **changes):
    return reseed.compare(table, **({"metric": "auroc"} | changes)).pairs


@few
@given(seeds, st.sampled_from(SCOPES))
def test_swapping_methods_flips_the_sign_and_nothing_else(seed, scope):
    """A against B is B against A with the sign of difference, statistic and limits turned."""
    table = study(seed)
    forward = numbers(table, scope=scope, baseline="A").iloc[0]
    backward = numbers(table, scope=scope, baseline="B").iloc[0]

    for name in ("difference", "low", "high"):
        other = {"low": "high", "high": "low"}.get(name, name)
        assert forward[name] == pytest.approx(-backward[other], abs=1e-9)
    for name in ("standard_error", "df", "p_value", "p_adjusted"):
        assert forward[name] == pytest.approx(backward[name], abs=1e-9)
    assert forward["statistic"] == pytest.approx(-backward["statistic"], abs=1e-8)
    assert forward["probability_of_superiority"] == pytest.approx(1 - backward["probability_of_superiority"])


@few
@given(seeds, st.sampled_from(SCOPES))
def test_relabelling_cases_and_runs_changes_nothing(seed, scope):
    """Other names for cases and runs, and another order of rows, give the same numbers."""
    table = study(seed)
    renamed = table.assign(
        case="x" + table["case"], run=table["run"].map({"0": "c", "1": "a", "2": "b", "3": "d"})
    )
    shuffled = renamed.sample(frac=1, random_state=1)
    shuffled = shuffled.sort_values("method", kind="stable")  # the methods' order is the sign's

    for changed in (renamed, shuffled):
        pd.testing.assert_frame_equal(
            numbers(table, scope=scope)[NUMBERS], numbers(changed, scope=scope)[NUMBERS], rtol=1e-8
        )


@few
@given(seeds, st.sampled_from(["auroc", "ap", "dsc"]), st.sampled_from(["population", "trained_models"]))
def test_duplicated_cases_as_one_patient_equal_weight_two(seed, metric, scope):
    """Every case twice under one patient is every case once with weight two."""
    table = study(seed)
    twice = pd.concat([table, table.assign(case=table["case"] + "again")]).assign(
        patient=lambda t: t["case"].str[:3]
    )
    twice["patient"] = twice["case"].str.removesuffix("again")
    once = table.assign(weight=2.0)
    test = "wald" if scope == "trained_models" else None

    left = numbers(twice, metric=metric, scope=scope, test=test)[NUMBERS]
    right = numbers(once, metric=metric, scope=scope, test=test)[NUMBERS]

    pd.testing.assert_frame_equal(left, right, rtol=1e-8)


@few
@given(seeds, st.sampled_from([*SCOPES]), st.floats(-3, 3))
def test_a_constant_shift_of_scores_leaves_auroc_tests_unchanged(seed, scope, shift):
    """AUROC sees the order of a run's scores only."""
    table = study(seed)
    table["score"] = table["score"].round(3)
    moved = table.assign(score=(table["score"] + round(shift, 3)).round(6))

    pd.testing.assert_frame_equal(numbers(table, scope=scope), numbers(moved, scope=scope))


@few
@given(seeds)
def test_reversed_direction_reverses_winners_not_numbers(seed):
    """A metric where lower is better has the same differences and the opposite ranks and superiority."""
    score = np.random.default_rng(seed).normal(size=(12, 7))
    table = case_table(score, [3, 4])
    up, down = reseed.compare(table, metric="dsc"), reseed.compare(table, metric="hd95")

    pd.testing.assert_frame_equal(up.pairs[NUMBERS], down.pairs[NUMBERS])
    assert up.pairs["probability_of_superiority"][0] == pytest.approx(
        1 - down.pairs["probability_of_superiority"][0]
    )
    assert up.ranks["rank"].to_list() == down.ranks["rank"].to_list()[::-1]


@few
@given(seeds, st.sampled_from(SCOPES))
def test_one_sided_tests_add_up(seed, scope):
    """Of "greater" and "less" one is at most one half, and twice it is the two-sided p of a t or z test."""
    table = study(seed)
    two, greater, less = (
        numbers(table, scope=scope, alternative=name)["p_value"][0]
        for name in ("two-sided", "greater", "less")
    )

    assert two == pytest.approx(min(1.0, 2 * min(greater, less)))


@pytest.mark.parametrize("scope", SCOPES)
def test_same_table_and_seed_same_document(scope):
    """The JSON document depends on the table, the settings and the seed, and on nothing else."""
    table = study(5, (3, 3, 4))
    test = (
        "bootstrap_bca"
        if scope == "trained_models"
        else "crossed_bootstrap"
        if scope == "population"
        else None
    )

    first, second = (
        reseed.compare(
            table, metric="ap", scope=scope, test=test, adjust="max_t", rng=np.random.default_rng(9)
        ).to_json()
        for _ in range(2)
    )

    assert first == second
