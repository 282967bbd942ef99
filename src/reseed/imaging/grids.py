"""Voxel grids, and whether two are one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reseed.contracts.evaluation import GridTolerance


@dataclass(frozen=True)
class Grid:
    """
    Where voxels are, in the order of the file: x, y, z (in mm).

    `has_geometry` is False for formats that do not say where their voxels are, such as TIFF: then
    only the sizes can be compared.
    """

    size_xyz: tuple[int, ...]
    spacing_xyz_mm: tuple[float, ...]
    origin_xyz_mm: tuple[float, ...]
    direction: tuple[float, ...]
    has_geometry: bool = True

    @property
    def spacing_zyx_mm(self) -> tuple[float, ...]:
        """In the order of the array."""
        return self.spacing_xyz_mm[::-1]


def grid_difference(
    reference: Grid, prediction: Grid, tolerance: GridTolerance, *, whose: str = "the reference's"
) -> str | None:
    """
    What makes two grids different, in words; None when they are one within a tolerance.

    Sizes must be equal. Nothing is resampled to make two grids one. `whose` is what the words call the
    reference's grid.
    """
    if prediction.size_xyz != reference.size_xyz:
        return f"its size is {_shown(prediction.size_xyz)}, {whose} {_shown(reference.size_xyz)}"
    if not (reference.has_geometry and prediction.has_geometry):
        return None
    checks = (
        ("spacing", reference.spacing_xyz_mm, prediction.spacing_xyz_mm, " mm"),
        ("origin", reference.origin_xyz_mm, prediction.origin_xyz_mm, " mm"),
        ("direction", reference.direction, prediction.direction, ""),
    )
    for name, expected, found, unit in checks:
        limits = {
            "spacing": [tolerance.spacing * abs(value) for value in expected],
            "origin": [tolerance.origin_mm] * len(expected),
            "direction": [tolerance.direction] * len(expected),
        }[name]
        if not _are_close(expected, found, limits):
            return f"its {name} is {_shown(found)}{unit}, {whose} {_shown(expected)}{unit}"
    return None


def _are_close(expected: Sequence[float], found: Sequence[float], limits: Sequence[float]) -> bool:
    # written so that NaN is not close to anything; the last bits of a float32 header do not count
    return all(
        abs(first - second) <= limit + 1e-7 * max(1.0, abs(first))
        for first, second, limit in zip(expected, found, limits, strict=True)
        if math.isfinite(limit)
    )


def _shown(values: Sequence[float]) -> str:
    return f"({', '.join(f'{value:.6g}' for value in values)})"
