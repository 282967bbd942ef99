"""Patches turned, mirrored and shifted: what a nodule would look like in another chest."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

SHIFT_VOXELS = {2: 2, 3: 1}
"""Largest shift along an axis, 2.5 mm on either grid."""

Patches = npt.NDArray[np.float32]


def padded(patches: Patches, *, dimension: int) -> Patches:
    """Patches with a margin of zeros as wide as the largest shift, from which `augmented` cuts."""
    margin = SHIFT_VOXELS[dimension]
    widths = [(0, 0)] * (patches.ndim - dimension) + [(margin, margin)] * dimension
    return np.pad(patches, widths)


def augmented(
    padded_patches: Patches, *, dimension: int, strength: float, rng: np.random.Generator
) -> Patches:
    """
    Each plane, or volume, turned and mirrored by one of its grid's symmetries, and shifted.

    Parameters
    ----------
    padded_patches
        Patches of cases as `padded` gives them.
    dimension
        2 or 3, the number of last axes that belong to one plane or volume.
    strength
        Chance that a plane or volume is changed at all.
    rng
        Of the seed stream `augmentation`; as many numbers are drawn whatever the strength.

    Returns
    -------
    Patches
        Without the margin.
    """
    margin = SHIFT_VOXELS[dimension]
    sides = [size - 2 * margin for size in padded_patches.shape[-dimension:]]
    views = padded_patches.reshape(-1, *padded_patches.shape[-dimension:])
    orders = list(itertools.permutations(range(dimension)))
    is_changed = rng.random(len(views)) < strength
    order = np.where(is_changed, rng.integers(len(orders), size=len(views)), 0)
    steps = np.where(is_changed[:, None] & (rng.random((len(views), dimension)) < 0.5), -1, 1)
    drawn_shifts = rng.integers(-margin, margin + 1, size=(len(views), dimension))
    starts = margin + np.where(is_changed[:, None], drawn_shifts, 0)
    result = np.empty((len(views), *sides), dtype=np.float32)
    for index, (start, step) in enumerate(zip(starts.tolist(), steps.tolist(), strict=True)):
        window = views[index][tuple(slice(s, s + side) for s, side in zip(start, sides, strict=True))]
        mirrored = window[tuple(slice(None, None, s) for s in step)]
        result[index] = mirrored.transpose(orders[order[index]])
    return result.reshape(*padded_patches.shape[:-dimension], *sides)
