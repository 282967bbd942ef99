"""Images that a dataset is made from: read with clear words, written in one way."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from reseed.contracts.errors import InvalidDataset
from reseed.contracts.evaluation import GridTolerance
from reseed.imaging.grids import Grid, grid_difference
from reseed.imaging.integrity import check_header, check_integrity
from reseed.imaging.metaimage import UnusableImage

IMAGE_SUFFIXES = (".nii.gz", ".nii", ".mha", ".mhd", ".nrrd")
"""What a folder of images may hold; one folder may mix them."""


@dataclass(frozen=True, eq=False)
class SourceImage:
    """
    An image somewhere, not read yet.

    Parameters
    ----------
    where
        How a message names it: a path, or an entry of an array.
    read
        Gives the SimpleITK image; raises InvalidDataset when it cannot.
    file
        The file whose bytes may be copied as they are; None when there is no such file.
    """

    where: str
    read: Callable[[], Any]
    file: Path | None = None


def image_file(path: Path) -> SourceImage:
    """The image in a file."""
    return SourceImage(str(path), functools.partial(read_image, path), path)


def image_channel(path: Path, channel: int) -> SourceImage:
    """One of the volumes along the fourth axis of a file, as the Decathlon stores channels."""

    def read() -> Any:
        image = read_image(path)
        n_channels = image.GetSize()[3] if image.GetDimension() == 4 else 1
        if channel >= n_channels:
            raise InvalidDataset(f"{path}: must have a channel {channel}, has {n_channels}")
        return image[:, :, :, channel] if image.GetDimension() == 4 else image

    return SourceImage(f"{path} channel {channel}", read)


def array_image(
    where: str, voxels_zyx: npt.NDArray[Any], spacing_xyz_mm: tuple[float, float, float]
) -> SourceImage:
    """
    An array on a grid with its origin at 0 and axes along x, y and z; two dimensions are one slice.

    True and false become 1 and 0; half precision becomes single, which holds the same numbers.

    Raises
    ------
    InvalidDataset
        When it is not of real numbers that an image can hold.
    """
    stored = _image_type(where, voxels_zyx.dtype)

    def read() -> Any:
        volume = voxels_zyx[None] if voxels_zyx.ndim == 2 else voxels_zyx
        image = simpleitk().GetImageFromArray(np.ascontiguousarray(volume, dtype=stored))
        image.SetSpacing(spacing_xyz_mm)
        return image

    return SourceImage(where, read)


def _image_type(where: str, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What the voxels of an array become in an image, in this machine's byte order."""
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype.kind == "f" and dtype.itemsize == 2:
        return np.dtype(np.float32)
    if dtype.kind in "iuf" and dtype.itemsize <= 8:
        return dtype.newbyteorder("=")
    raise InvalidDataset(
        f"{where}: must be of whole numbers, floats of at most 64 bits, or true and false; got {dtype}"
    )


def read_image(path: Path) -> Any:
    """
    The SimpleITK image in a file.

    Raises
    ------
    InvalidDataset
        When it is missing, unreadable, cut short or broken, or a voxel of a NIfTI file is not finite.
    """
    if not path.is_file():
        raise InvalidDataset(f"{path}: no such file")
    try:
        check_header(path)
        try:
            image = simpleitk().ReadImage(str(path))
        except RuntimeError as error:
            check_integrity(path)  # has more to say about a file that is cut short
            raise InvalidDataset(f"{path}: is not a readable image: {last_sentence(error)}") from None
        check_integrity(path, simpleitk().GetArrayViewFromImage(image))
    except UnusableImage as error:
        raise InvalidDataset(f"{path}: {error}") from None
    return image


def checked_volume(source: SourceImage) -> Any:
    """
    The volume of a source: three dimensions, one finite number a voxel.

    Raises
    ------
    InvalidDataset
        When it is something else.
    """
    image = source.read()
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise InvalidDataset(
            f"{source.where}: must have 3 dimensions and one number per voxel, got "
            f"{image.GetDimension()} and {image.GetNumberOfComponentsPerPixel()}"
        )
    voxels = simpleitk().GetArrayViewFromImage(image)
    if np.issubdtype(voxels.dtype, np.floating) and not np.isfinite(voxels).all():
        n_wrong = int(np.count_nonzero(~np.isfinite(voxels)))
        raise InvalidDataset(f"{source.where}: has {n_wrong} voxels that are NaN or infinite")
    return image


def check_label_grid(
    image: Any, label_map: Any, *, where: str, image_where: str, tolerance: GridTolerance
) -> None:
    """
    Refuse a label map that is not voxel for voxel where its image is, as an evaluation compares grids.

    A prediction is on the grid of the image, and the label map is the reference that it is measured by.

    Raises
    ------
    InvalidDataset
        Naming both and the first difference.
    """
    difference = grid_difference(_grid(label_map), _grid(image), tolerance, whose="the label map's")
    if difference is not None:
        raise InvalidDataset(f"{where}: must be on the grid of {image_where}: {difference}")


def _grid(image: Any) -> Grid:
    return Grid(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())


def write_image(image: Any, path: Path) -> None:
    """Write an image, compressed: the same voxels and grid give the same bytes."""
    for key in image.GetMetaDataKeys():  # names and dates of patients stay where they are
        image.EraseMetaData(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    simpleitk().WriteImage(image, str(path), useCompression=True)


def image_suffix(path: Path) -> str | None:
    """The ending that tells an image's format; None when it is no image's."""
    name = path.name.lower()
    return next((suffix for suffix in IMAGE_SUFFIXES if name.endswith(suffix)), None)


def images_of(folder: Path) -> dict[str, Path]:
    """
    The images of a folder by their names without ending, sorted; what macOS hides in archives is passed over.

    Raises
    ------
    InvalidDataset
        When two files have one name.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        suffix = image_suffix(path)
        if suffix is None or path.name.startswith("."):
            continue
        name = path.name[: -len(suffix)]
        if name in found:
            raise InvalidDataset(f"{folder}: {name!r} is there twice, {found[name].name} and {path.name}")
        found[name] = path
    return found


@functools.cache
def simpleitk() -> Any:
    """SimpleITK, imported when an image is read; one thread, and its complaints as exceptions only."""
    module: Any = importlib.import_module("SimpleITK")
    module.ProcessObject.SetGlobalWarningDisplay(False)
    module.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    return module


def last_sentence(error: BaseException) -> str:
    """The end of ITK's long story, in one line."""
    text = " ".join(str(error).split())
    for mark in ("Reason: ", "ERROR: ", "Error: "):
        text = text.rsplit(mark, maxsplit=1)[-1]
    return text[-160:] or type(error).__name__
