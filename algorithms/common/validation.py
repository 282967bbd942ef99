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


def average_precision(labels: npt.NDArray[np.int64], scores: npt.NDArray[np.float64]) -> float:
    """
    Mean over the positive cases of the precision at their score, cases of one score entering together.

    NaN when a class is missing. As `area_under_roc`, for choosing a checkpoint.
    """
    n_positive = int((labels == 1).sum())
    if n_positive in (0, len(labels)):
        return math.nan
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(labels[order] == 1)
    last_of_score = np.append(np.diff(scores[order]) != 0, True)
    recall = hits[last_of_score] / n_positive
    precision = hits[last_of_score] / (np.flatnonzero(last_of_score) + 1)
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))
