"""Lesion candidates cut out of a voxel-wise probability: non-connected, one confidence each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import SimpleITK
from scipy import ndimage

from algorithms.common.cases import Case
from algorithms.common.images import image_like, write_image
from reseed.contracts.errors import UserError
from reseed.contracts.sockets import Socket

THRESHOLD_FACTOR = 2.5
"""A candidate is what reaches its own highest value divided by this: 40 %."""
MIN_VOXELS = 10
"""A candidate has more."""
MAX_CANDIDATES = 5
FLOOR = 0.01
"""Nothing is extracted once the highest probability left is lower."""

_TOUCHING = np.ones((3, 3, 3), dtype=bool)

Probability = npt.NDArray[np.float32]


def lesion_candidates(probability: Probability) -> Probability:
    """
    A detection map: every voxel of a candidate has the candidate's confidence, all others 0.

    Again and again the highest value left sets a threshold; of the components that reach it and have
    more than MIN_VOXELS voxels (26-connected), the one with the highest value is taken out and becomes a
    candidate with that value, unless it touches an earlier one. Components that are too small are taken
    out together.

    Parameters
    ----------
    probability
        Of a lesion, (z, y, x).

    Raises
    ------
    UserError
        When a value is not finite.

    References
    ----------
    J. S. Bosma et al., "Semisupervised learning with report-guided pseudo labels for deep learning-based
    prostate cancer detection using biparametric MRI", Radiology: AI 5 (2023) e230031; threshold
    "dynamic-v2" of the package report_guided_annotation.
    """
    if not np.isfinite(probability).all():
        raise UserError("the probability of a lesion must be finite, got NaN or infinity")
    left = probability.copy()
    found = np.zeros_like(probability)
    n_found = 0
    while n_found < MAX_CANDIDATES and left.max(initial=0) >= FLOOR:
        threshold = left.max() / THRESHOLD_FACTOR
        components, n_components = ndimage.label(left >= threshold, structure=_TOUCHING)
        n_voxels = np.bincount(components.ravel(), minlength=n_components + 1)
        large = np.flatnonzero(n_voxels[1:] > MIN_VOXELS) + 1
        if large.size == 0:
            left[left > threshold] = 0
            continue
        peaks = np.asarray(ndimage.maximum(left, components, large))
        voxels = components == large[peaks.argmax()]
        if not (voxels & ndimage.binary_dilation(found > 0, structure=_TOUCHING)).any():
            found[voxels] = peaks.max()
            n_found += 1
        left[voxels] = 0
    return found


def write_detections(
    case: Case, detection_map: Probability, first: SimpleITK.Image, outputs: Sequence[Socket]
) -> None:
    """
    Write a detection map on the grid of an image, and the likelihood of the case: its maximum.

    Parameters
    ----------
    case
        Whose outputs they are.
    detection_map
        (z, y, x) on the grid of `first`.
    first
        The image.
    outputs
        The sockets of the map and of the likelihood.
    """
    map_socket, likelihood = outputs
    write_image(image_like(detection_map, first), case.image_output(map_socket))
    case.write_value(likelihood, float(detection_map.max(initial=0)))
