"""The nearest of some places on a grid, for each of some others: exact, and fast where they are close."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from reseed.metrics.surface_boxes import nearest_from_afar
from reseed.metrics.surface_line_search import LineSearch
from reseed.metrics.surface_lines import N_LINES, LineGrid, Places, line_grid, lines_around
from reseed.metrics.surface_planes import can_be_searched, n_visits, squares_by_planes

_N_LINES_AT_FIRST = 40
"""How many of the nearest lines are looked along one by one before it is seen how many places are left."""

_N_VISITS_PER_PLACE = 5000
"""How many visits of a search by planes take as long as a place takes otherwise."""


def nearest_distances_mm(start: Places, end: Places, spacing_mm: tuple[float, ...]) -> NDArray[np.float64]:
    """
    The distance from each place to the nearest of the others.

    Two surfaces of one organ mostly run close together. The grid is taken as lines along its finest
    axis, and for every voxel it is found how many steps away on its own line the other surface is. Then
    the lines around each place are tried in the order of their distance, until the next is farther away
    than what was found. Where many places are left, their surroundings are searched as a whole, plane by
    plane. What is still farther away is searched by boxes.

    Distances are computed from whole steps, so that no rounding of coordinates moves one across a tolerance.
    Of places that are equally near but for the rounding of a sum, any may be taken.

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
        squares_mm2 = _squares_nearby(line_grid(start, end, spacing_mm))
    elif near.any():
        squares_mm2[near] = _squares_nearby(line_grid(start[near], end, spacing_mm))
    far = np.flatnonzero(np.isnan(squares_mm2))
    if far.size:
        squares_mm2[far] = _squares_from_afar(start[far], end, np.array(spacing_mm))
    return np.asarray(np.sqrt(squares_mm2))


def _squares_nearby(grid: LineGrid) -> NDArray[np.float64]:
    """The squared distances in mm²; NaN for the starts that nothing in reach settles."""
    search = LineSearch(grid)
    for n_lines in (_N_LINES_AT_FIRST, N_LINES):
        search.try_lines(n_lines)
        left, place = search.seeking, grid.place[search.seeking]
        if can_be_searched(grid) and n_visits(grid, place) < _N_VISITS_PER_PLACE * left.size:
            search.found_mm2[left] = squares_by_planes(grid, place, search.best_mm2)
            break
    return search.found_mm2


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
