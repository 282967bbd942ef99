"""Which candidate hits which lesion: the lesion results of one case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from reseed.metrics.components import Component, connected_components
from reseed.metrics.detection_candidates import Candidate, Volume, detection_map_candidates
from reseed.metrics.masks import check_same_grid

MatchingOrder: TypeAlias = Literal["most_matches", "largest_overlap"]
OverlapMeasure: TypeAlias = Literal["iou", "dsc"]

_EPSILON = 1e-8
"""Added above and below the fraction bar of an overlap, as picai_eval does, so that numbers are equal."""


@dataclass(frozen=True)
class MatchingRule:
    """
    When a candidate counts as a hit.

    Attributes
    ----------
    min_overlap
        The smallest overlap of a candidate with a lesion that can be a hit.
    overlap
        Intersection over union, or Dice.
    order
        `most_matches`: as many hits as possible, and among those the largest sum of overlaps (PI-CAI).
        `largest_overlap`: again and again the pair with the largest overlap.
    surplus_is_false_positive
        What a candidate is that overlaps enough with a lesion that another one hits: discarded (the
        default, as PI-CAI and the paper have it), or a false positive.
    """

    min_overlap: float = 0.10
    overlap: OverlapMeasure = "iou"
    order: MatchingOrder = "most_matches"
    surplus_is_false_positive: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.min_overlap <= 1:
            raise ValueError(f"min_overlap must be above 0 and at most 1, got {self.min_overlap}")


@dataclass(frozen=True)
class LesionResult:
    """
    A hit (a lesion with the confidence of its candidate), a missed lesion (without confidence), or a false
    positive (no lesion, overlap 0).
    """

    is_lesion: bool
    confidence: float | None
    overlap: float = 0.0


@dataclass(frozen=True)
class CaseDetection:
    """
    What was detected in one case.

    `confidence` is the highest of the detection map, 0 when it is empty; also that of a discarded
    candidate counts.
    """

    lesions: tuple[LesionResult, ...]
    confidence: float

    @property
    def has_lesion(self) -> bool:
        """Whether the reference has a lesion."""
        return any(lesion.is_lesion for lesion in self.lesions)


def case_detection(
    reference: ArrayLike, detection_map: Volume, rule: MatchingRule | None = None
) -> CaseDetection:
    """
    Candidates of a detection map, matched to the lesions of a reference.

    Parameters
    ----------
    reference
        Lesions as a mask or label map on the grid of the detection map; every component of non-zero
        voxels under full connectivity (26 neighbours in 3D) is one lesion.
    detection_map
        Confidences; see `detection_map_candidates`.
    rule
        Default: IoU of at least 0.10, as many matches as possible.

    Returns
    -------
    CaseDetection
        Hits first, then missed lesions, then false positives.

    Raises
    ------
    ValueError
        When the grids differ, or the detection map is none.

    References
    ----------
    A. Saha, J. S. Bosma et al., "Artificial intelligence and radiologists in prostate cancer detection
    on MRI (PI-CAI)", Lancet Oncology 25 (2024) 879; package picai_eval, `evaluate_case`.
    """
    chosen = rule or MatchingRule()
    lesion_map: NDArray[Any] = np.asarray(reference)
    check_same_grid(lesion_map, np.asarray(detection_map))
    lesions = connected_components(lesion_map)
    candidates = detection_map_candidates(detection_map)
    overlaps = _overlaps(lesions, candidates, chosen.overlap)
    overlaps[overlaps < chosen.min_overlap] = 0
    pairs = _pairs(overlaps, chosen.order)
    hits = [
        LesionResult(True, candidates[column].confidence, float(overlaps[row, column]))
        for row, column in pairs
    ]
    missed = [LesionResult(True, None)] * (len(lesions) - len(pairs))
    matched = {column for _, column in pairs}
    overlapping = (
        set() if chosen.surplus_is_false_positive else set(np.flatnonzero(overlaps.any(axis=0)).tolist())
    )
    false_positives = [
        LesionResult(False, candidate.confidence)
        for column, candidate in enumerate(candidates)
        if column not in matched and column not in overlapping
    ]
    confidence = max((candidate.confidence for candidate in candidates), default=0.0)
    return CaseDetection((*hits, *missed, *false_positives), confidence)


def _overlaps(
    lesions: list[Component], candidates: list[Candidate], measure: OverlapMeasure
) -> NDArray[np.float64]:
    """The overlap of every lesion with every candidate."""
    overlaps = np.zeros((len(lesions), len(candidates)))
    for row, lesion in enumerate(lesions):
        for column, candidate in enumerate(candidates):
            n_both = _n_shared(lesion.voxels, candidate.component.voxels)
            total = lesion.size + candidate.component.size
            if measure == "dsc":
                overlaps[row, column] = (2 * n_both + _EPSILON) / (total + _EPSILON)
            else:
                overlaps[row, column] = (n_both + _EPSILON) / (total - n_both + _EPSILON)
    return overlaps


def _n_shared(first: NDArray[np.intp], second: NDArray[np.intp]) -> int:
    """How many of two ascending lists of voxels are in both."""
    if first[-1] < second[0] or second[-1] < first[0]:
        return 0
    shorter, longer = (first, second) if first.size <= second.size else (second, first)
    position = np.minimum(np.searchsorted(longer, shorter), longer.size - 1)
    return int(np.count_nonzero(longer[position] == shorter))


def _pairs(overlaps: NDArray[np.float64], order: MatchingOrder) -> list[tuple[int, int]]:
    """The matched lesions and candidates, as rows and columns; overlaps of 0 never match."""
    if order == "most_matches":
        # A match is worth 1 and its overlap, as in picai_eval. Overlaps of disjoint lesions with
        # disjoint candidates are too small in sum to be worth a match less.
        weights = np.where(overlaps > 0, overlaps + 1, 0)
        rows, columns = linear_sum_assignment(weights, maximize=True)
        return [
            (int(row), int(column))
            for row, column in zip(rows, columns, strict=True)
            if overlaps[row, column] > 0
        ]
    pairs = []
    left = overlaps.copy()
    while left.size and left.max() > 0:
        row, column = np.unravel_index(int(left.argmax()), left.shape)
        pairs.append((int(row), int(column)))
        left[row] = 0
        left[:, column] = 0
    return sorted(pairs)
