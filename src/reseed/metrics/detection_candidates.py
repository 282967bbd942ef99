"""
Lesion candidates: what a detection algorithm points at, and how sure it is of each.

A candidate is a connected component with one confidence. It comes from a detection map, in which the
algorithm has already decided, or is extracted from a voxel-wise softmax.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from reseed.metrics.components import Component, connected_components
from reseed.metrics.masks import box_with_values

Volume = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Candidate:
    """A component of a detection map, with its confidence above 0."""

    component: Component
    confidence: float


@dataclass(frozen=True)
class ExtractionSettings:
    """
    How candidates are cut out of a softmax.

    Attributes
    ----------
    threshold_factor
        A candidate is what exceeds its own highest value divided by this; 2.5 means 40 % of it.
    min_voxels
        A component must have more voxels than this.
    max_candidates
        No more than this many are extracted, the most confident first.
    stop_below
        Nothing is extracted once the highest value left is below this.
    small_components
        What happens when every component above the threshold is too small: `skip` takes them out and
        goes on (the package's "dynamic-v2"), `stop` ends the extraction (its "dynamic").
    """

    threshold_factor: float = 2.5
    min_voxels: int = 10
    max_candidates: int = 5
    stop_below: float = 0.01
    small_components: Literal["skip", "stop"] = "skip"

    def __post_init__(self) -> None:
        if not (self.threshold_factor >= 1 and self.stop_below > 0):
            raise ValueError(
                f"threshold_factor must be at least 1 and stop_below above 0, "
                f"got {self.threshold_factor} and {self.stop_below}"
            )


def detection_map_candidates(detection_map: Volume) -> list[Candidate]:
    """
    The candidates in a detection map: components of non-zero voxels, 26-connected in 3D.

    Parameters
    ----------
    detection_map
        Confidences from 0 (no candidate); all voxels of a candidate have the same confidence.

    Returns
    -------
    list of Candidate
        In the order of their first voxel. The confidence is the highest of the component; of a
        detection map that keeps to the rule it is the only one.

    Raises
    ------
    ValueError
        When a confidence is negative or not finite, or there are more distinct confidences than
        components: then it is a softmax, and candidates must be extracted from it first.
    """
    given = np.asarray(detection_map)
    box = box_with_values(given)
    if box is None:
        return []
    lowest = _finite_values(given[box]).min(initial=0)
    if lowest < 0:
        raise ValueError(f"a confidence must not be negative, got {lowest}")
    flat = given.ravel()
    components = connected_components(given, within=box)
    values = [_finite_values(flat[component.voxels]) for component in components]
    n_distinct = np.unique(np.concatenate(values)).size if values else 0
    if n_distinct > len(components):
        raise ValueError(
            f"{n_distinct} distinct confidences in {len(components)} components: this is a softmax, not a "
            "detection map; extract lesion candidates first"
        )
    return [
        Candidate(component, float(value.max())) for component, value in zip(components, values, strict=True)
    ]


def dynamic_lesion_candidates(softmax: Volume, settings: ExtractionSettings | None = None) -> Volume:
    """
    A detection map, extracted from a softmax with a threshold of its own for every candidate.

    Again and again the highest value left sets a threshold, `highest / threshold_factor`. Of the
    components of voxels at or above it that have more than `min_voxels` voxels, the one with the
    highest value is taken out; it becomes a candidate with that value as its confidence, unless it
    touches an earlier one.

    Parameters
    ----------
    softmax
        Probability of a lesion in every voxel.
    settings
        Default: 40 % of the highest value, more than 10 voxels, 5 candidates.

    Returns
    -------
    numpy.ndarray
        A detection map of the same shape.

    Raises
    ------
    ValueError
        When a value is not finite.

    References
    ----------
    J. S. Bosma et al., "Semisupervised learning with report-guided pseudo labels for deep
    learning-based prostate cancer detection using biparametric MRI", Radiology: AI 5 (2023) e230031,
    and its package report_guided_annotation.
    """
    rule = settings or ExtractionSettings()
    left = np.array(_finite_values(softmax), order="C")
    detection_map = np.zeros_like(left)
    n_candidates = 0
    while n_candidates < rule.max_candidates:
        highest = left.max(initial=0)
        if highest < rule.stop_below:
            break
        threshold = highest / rule.threshold_factor
        candidate = max(
            _candidates_above(left, threshold, rule.min_voxels),
            key=lambda candidate: candidate.confidence,
            default=None,
        )
        if candidate is None:
            if rule.small_components == "stop":
                break
            left[left > threshold] = 0
            continue
        if not _touches(candidate.component, detection_map):
            detection_map.ravel()[candidate.component.voxels] = candidate.confidence
            n_candidates += 1
        left.ravel()[candidate.component.voxels] = 0
    return detection_map


def single_threshold_lesion_candidates(
    softmax: Volume, threshold: float | None = None, *, settings: ExtractionSettings | None = None
) -> Volume:
    """
    A detection map, extracted from a softmax with one threshold.

    Every component of voxels at or above the threshold that has more than `min_voxels` voxels is a
    candidate; its highest value is its confidence. `max_candidates` does not apply.

    Parameters
    ----------
    softmax
        Probability of a lesion in every voxel.
    threshold
        Default: the highest value divided by `threshold_factor` ("dynamic-fast" of
        report_guided_annotation).
    settings
        As for `dynamic_lesion_candidates`.
    """
    rule = settings or ExtractionSettings()
    values = np.ascontiguousarray(_finite_values(softmax))
    limit = values.max(initial=0) / rule.threshold_factor if threshold is None else threshold
    detection_map = np.zeros_like(values)
    for candidate in _candidates_above(values, limit, rule.min_voxels):
        detection_map.ravel()[candidate.component.voxels] = candidate.confidence
    return detection_map


def _candidates_above(values: Volume, threshold: Any, min_voxels: int) -> list[Candidate]:
    flat = values.ravel()
    return [
        Candidate(component, float(flat[component.voxels].max()))
        for component in connected_components((values >= threshold) & (values != 0))
        if component.size > min_voxels
    ]


def _touches(component: Component, detection_map: Volume) -> bool:
    """Whether a component shares a voxel or a neighbour with a candidate."""
    places = np.unravel_index(component.voxels, detection_map.shape)
    box = tuple(slice(max(int(place.min()) - 1, 0), int(place.max()) + 2) for place in places)
    taken = detection_map[box] > 0
    if not taken.any():
        return False
    grown = ndimage.binary_dilation(taken, structure=np.ones((3,) * taken.ndim, dtype=bool))
    inner = tuple(place - side.start for place, side in zip(places, box, strict=True))
    return bool(grown[inner].any())


def _finite_values(values: Volume) -> Volume:
    """Finite values, at least in single precision; resampled ones may be a hair below 0."""
    given = np.asarray(values)
    if given.dtype == np.float16 or not np.issubdtype(given.dtype, np.floating):
        given = given.astype(np.float32)
    # the extremes tell: NaN is the extreme of whatever holds it
    if not np.isfinite([given.min(initial=0), given.max(initial=0)]).all():
        raise ValueError("a confidence must be finite, got NaN or infinity")
    return given
