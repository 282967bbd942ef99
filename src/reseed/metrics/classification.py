"""How well a number per case, or per lesion, tells two classes apart: the ranking metrics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def area_under_roc_curve(reference: ArrayLike, score: ArrayLike) -> float:
    """
    Area under the receiver operating characteristic curve (AUROC).

    The probability that a randomly chosen positive scores higher than a randomly chosen negative,
    a tie counting one half: U / (n_positive * n_negative) with the Mann-Whitney statistic U, which
    is the area under the empirical curve by the trapezoidal rule.

    Parameters
    ----------
    reference
        Labels, 1 for positive and 0 for negative, one per case.
    score
        Finite numbers, higher for the positive class; any monotone scale gives the same area.

    Returns
    -------
    float
        In [0, 1], without unit; 0.5 is chance. NaN when either class is absent: there is no pair
        to order.

    References
    ----------
    D. Bamber, "The area above the ordinal dominance graph and the area below the receiver
    operating characteristic graph", J. Math. Psychol. 12 (1975) 387-415.
    J. A. Hanley, B. J. McNeil, Radiology 143 (1982) 29-36.
    """
    n_positive, n_negative = _counts_by_threshold(reference, score)
    positives, negatives = int(n_positive.sum()), int(n_negative.sum())
    if positives == 0 or negatives == 0:
        return math.nan
    n_negative_below = negatives - np.cumsum(n_negative)
    # twice U is a whole number, so that the area is exact up to one division
    twice_u = int((n_positive * (2 * n_negative_below + n_negative)).sum())
    return twice_u / (2 * positives * negatives)


def average_precision(reference: ArrayLike, score: ArrayLike) -> float:
    """
    Average precision (AP): the area under the precision-recall curve as a step integral.

    The sum over distinct scores t, highest first, of (recall(t) - recall(previous t)) *
    precision(t), where a case is called positive when its score is at least t. Cases with equal
    scores enter together, as one threshold, so that their order does not matter. Nothing is
    interpolated: linear interpolation between points of this curve is too optimistic.

    Parameters
    ----------
    reference
        Labels, 1 for positive and 0 for negative, one per case.
    score
        Finite numbers, higher for the positive class.

    Returns
    -------
    float
        In (0, 1], without unit; the share of positives is chance. NaN when there is no positive:
        recall is undefined. Without negatives it is 1.

    References
    ----------
    J. Davis, M. Goadrich, "The relationship between precision-recall and ROC curves", ICML 2006.
    The definition is that of scikit-learn's `average_precision_score`.
    """
    n_positive, n_negative = _counts_by_threshold(reference, score)
    positives = int(n_positive.sum())
    if positives == 0:
        return math.nan
    true_positives = np.cumsum(n_positive)
    called_positive = true_positives + np.cumsum(n_negative)
    return float((n_positive * (true_positives / called_positive)).sum() / positives)


def partial_area_under_roc_curve(
    reference: ArrayLike,
    score: ArrayLike,
    *,
    max_false_positive_rate: float = 1.0,
    min_sensitivity: float = 0.0,
) -> float:
    """
    The area under a part of the ROC curve: low false positive rates, or high sensitivities.

    With `max_false_positive_rate` f, the area under the curve left of f; with `min_sensitivity` s,
    the area under the curve and above s. Linear between the points of the curve, also where the
    limit cuts it. Give one limit, not both.

    Parameters
    ----------
    reference, score
        As for `area_under_roc_curve`.
    max_false_positive_rate
        Above 0 and at most 1.
    min_sensitivity
        At least 0 and below 1.

    Returns
    -------
    float
        Without unit, not rescaled: at most f, or 1 - s. `standardised_partial_area` rescales it. NaN
        when either class is absent.

    References
    ----------
    D. K. McClish, "Analyzing a portion of the ROC curve", Med. Decis. Making 9 (1989) 190; Y. Jiang,
    C. E. Metz, R. M. Nishikawa, "A receiver operating characteristic partial area index for highly
    sensitive diagnostic tests", Radiology 201 (1996) 745.
    """
    if not (0 < max_false_positive_rate <= 1 and 0 <= min_sensitivity < 1):
        raise ValueError(
            "max_false_positive_rate must be above 0 and at most 1, min_sensitivity at least 0 and below 1, "
            f"got {max_false_positive_rate} and {min_sensitivity}"
        )
    if max_false_positive_rate < 1 and min_sensitivity > 0:
        raise ValueError("give max_false_positive_rate or min_sensitivity, not both")
    n_positive, n_negative = _counts_by_threshold(reference, score)
    positives, negatives = int(n_positive.sum()), int(n_negative.sum())
    if positives == 0 or negatives == 0:
        return math.nan
    sensitivity = np.concatenate([[0], np.cumsum(n_positive)]) / positives
    false_positive_rate = np.concatenate([[0], np.cumsum(n_negative)]) / negatives
    if min_sensitivity > 0:
        # the same picture turned around: specificity left of the largest share of missed positives
        return _area_left_of(1 - min_sensitivity, 1 - sensitivity[::-1], 1 - false_positive_rate[::-1])
    return _area_left_of(max_false_positive_rate, false_positive_rate, sensitivity)


def standardised_partial_area(partial_area: float, max_false_positive_rate: float) -> float:
    """
    A partial area rescaled so that chance is 0.5 and perfect is 1 (McClish).

    Parameters
    ----------
    partial_area
        Of `partial_area_under_roc_curve` with this limit. For a limit s of sensitivity pass 1 - s.
    max_false_positive_rate
        The limit of the area.

    Returns
    -------
    float
        At most 1, without unit; below 0.5 for worse than chance. NaN when the area is.
    """
    chance = max_false_positive_rate**2 / 2
    return (1 + (partial_area - chance) / (max_false_positive_rate - chance)) / 2


def _area_left_of(limit: float, x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """The area under a polygon left of a limit, by trapezoids; x ascends from 0 to 1."""
    inside = int(np.searchsorted(x, limit, side="right"))
    if inside == x.size:
        return float(np.trapezoid(y, x))
    step = (limit - x[inside - 1]) / (x[inside] - x[inside - 1])
    at_limit = y[inside - 1] + step * (y[inside] - y[inside - 1])
    return float(np.trapezoid([*y[:inside], at_limit], [*x[:inside], limit]))


def _counts_by_threshold(
    reference: ArrayLike, score: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many positives and negatives have each distinct score, highest score first."""
    labels, scores = labels_and_scores(reference, score)
    # 0.0 and -0.0 are one threshold: unique() compares, it does not look at bits
    thresholds, index = np.unique(-scores, return_inverse=True)
    n_positive = np.bincount(index[labels], minlength=thresholds.size)
    n_negative = np.bincount(index[~labels], minlength=thresholds.size)
    return n_positive, n_negative


def labels_and_scores(
    reference: ArrayLike, score: ArrayLike
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """
    The two arguments of a classification metric, as boolean labels and floating-point scores.

    Raises
    ------
    ValueError
        When they are not two vectors of one length, a label is neither 0 nor 1, or a score is not
        finite.
    """
    given: NDArray[Any] = np.asarray(reference)
    scores = np.asarray(score, dtype=np.float64)
    if given.ndim != 1 or given.shape != scores.shape:
        raise ValueError(
            f"reference and score must be vectors of one length, got shapes {given.shape} and {scores.shape}"
        )
    unknown = given[(given != 0) & (given != 1)]
    if unknown.size:
        raise ValueError(f"a reference label must be 0 or 1, got {unknown[0]}")
    if not np.isfinite(scores).all():
        raise ValueError(f"a score must be finite, got {scores[~np.isfinite(scores)][0]}")
    return given.astype(bool), scores
