"""Where one more retraining would score."""

import numpy as np
import pytest
from scipy import stats

from reseed.statistics.prediction import RetrainingPrediction

SCORES = [0.90, 0.91, 0.93, 0.89, 0.92]


def test_the_p_value_is_that_of_a_prediction_interval():
    """At the limits of scipy's t prediction interval the p value is its level, at the mean 1."""
    found = RetrainingPrediction.of(SCORES)
    half = stats.t.ppf(0.975, 4) * np.std(SCORES, ddof=1) * np.sqrt(1 + 1 / 5)

    assert found.half_width(0.95) == pytest.approx(half, rel=1e-12)
    for sign in (-1, 1):
        assert found.p_value(found.mean + sign * half) == pytest.approx(0.05, abs=1e-12)
        assert found.share_above(sign * half) == pytest.approx(0.5 - sign * 0.475, abs=1e-12)
    assert found.p_value(found.mean) == 1.0


@pytest.mark.parametrize("n_runs", range(2, 30))
def test_equal_runs_leave_no_room(n_runs):
    """What scores the same is within, anything else is not."""
    found = RetrainingPrediction.of([0.9] * n_runs)

    assert (found.p_value(0.9), found.p_value(0.8)) == (1.0, 0.0)
    assert (found.share_above(0.0), found.share_above(0.1)) == (1.0, 0.0)
