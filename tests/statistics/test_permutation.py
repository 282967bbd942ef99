"""Permutation of run-level metrics, against the oracles, scipy, R's coin and picai_eval."""

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reseed.statistics.permutation import permutation_p, permutation_test, smallest_p
from reseed.statistics.relabellings import MONTE_CARLO_RELABELLINGS, midranks

PAPER = ([0.92, 0.94, 0.95, 0.81, 0.82, 0.86], [0.96, 0.91, 0.90, 0.85, 0.81, 0.80])
ORACLES = [
    ([0, 1, 2], [1, 2, 3], 0.25, 0.25),
    ([4, 1, 2], [1, 2, 3], 0.7, 0.75),
    (*PAPER, 0.7218614718614719, 0.658008658008658),
]


def two_samples(low=3, high=6):
    runs = st.lists(st.integers(0, 40), min_size=low, max_size=high)
    return st.tuples(runs, runs).map(lambda pair: tuple(np.array(side, dtype=float) / 8 for side in pair))


@pytest.mark.parametrize(("baseline", "method", "by_rank", "by_mean"), ORACLES)
def test_oracles(baseline, method, by_rank, by_mean):
    """The stated one-sided p values, exactly."""
    method, baseline = np.array(method, dtype=float), np.array(baseline, dtype=float)
    for statistic, expected in (("mann_whitney", by_rank), ("mean_difference", by_mean)):
        test = permutation_test(method, baseline, statistic=statistic, alternative="greater")
        assert test.p_value == pytest.approx(expected, abs=1e-14)
        assert test.exact


@pytest.mark.parametrize(("baseline", "method", "by_rank", "by_mean"), ORACLES)
def test_picai_eval(baseline, method, by_rank, by_mean):
    """picai_eval's permutation test gives the Mann-Whitney values."""
    pytest.importorskip("picai_eval")
    from picai_eval.statistical_helper import perform_permutation_test

    assert perform_permutation_test(baseline, method) == pytest.approx(by_rank, abs=1e-12)


def mean_difference(x, y, axis=-1):
    return np.mean(x, axis=axis) - np.mean(y, axis=axis)


def welch_t(x, y, axis=-1):
    return stats.ttest_ind(x, y, axis=axis, equal_var=False).statistic


@pytest.mark.parametrize("counts", [(5, 4), (6, 6), (3, 7)])
@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
@pytest.mark.parametrize(
    ("statistic", "function"), [("mean_difference", mean_difference), ("studentised", welch_t)]
)
def test_scipy(rng, counts, alternative, statistic, function):
    """scipy.stats.permutation_test over all relabellings gives the same p value."""
    x, y = rng.normal(0.5, 1, counts[0]), rng.normal(0, 1, counts[1])
    expected = stats.permutation_test(
        (x, y), function, alternative=alternative, n_resamples=np.inf, vectorized=True
    ).pvalue

    test = permutation_test(x, y, statistic=statistic, alternative=alternative)

    assert test.p_value == pytest.approx(expected, rel=1e-12)
    assert permutation_p(x, y, statistic=statistic, alternative=alternative) == pytest.approx(
        expected, rel=1e-12
    )


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_mann_whitney_without_ties_is_scipys(rng, alternative):
    """Without ties the rank test is scipy's exact Mann-Whitney U test, two-sided and one-sided."""
    x, y = rng.normal(0.5, 1, 8), rng.normal(0, 1, 9)

    test = permutation_test(x, y, statistic="mann_whitney", alternative=alternative)

    expected = stats.mannwhitneyu(x, y, alternative=alternative, method="exact")
    assert test.p_value == pytest.approx(expected.pvalue, rel=1e-12)
    assert test.statistic == expected.statistic


@pytest.mark.parametrize(("runs", "expected"), [(3, 0.10), (4, 0.0286), (5, 0.0079), (7, 0.00058)])
def test_smallest_p(runs, expected):
    """With few runs a side no difference can be significant: the bound is stated."""
    assert smallest_p(runs, runs, "two-sided") == pytest.approx(expected, rel=0.01)
    far = permutation_test(np.arange(runs) + 100.0, np.arange(runs) + 0.0)
    assert far.p_value == pytest.approx(far.smallest_p) == pytest.approx(2 / comb(2 * runs, runs))


@given(two_samples(), st.sampled_from(["mean_difference", "mann_whitney", "studentised"]))
def test_interval_inverts_the_test(samples, statistic):
    """A shift just inside the interval is not refused, a shift just outside is."""
    x, y = samples
    x = x + np.arange(len(x)) * 1e-4  # no ties within a method, so that the limits are sharp
    y = y + np.arange(len(y)) * 3.1e-4
    test = permutation_test(x, y, statistic=statistic, confidence_level=0.7)

    for limit, outward in ((test.low, -1), (test.high, 1)):
        if np.isfinite(limit):
            p_inside = permutation_p(x - limit + outward * 1e-6, y, statistic=statistic)
            p_outside = permutation_p(x - limit - outward * 1e-6, y, statistic=statistic)
            assert p_outside <= 0.3 + 1e-9 < p_inside + 1e-9 or statistic == "studentised"


@given(two_samples())
def test_swapping_flips_the_sign_only(samples):
    """Method against baseline and baseline against method are one test with the sign turned."""
    x, y = samples
    forward, backward = permutation_test(x, y), permutation_test(y, x)

    assert forward.statistic == pytest.approx(-backward.statistic, abs=1e-12)
    assert forward.p_value == pytest.approx(backward.p_value)
    assert [forward.low, forward.high] == pytest.approx([-backward.high, -backward.low], abs=1e-9)


def test_beyond_two_million_relabellings(rng):
    """Thirteen against thirteen runs are sampled, with (b + 1)/(B + 1), near the exact tail."""
    x, y = rng.normal(0.9, 1, 13), rng.normal(0, 1, 13)

    test = permutation_test(x, y, rng=np.random.default_rng(3))

    assert not test.exact
    assert test.n_relabellings == MONTE_CARLO_RELABELLINGS
    assert test.p_value == pytest.approx(stats.ttest_ind(x, y).pvalue, abs=0.01)
    assert test == permutation_test(x, y, rng=np.random.default_rng(3))


def test_attained_sizes_of_the_papers_test():
    """One-sided Mann-Whitney, 10 against 10 runs: sizes 4.46 %, .93 % and .07 % at .05, .01 and .001."""
    found = []
    for u in range(101):  # x_i stands above `above[i]` of y's ten runs, in all u
        above = np.full(10, u // 10) + (np.arange(10) >= 10 - u % 10)
        x = above + np.arange(10.0)
        y = np.setdiff1d(np.arange(20.0), x)
        found.append(permutation_p(x, y, statistic="mann_whitney", alternative="greater"))
    p_values = np.array(found)

    sizes = [p_values[p_values <= level].max() for level in (0.05, 0.01, 0.001)]

    assert sizes == pytest.approx([0.0446, 0.0093, 0.0007], abs=6e-5)


def test_midranks():
    """Ties share the mean of their ranks."""
    assert midranks(np.array([3.0, 1, 3, 2])).tolist() == [3.5, 1, 3.5, 2]
