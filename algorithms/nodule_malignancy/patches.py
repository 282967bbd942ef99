"""From a nodule's volume to what the network sees; the same for training and inference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK

from reseed.contracts.errors import UserError

VOLUME_SHAPE_ZYX = (32, 32, 32)
VOLUME_SPACING_MM = 1.25
FULL_VALUE = 100.0
"""Voxels hold the percentage of readers that see nodule there."""

PATCH_SHAPES = {2: (3, 32, 32), 3: (16, 16, 16)}
"""Shape of a patch by dimension: (plane, row, column), or (z, y, x)."""

_SPACING_TOLERANCE_MM = 1e-3

Patch = npt.NDArray[np.float32]


def read_patch(path: Path, *, case: str, dimension: int) -> Patch:
    """
    The patch of the volume in an image file.

    Raises
    ------
    UserError
        When it is unreadable, or not 32 × 32 × 32 voxels of 1.25 mm that hold 0 to 100. It is
        refused rather than resampled: the network has never seen another grid.
    """
    try:
        image = SimpleITK.ReadImage(str(path))
    except RuntimeError:
        raise UserError(f"case {case!r}: {path.name} is not a readable image") from None
    percent_zyx = SimpleITK.GetArrayFromImage(image).astype(np.float32)
    spacing_mm: tuple[float, ...] = image.GetSpacing()  # type: ignore[no-untyped-call]
    is_grid = percent_zyx.shape == VOLUME_SHAPE_ZYX  # a colour image has a further axis
    if not is_grid or any(abs(s - VOLUME_SPACING_MM) > _SPACING_TOLERANCE_MM for s in spacing_mm):
        raise UserError(
            f"case {case!r}: the volume must be 32 × 32 × 32 voxels of 1.25 mm, "
            f"got {_product(percent_zyx.shape)} voxels of {_product(spacing_mm)} mm"
        )
    # a comparison with NaN is false, so that NaN is refused too
    if not (percent_zyx.min() >= 0 and percent_zyx.max() <= FULL_VALUE):
        raise UserError(
            f"case {case!r}: voxels must be 0 to 100 (percent of readers), "
            f"got {percent_zyx.min():g} to {percent_zyx.max():g}"
        )
    return patch_of(percent_zyx / np.float32(FULL_VALUE), dimension=dimension)


def patch_of(fraction_zyx: Patch, *, dimension: int) -> Patch:
    """
    What the network sees of a volume.

    Parameters
    ----------
    fraction_zyx
        32 × 32 × 32 voxels of 1.25 mm, 0 to 1.
    dimension
        2: the three planes through the centre, each the mean of the two slices beside it.
        3: the means of blocks of 2 × 2 × 2 voxels, a grid of 2.5 mm.
    """
    if dimension == 2:
        middle = slice(VOLUME_SHAPE_ZYX[0] // 2 - 1, VOLUME_SHAPE_ZYX[0] // 2 + 1)
        planes = [
            fraction_zyx[middle].mean(0),
            fraction_zyx[:, middle].mean(1),
            fraction_zyx[:, :, middle].mean(2),
        ]
        return np.stack(planes)
    z, y, x = PATCH_SHAPES[3]
    blocks: Patch = fraction_zyx.reshape(z, 2, y, 2, x, 2).mean(axis=(1, 3, 5))
    return blocks


def _product(values: tuple[float, ...]) -> str:
    return " × ".join(f"{value:g}" for value in values)
