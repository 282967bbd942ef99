"""Calibration against hand-worked cases and scikit-learn."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from reseed.metrics.classification_calibration import (
    brier_score,
    expected_calibration_error,
    reliability_curve,
)


@st.composite
def forecasts(draw):
    """Labels of both classes, and probabilities that often stand on a border of ten bins."""
    n = draw(st.integers(2, 40))
    labels = [0, 1, *draw(st.lists(st.sampled_from([0, 1]), min_size=n - 2, max_size=n - 2))]
    probability = st.integers(0, 20).map(lambda value: value / 20) | st.floats(0, 1)
    return np.array(labels), np.array(draw(st.lists(probability, min_size=n, max_size=n)))


class TestBrierScore:
    def test_hand_worked(self):
        """
        (.1² + .4² + .3²) / 3.
        """
        assert brier_score([1, 1, 0], [0.9, 0.6, 0.3]) == pytest.approx(0.26 / 3)

    def test_nothing(self):
        """
        Undefined without cases.
        """
        assert math.isnan(brier_score([], []))

    @given(forecasts())
    def test_sklearn(self, drawn):
        """
        The same as scikit-learn's.
        """
        assert brier_score(*drawn) == pytest.approx(brier_score_loss(*drawn), abs=1e-12)

    @pytest.mark.parametrize("bad", [-0.1, 1.1])
    def test_what_is_no_probability(self, bad):
        """
        A score on another scale is refused.
        """
        with pytest.raises(ValueError, match=f"a probability must be from 0 to 1, got {bad}"):
            brier_score([0, 1], [0.5, bad])


class TestExpectedCalibrationError:
    def test_hand_worked(self):
        """
        Two bins: .2 and .4 with one positive (gap .2), .9 and .9 with two (gap .1).
        """
        labels, probabilities = [0, 1, 1, 1], [0.2, 0.4, 0.9, 0.9]

        assert expected_calibration_error(labels, probabilities, n_bins=2) == pytest.approx(
            (0.2 * 2 + 0.1 * 2) / 4
        )

    def test_a_border_belongs_to_the_lower_bin(self):
        """
        .5 of two bins is in the first.
        """
        curve = reliability_curve([0, 1, 1], [0.1, 0.5, 0.9], n_bins=2)

        assert curve.n_cases.tolist() == [2, 1]

    def test_equal_mass(self):
        """
        Crowded probabilities are told apart: two cases in each of two bins.
        """
        curve = reliability_curve([0, 0, 1, 1], [0.01, 0.02, 0.03, 0.04], n_bins=2, binning="equal_mass")

        assert curve.n_cases.tolist() == [2, 2]
        assert curve.positive_share.tolist() == [0, 1]

    def test_nothing(self):
        """
        Undefined without cases.
        """
        assert math.isnan(expected_calibration_error([], []))
        assert math.isnan(expected_calibration_error([], [], binning="equal_mass"))

    @pytest.mark.parametrize(
        ("binning", "strategy"), [("equal_width", "uniform"), ("equal_mass", "quantile")]
    )
    @given(drawn=forecasts(), n_bins=st.integers(1, 12))
    def test_sklearn(self, binning, strategy, drawn, n_bins):
        """
        The bins are those of scikit-learn's calibration curve.
        """
        share, mean = calibration_curve(*drawn, n_bins=n_bins, strategy=strategy)
        curve = reliability_curve(*drawn, n_bins=n_bins, binning=binning)

        assert curve.positive_share == pytest.approx(share, abs=1e-12)
        assert curve.mean_probability == pytest.approx(mean, abs=1e-12)
        assert curve.n_cases.sum() == drawn[0].size

    @given(drawn=forecasts(), n_bins=st.integers(1, 12))
    def test_is_an_average_of_gaps(self, drawn, n_bins):
        """
        Between the gap of all cases together and 1.
        """
        labels, probabilities = drawn
        error = expected_calibration_error(labels, probabilities, n_bins=n_bins)

        assert abs(labels.mean() - probabilities.mean()) - 1e-12 <= error <= 1

    def test_no_bins(self):
        """
        One at least.
        """
        with pytest.raises(ValueError, match="n_bins must be at least 1, got 0"):
            reliability_curve([0, 1], [0.5, 0.5], n_bins=0)
