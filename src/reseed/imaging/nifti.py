"""
The header of a NIfTI-1 file, read strictly.

ITK's own reader takes a file that is cut short for a whole one, and has crashed on damaged headers. So it
is only shown what this module found consistent.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from reseed.imaging.metaimage import UnusableImage

HEADER_BYTES = 352
"""The header, and the four bytes that say whether extensions follow."""

_BITS = {2: 8, 4: 16, 8: 32, 16: 32, 64: 64, 256: 8, 512: 16, 768: 32, 1024: 64, 1280: 64}
"""Bits of a voxel by the code of its type: whole and floating-point numbers only."""

_FLOATS = {16: "f4", 64: "f8"}

_LARGEST_INTENT = 1002  # a label; what follows are vectors, matrices and meshes
_MAX_OFFSET = 1 << 24


@dataclass(frozen=True)
class NiftiHeader:
    """
    Where the voxels of a NIfTI-1 file are.

    Attributes
    ----------
    offset
        Of the first voxel.
    n_bytes
        The size that the file must have.
    floats
        The voxels' type with their byte order; None where they are whole numbers.
    """

    offset: int
    n_bytes: int
    floats: np.dtype[np.floating[Any]] | None


def nifti_header(start: bytes) -> NiftiHeader:
    """
    The header of a file in one piece.

    Parameters
    ----------
    start
        The first bytes of the file, extensions included.

    Raises
    ------
    UnusableImage
        When it is no NIfTI-1 header of an image of numbers, or contradicts itself.
    """
    if len(start) < HEADER_BYTES:
        raise UnusableImage("is not a NIfTI image: it has no header")
    order = next((each for each in "<>" if struct.unpack_from(f"{each}i", start)[0] == 348), None)
    if order is None or start[344:348] != b"n+1\0":
        raise UnusableImage("is not a NIfTI-1 image in one piece: its header has no such mark")
    sizes = _sizes(struct.unpack_from(f"{order}8h", start, 40))
    intent, datatype, bits = struct.unpack_from(f"{order}3h", start, 68)
    if _BITS.get(datatype) != bits or not 0 <= intent <= _LARGEST_INTENT:
        raise UnusableImage(
            f"is not a NIfTI image of numbers: its header has datatype {datatype}, bitpix {bits}, "
            f"intent {intent}"
        )
    geometry = (
        *struct.unpack_from(f"{order}8f", start, 76),
        *struct.unpack_from(f"{order}2f", start, 112),
        *struct.unpack_from(f"{order}18f", start, 256),
    )
    if not all(math.isfinite(value) and abs(value) < 1e6 for value in geometry):
        raise UnusableImage("is not a NIfTI image: its header has a geometry that is no number")
    if not all(abs(step) > 1e-6 for step in geometry[1:4]):
        raise UnusableImage("is not a NIfTI image: its header has a spacing of 0")
    if not all(0 <= code <= 5 for code in struct.unpack_from(f"{order}2h", start, 252)):
        raise UnusableImage("is not a NIfTI image: its header has an unknown orientation")
    offset = struct.unpack_from(f"{order}f", start, 108)[0]
    if not (HEADER_BYTES <= offset <= _MAX_OFFSET and offset == int(offset)):
        raise UnusableImage(f"is not a NIfTI image: its voxels would start at byte {offset:g}")
    _check_extensions(start, order, int(offset))
    return NiftiHeader(
        offset=int(offset),
        n_bytes=int(offset) + math.prod(sizes) * _BITS[datatype] // 8,
        floats=np.dtype(f"{order}{_FLOATS[datatype]}") if datatype in _FLOATS else None,
    )


def _sizes(dimensions: tuple[int, ...]) -> list[int]:
    sizes = [int(side) for side in dimensions[1 : 1 + max(0, dimensions[0])]]
    if not (1 <= dimensions[0] <= 7 and min(sizes) >= 1):
        raise UnusableImage("is not a NIfTI image: its header gives no size")
    return sizes


def _check_extensions(start: bytes, order: str, offset: int) -> None:
    """Extensions must fill what is between header and voxels, each saying its own size."""
    if start[348] == 0:
        return
    place = HEADER_BYTES
    while place < offset:
        size = struct.unpack_from(f"{order}i", start, place)[0] if place + 8 <= len(start) else 0
        if size < 16 or size % 16 or place + size > offset:
            raise UnusableImage("is not a NIfTI image: its header has broken extensions")
        place += size
