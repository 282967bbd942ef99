"""Decisions and agreement against hand-worked cases and scikit-learn."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score, roc_curve

from reseed.metrics.classification_thresholds import (
    DecisionCounts,
    balanced_accuracy,
    cohens_kappa,
    decisions_at_threshold,
    negative_predictive_value,
    positive_predictive_value,
    sensitivity,
    sensitivity_at_specificity,
    specificity,
    specificity_at_sensitivity,
)

REFERENCE = [1, 1, 1, 0, 0, 0, 0]
SCORE = [0.9, 0.6, 0.2, 0.7, 0.6, 0.3, 0.1]


@st.composite
def both_classes(draw):
    """Labels of both classes, scores with ties."""
    n = draw(st.integers(2, 25))
    labels = [0, 1, *draw(st.lists(st.sampled_from([0, 1]), min_size=n - 2, max_size=n - 2))]
    return np.array(labels), np.array(
        draw(st.lists(st.integers(0, 8).map(lambda v: v / 8), min_size=n, max_size=n))
    )


@st.composite
def classifications(draw):
    """Two classifications into up to four classes."""
    pairs = draw(
        st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), min_size=1, max_size=30)
    )
    return [first for first, _ in pairs], [second for _, second in pairs]


class TestDecisions:
    def test_hand_worked(self):
        """
        At .6: two of three positives and two of four negatives are called positive.
        """
        decisions = decisions_at_threshold(REFERENCE, SCORE, 0.6)

        assert decisions == DecisionCounts(2, 1, 2, 2)
        assert sensitivity(decisions) == 2 / 3
        assert specificity(decisions) == 2 / 4
        assert positive_predictive_value(decisions) == 2 / 4
        assert negative_predictive_value(decisions) == 2 / 3

    def test_undefined(self):
        """
        A share of nothing is NaN.
        """
        nothing = DecisionCounts(0, 0, 0, 0)

        for share in (sensitivity, specificity, positive_predictive_value, negative_predictive_value):
            assert math.isnan(share(nothing))

    def test_infinite_thresholds(self):
        """
        Nothing, or everything, is called positive.
        """
        assert decisions_at_threshold(REFERENCE, SCORE, math.inf) == DecisionCounts(0, 3, 4, 0)
        assert decisions_at_threshold(REFERENCE, SCORE, -math.inf) == DecisionCounts(3, 0, 0, 4)

    def test_nan_is_no_threshold(self):
        """
        It would silently call nothing positive.
        """
        with pytest.raises(ValueError, match="threshold must be a number"):
            decisions_at_threshold(REFERENCE, SCORE, math.nan)


class TestOperatingPoints:
    def test_hand_worked(self):
        """
        Specificity 3/4 allows .7 in: sensitivity 1/3; 1/2 allows .6 in as well: 2/3.
        """
        assert sensitivity_at_specificity(REFERENCE, SCORE, 0.75) == 1 / 3
        assert sensitivity_at_specificity(REFERENCE, SCORE, 0.5) == 2 / 3
        assert sensitivity_at_specificity(REFERENCE, SCORE, 0) == 1
        assert specificity_at_sensitivity(REFERENCE, SCORE, 2 / 3) == 0.5
        assert specificity_at_sensitivity(REFERENCE, SCORE, 1) == 0.25
        assert specificity_at_sensitivity(REFERENCE, SCORE, 0) == 1

    @given(both_classes(), st.sampled_from([0, 0.2, 0.5, 0.8, 1]))
    def test_best_point_of_sklearns_curve(self, drawn, limit):
        """
        The best of the points of scikit-learn's ROC curve on the right side of the limit.
        """
        labels, scores = drawn
        false_rate, true_rate, _ = roc_curve(labels, scores, drop_intermediate=False)

        assert sensitivity_at_specificity(labels, scores, limit) == pytest.approx(
            max(true_rate[1 - false_rate >= limit - 1e-12])
        )
        assert specificity_at_sensitivity(labels, scores, limit) == pytest.approx(
            max(1 - false_rate[true_rate >= limit - 1e-12])
        )

    def test_one_class(self):
        """
        Undefined without the other.
        """
        assert math.isnan(sensitivity_at_specificity([1, 1], [0.1, 0.2], 0.5))
        assert math.isnan(specificity_at_sensitivity([0, 0], [0.1, 0.2], 0.5))

    def test_a_limit_that_is_no_share(self):
        """
        Percent are refused.
        """
        with pytest.raises(ValueError, match="min_specificity must be from 0 to 1, got 95"):
            sensitivity_at_specificity(REFERENCE, SCORE, 95)
        with pytest.raises(ValueError, match="min_sensitivity must be from 0 to 1, got 95"):
            specificity_at_sensitivity(REFERENCE, SCORE, 95)


class TestBalancedAccuracy:
    def test_hand_worked(self):
        """
        Two of two a, one of four b: (1 + 1/4) / 2.
        """
        assert balanced_accuracy("aabbbb", "aabaaa") == (1 + 1 / 4) / 2

    def test_nothing(self):
        """
        Undefined without cases.
        """
        assert math.isnan(balanced_accuracy([], []))

    def test_mean_of_sensitivity_and_specificity(self):
        """
        For two classes.
        """
        decisions = decisions_at_threshold(REFERENCE, SCORE, 0.6)
        called = [int(score >= 0.6) for score in SCORE]

        assert balanced_accuracy(REFERENCE, called) == pytest.approx(
            (sensitivity(decisions) + specificity(decisions)) / 2
        )

    @given(classifications())
    def test_sklearn(self, drawn):
        """
        The same as scikit-learn's, which warns of classes that the reference does not have.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            expected = balanced_accuracy_score(*drawn)

        assert balanced_accuracy(*drawn) == pytest.approx(expected, abs=1e-12)

    def test_lengths(self):
        """
        One prediction for every case.
        """
        with pytest.raises(ValueError, match="must have one length, got 2 and 1"):
            balanced_accuracy("ab", "a")


