"""Images of a submission or a reference, read by SimpleITK with declared errors only."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reseed.contracts.evaluation import GridTolerance
from reseed.imaging.grids import Grid, grid_difference
from reseed.imaging.integrity import check_header, check_integrity, refuse_not_finite
from reseed.imaging.metaimage import UnusableImage

READERS = {
    ".mha": "MetaImageIO",
    ".mhd": "MetaImageIO",
    ".nii": "NiftiImageIO",
    ".nii.gz": "NiftiImageIO",
    ".tif": "TIFFImageIO",
    ".tiff": "TIFFImageIO",
}
"""Which part of SimpleITK reads which ending; no other is ever tried."""

_MAX_VOXELS = 2**31


@dataclass(frozen=True)
class Image:
    """Voxels in (z, y, x) order, and their grid."""

    voxels: NDArray[Any]
    grid: Grid


def image_suffix(path: Path) -> str | None:
    """The ending of a file's name that tells its format, lower case; None when it is no image's."""
    name = path.name.lower()
    return max((suffix for suffix in READERS if name.endswith(suffix)), key=len, default=None)


def read_image(path: Path, *, reference: Grid | None = None, tolerance: GridTolerance | None = None) -> Image:
    """
    A three-dimensional image of one number per voxel, all of them finite.

    Parameters
    ----------
    path
        A .mha, .mhd, .nii, .nii.gz or .tif file.
    reference, tolerance
        The grid that it must be on. It is compared before a voxel is read, so that a small file
        cannot claim a large memory.

    Raises
    ------
    UnusableImage
        When it is no image, cut short, broken, of another dimension, of several numbers per voxel,
        on another grid, or has a voxel that is not finite.
    """
    reader = _reader(path)
    grid = _announced_grid(reader, path)
    if reference is not None:
        difference = grid_difference(reference, grid, tolerance or GridTolerance())
        if difference is not None:
            raise UnusableImage(f"is on another grid: {difference}")
    elif np.prod(grid.size_xyz, dtype=np.float64) > _MAX_VOXELS:
        raise UnusableImage(f"is too large: {' × '.join(map(str, grid.size_xyz))} voxels")
    try:
        voxels = _simpleitk().GetArrayFromImage(reader.Execute())
    except (RuntimeError, MemoryError) as error:
        check_integrity(path)  # has more to say about a file that is cut short
        raise UnusableImage(f"cannot be read: {_reason(error)}") from None
    check_integrity(path, voxels)
    if (
        np.issubdtype(voxels.dtype, np.floating)
        and not np.isfinite([voxels.min(initial=0), voxels.max(initial=0)]).all()
    ):
        refuse_not_finite(int(np.count_nonzero(~np.isfinite(voxels))))
    return Image(voxels, grid)


def label_map(image: Image, known: Collection[int]) -> NDArray[np.integer[Any]]:
    """
    The voxels of an image as labels.

    Raises
    ------
    UnusableImage
        When a value is not a whole number, or not a known label.
    """
    voxels = image.voxels
    if _are_few_and_known(voxels, known):
        return voxels
    present = _distinct(voxels)
    unknown = [value for value in present.tolist() if value not in known]
    if unknown:
        shown = unknown[0] if float(unknown[0]).is_integer() is False else int(unknown[0])
        labels = ", ".join(str(label) for label in sorted(known))
        raise UnusableImage(f"has the unknown label {shown}; known: {labels}")
    if np.issubdtype(voxels.dtype, np.floating):
        return voxels.astype(np.int32)
    return voxels


def _are_few_and_known(voxels: NDArray[Any], known: Collection[int]) -> bool:
    """Whether all whole numbers between the extremes are known, which are quickly found."""
    if not np.issubdtype(voxels.dtype, np.integer) or voxels.size == 0:
        return False
    low, high = int(voxels.min()), int(voxels.max())
    return high - low < 1000 and all(value in known for value in range(low, high + 1))


def _distinct(voxels: NDArray[Any]) -> NDArray[Any]:
    """The values that occur; for small whole numbers without sorting them."""
    if voxels.dtype in (np.uint8, np.uint16):
        return np.flatnonzero(np.bincount(voxels.ravel(), minlength=1))
    nonzero = voxels[voxels != 0]
    values = np.unique(nonzero)
    return values if nonzero.size == voxels.size else np.concatenate([[0], values])


def _reader(path: Path) -> Any:
    suffix = image_suffix(path)
    if suffix is None:
        raise UnusableImage(f"must be an image ({', '.join(READERS)}), got {path.name!r}")
    reader = _simpleitk().ImageFileReader()
    reader.SetImageIO(READERS[suffix])
    reader.SetFileName(str(path))
    return reader


def _announced_grid(reader: Any, path: Path) -> Grid:
    """The grid in an image's header."""
    try:
        if not path.stat().st_size:
            raise UnusableImage("is an empty file")
        check_header(path)
        reader.ReadImageInformation()
    except OSError as error:
        raise UnusableImage(f"cannot be read: {error.strerror}") from None
    except RuntimeError as error:
        check_integrity(path)  # has more to say about a file that is cut short
        raise UnusableImage(f"is not a readable image: {_reason(error)}") from None
    if reader.GetDimension() != 3:
        size = " × ".join(str(side) for side in reader.GetSize())
        raise UnusableImage(f"must have 3 dimensions, got {reader.GetDimension()} ({size})")
    if reader.GetNumberOfComponents() != 1:
        raise UnusableImage(f"must have one number per voxel, got {reader.GetNumberOfComponents()}")
    return Grid(
        size_xyz=tuple(reader.GetSize()),
        spacing_xyz_mm=tuple(reader.GetSpacing()),
        origin_xyz_mm=tuple(reader.GetOrigin()),
        direction=tuple(reader.GetDirection()),
        has_geometry=READERS[image_suffix(path) or ""] != "TIFFImageIO",
    )


@functools.cache
def _simpleitk() -> Any:
    # only a task with images waits for it
    simpleitk: Any = importlib.import_module("SimpleITK")
    simpleitk.ProcessObject.SetGlobalWarningDisplay(False)
    simpleitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    return simpleitk


def _reason(error: BaseException) -> str:
    """The last sentence of ITK's long story, in one line."""
    text = " ".join(str(error).split())
    for mark in ("Reason: ", "ERROR: ", "Error: "):
        text = text.rsplit(mark, maxsplit=1)[-1]
    return text[-160:] or type(error).__name__
