"""Several methods at once: adjustments, ranks, groups, moderated variances."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import reseed
from reseed.contracts.errors import UserError
from reseed.statistics.moderation import ModeratedVariances, moderated_variances
from reseed.statistics.multiplicity import difference_root, holm, joint_t_adjusted, permutation_max_t
from reseed.statistics.obuchowski_rockette import moderated_difference, run_moments
from reseed.statistics.permutation import permutation_p
from reseed.statistics.ranking import ranks
from tests.statistics.conftest import case_table, simulated_table


def test_holm_hand_worked():
    """Steps 3·.01, 2·.02, 1·.5, never falling, never above 1; NaN does not count."""
    assert holm(np.array([0.02, 0.01, 0.5])).tolist() == [0.04, 0.03, 0.5]
    assert holm(np.array([0.4, 0.5, np.nan])).tolist()[:2] == [0.8, 0.8]


class TestMaxT:
    def test_dunnett_is_scipys(self, rng):
        """Differences from one control with pooled variance: max-T is Dunnett's test."""
        groups = [rng.normal(mean, 1, 6) for mean in (0.0, 0.5, 1.6, 0.2)]
        expected = stats.dunnett(*groups[1:], control=groups[0], rng=np.random.default_rng(0))
        pooled = np.sqrt(np.mean([group.var(ddof=1) for group in groups]) * 2 / 6)
        t = np.array([(group.mean() - groups[0].mean()) / pooled for group in groups[1:]])
        raw = 2 * stats.t.sf(np.abs(t), 20)

        root = difference_root(np.eye(4), [(1, 0), (2, 0), (3, 0)])
        found = joint_t_adjusted(raw, root, 20.0, alternative="two-sided", rng=rng)

        np.testing.assert_allclose(root @ root.T, np.full((3, 3), 0.5) + 0.5 * np.eye(3), atol=1e-12)
        np.testing.assert_allclose(t, expected.statistic, rtol=1e-10)
        np.testing.assert_allclose(found, expected.pvalue, atol=0.004)

    def test_one_pair_is_not_adjusted(self, rng):
        """With one pair there is nothing to adjust."""
        pairs = reseed.compare(simulated_table(rng, [4, 4]), metric="auroc", adjust="max_t").pairs

        assert pairs["p_adjusted"][0] == pairs["p_value"][0]

    @pytest.mark.parametrize("scope", ["population", "test_set", "trained_models"])
    def test_between_raw_and_bonferroni(self, rng, scope):
        """Max-T lies between the raw p value and Bonferroni's, but for Monte Carlo error."""
        pairs = reseed.compare(
            simulated_table(rng, [4, 4, 4]), metric="auroc", scope=scope, adjust="max_t", test=None
        ).pairs

        assert (pairs["p_adjusted"] >= pairs["p_value"] - 1e-12).all()
        assert (pairs["p_adjusted"] <= np.minimum(3.3 * pairs["p_value"] + 0.03, 1)).all()

    def test_closed_permutation_spares_a_pair_of_equals(self, rng):
        """A method far from two equal ones does not make those differ."""
        theta = np.concatenate([rng.normal(0, 1, 6), rng.normal(0, 1, 6), rng.normal(50, 1, 6)])
        method = np.repeat([0, 1, 2], 6)

        adjusted = permutation_max_t(
            theta, method, [(0, 1), (0, 2), (1, 2)], alternative="two-sided", rng=rng
        )

        assert adjusted[0] > 0.05
        assert (adjusted[1:] < 0.01).all()
        assert adjusted[0] >= permutation_p(theta[:6], theta[6:12], statistic="studentised") - 0.02

    def test_dunnett_against_a_baseline(self, rng):
        """Dunnett adjusts the pairs with the baseline only, and less than Holm does for all pairs."""
        table = simulated_table(rng, [4, 4, 4])
        dunnett = reseed.compare(table, metric="auroc", baseline="A", adjust="dunnett").pairs

        assert dunnett["baseline"].to_list() == ["A", "A"]
        assert (dunnett["p_adjusted"] >= dunnett["p_value"]).all()