class TestCohensKappa:
    def test_hand_worked(self):
        """
        Cohen's example of 1960 in small: agreement .7, by chance .5, kappa .4.
        """
        reference = ["a"] * 25 + ["b"] * 25
        prediction = ["a"] * 20 + ["b"] * 5 + ["a"] * 10 + ["b"] * 15

        # both say a: 25/50 * 30/50; both say b: 25/50 * 20/50; together .5
        assert cohens_kappa(reference, prediction, "ab") == pytest.approx((0.7 - 0.5) / (1 - 0.5))

    def test_undefined(self):
        """
        Without cases, or when both always say the same, there is nothing beyond chance.
        """
        assert math.isnan(cohens_kappa([], [], "ab"))
        assert math.isnan(cohens_kappa("aa", "aa", "ab"))

    @pytest.mark.parametrize("weights", ["none", "linear", "quadratic"])
    @given(drawn=classifications())
    def test_sklearn(self, weights, drawn):
        """
        The same as scikit-learn's with all four classes named.
        """
        reference, prediction = drawn
        ours = cohens_kappa(reference, prediction, "abcd", weights=weights)
        if not math.isnan(ours):
            expected = cohen_kappa_score(
                *drawn, labels=list("abcd"), weights=None if weights == "none" else weights
            )
            assert ours == pytest.approx(expected, abs=1e-12)

    def test_two_classes_have_one_kappa(self):
        """
        With one step between them all weights are alike.
        """
        kappas = {
            round(cohens_kappa("aabb", "abbb", "ab", weights=weights), 12)
            for weights in ("none", "linear", "quadratic")
        }

        assert len(kappas) == 1

    def test_an_unknown_class(self):
        """
        A class without a place in the order is named.
        """
        with pytest.raises(ValueError, match="class 'c' is not among"):
            cohens_kappa("ac", "aa", "ab")
