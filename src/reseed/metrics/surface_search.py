"""The nearest of some places on a grid, for each of some others: exact, and fast where they are close."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from reseed.metrics.surface_boxes import nearest_from_afar
from reseed.metrics.surface_line_search import LineSearch
from reseed.metrics.surface_lines import Places, line_grid, lines_around


def nearest_distances_mm(start: Places, end: Places, spacing_mm: tuple[float, ...]) -> NDArray[np.float64]:
    """
    The distance from each place to the nearest of the others.

    Two surfaces of one organ mostly run close together. The grid is taken as lines along its finest
    axis, and for every voxel it is found how many steps away on its own line the other surface is. Then
    the lines around each place are tried in the order of their distance, until the next is farther away
    than what was found. The places for which that takes too long are far away, and are searched by boxes.
    Distances are computed from whole steps, so that no rounding of coordinates moves one across a tolerance.

    Parameters
    ----------
    start, end
        Indices on one grid, one row for each place; `end` has one or more.
    spacing_mm
        The length of a step along each axis.
    """
    squares_mm2 = np.full(len(start), math.nan)
    near = _is_near(start, end, spacing_mm, lines_around(spacing_mm).radius_mm)
    if near.all():
        squares_mm2 = LineSearch(line_grid(start, end, spacing_mm)).run()
    elif near.any():
        squares_mm2[near] = LineSearch(line_grid(start[near], end, spacing_mm)).run()
    far = np.flatnonzero(np.isnan(squares_mm2))
    if far.size:
        squares_mm2[far] = _squares_from_afar(start[far], end, np.array(spacing_mm))
    return np.asarray(np.sqrt(squares_mm2))


def _is_near(
    start: Places, end: Places, spacing_mm: tuple[float, ...], radius_mm: float
) -> NDArray[np.bool_]:
    """Whether a place is close enough to the box of the others for any line in reach to settle it."""
    gap_mm2 = np.zeros(len(start))
    for axis, step_mm in enumerate(spacing_mm):
        place, low, high = start[:, axis], end[:, axis].min(), end[:, axis].max()
        if place.min() < low or place.max() > high:
            gap_mm2 += (np.maximum(np.maximum(low - place, place - high), 0) * step_mm) ** 2
    return np.asarray(gap_mm2 <= radius_mm * radius_mm)


def _squares_from_afar(start: Places, end: Places, spacing_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    steps = (start - end[nearest_from_afar(start * spacing_mm, end * spacing_mm)]) * spacing_mm
    return np.asarray((steps * steps).sum(axis=1))
