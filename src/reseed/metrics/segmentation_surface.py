"""
How far two surfaces are apart.

`surface_distances` finds, for every element of one boundary, the nearest element of the other; the
metrics are functions of these distances. What an element is, is said in `surface_elements`.
Undefined is NaN: a distance to an empty mask is no number, and a task's aggregation says what it is worth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reseed.metrics.masks import LabelMap, check_same_grid, checked_masks, checked_spacing
from reseed.metrics.surface_elements import Boundary, BoundaryDefinition, boundary
from reseed.metrics.surface_search import nearest_distances_mm

Distances = NDArray[np.float64]


@dataclass(frozen=True)
class SurfaceDistances:
    """
    Distances in mm from every element of each boundary to the other, ascending, with the elements' weights.

    Infinite where the other mask is empty, and without elements where the own mask is.
    """

    definition: BoundaryDefinition
    from_reference_mm: Distances
    reference_weight: Distances
    from_prediction_mm: Distances
    prediction_weight: Distances

    @property
    def are_defined(self) -> bool:
        """Whether both masks have a surface."""
        return self.from_reference_mm.size > 0 and self.from_prediction_mm.size > 0


def surface_distances(
    reference: ArrayLike,
    prediction: ArrayLike,
    spacing_mm: Sequence[float],
    *,
    definition: BoundaryDefinition = "surface_elements",
) -> SurfaceDistances:
    """
    Distances between the boundaries of two masks.

    Parameters
    ----------
    reference, prediction
        Masks on one voxel grid.
    spacing_mm
        Voxel spacing along each axis of the arrays, in their order.
    definition
        What a boundary is; see `reseed.metrics.surface_elements`.

    Raises
    ------
    ValueError
        When the grids differ, an array is no mask, or the spacing is not positive.
    """
    expected, found = checked_masks(reference, prediction)
    spacing = checked_spacing(spacing_mm, expected.ndim)
    of_reference = boundary(expected, spacing, definition)
    of_prediction = boundary(found, spacing, definition)
    forth, forth_weight = _sorted_distances(of_reference, of_prediction, spacing)
    back, back_weight = _sorted_distances(of_prediction, of_reference, spacing)
    return SurfaceDistances(definition, forth, forth_weight, back, back_weight)


def surface_distances_by_label(
    reference: LabelMap,
    prediction: LabelMap,
    labels: Sequence[int],
    spacing_mm: Sequence[float],
    *,
    definition: BoundaryDefinition = "surface_elements",
) -> dict[int, SurfaceDistances]:
    """As `surface_distances`, for each of some labels of two label maps."""
    check_same_grid(reference, prediction)
    return {
        label: surface_distances(reference == label, prediction == label, spacing_mm, definition=definition)
        for label in labels
    }


def _sorted_distances(
    start: Boundary, end: Boundary, spacing: tuple[float, ...]
) -> tuple[Distances, Distances]:
    if len(start.index) == 0 or len(end.index) == 0:
        return np.full(len(start.index), math.inf), start.weight
    distances = nearest_distances_mm(start.index, end.index, spacing)
    order = np.argsort(distances)
    ascending = distances[order]
    # by weight where distances tie, as surface-distance has it: sums then round alike
    tie = np.cumsum(np.concatenate([[False], ascending[1:] != ascending[:-1]]))
    rank = np.sort(tie * 256 + start.rank[order]) & 255
    return ascending, start.ranked_weight[rank]


def normalised_surface_distance(distances: SurfaceDistances, tolerance_mm: float) -> float:
    """
    The share of both surfaces that lies within a tolerance of the other, also surface Dice; `nsd`.

    The weights of all elements of both boundaries at most `tolerance_mm` from the other boundary, over
    the weights of all elements.

    Parameters
    ----------
    distances
        Of `surface_distances`.
    tolerance_mm
        A distance that does not matter, for instance that between two readers. Compared as it is,
        with <=, as surface-distance does.

    Returns
    -------
    float
        In [0, 1], without unit. NaN when both masks are empty; 0 when one is.

    References
    ----------
    S. Nikolov et al., "Deep learning to achieve clinically applicable segmentation of head and neck
    anatomy for radiotherapy", J. Med. Internet Res. 23 (2021) e26151.
    """
    if not tolerance_mm >= 0:
        raise ValueError(f"tolerance_mm must not be negative, got {tolerance_mm}")
    total = distances.reference_weight.sum() + distances.prediction_weight.sum()
    if total == 0:
        return math.nan
    within_reference = distances.reference_weight[distances.from_reference_mm <= tolerance_mm].sum()
    within_prediction = distances.prediction_weight[distances.from_prediction_mm <= tolerance_mm].sum()
    return float((within_reference + within_prediction) / total)


def hausdorff_distance(distances: SurfaceDistances, percentile: float = 100.0) -> float:
    """
    The larger of the two directed percentiles of the distance from one boundary to the other; `hd`.

    At 100 the Hausdorff distance: the farthest that any place of one boundary is from the other. Below,
    the robust form. Of surface elements, the smallest distance within which at least that percentage of
    the surface lies (as surface-distance has it); of surface voxels, the linearly interpolated percentile
    over voxels (as numpy, MONAI and Metrics Reloaded have it).

    Returns
    -------
    float
        In mm. NaN when either mask is empty.

    References
    ----------
    D. P. Huttenlocher et al., "Comparing images using the Hausdorff distance", IEEE PAMI 15 (1993) 850.
    """
    if not 0 <= percentile <= 100:
        raise ValueError(f"percentile must be from 0 to 100, got {percentile}")
    if not distances.are_defined:
        return math.nan
    forth = distances.from_reference_mm, distances.reference_weight
    back = distances.from_prediction_mm, distances.prediction_weight
    if distances.definition == "surface_voxels":
        return float(max(np.percentile(each, percentile) for each, _ in (forth, back)))
    return max(_weighted_percentile(*each, percentile) for each in (forth, back))


def hausdorff_distance_95(distances: SurfaceDistances) -> float:
    """The Hausdorff distance at the 95th percentile, in mm; `hd95`. See `hausdorff_distance`."""
    return hausdorff_distance(distances, 95.0)


def _weighted_percentile(distances: Distances, weight: Distances, percentile: float) -> float:
    if percentile == 100:  # not left to the rounding of a sum
        return float(distances[-1])
    share = np.cumsum(weight) / weight.sum()
    index = int(np.searchsorted(share, percentile / 100))
    return float(distances[min(index, distances.size - 1)])


def mean_average_surface_distance(distances: SurfaceDistances) -> float:
    """
    The mean of the two average distances from one boundary to the other; `masd`.

    Each direction counts one half, however large its surface is.

    Returns
    -------
    float
        In mm. NaN when either mask is empty.

    References
    ----------
    L. Maier-Hein, A. Reinke et al., "Metrics reloaded", Nature Methods 21 (2024) 195, Suppl. Note 3.
    """
    if not distances.are_defined:
        return math.nan
    forth = np.average(distances.from_reference_mm, weights=distances.reference_weight)
    back = np.average(distances.from_prediction_mm, weights=distances.prediction_weight)
    return float((forth + back) / 2)


def average_symmetric_surface_distance(distances: SurfaceDistances) -> float:
    """
    The average distance over the elements of both boundaries together; `assd`.

    The larger surface counts more.

    Returns
    -------
    float
        In mm. NaN when either mask is empty.

    References
    ----------
    T. Heimann et al., IEEE Trans. Med. Imaging 28 (2009) 1251.
    """
    if not distances.are_defined:
        return math.nan
    both = np.concatenate([distances.from_reference_mm, distances.from_prediction_mm])
    weight = np.concatenate([distances.reference_weight, distances.prediction_weight])
    return float(np.average(both, weights=weight))
