"""Ranking metrics against hand-worked cases, scikit-learn and invariants."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from reseed.metrics.classification import (
    area_under_roc_curve,
    average_precision,
    partial_area_under_roc_curve,
    standardised_partial_area,
)

METRICS = [area_under_roc_curve, average_precision]


@st.composite
def labelled_scores(draw, *, both_classes=True):
    """Labels and scores with many ties, both classes present."""
    n = draw(st.integers(2, 40))
    label = draw(st.lists(st.sampled_from([0, 1]), min_size=n, max_size=n))
    if both_classes:
        label[0], label[1] = 0, 1
    score = draw(st.lists(st.integers(-8, 8).map(lambda value: value / 8), min_size=n, max_size=n))
    return np.array(label), np.array(score)


class TestAreaUnderRocCurve:
    def test_hand_worked(self):
        """
        Positives at .8 and .4, negatives at .6 and .2: three of the four pairs are in order.
        """
        assert area_under_roc_curve([1, 0, 1, 0], [0.8, 0.6, 0.4, 0.2]) == 0.75

    def test_a_tie_counts_one_half(self):
        """
        One positive, one negative, one score: half a pair in order.
        """
        assert area_under_roc_curve([1, 0], [0.3, 0.3]) == 0.5
        assert area_under_roc_curve([1, 0, 0], [0.3, 0.3, 0.1]) == 0.75

    def test_perfect_and_reversed(self):
        """
        All positives above all negatives gives 1, the reverse gives 0.
        """
        assert area_under_roc_curve([0, 0, 1, 1], [1, 2, 3, 4]) == 1.0
        assert area_under_roc_curve([1, 1, 0, 0], [1, 2, 3, 4]) == 0.0

    @pytest.mark.parametrize("label", [[0, 0], [1, 1], []])
    def test_one_class_is_undefined(self, label):
        """
        Without a pair of classes there is nothing to order: NaN, the only undefined.
        """
        assert math.isnan(area_under_roc_curve(label, [0.5] * len(label)))

    def test_negative_zero_ties_with_zero(self):
        """
        -0.0 and 0.0 are the same score.
        """
        assert area_under_roc_curve([1, 0], [-0.0, 0.0]) == 0.5

    def test_many_cases_do_not_overflow(self):
        """
        The number of pairs is larger than 32 bits hold.
        """
        label = np.arange(200_000) % 2

        assert area_under_roc_curve(label, label.astype(float)) == 1.0

    @given(labelled_scores())
    def test_equals_sklearn(self, drawn):
        """
        The same as scikit-learn's trapezoidal area, ties included.
        """
        label, score = drawn

        assert area_under_roc_curve(label, score) == pytest.approx(roc_auc_score(label, score), abs=1e-12)

    @given(labelled_scores())
    def test_equals_the_count_of_pairs(self, drawn):
        """
        The same as counting every pair of a positive and a negative.
        """
        label, score = drawn
        difference = np.sign(score[label == 1][:, None] - score[label == 0][None, :])

        assert area_under_roc_curve(label, score) == pytest.approx(np.mean((difference + 1) / 2), abs=1e-12)

    @given(labelled_scores())
    def test_reversing_the_score_mirrors_the_area(self, drawn):
        """
        Area of the negated score is one minus the area; swapping the classes does the same.
        """
        label, score = drawn
        area = area_under_roc_curve(label, score)

        assert area_under_roc_curve(label, -score) == pytest.approx(1 - area, abs=1e-12)
        assert area_under_roc_curve(1 - label, score) == pytest.approx(1 - area, abs=1e-12)


class TestAveragePrecision:
    def test_hand_worked(self):
        """
        Ranks 1 and 3 of four are positive: (1/1 + 2/3) / 2.
        """
        assert average_precision([1, 0, 1, 0], [0.8, 0.6, 0.4, 0.2]) == pytest.approx((1 + 2 / 3) / 2)

    def test_ties_are_one_threshold(self):
        """
        A positive and a negative at one score: precision one half, whatever their order.
        """
        assert average_precision([1, 0], [0.3, 0.3]) == 0.5
        assert average_precision([0, 1], [0.3, 0.3]) == 0.5

    def test_constant_score_gives_the_prevalence(self):
        """
        One threshold for all: precision is the share of positives.
        """
        assert average_precision([1, 0, 0, 0, 0], [0.5] * 5) == pytest.approx(0.2)

    def test_without_positives_it_is_undefined(self):
        """
        No positive, no recall: NaN, not scikit-learn's 0.
        """
        assert math.isnan(average_precision([0, 0], [0.1, 0.2]))
        assert math.isnan(average_precision([], []))

    def test_without_negatives_it_is_one(self):
        """
        Every call is right.
        """
        assert average_precision([1, 1], [0.1, 0.2]) == 1.0

    @given(labelled_scores())
    def test_equals_sklearn(self, drawn):
        """
        The same step integral as scikit-learn's, ties included.
        """
        label, score = drawn

        assert average_precision(label, score) == pytest.approx(
            average_precision_score(label, score), abs=1e-12
        )


@pytest.mark.parametrize("metric", METRICS)
class TestBoth:
    @given(drawn=labelled_scores(), seed=st.integers(0, 2**32 - 1))
    def test_order_of_cases_does_not_matter(self, metric, drawn, seed):
        """
        Shuffling the cases changes nothing, to the last bit.
        """
        label, score = drawn
        order = np.random.default_rng(seed).permutation(label.size)

        assert metric(label[order], score[order]) == metric(label, score)

    @given(drawn=labelled_scores())
    def test_only_the_ranking_matters(self, metric, drawn):
        """
        A strictly increasing transformation of the score changes nothing.
        """
        label, score = drawn

        assert metric(label, 3 * score + 7) == metric(label, score)

    @given(drawn=labelled_scores())
    def test_is_a_share(self, metric, drawn):
        """
        Between 0 and 1.
        """
        assert 0 <= metric(*drawn) <= 1

    @given(drawn=labelled_scores())
    def test_repeating_every_case_changes_nothing(self, metric, drawn):
        """
        Both metrics are about shares of cases, not about their number.
        """
        label, score = drawn

        assert metric(np.tile(label, 2), np.tile(score, 2)) == pytest.approx(metric(label, score), abs=1e-12)

    def test_refuses_an_unknown_label(self, metric):
        """
        A label other than 0 and 1 is named.
        """
        with pytest.raises(ValueError, match="must be 0 or 1, got 2"):
            metric([0, 1, 2], [0.1, 0.2, 0.3])

    @pytest.mark.parametrize("bad", [math.nan, math.inf])
    def test_refuses_a_score_that_is_not_finite(self, metric, bad):
        """
        NaN has no rank; infinity is a mistake upstream.
        """
        with pytest.raises(ValueError, match="must be finite, got"):
            metric([0, 1], [0.1, bad])

    def test_refuses_different_lengths(self, metric):
        """
        Lengths that differ are named, never broadcast.
        """
        with pytest.raises(ValueError, match=r"one length, got shapes \(2,\) and \(1,\)"):
            metric([0, 1], [0.1])


class TestPartialArea:
    def test_hand_worked(self):
        """
        Positives .9 and .5, negatives .7 and .3: the curve runs (0, .5), (.5, .5), (.5, 1), (1, 1).
        """
        reference, score = [1, 0, 1, 0], [0.9, 0.7, 0.5, 0.3]

        assert partial_area_under_roc_curve(reference, score, max_false_positive_rate=0.5) == 0.25
        assert partial_area_under_roc_curve(reference, score, max_false_positive_rate=0.2) == pytest.approx(
            0.1
        )
        assert partial_area_under_roc_curve(reference, score, min_sensitivity=0.5) == 0.25
        assert partial_area_under_roc_curve(reference, score, min_sensitivity=0.75) == pytest.approx(0.125)

    @given(labelled_scores(), st.sampled_from([0.01, 0.1, 0.25, 0.5, 0.9, 1.0]))
    def test_equals_sklearn(self, drawn, limit):
        """
        Rescaled, it is scikit-learn's; at high sensitivity that of the swapped classes.
        """
        label, score = drawn
        area = partial_area_under_roc_curve(label, score, max_false_positive_rate=limit)
        expected = roc_auc_score(label, score, max_fpr=limit)
        if limit < 1:
            swapped = partial_area_under_roc_curve(label, score, min_sensitivity=1 - limit)
            expected_swapped = roc_auc_score(1 - label, -score, max_fpr=limit)
            assert standardised_partial_area(area, limit) == pytest.approx(expected, abs=1e-9)
            assert standardised_partial_area(swapped, limit) == pytest.approx(expected_swapped, abs=1e-9)
        else:
            assert area == pytest.approx(expected, abs=1e-12)

    @given(labelled_scores())
    def test_grows_to_the_whole_area(self, drawn):
        """
        More of the curve is more area; all of it is AUROC.
        """
        areas = [
            partial_area_under_roc_curve(*drawn, max_false_positive_rate=limit)
            for limit in (0.1, 0.4, 0.8, 1.0)
        ]

        assert areas == sorted(areas)
        assert areas[-1] == pytest.approx(area_under_roc_curve(*drawn), abs=1e-12)

    def test_chance_and_perfection(self):
        """
        Rescaled, no information is one half and full information one.
        """
        for limit in (0.1, 0.5):
            chance = partial_area_under_roc_curve([0, 1], [0.5, 0.5], max_false_positive_rate=limit)
            perfect = partial_area_under_roc_curve([0, 1], [0.1, 0.9], max_false_positive_rate=limit)
            assert standardised_partial_area(chance, limit) == pytest.approx(0.5)
            assert standardised_partial_area(perfect, limit) == pytest.approx(1.0)

    def test_one_class_is_undefined(self):
        """
        NaN, as for the whole area.
        """
        assert math.isnan(partial_area_under_roc_curve([1, 1], [0.1, 0.2], max_false_positive_rate=0.5))

    @pytest.mark.parametrize(
        ("limits", "rule"),
        [
            ({"max_false_positive_rate": 0}, "must be above 0 and at most 1"),
            ({"max_false_positive_rate": 20}, "must be above 0 and at most 1"),
            ({"min_sensitivity": 1}, "at least 0 and below 1"),
            ({"min_sensitivity": 0.8, "max_false_positive_rate": 0.2}, "not both"),
        ],
    )
    def test_limits(self, limits, rule):
        """
        The rule is named.
        """
        with pytest.raises(ValueError, match=rule):
            partial_area_under_roc_curve([0, 1], [0.1, 0.2], **limits)
