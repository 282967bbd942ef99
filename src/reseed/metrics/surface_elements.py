"""
The boundary of a mask, as elements with a place and an area.

Two definitions, which give different distances, so that a result must name its own:

`surface_elements`
    The corners where voxels of both sides meet, each with the area (3D, mm²) or length (2D, mm) of
    the piece of the marching-cubes surface in the cube of 2×2×2 voxel centres around it. This is the
    definition of the package surface-distance (DeepMind): fine voxels do not outweigh coarse ones.
`surface_voxels`
    The voxels of the mask that have a face in common with the background, each counted once, placed
    at their centres. This is the definition of MedPy, SimpleITK and MONAI.

Outside the grid is background in both.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from reseed.metrics.masks import Mask, bounding_box

BoundaryDefinition: TypeAlias = Literal["surface_elements", "surface_voxels"]

# The triangles in a cube of 2×2×2 voxels for each of its patterns 0 to 127 (255 - n has those of n):
# joined by +, the three components of a triangle's normal, in eighths, without their signs. The length
# of a normal is the area. From lookup_tables.py of surface-distance 0.1,
# Copyright 2018 Google Inc., Apache License 2.0; signs dropped, complements left out.
_TRIANGLES = """
000 111 111 220+220 111 202+202 111+111 400+222+111 111 111+111 202+202 400+222+111 220+220
400+222+111 400+222+111 400+400 111 022+022 111+111 040+222+111 111+111 004+222+111 111+111+111
111+222+222+111 111+111 022+022+111 202+202+111 111+333+022+202 111+220+220 333+022+111+220
400+111+222+111 400+111+222 111 111+111 022+022 040+111+222 111+111 111+202+202 022+022+111
333+022+111+202 111+111 111+111+111 004+222+111 222+222+111+111 111+220+220 400+222+111+111
022+333+111+220 400+222+111 220+220 040+222+111 040+111+222 040+040 220+220+111 333+202+111+220
111+040+222+111 040+222+111 111+220+220 040+222+111+111 333+220+111+202 040+222+111 220+220+220+220
220+220+111 111+220+220 220+220 111 111+111 111+111 111+220+220 022+022 004+222+111 022+022+111
333+022+111+220 111+111 111+111+111 111+202+202 400+222+111+111 040+222+111 222+222+111+111
202+333+022+111 400+222+111 202+202 004+222+111 111+202+202 202+333+220+111 004+222+111 004+004
111+111+222+004 111+222+004 202+202+111 004+222+111+111 202+202+202+202 111+202+202 202+333+220+111
004+222+111 111+202+202 202+202 111+111 111+111+111 111+022+022 040+111+222+111 022+022+111
004+222+111+111 022+022+022+022 022+022+111 111+111+111 111+111+111+111 004+222+111+111 111+111+111
040+222+111+111 111+111+111 022+022+111 111+111 400+222+111 222+111+222+111 333+022+111+202
040+222+111 333+220+022+111 111+222+004 111+022+022 022+022 400+222+111+111 111+111+111 202+202+111
111+111 220+220+111 111+111 111+111 111
"""


@dataclass(frozen=True)
class Boundary:
    """
    The elements of a mask's boundary.

    `index` is their place on the grid, one row each: of a voxel, or for surface elements of the voxel
    whose lowest corner it is. `weight` is their area in mm², their length in mm, or 1 for a voxel;
    `rank` puts those weights in order, from 0, the same for the same weight, and `ranked_weight` has the
    weight of every rank.
    """

    index: NDArray[np.int64]
    weight: NDArray[np.float64]
    rank: NDArray[np.uint8]
    ranked_weight: NDArray[np.float64]


def boundary(mask: Mask, spacing_mm: tuple[float, ...], definition: BoundaryDefinition) -> Boundary:
    """
    The boundary of a mask, by one of the two definitions; without elements when the mask is empty.

    Raises
    ------
    ValueError
        When the definition is unknown, or surface elements are asked for in other than 2 or 3 dimensions.
    """
    box = bounding_box(mask)
    if definition not in ("surface_elements", "surface_voxels"):
        raise ValueError(f"boundary must be 'surface_elements' or 'surface_voxels', got {definition!r}")
    if definition == "surface_elements" and mask.ndim not in (2, 3):
        raise ValueError(f"surface elements need 2 or 3 dimensions, got {mask.ndim}")
    if box is None:
        nowhere = np.empty((0, mask.ndim), dtype=np.int64)
        return Boundary(nowhere, np.empty(0), np.empty(0, dtype=np.uint8), np.empty(0))
    padded = np.pad(mask[box], 1)
    corner = np.array([side.start for side in box], dtype=np.int64)
    if definition == "surface_voxels":
        on_surface = padded & ~_eroded(padded)
        index = _places(np.flatnonzero(on_surface), on_surface.shape, corner - 1)
        return Boundary(index, np.ones(len(index)), np.zeros(len(index), dtype=np.uint8), np.ones(1))
    codes = _patterns(padded)
    # neither all background nor all mask: one less wraps around to the largest number, or is the last
    found = np.flatnonzero(codes - np.uint8(1) < np.uint8(2 ** (2**mask.ndim) - 2))
    weights, ranks = _weights(spacing_mm)
    rank = ranks.take(codes.take(found))
    return Boundary(_places(found, padded.shape, corner), weights.take(rank), rank, weights)


def _places(flat: NDArray[np.intp], shape: tuple[int, ...], corner: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places in a box from flat ones, one row each, as places on the grid."""
    index = np.empty((len(shape), flat.size), dtype=np.int64).T  # what is done axis by axis is then fast
    for axis in reversed(range(len(shape))):
        line = flat // shape[axis]
        np.subtract(flat, line * shape[axis] - corner[axis], out=index[:, axis])
        flat = line
    return index


