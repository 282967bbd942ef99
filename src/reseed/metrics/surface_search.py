"""The nearest of some places on a grid, for each of some others: exact, and fast where they are close."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Places = NDArray[np.int64]

_N_LINES = 2000
"""How many lines around a place are looked along at most before it is searched by a tree."""

_N_TRIALS_PER_PLACE = 200
"""How many are looked along on average before most places must be settled, or all others are far away."""

_N_TRIALS_BETWEEN_SIEVES = 4
"""How many are looked along before the places that are settled are left behind."""


def nearest_distances_mm(start: Places, end: Places, spacing_mm: tuple[float, ...]) -> NDArray[np.float64]:
    """
    The distance from each place to the nearest of the others.

    Two surfaces of one organ mostly run close together. The grid is taken as lines along its finest
    axis, and for every voxel it is found how many steps away on its own line the other surface is. Then
    the lines around each place are tried in the order of their distance, until the next is farther away
    than what was found. The few places that are far from the other surface are searched by a k-d tree.
    Distances are computed from whole steps, so that no rounding of coordinates moves one across a
    tolerance.

    Parameters
    ----------
    start, end
        Indices on one grid, one row for each place; `end` has one or more.
    spacing_mm
        The length of a step along each axis.
    """
    around = _lines_around(spacing_mm)
    squares_mm2 = np.full(len(start), math.nan)
    near = _is_near(start, end, spacing_mm, around.radius_mm)
    if near.all():
        squares_mm2 = _squares_by_lines(start, end, spacing_mm, around)
    elif near.any():
        squares_mm2[near] = _squares_by_lines(start[near], end, spacing_mm, around)
    far = np.flatnonzero(np.isnan(squares_mm2))
    if far.size:
        squares_mm2[far] = _squares_by_tree(start[far], end, np.array(spacing_mm))
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


@dataclass(frozen=True)
class _Lines:
    """
    The lines around a place: along which axis, how far away, and on which sides.

    `steps` has one row for lines at equal distances across each other axis, without signs; `reach` is
    the most steps along every axis, 0 along the lines themselves, which are known from end to end.
    """

    axis: int
    step_mm: float
    across: tuple[int, ...]
    steps: Places
    square_mm2: NDArray[np.float64]
    radius_mm: float
    reach: NDArray[np.int64]


@functools.lru_cache(maxsize=64)
def _lines_around(spacing_mm: tuple[float, ...]) -> _Lines:
    """The nearest lines, all up to some distance, in the order of their distance."""
    axis = len(spacing_mm) - 1 - int(np.argmin(spacing_mm[::-1]))
    across = tuple(other for other in range(len(spacing_mm)) if other != axis)
    sides = np.array([spacing_mm[other] for other in across])
    n_across = len(across)
    unit_ball = math.pi ** (n_across / 2) / math.gamma(n_across / 2 + 1)
    radius_mm = (_N_LINES * math.prod(sides.tolist()) / unit_ball) ** (1 / max(n_across, 1))
    # of a grid that is extremely fine along one axis not all of that radius can be tried
    radius_mm = min(radius_mm, _N_LINES * float(sides.min(initial=math.inf)))
    reach = np.zeros(len(spacing_mm), dtype=np.int64)
    reach[list(across)] = (radius_mm / sides).astype(np.int64)
    counts = [range(int(reach[other]) + 1) for other in across]
    steps = np.array(list(itertools.product(*counts)), dtype=np.int64)  # one row also for no other axis
    square_mm2 = ((steps * sides) ** 2).sum(axis=1)
    order = np.argsort(square_mm2, kind="stable")
    order = order[square_mm2[order] <= radius_mm * radius_mm]
    return _Lines(axis, spacing_mm[axis], across, steps[order], square_mm2[order], radius_mm, reach)


@dataclass(frozen=True)
class _LineGrid:
    """
    How many steps away the other surface is along the line of every voxel, in a flat box, up to `n_steps`.

    The box has room for every line in reach. `place` is where each start is in it, `strides` how far
    apart neighbours along every axis are, and `centre` what to add to a place.
    """

    steps_away: NDArray[np.unsignedinteger[Any]]
    n_steps: int
    place: NDArray[np.int64]
    strides: NDArray[np.int64]
    centre: int

    def beside(self, across: tuple[int, ...], steps: list[int]) -> list[NDArray[np.unsignedinteger[Any]]]:
        """The box as seen from the lines on all sides of a place, some steps away."""
        strides = self.strides[list(across)].tolist()
        sides = [sorted({step * stride, -step * stride}) for step, stride in zip(steps, strides, strict=True)]
        return [self.steps_away[self.centre + sum(offsets) :] for offsets in itertools.product(*sides)]


def _line_grid(start: Places, end: Places, around: _Lines) -> _LineGrid:
    """The box of all places, with the axis of the lines first: all lines are then searched at a time."""
    axes = [around.axis, *around.across]
    low, high = start.min(axis=0) - around.reach, start.max(axis=0) + around.reach
    within = np.ones(len(end), dtype=bool)
    for other in around.across:
        within &= (end[:, other] >= low[other]) & (end[:, other] <= high[other])
    end = end if within.all() else end[within]
    if len(end):
        low[around.axis] = min(low[around.axis], end[:, around.axis].min())
        high[around.axis] = max(high[around.axis], end[:, around.axis].max())
    shape = (high - low + 1)[axes].tolist()
    # what is farther away along a line than any line in reach settles nothing
    n_steps = min(shape[0], int(around.radius_mm / around.step_mm) + 1)
    steps_away = np.full(shape, n_steps, dtype=np.min_scalar_type(n_steps + 1))
    steps_away[tuple(end[:, axis] - low[axis] for axis in axes)] = 0
    for forth in range(1, shape[0]):
        np.minimum(steps_away[forth], steps_away[forth - 1] + 1, out=steps_away[forth, ...])
    for back in range(shape[0] - 2, -1, -1):
        np.minimum(steps_away[back], steps_away[back + 1] + 1, out=steps_away[back, ...])
    strides = np.empty(len(axes), dtype=np.int64)
    strides[axes] = [math.prod(shape[k + 1 :]) for k in range(len(axes))]
    centre = int(around.reach @ strides)
    place = np.full(len(start), -int(low @ strides) - centre)
    for axis, stride in enumerate(strides.tolist()):
        place += start[:, axis] * stride
    return _LineGrid(steps_away.ravel(), n_steps, place, strides, centre)


def _squares_by_lines(
    start: Places, end: Places, spacing_mm: tuple[float, ...], around: _Lines
) -> NDArray[np.float64]:
    """The squared distances of the places that are settled by the lines around them; NaN for the others."""
    grid = _line_grid(start, end, around)
    along_mm2 = np.full(grid.n_steps + 1, math.inf)  # n_steps stand for more
    along_mm2[:-1] = (np.arange(grid.n_steps) * around.step_mm) ** 2
    found, seeking, place = np.full(len(start), math.nan), np.arange(len(start)), grid.place
    best, square_mm2 = np.full(len(start), math.inf), 0.0
    n_trials_left, n_since_sieve = _N_TRIALS_PER_PLACE * len(start), 0
    for steps, square_mm2 in zip(around.steps.tolist(), around.square_mm2.tolist(), strict=True):
        if n_since_sieve >= _N_TRIALS_BETWEEN_SIEVES:
            on = best > square_mm2
            if np.count_nonzero(on) < 0.8 * seeking.size:
                n_trials_left += _N_LINES * int(np.count_nonzero(~on))
                found[seeking[~on]] = best[~on]
                seeking, place, best = seeking[on], place[on], best[on]
            n_since_sieve = 0
        lines = grid.beside(around.across, steps)
        n_trials_left -= len(lines) * seeking.size
        if seeking.size == 0 or n_trials_left < 0:
            break
        n_since_sieve += len(lines)
        fewest = functools.reduce(np.minimum, (line.take(place) for line in lines))
        np.minimum(best, _squares(along_mm2.take(fewest), steps, spacing_mm, around), out=best)
    settled = best <= square_mm2
    found[seeking[settled]] = best[settled]
    return found


def _squares(
    along_mm2: NDArray[np.float64], steps: list[int], spacing_mm: tuple[float, ...], around: _Lines
) -> NDArray[np.float64]:
    """The sum over the axes, in their order: so it rounds as for any other way to find the place."""
    terms: list[Any] = [
        (step * spacing_mm[axis]) ** 2 for axis, step in zip(around.across, steps, strict=True)
    ]
    terms.insert(around.axis, along_mm2)
    return np.asarray(functools.reduce(operator.add, terms))


def _squares_by_tree(start: Places, end: Places, spacing_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    # plain splits are built faster, and the places are spread evenly
    tree = cKDTree(end * spacing_mm, leafsize=32, balanced_tree=False, compact_nodes=False)
    _, nearest = tree.query(start * spacing_mm)
    steps = (start - end[nearest]) * spacing_mm
    return np.asarray((steps * steps).sum(axis=1))
