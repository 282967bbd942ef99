"""What a decision costs: sensitivity, specificity and their kin at a threshold, and agreement of classes."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reseed.metrics.classification import labels_and_scores

KappaWeights: TypeAlias = Literal["none", "linear", "quadratic"]


@dataclass(frozen=True)
class DecisionCounts:
    """How often a decision was right and wrong."""

    n_true_positive: int
    n_false_negative: int
    n_true_negative: int
    n_false_positive: int


def decisions_at_threshold(reference: ArrayLike, score: ArrayLike, threshold: float) -> DecisionCounts:
    """
    The decisions when a score of at least `threshold` is called positive.

    Parameters
    ----------
    reference
        Labels, 1 for positive and 0 for negative, one per case or per lesion.
    score
        Finite numbers, higher for the positive class.
    threshold
        Any number but NaN; infinite calls nothing positive.
    """
    if math.isnan(threshold):
        raise ValueError("threshold must be a number, got NaN")
    labels, scores = labels_and_scores(reference, score)
    called = scores >= threshold
    return DecisionCounts(
        n_true_positive=int(np.count_nonzero(called & labels)),
        n_false_negative=int(np.count_nonzero(~called & labels)),
        n_true_negative=int(np.count_nonzero(~called & ~labels)),
        n_false_positive=int(np.count_nonzero(called & ~labels)),
    )


def sensitivity(decisions: DecisionCounts) -> float:
    """The share of positives called positive, TP / (TP + FN), in [0, 1]. NaN without positives."""
    return _share(decisions.n_true_positive, decisions.n_false_negative)


def specificity(decisions: DecisionCounts) -> float:
    """The share of negatives called negative, TN / (TN + FP), in [0, 1]. NaN without negatives."""
    return _share(decisions.n_true_negative, decisions.n_false_positive)


def positive_predictive_value(decisions: DecisionCounts) -> float:
    """The share of positive calls that are right, TP / (TP + FP), in [0, 1]. NaN without a positive call."""
    return _share(decisions.n_true_positive, decisions.n_false_positive)


def negative_predictive_value(decisions: DecisionCounts) -> float:
    """The share of negative calls that are right, TN / (TN + FN), in [0, 1]. NaN without a negative call."""
    return _share(decisions.n_true_negative, decisions.n_false_negative)


def sensitivity_at_specificity(reference: ArrayLike, score: ArrayLike, min_specificity: float) -> float:
    """
    The highest sensitivity at a specificity of no less than `min_specificity`.

    Reached by an actual threshold; nothing is interpolated. Calling nothing positive is a threshold,
    so that it is always reached.

    Returns
    -------
    float
        In [0, 1], without unit. NaN when either class is absent.
    """
    found = _operating_points(reference, score)
    if found is None:
        return math.nan
    _check_share("min_specificity", min_specificity)
    true_positive_rate, true_negative_rate = found
    return float(true_positive_rate[true_negative_rate >= min_specificity].max())


def specificity_at_sensitivity(reference: ArrayLike, score: ArrayLike, min_sensitivity: float) -> float:
    """
    The highest specificity at a sensitivity of no less than `min_sensitivity`.

    As `sensitivity_at_specificity`, the other way round; calling everything positive is a threshold.
    """
    found = _operating_points(reference, score)
    if found is None:
        return math.nan
    _check_share("min_sensitivity", min_sensitivity)
    true_positive_rate, true_negative_rate = found
    return float(true_negative_rate[true_positive_rate >= min_sensitivity].max())


def _operating_points(
    reference: ArrayLike, score: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Sensitivity and specificity at every threshold; None when either class is absent."""
    labels, scores = labels_and_scores(reference, score)
    n_positive, n_negative = int(labels.sum()), int((~labels).sum())
    if n_positive == 0 or n_negative == 0:
        return None
    thresholds = np.append(np.unique(scores), math.inf)
    # how many of a class are below each threshold
    missed = np.searchsorted(np.sort(scores[labels]), thresholds)
    rejected = np.searchsorted(np.sort(scores[~labels]), thresholds)
    return (n_positive - missed) / n_positive, rejected / n_negative


def balanced_accuracy(reference: Sequence[Hashable], prediction: Sequence[Hashable]) -> float:
    """
    The mean over classes of the share of their cases that are put into the right class.

    Parameters
    ----------
    reference, prediction
        The class of every case; two or more classes, in no order.

    Returns
    -------
    float
        In [0, 1], without unit; chance is one over the number of classes. Classes that the reference
        does not have do not count. NaN without cases. For two classes it is the mean of sensitivity
        and specificity.

    References
    ----------
    K. H. Brodersen et al., "The balanced accuracy and its posterior distribution", ICPR 2010.
    """
    _check_one_length(reference, prediction)
    right: dict[Hashable, list[bool]] = {}
    for expected, found in zip(reference, prediction, strict=True):
        right.setdefault(expected, []).append(expected == found)
    if not right:
        return math.nan
    return math.fsum(sum(each) / len(each) for each in right.values()) / len(right)


def cohens_kappa(
    reference: Sequence[Hashable],
    prediction: Sequence[Hashable],
    classes: Sequence[Hashable],
    *,
    weights: KappaWeights = "none",
) -> float:
    """
    Agreement beyond chance of two classifications: 1 - observed / expected disagreement.

    Parameters
    ----------
    reference, prediction
        The class of every case.
    classes
        All classes there can be, in their order if they have one: the order decides the weights, and a
        class that nobody uses still keeps its place.
    weights
        How bad a disagreement is: `none`, all alike; `linear` or `quadratic` in the number of steps
        between the two classes.

    Returns
    -------
    float
        At most 1, without unit; 0 is chance. NaN when chance alone would agree everywhere: without
        cases, or when both use one and the same class only.

    Raises
    ------
    ValueError
        When a class is not among `classes`.

    References
    ----------
    J. Cohen, "Weighted kappa: nominal scale agreement with provision for scaled disagreement or
    partial credit", Psychological Bulletin 70 (1968) 213.
    """
    _check_one_length(reference, prediction)
    place = {name: index for index, name in enumerate(classes)}
    unknown = next((name for name in (*reference, *prediction) if name not in place), None)
    if unknown is not None:
        raise ValueError(f"class {unknown!r} is not among {list(classes)}")
    counts = np.zeros((len(place), len(place)))
    for expected, found in zip(reference, prediction, strict=True):
        counts[place[expected], place[found]] += 1
    steps = np.abs(np.subtract.outer(np.arange(len(place)), np.arange(len(place))))
    penalty = {"none": steps > 0, "linear": steps, "quadratic": steps**2}[weights]
    by_chance = np.outer(counts.sum(axis=1), counts.sum(axis=0))
    expected_penalty = float((penalty * by_chance).sum())
    if expected_penalty == 0:
        return math.nan
    return 1 - float((penalty * counts).sum()) * len(reference) / expected_penalty


def _share(n_right: int, n_wrong: int) -> float:
    return n_right / (n_right + n_wrong) if n_right + n_wrong else math.nan


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be from 0 to 1, got {value}")


def _check_one_length(reference: Sequence[Hashable], prediction: Sequence[Hashable]) -> None:
    if len(reference) != len(prediction):
        raise ValueError(
            f"reference and prediction must have one length, got {len(reference)} and {len(prediction)}"
        )
