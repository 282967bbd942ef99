"""From a CT and a point to what is kept of a nodule; the same for training and inference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK

from reseed.contracts.errors import UserError

PATCH_MM = 50.0
"""Side of the patch that a network sees."""

MARGIN = 0.1
"""Part of the side that is kept around it, so that a turned and shifted patch finds its surroundings."""

Point = tuple[float, float, float]
Cube = npt.NDArray[np.int16]


def cube_side(patch_voxels: int) -> int:
    """Voxels along a side of a kept cube."""
    return patch_voxels + 2 * round(MARGIN * patch_voxels)


def read_scan(path: Path, *, case: str) -> Any:
    """
    The CT in a file.

    Raises
    ------
    UserError
        When it is unreadable, or no volume of one number a voxel.
    """
    try:
        image: Any = SimpleITK.ReadImage(str(path))
    except RuntimeError:
        raise UserError(f"case {case!r}: {path.name} is not a readable image") from None
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise UserError(
            f"case {case!r}: the CT must have 3 dimensions and one number per voxel, got "
            f"{image.GetDimension()} and {image.GetNumberOfComponentsPerPixel()}"
        )
    return image


def nodule_cube(image: Any, point_xyz_mm: Point, *, patch_voxels: int, case: str, nodule: str) -> Cube:
    """
    The surroundings of a nodule in Hounsfield units, on a grid along x, y and z of the patient.

    Voxels are 50 mm / `patch_voxels` apart, found by linear interpolation; what lies outside the scan is the
    nearest voxel inside.

    Parameters
    ----------
    image
        The CT.
    point_xyz_mm
        The centre, in the coordinates of the scan.
    patch_voxels
        Along a side of 50 mm; the cube is larger by a margin.
    case, nodule
        For messages.

    Raises
    ------
    UserError
        When the point is outside the scan: it is most likely in other coordinates.
    """
    index = image.TransformPhysicalPointToContinuousIndex(point_xyz_mm)
    if any(not -0.5 <= at <= size - 0.5 for at, size in zip(index, image.GetSize(), strict=True)):
        raise UserError(
            f"case {case!r}: nodule {nodule!r} must lie inside the scan, is at "
            f"{', '.join(f'{value:g}' for value in point_xyz_mm)} mm"
        )
    side, spacing_mm = cube_side(patch_voxels), PATCH_MM / patch_voxels
    resample: Any = SimpleITK.ResampleImageFilter()  # type: ignore[no-untyped-call]
    resample.SetInterpolator(SimpleITK.sitkLinear)
    resample.SetSize([side] * 3)
    resample.SetOutputSpacing([spacing_mm] * 3)
    resample.SetOutputOrigin([value - (side - 1) / 2 * spacing_mm for value in point_xyz_mm])
    resample.SetOutputPixelType(SimpleITK.sitkFloat32)
    resample.UseNearestNeighborExtrapolatorOn()
    values = SimpleITK.GetArrayFromImage(resample.Execute(image))
    limits = np.iinfo(np.int16)
    cube: Cube = np.clip(np.rint(values), limits.min, limits.max).astype(np.int16)
    return cube