def _eroded(padded: Mask) -> Mask:
    """The voxels whose neighbours across every face are in the mask; the rim is background."""
    eroded = padded.copy()
    for axis in range(padded.ndim):
        line = np.moveaxis(padded, axis, 0)
        kept = np.moveaxis(eroded, axis, 0)
        kept[1:] &= line[:-1]
        kept[:-1] &= line[1:]
    return eroded


def _patterns(padded: Mask) -> NDArray[np.uint8]:
    """
    For every corner of a grid, which of the voxels around it are in the mask, as bits; flat.

    The rim is background. What follows the end of an axis is the rim before the next line, so that all is
    one line, and no voxels are joined across it.
    """
    codes: NDArray[np.uint8] = padded.view(np.uint8).ravel()
    # one axis after the other: each pass joins the bits of two neighbours, the lower one first
    for n_bits, axis in zip((1, 2, 4), reversed(range(padded.ndim)), strict=False):
        beyond = math.prod(padded.shape[axis + 1 :])
        joined = codes[:-beyond] * np.uint8(1 << n_bits)  # numpy shifts bytes five times more slowly
        joined |= codes[beyond:]
        codes = joined
    return codes


@functools.lru_cache(maxsize=64)
def _weights(spacing_mm: tuple[float, ...]) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """The weights that there are, ascending, and the rank of each pattern's among them."""
    weights, ranks = np.unique(
        _areas(spacing_mm) if len(spacing_mm) == 3 else _lengths(spacing_mm), return_inverse=True
    )
    return weights, ranks.astype(np.uint8)


def _areas(spacing_mm: tuple[float, ...]) -> NDArray[np.float64]:
    """The area in mm² of the surface in a cube of 2×2×2 voxels, by its pattern."""
    first, second, third = spacing_mm
    sides = np.array([second * third, first * third, first * second])
    areas = np.zeros(256)
    for code, triangles in enumerate(_TRIANGLES.split()):
        normals = np.array([[int(digit) for digit in triangle] for triangle in triangles.split("+")]) / 8
        areas[code] = areas[255 - code] = np.sqrt(((normals * sides) ** 2).sum(axis=1)).sum()
    return areas


def _lengths(spacing_mm: tuple[float, ...]) -> NDArray[np.float64]:
    """The length in mm of the contour in a square of 2×2 pixels, by its pattern."""
    vertical, horizontal = spacing_mm
    diagonal = math.hypot(vertical, horizontal) / 2
    lengths = np.full(16, diagonal)
    lengths[[0b0000, 0b1111]] = 0.0
    lengths[[0b0011, 0b1100]] = horizontal
    lengths[[0b0101, 0b1010]] = vertical
    lengths[[0b0110, 0b1001]] = 2 * diagonal
    return lengths