class TestRanks:
    def test_intervals_and_letters(self):
        """A beats C and D, B beats D: ranks 1–2, 1–3, 2–4, 3–4 and letters a, ab, bc, c."""
        better = np.zeros((4, 4), dtype=bool)
        better[0, [2, 3]] = better[1, 3] = True

        found = ranks(np.array([0.9, 0.88, 0.85, 0.8]), better, higher_is_better=True)

        assert found.rank.tolist() == [1, 2, 3, 4]
        assert found.low.tolist() == [1, 1, 2, 3]
        assert found.high.tolist() == [2, 3, 4, 4]
        assert found.groups == ("a", "ab", "bc", "c")

    def test_lower_is_better_and_ties(self):
        """With errors the lowest mean ranks first; ties share the better rank."""
        found = ranks(np.array([3.0, 1.0, 1.0]), np.zeros((3, 3), dtype=bool), higher_is_better=False)

        assert found.rank.tolist() == [3, 1, 1]
        assert found.groups == ("a", "a", "a")

    def test_letters_say_exactly_who_differs(self, rng):
        """Two methods share a letter exactly when they are not different."""
        for _ in range(30):
            different = np.triu(rng.random((6, 6)) < 0.4, 1)
            groups = ranks(rng.random(6), different, higher_is_better=True).groups
            for a in range(6):
                for b in range(a + 1, 6):
                    assert bool(set(groups[a]) & set(groups[b])) == (not different[a, b])

    def test_from_a_table(self, rng):
        """A method far above two others is first, alone in its group."""
        score = np.concatenate([rng.normal(0.7, 0.01, (30, 8)), rng.normal(0.9, 0.01, (30, 4))], axis=1)

        found = reseed.compare(case_table(score, [4, 4, 4]), metric="dsc").ranks.set_index("method")

        assert found["rank"]["C"] == found["low"]["C"] == found["high"]["C"] == 1
        assert found["group"].to_dict() == {"A": "b", "B": "b", "C": "a"}


class TestModeratedVariances:
    def test_equal_variances_pool(self):
        """Variances that differ less than chance allows are pooled; the pool holds all runs' df, no more."""
        found = moderated_variances(np.array([1.0, 1.05, 0.95, 1.0]), np.full(4, 2.0))

        assert found.variance == pytest.approx(np.full(4, 1.0))
        assert np.isinf(found.prior_df)
        assert found.total_df == 8

    def test_two_pooled_variances_have_the_pools_df(self, rng):
        """When all is pooled the difference has the pool's df: both halves are one estimate."""
        moments = run_moments(rng.normal(size=12), np.zeros((12, 12)), np.repeat(np.arange(4), 3))
        pool = ModeratedVariances(
            np.ones(4), np.full(4, np.inf), np.ones(4), np.zeros(4, dtype=bool), 1.0, np.inf, 8.0
        )

        assert moderated_difference(moments, 0, 1, pool).df == pytest.approx(8)

    def test_a_method_that_stands_out_keeps_its_variance(self):
        """A variance far above the others is not shrunk, and is named in a warning."""
        ms = np.array([1.0, 1.2, 0.9, 60.0, 1.1])
        found = moderated_variances(ms, np.full(5, 4.0))

        assert found.stands_out.tolist() == [False, False, False, True, False]
        assert found.variance[3] == 60
        assert found.df[3] == 4

    def test_prior_is_recovered(self, rng):
        """From many variances the prior's df and variance come back, and each is shrunk by them."""
        d0, s0, d = 8.0, 2.0, 4.0
        true = s0 * d0 / rng.chisquare(d0, 4000)
        ms = true * rng.chisquare(d, 4000) / d

        found = moderated_variances(ms, np.full(4000, d))

        assert found.prior_df == pytest.approx(d0, rel=0.15)
        assert found.prior_variance == pytest.approx(s0, rel=0.05)
        shrunk = (found.prior_df * found.prior_variance + d * ms) / (found.prior_df + d)
        inside = ~found.stands_out
        assert found.variance[inside] == pytest.approx(shrunk[inside])
        assert found.variance[found.stands_out] == pytest.approx(ms[found.stands_out])

    def test_refusals(self):
        """Two methods, or runs that are all equal, give nothing to learn from."""
        with pytest.raises(UserError, match="4 or more methods, got 2"):
            moderated_variances(np.array([1.0, 2.0]), np.array([2.0, 2.0]))
        with pytest.raises(UserError, match="in most methods they are all equal"):
            moderated_variances(np.array([0.0, 2.0, 0.0, 0.0]), np.full(4, 2.0))

    def test_a_variance_of_zero_is_shrunk_upwards(self):
        """Runs that happen to be equal in one method borrow from the others."""
        found = moderated_variances(np.array([1.0, 2.0, 0.0, 1.5]), np.full(4, 2.0))

        assert 0 < found.variance[2] < found.variance.max()

    def test_in_a_comparison(self, rng):
        """Moderation changes the error and leaves the differences; more df than two pairs of runs have."""
        table = simulated_table(rng, [3] * 6)
        welch = reseed.compare(table, metric="auroc").pairs
        moderated = reseed.compare(table, metric="auroc", test="moderated_obuchowski_rockette").pairs

        assert (moderated["standard_error"] != welch["standard_error"]).all()
        assert (moderated["df"] > 4).all()
        pd.testing.assert_series_equal(moderated["difference"], welch["difference"])
