"""How good an epoch is."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt


def area_under_roc(labels: npt.NDArray[np.int64], scores: npt.NDArray[np.float64]) -> float:
    """
    The chance that a positive case scores higher than a negative one, ties counting half.

    NaN when a class is missing. The project's results come from reseed.metrics; this one chooses a
    checkpoint inside a container that has only what it trains with.
    """
    positive, negative = scores[labels == 1], np.sort(scores[labels == 0])
    if len(positive) == 0 or len(negative) == 0:
        return math.nan
    below = np.searchsorted(negative, positive, side="left")
    below_or_tied = np.searchsorted(negative, positive, side="right")
    return float((below.sum() + below_or_tied.sum()) / (2 * len(positive) * len(negative)))
