"""Where the score of one more retraining would lie, from the scores of some."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit


@dataclass(frozen=True)
class RetrainingPrediction:
    """
    The prediction distribution of one further normal observation.

    (score − mean) / scale has Student's t with `df` degrees of freedom, for scale = sd √(1 + 1/n) and
    df = n − 1 (G. J. Hahn, W. Q. Meeker, "Statistical Intervals" (1991), section 4.7).

    Attributes
    ----------
    mean, sd
        Of the scores, the standard deviation with n − 1.
    scale, df
        Of the distribution.
    """

    mean: float
    sd: float
    scale: float
    df: int

    @classmethod
    def of(cls, scores: Sequence[float]) -> RetrainingPrediction:
        """From the scores of some retrainings; those of a single one have no spread to predict from."""
        n_runs = len(scores)
        # equal runs have no spread and lie at their mean, where rounding would leave something of either
        if np.ptp(scores) == 0:
            return cls(float(scores[0]), 0.0, 0.0, n_runs - 1)
        sd = float(np.std(scores, ddof=1))
        return cls(math.fsum(scores) / n_runs, sd, sd * math.sqrt(1 + 1 / n_runs), n_runs - 1)

    def half_width(self, confidence_level: float) -> float:
        """Half of the prediction interval around the mean."""
        return float(stdtrit(self.df, 1 - (1 - confidence_level) / 2)) * self.scale

    def share_above(self, distance: float) -> float:
        """The share of retrainings at least `distance` above the mean, or below it: it is symmetric."""
        if self.scale > 0:
            return 1 - float(stdtr(self.df, distance / self.scale))
        return 1.0 if distance <= 0 else 0.0

    def p_value(self, score: float) -> float:
        """Two-sided: the share of retrainings at least as far from the mean as a score."""
        distance = abs(score - self.mean)
        if self.scale > 0:
            return float(2 * stdtr(self.df, -distance / self.scale))
        return 1.0 if distance == 0 else 0.0
