"""Every segmentation metric of one label of one case, computing no more than is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from reseed.contracts.evaluation import Segmentation
from reseed.metrics.masks import Mask
from reseed.metrics.segmentation import (
    Overlap,
    dice_similarity_coefficient,
    jaccard_index,
    overlap,
    relative_volume_difference,
    volume_difference_ml,
    voxel_precision,
    voxel_recall,
)
from reseed.metrics.segmentation_surface import (
    SurfaceDistances,
    average_symmetric_surface_distance,
    hausdorff_distance,
    hausdorff_distance_95,
    mean_average_surface_distance,
    normalised_surface_distance,
    surface_distances,
)

_OVERLAP: Mapping[str, Callable[[Overlap], float]] = {
    "dsc": dice_similarity_coefficient,
    "iou": jaccard_index,
    "precision": voxel_precision,
    "recall": voxel_recall,
    "relative_volume_difference": relative_volume_difference,
}
_SURFACE: Mapping[str, Callable[[SurfaceDistances], float]] = {
    "hd": hausdorff_distance,
    "hd95": hausdorff_distance_95,
    "masd": mean_average_surface_distance,
    "assd": average_symmetric_surface_distance,
}


@dataclass(frozen=True)
class LabelValues:
    """Metrics of one label by key, NaN where undefined."""

    values: Mapping[str, float]
    both_are_empty: bool


def label_values(
    reference: Mask,
    prediction: Mask,
    spacing_mm: Sequence[float],
    rule: Segmentation,
    metrics: Sequence[str],
) -> LabelValues:
    """
    Metrics of two masks on one grid.

    Parameters
    ----------
    reference, prediction
        In (z, y, x) order.
    spacing_mm
        Voxel spacing in the same order.
    rule
        The boundary's definition and the tolerance.
    metrics
        Keys of `reseed.scoring.measures.SEGMENTATION`.
    """
    shared = overlap(reference, prediction)
    needs_surface = any(key in _SURFACE or key == "nsd" for key in metrics)
    distances = (
        surface_distances(reference, prediction, spacing_mm, definition=rule.boundary)
        if needs_surface
        else None
    )
    values = {}
    for key in metrics:
        if key in _OVERLAP:
            values[key] = _OVERLAP[key](shared)
        elif key == "volume_difference_ml":
            values[key] = volume_difference_ml(shared, spacing_mm)
        elif key == "volume_error_ml":
            values[key] = abs(volume_difference_ml(shared, spacing_mm))
        elif distances is not None and key == "nsd":
            values[key] = normalised_surface_distance(distances, rule.tolerance_mm)
        elif distances is not None:
            values[key] = _SURFACE[key](distances)
    return LabelValues(values, shared.n_reference == 0 and shared.n_prediction == 0)
