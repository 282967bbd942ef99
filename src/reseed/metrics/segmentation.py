"""
How much two masks share: overlap and volume.

Every metric is a function of three counts of voxels, taken once by `overlap` or, for every label of a
label map at the same time, by `overlap_by_label`. Undefined is NaN; what an absent structure is worth
is for a task's aggregation to say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from reseed.metrics.masks import LabelMap, check_same_grid, checked_masks, checked_spacing


@dataclass(frozen=True)
class Overlap:
    """
    Voxels of a reference and a prediction.

    `n_both` is also called true positives, `n_reference_only` false negatives and `n_prediction_only`
    false positives.
    """

    n_both: int
    n_reference_only: int
    n_prediction_only: int

    @property
    def n_reference(self) -> int:
        """Voxels of the reference."""
        return self.n_both + self.n_reference_only

    @property
    def n_prediction(self) -> int:
        """Voxels of the prediction."""
        return self.n_both + self.n_prediction_only


def overlap(reference: ArrayLike, prediction: ArrayLike) -> Overlap:
    """
    The shared and unshared voxels of two masks.

    Parameters
    ----------
    reference, prediction
        Masks on one voxel grid, of any dimension.
    """
    expected, found = checked_masks(reference, prediction)
    n_both = int(np.count_nonzero(expected & found))
    return Overlap(n_both, int(np.count_nonzero(expected)) - n_both, int(np.count_nonzero(found)) - n_both)


def overlap_by_label(reference: LabelMap, prediction: LabelMap, labels: Sequence[int]) -> dict[int, Overlap]:
    """
    The shared and unshared voxels of every label, in one pass over two label maps.

    Parameters
    ----------
    reference, prediction
        Whole numbers on one voxel grid.
    labels
        The labels that count, for instance 1 and 2. Voxels of other labels count as background.

    Raises
    ------
    ValueError
        When the grids differ, a map does not hold whole numbers, or a label is given twice.
    """
    check_same_grid(reference, prediction)
    if not (np.issubdtype(reference.dtype, np.integer) and np.issubdtype(prediction.dtype, np.integer)):
        raise ValueError(f"label maps must hold whole numbers, got {reference.dtype} and {prediction.dtype}")
    if len(set(labels)) != len(labels):
        raise ValueError(f"a label is given twice: {list(labels)}")
    counted = np.array(sorted(labels))
    size = counted.size + 1
    # 0 stands for background and every label that does not count
    codes = [_rank_among(counted, label_map) for label_map in (reference, prediction)]
    table = np.bincount((codes[0] * size + codes[1]).ravel(), minlength=size * size).reshape(size, size)
    found = {}
    for index, label in enumerate(counted.tolist(), start=1):
        n_both = int(table[index, index])
        found[label] = Overlap(n_both, int(table[index].sum()) - n_both, int(table[:, index].sum()) - n_both)
    return {label: found[label] for label in labels}


def _rank_among(counted: LabelMap, label_map: LabelMap) -> LabelMap:
    """1 for the smallest label that counts, 2 for the next, 0 for what does not count."""
    if counted.size == 0:
        return np.zeros(label_map.shape, dtype=np.int64)
    position = np.minimum(np.searchsorted(counted, label_map), counted.size - 1)
    return np.where(counted[position] == label_map, position + 1, 0)


def dice_similarity_coefficient(shared: Overlap) -> float:
    """
    Twice the shared volume over the summed volumes: 2 |R ∩ P| / (|R| + |P|); `dsc`.

    Returns
    -------
    float
        In [0, 1], without unit. NaN when both masks are empty; 0 when one is.

    References
    ----------
    L. R. Dice, "Measures of the amount of ecologic association between species", Ecology 26 (1945) 297.
    """
    return _ratio(2 * shared.n_both, shared.n_reference + shared.n_prediction)


def jaccard_index(shared: Overlap) -> float:
    """
    The shared volume over the united volume: |R ∩ P| / |R ∪ P|, also called IoU; `iou`.

    Returns
    -------
    float
        In [0, 1], without unit. NaN when both masks are empty; 0 when one is. With Dice D it is
        D / (2 - D).

    References
    ----------
    P. Jaccard, "The distribution of the flora in the alpine zone", New Phytologist 11 (1912) 37.
    """
    return _ratio(shared.n_both, shared.n_reference + shared.n_prediction_only)


def voxel_precision(shared: Overlap) -> float:
    """
    The share of the predicted volume that is right: |R ∩ P| / |P|, positive predictive value.

    Returns
    -------
    float
        In [0, 1], without unit. NaN when the prediction is empty.
    """
    return _ratio(shared.n_both, shared.n_prediction)


def voxel_recall(shared: Overlap) -> float:
    """
    The share of the reference volume that is found: |R ∩ P| / |R|, sensitivity.

    Returns
    -------
    float
        In [0, 1], without unit. NaN when the reference is empty.
    """
    return _ratio(shared.n_both, shared.n_reference)


def volume_difference_ml(shared: Overlap, spacing_mm: Sequence[float]) -> float:
    """
    Predicted volume minus reference volume, signed; positive means too large.

    Parameters
    ----------
    shared
        The counts of a three-dimensional pair of masks.
    spacing_mm
        Voxel spacing along its three axes.

    Returns
    -------
    float
        In millilitres (1000 mm³). Always defined: two empty masks differ by 0.
    """
    voxel_mm3 = math.prod(checked_spacing(spacing_mm, 3))
    return (shared.n_prediction - shared.n_reference) * voxel_mm3 / 1000


def relative_volume_difference(shared: Overlap) -> float:
    """
    Predicted volume minus reference volume over reference volume, signed: (|P| - |R|) / |R|.

    Returns
    -------
    float
        At least -1, without unit; 0.1 means 10 % too large. NaN when the reference is empty.

    References
    ----------
    T. Heimann et al., "Comparison and evaluation of methods for liver segmentation from CT datasets",
    IEEE Trans. Med. Imaging 28 (2009) 1251 (there in percent).
    """
    return _ratio(shared.n_prediction - shared.n_reference, shared.n_reference)


def _ratio(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else math.nan
