"""
How well lesions are found: metrics over the lesion results of all cases together.

Two vectors describe a test set: `is_lesion`, 1 for a lesion (hit or missed) and 0 for a false positive,
and `confidence`, NaN for a missed lesion. They are the columns `reference` and `score` of a score table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reseed.metrics.classification import area_under_roc_curve, average_precision
from reseed.metrics.detection_matching import CaseDetection

FROC_RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""False positives per case at which LUNA16 reads the FROC curve."""


@dataclass(frozen=True)
class LesionScores:
    """The lesion results of all cases, one entry each; `confidence` is NaN for a missed lesion."""

    is_lesion: NDArray[np.bool_]
    confidence: NDArray[np.float64]


@dataclass(frozen=True)
class FreeResponseCurve:
    """The FROC curve: from calling nothing a lesion (threshold infinite) to calling every candidate one."""

    threshold: NDArray[np.float64]
    sensitivity: NDArray[np.float64]
    false_positives_per_case: NDArray[np.float64]


def pooled_lesion_scores(cases: Sequence[CaseDetection]) -> LesionScores:
    """The lesion results of all cases together."""
    lesions = [lesion for case in cases for lesion in case.lesions]
    return lesion_scores(
        [lesion.is_lesion for lesion in lesions],
        [math.nan if lesion.confidence is None else lesion.confidence for lesion in lesions],
    )


def lesion_scores(is_lesion: ArrayLike, confidence: ArrayLike) -> LesionScores:
    """
    Lesion results from two columns.

    Raises
    ------
    ValueError
        When lengths differ, a label is neither 0 nor 1, a confidence is infinite, or a false positive
        has none.
    """
    labels = np.asarray(is_lesion)
    values = np.asarray(confidence, dtype=np.float64)
    if labels.ndim != 1 or labels.shape != values.shape:
        raise ValueError(
            f"is_lesion and confidence must be vectors of one length, got {labels.shape} and {values.shape}"
        )
    if bool(((labels != 0) & (labels != 1)).any()):
        raise ValueError("is_lesion must be 1 for a lesion and 0 for a false positive")
    is_hit_or_missed = labels.astype(bool)
    if bool(np.isinf(values).any()) or bool(np.isnan(values[~is_hit_or_missed]).any()):
        raise ValueError("a confidence must be finite, or NaN for a missed lesion")
    return LesionScores(is_hit_or_missed, values)


def lesion_average_precision(scores: LesionScores) -> float:
    """
    Average precision over lesion candidates pooled across cases; `ap`.

    The step integral of precision over recall, where recall counts all lesions: a missed lesion is
    at the bottom of the ranking, with precision 0.

    Returns
    -------
    float
        In [0, 1], without unit; 0 when every lesion is missed. NaN when there is no lesion.

    References
    ----------
    A. Saha, J. S. Bosma et al., Lancet Oncology 25 (2024) 879; package picai_eval.
    """
    n_lesions = int(scores.is_lesion.sum())
    if n_lesions == 0:
        return math.nan
    found = ~np.isnan(scores.confidence)
    n_hits = int(scores.is_lesion[found].sum())
    if n_hits == 0:
        return 0.0
    return average_precision(scores.is_lesion[found], scores.confidence[found]) * n_hits / n_lesions


def free_response_curve(scores: LesionScores, n_cases: int) -> FreeResponseCurve:
    """
    Lesion sensitivity against false positives per case, at every distinct confidence (FROC).

    Parameters
    ----------
    scores
        Of `pooled_lesion_scores`.
    n_cases
        All cases of the test set, also those without lesion or candidate.

    Returns
    -------
    FreeResponseCurve
        The last point is that of all candidates, also when no lesion is missed. Sensitivity is NaN
        when there is no lesion.

    References
    ----------
    P. C. Bunch et al., "A free-response approach to the measurement and characterization of
    radiographic-observer performance", J. Appl. Photogr. Eng. 4 (1978) 166.
    """
    if n_cases < 1:
        raise ValueError(f"n_cases must be at least 1, got {n_cases}")
    found = ~np.isnan(scores.confidence)
    confidence, is_lesion = scores.confidence[found], scores.is_lesion[found]
    thresholds = np.unique(confidence)[::-1]
    position = np.searchsorted(-thresholds, -confidence)
    n_hits = np.cumsum(np.bincount(position[is_lesion], minlength=thresholds.size))
    n_false = np.cumsum(np.bincount(position[~is_lesion], minlength=thresholds.size))
    n_lesions = int(scores.is_lesion.sum())
    return FreeResponseCurve(
        threshold=np.concatenate([[math.inf], thresholds]),
        sensitivity=np.concatenate([[0], n_hits]) / (n_lesions or math.nan),
        false_positives_per_case=np.concatenate([[0], n_false]) / n_cases,
    )


def sensitivity_at_false_positives(curve: FreeResponseCurve, rate: float) -> float:
    """
    The highest lesion sensitivity at no more than `rate` false positives per case.

    Nothing is interpolated: it is reached by an actual threshold.

    Returns
    -------
    float
        In [0, 1], without unit. NaN when there is no lesion.
    """
    if not rate >= 0:
        raise ValueError(f"rate must not be negative, got {rate}")
    return float(curve.sensitivity[curve.false_positives_per_case <= rate][-1])


def froc_score(curve: FreeResponseCurve, rates: Sequence[float] = FROC_RATES) -> float:
    """
    The mean sensitivity at several rates of false positives per case; `froc`.

    Returns
    -------
    float
        In [0, 1], without unit. NaN when there is no lesion.

    References
    ----------
    A. A. A. Setio et al., "Validation, comparison, and combination of algorithms for automatic detection
    of pulmonary nodules", Med. Image Anal. 42 (2017) 1 (LUNA16, which interpolates between thresholds).
    """
    return float(np.mean([sensitivity_at_false_positives(curve, rate) for rate in rates]))


def case_auroc(cases: Sequence[CaseDetection]) -> float:
    """
    Area under the ROC curve over cases: does the highest confidence tell which cases have a lesion?

    Returns
    -------
    float
        In [0, 1]. NaN when all cases have a lesion, or none has.
    """
    return area_under_roc_curve([case.has_lesion for case in cases], [case.confidence for case in cases])


def ranking_score(auroc: float, ap: float) -> float:
    """
    The mean of case AUROC and lesion AP, by which PI-CAI ranks; `picai_score`.

    Returns
    -------
    float
        In [0, 1], without unit. NaN when either is.
    """
    return (auroc + ap) / 2
