"""From lesions to cases: what the lesions of a case say of the case as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reseed.metrics.classification import labels_and_scores


@dataclass(frozen=True)
class CaseLevel:
    """Every case once, sorted by its id, with its label and score."""

    case: tuple[str, ...]
    reference: NDArray[np.bool_]
    score: NDArray[np.float64]


def case_level(case: Sequence[str], reference: ArrayLike, score: ArrayLike) -> CaseLevel:
    """
    Labels and scores per case, from those per lesion.

    A case is positive when any of its lesions is, and its score is the highest of its lesions: one
    malignant nodule makes a malignant scan. Every metric of classification then applies to cases as
    it does to lesions.

    Parameters
    ----------
    case
        The case of every lesion.
    reference
        The label of every lesion, 1 or 0.
    score
        The score of every lesion, higher for the positive class.

    Raises
    ------
    ValueError
        When lengths differ, a label is neither 0 nor 1, or a score is not finite.
    """
    labels, scores = labels_and_scores(reference, score)
    if len(case) != labels.size:
        raise ValueError(f"case must have one entry per lesion, got {len(case)} for {labels.size}")
    names, index = np.unique(np.asarray(case, dtype=str), return_inverse=True)
    highest = np.full(names.size, -np.inf)
    np.maximum.at(highest, index, scores)
    positive = np.zeros(names.size, dtype=bool)
    np.logical_or.at(positive, index, labels)
    return CaseLevel(tuple(names.tolist()), positive, highest)
