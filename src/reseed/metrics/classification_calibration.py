"""Whether a probability means what it says: Brier score and calibration error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reseed.metrics.classification import labels_and_scores

Binning: TypeAlias = Literal["equal_width", "equal_mass"]


@dataclass(frozen=True)
class ReliabilityCurve:
    """For every bin that has cases: how many, their mean probability, and the share of positives."""

    n_cases: NDArray[np.int64]
    mean_probability: NDArray[np.float64]
    positive_share: NDArray[np.float64]


def brier_score(reference: ArrayLike, probability: ArrayLike) -> float:
    """
    The mean squared difference between probability and outcome.

    Parameters
    ----------
    reference
        Labels, 1 for positive and 0 for negative.
    probability
        Of the positive class, in [0, 1].

    Returns
    -------
    float
        In [0, 1], without unit, lower is better; always saying 0.5 gives 0.25. NaN without cases.

    References
    ----------
    G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78
    (1950) 1 (for two classes half of his sum).
    """
    labels, probabilities = _labels_and_probabilities(reference, probability)
    if labels.size == 0:
        return math.nan
    return float(np.mean((probabilities - labels) ** 2))


def reliability_curve(
    reference: ArrayLike, probability: ArrayLike, *, n_bins: int = 10, binning: Binning = "equal_width"
) -> ReliabilityCurve:
    """
    Mean probability against the share of positives, in bins of the probability.

    Parameters
    ----------
    reference, probability
        As for `brier_score`.
    n_bins
        Number of bins.
    binning
        `equal_width`: bins of width 1 / n_bins. `equal_mass`: between quantiles (linearly interpolated)
        of the probabilities. A probability on the border of two bins belongs to the lower one.
    """
    if n_bins < 1:
        raise ValueError(f"n_bins must be at least 1, got {n_bins}")
    labels, probabilities = _labels_and_probabilities(reference, probability)
    shares = np.linspace(0, 1, n_bins + 1)
    by_mass = binning == "equal_mass" and probabilities.size > 0
    borders = np.percentile(probabilities, 100 * shares) if by_mass else shares
    position = np.searchsorted(borders[1:-1], probabilities)
    n_cases = np.bincount(position, minlength=n_bins)
    occupied = n_cases > 0
    return ReliabilityCurve(
        n_cases=n_cases[occupied],
        mean_probability=np.bincount(position, weights=probabilities, minlength=n_bins)[occupied]
        / n_cases[occupied],
        positive_share=np.bincount(position, weights=labels, minlength=n_bins)[occupied] / n_cases[occupied],
    )


def expected_calibration_error(
    reference: ArrayLike, probability: ArrayLike, *, n_bins: int = 10, binning: Binning = "equal_width"
) -> float:
    """
    How far the probability is from the share of positives, on average over cases (ECE).

    The mean over bins, weighted by their cases, of |mean probability - share of positives|. It depends on
    the bins, and is biased upwards for few cases: compare only what was computed alike.

    Parameters
    ----------
    reference, probability, n_bins, binning
        As for `reliability_curve`.

    Returns
    -------
    float
        In [0, 1], without unit, lower is better. NaN without cases.

    References
    ----------
    M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian
    binning", AAAI 2015.
    """
    curve = reliability_curve(reference, probability, n_bins=n_bins, binning=binning)
    if curve.n_cases.size == 0:
        return math.nan
    gap = np.abs(curve.mean_probability - curve.positive_share)
    return float((curve.n_cases * gap).sum() / curve.n_cases.sum())


def _labels_and_probabilities(
    reference: ArrayLike, probability: ArrayLike
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    labels, probabilities = labels_and_scores(reference, probability)
    outside = probabilities[(probabilities < 0) | (probabilities > 1)]
    if outside.size:
        raise ValueError(f"a probability must be from 0 to 1, got {outside[0]}")
    return labels, probabilities
