"""Medical images: read with clear refusals, cut and resampled, and written on the grid they came from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK

from reseed.contracts.errors import UserError

Volume = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]
AnyArray = npt.NDArray[Any]

_RELATIVE = 1e-3
_ORIGIN_MM = 1e-2


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Labels with their grid."""

    image: SimpleITK.Image
    array: Labels


def read_volume(path: Path, *, case: str) -> SimpleITK.Image:
    """
    A three-dimensional image of finite numbers, in 32-bit floating point.

    A two-dimensional image becomes a volume of one slice.

    Raises
    ------
    UserError
        When it cannot be read, or is something else; it names the case.
    """
    try:
        image = SimpleITK.ReadImage(str(path))
    except RuntimeError:
        raise UserError(f"case {case!r}: {path.name} is not a readable image") from None
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise UserError(
            f"case {case!r}: {path.name} must have one number a voxel, "
            f"got {image.GetNumberOfComponentsPerPixel()}"
        )
    if image.GetDimension() == 2:
        image = SimpleITK.JoinSeries(image)
    if image.GetDimension() != 3:
        raise UserError(f"case {case!r}: {path.name} must have 3 dimensions, got {image.GetDimension()}")
    volume: SimpleITK.Image = SimpleITK.Cast(image, SimpleITK.sitkFloat32)
    if not np.isfinite(SimpleITK.GetArrayViewFromImage(volume)).all():
        raise UserError(f"case {case!r}: {path.name} must hold finite numbers, and has NaN or infinity")
    return volume


def read_label_map(path: Path, *, case: str) -> LabelMap:
    """
    A label map with values from 0 to 255.

    Raises
    ------
    UserError
        As `read_volume`, and when a value is no label.
    """
    image = read_volume(path, case=case)
    values = SimpleITK.GetArrayFromImage(image)
    labels = values.astype(np.uint8)
    if not np.array_equal(labels, values):
        raise UserError(f"case {case!r}: {path.name} must hold labels, whole numbers from 0 to 255")
    return LabelMap(SimpleITK.Cast(image, SimpleITK.sitkUInt8), labels)


def array_of(image: SimpleITK.Image) -> Volume:
    """Voxels in (z, y, x) order."""
    return np.asarray(SimpleITK.GetArrayFromImage(image), dtype=np.float32)


def spacing_zyx_mm(image: SimpleITK.Image) -> tuple[float, float, float]:
    """Distance of voxel centres in the order of the array's axes."""
    x, y, z = image.GetSpacing()
    return float(z), float(y), float(x)


def image_like(array: AnyArray, like: SimpleITK.Image) -> SimpleITK.Image:
    """An array as an image on the grid of another one."""
    image = SimpleITK.GetImageFromArray(array)
    image.CopyInformation(like)
    return image


def same_grid(one: SimpleITK.Image, other: SimpleITK.Image) -> bool:
    """Whether two images have the same voxels in space, up to rounding in their headers."""
    return bool(
        one.GetSize() == other.GetSize()
        and np.allclose(one.GetSpacing(), other.GetSpacing(), rtol=_RELATIVE)
        and np.allclose(one.GetOrigin(), other.GetOrigin(), rtol=0, atol=_ORIGIN_MM)
        and np.allclose(one.GetDirection(), other.GetDirection(), rtol=0, atol=_RELATIVE)
    )


def resampled_to(
    image: SimpleITK.Image, grid: SimpleITK.Image, *, nearest: bool = False, outside: float = 0.0
) -> SimpleITK.Image:
    """An image on another grid by linear interpolation, or by the nearest voxel for labels."""
    method = SimpleITK.sitkNearestNeighbor if nearest else SimpleITK.sitkLinear
    return SimpleITK.Resample(image, grid, SimpleITK.Transform(), method, outside, image.GetPixelID())


def centred_grid(
    image: SimpleITK.Image, *, size_zyx: tuple[int, int, int], spacing_zyx: tuple[float, float, float]
) -> SimpleITK.Image:
    """An empty image of that size and spacing about the centre of another one, along its axes."""
    size = [int(value) for value in size_zyx[::-1]]
    spacing = [float(value) for value in spacing_zyx[::-1]]
    centre = np.array(image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()]))
    half = np.array([(n - 1) / 2 * step for n, step in zip(size, spacing, strict=True)])
    direction = np.array(image.GetDirection()).reshape(3, 3)
    grid = SimpleITK.Image(size, SimpleITK.sitkUInt8)
    grid.SetSpacing(spacing)
    grid.SetDirection(image.GetDirection())
    grid.SetOrigin((centre - direction @ half).tolist())
    return grid


def spaced_grid(image: SimpleITK.Image, spacing_zyx: tuple[float, float, float]) -> SimpleITK.Image:
    """An empty image of that spacing that covers another one, at least one voxel an axis."""
    extent = [n * step for n, step in zip(image.GetSize(), image.GetSpacing(), strict=True)]
    size = [max(1, round(length / step)) for length, step in zip(extent, spacing_zyx[::-1], strict=True)]
    return centred_grid(image, size_zyx=(size[2], size[1], size[0]), spacing_zyx=spacing_zyx)


def centre_crop(image: SimpleITK.Image, size_zyx_mm: tuple[float, ...]) -> SimpleITK.Image:
    """The voxels within that extent about the centre; an axis that is shorter is left as it is."""
    size = image.GetSize()
    wanted = [
        min(n, max(1, round(length / step)))
        for n, length, step in zip(size, size_zyx_mm[::-1], image.GetSpacing(), strict=True)
    ]
    start = [(n - kept) // 2 for n, kept in zip(size, wanted, strict=True)]
    cut: SimpleITK.Image = SimpleITK.RegionOfInterest(image, wanted, start)
    return cut


def paste(part: SimpleITK.Image, whole: SimpleITK.Image) -> SimpleITK.Image:
    """A part of an image in its place on the grid of the whole, 0 around it."""
    result = SimpleITK.Image(whole.GetSize(), part.GetPixelID())
    result.CopyInformation(whole)
    start = whole.TransformPhysicalPointToIndex(part.GetOrigin())
    pasted: SimpleITK.Image = SimpleITK.Paste(result, part, part.GetSize(), destinationIndex=start)
    return pasted


def write_image(image: SimpleITK.Image, path: Path) -> None:
    """Write an image compressed, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    SimpleITK.WriteImage(image, str(path), useCompression=True)
