"""MetaImage (.mha) written byte by byte: the same volume is the same file, whatever is installed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def metaimage_bytes(
    volume_zyx: npt.NDArray[np.uint8],
    *,
    spacing_xyz_mm: tuple[float, float, float],
    origin_xyz_mm: tuple[float, float, float],
) -> bytes:
    """
    An uncompressed 8-bit MetaImage with axes along x, y and z.

    Parameters
    ----------
    volume_zyx
        Voxels in (z, y, x) order.
    spacing_xyz_mm, origin_xyz_mm
        Distance of voxel centres, and the position of the first one.
    """
    header = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": _numbers(origin_xyz_mm),
        "CenterOfRotation": "0 0 0",
        "AnatomicalOrientation": "RAI",
        "ElementSpacing": _numbers(spacing_xyz_mm),
        "DimSize": _numbers(volume_zyx.shape[::-1]),
        "ElementType": "MET_UCHAR",
        "ElementDataFile": "LOCAL",
    }
    text = "".join(f"{key} = {value}\n" for key, value in header.items())
    return text.encode("ascii") + np.ascontiguousarray(volume_zyx, dtype=np.uint8).tobytes()


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.6g}" if value == round(value) else f"{value:.9g}" for value in values)
