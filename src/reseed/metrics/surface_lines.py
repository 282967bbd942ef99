"""A grid as lines along its finest axis, on which it is known how far the next place of a surface is."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]
StepsAway = NDArray[np.unsignedinteger[Any]]

N_LINES = 160
"""About so many of the lines around a place are looked along one by one at most."""

_N_LINES_IN_REACH = 3000
"""How many lines there are around a place up to the distance from which on it is searched by boxes."""


@dataclass(frozen=True)
class Lines:
    """
    The lines around a place: along which axis, how far away, and on which sides.

    `radius_mm` is how far is looked, `n_steps` more than so many steps along a line are, and `reach` the
    most steps along every axis, 0 along the lines themselves, which are known from end to end.

    `steps` has one row for lines at equal distances across each other axis, without signs, in the order
    of `square_mm2`: only of the nearest lines. All others are as far away as `beyond_mm2` or farther,
    squared.
    """

    axis: int
    step_mm: float
    across: tuple[int, ...]
    radius_mm: float
    n_steps: int
    reach: NDArray[np.int64]
    steps: Places
    square_mm2: NDArray[np.float64]
    beyond_mm2: float

    @functools.cached_property
    def n_before(self) -> NDArray[np.int64]:
        """How many lines are before each row of `steps`."""
        return _n_before(self.steps)

    def on_all_sides(self, row: int) -> Places:
        """The steps with every combination of signs."""
        sides = [sorted({step, -step}) for step in self.steps[row].tolist()]
        return np.array(list(itertools.product(*sides)), dtype=np.int64)


@functools.lru_cache(maxsize=64)
def lines_around(spacing_mm: tuple[float, ...]) -> Lines:
    """The nearest lines along the finest axis."""
    axis = len(spacing_mm) - 1 - int(np.argmin(spacing_mm[::-1]))
    across = tuple(other for other in range(len(spacing_mm)) if other != axis)
    sides = np.array([spacing_mm[other] for other in across])
    n_across = len(across)
    unit_ball = math.pi ** (n_across / 2) / math.gamma(n_across / 2 + 1)
    radius_mm = (_N_LINES_IN_REACH * math.prod(sides.tolist()) / unit_ball) ** (1 / max(n_across, 1))
    # of a grid that is extremely fine along one axis not all of that radius can be tried
    radius_mm = min(radius_mm, _N_LINES_IN_REACH * float(sides.min(initial=math.inf)))
    furthest = (radius_mm / sides).astype(np.int64)
    reach = np.zeros(len(spacing_mm), dtype=np.int64)
    reach[list(across)] = furthest
    # one row also for no other axis
    steps = np.array(list(itertools.product(*[range(n + 1) for n in furthest])), dtype=np.int64)
    square_mm2 = ((steps * sides) ** 2).sum(axis=1)
    order = np.argsort(square_mm2, kind="stable")
    order = order[square_mm2[order] <= radius_mm**2]
    steps, square_mm2 = steps[order], square_mm2[order]
    n_near = int(np.searchsorted(_n_before(steps), N_LINES))
    return Lines(
        axis,
        spacing_mm[axis],
        across,
        radius_mm,
        int(radius_mm / spacing_mm[axis]) + 1,
        reach,
        steps[:n_near],
        square_mm2[:n_near],
        float(square_mm2[n_near]) if n_near < len(steps) else radius_mm**2,
    )


def _n_before(steps: Places) -> NDArray[np.int64]:
    n_sides = 2 ** np.count_nonzero(steps, axis=1)
    return np.asarray(np.cumsum(n_sides) - n_sides)


def squares_mm2(
    spacing_mm: tuple[float, ...], axis: int, along_mm2: NDArray[np.float64], across: list[Any]
) -> NDArray[np.float64]:
    """
    Squared distances from squares along one axis and whole steps across each other, which are broadcast.

    The sum is over the axes in their order: so it rounds as for any other way to find the place.
    """
    others = [other for other in range(len(spacing_mm)) if other != axis]
    terms = [(steps * spacing_mm[other]) ** 2 for steps, other in zip(across, others, strict=True)]
    terms.insert(axis, along_mm2)
    return np.asarray(functools.reduce(operator.add, terms))


@dataclass(frozen=True)
class LineGrid:
    """
    How many steps away the other surface is along the line of every voxel, in a flat box, up to `n_steps`.

    Around the box is room for the nearest lines. `shape` is that of the box without it, the axis of the
    lines first; `place` is where each start is, `strides` how far apart neighbours along every axis are, and
    `centre` what to add to a place.
    """

    spacing_mm: tuple[float, ...]
    lines: Lines
    steps_away: StepsAway
    n_steps: int
    shape: tuple[int, ...]
    place: NDArray[np.int64]
    strides: NDArray[np.int64]
    centre: int

    @property
    def box(self) -> StepsAway:
        """The box itself, the axis of the lines first, then the others in their order."""
        axes = [self.lines.axis, *self.lines.across]
        room = [self.steps_away.size - self.centre, *self.strides[axes].tolist()]
        padded = [wide // narrow for wide, narrow in itertools.pairwise(room)]
        return self.steps_away[self.centre :].reshape(padded)[tuple(slice(size) for size in self.shape)]

    @functools.cached_property
    def along_mm2(self) -> NDArray[np.float64]:
        """The square of every number of steps along a line; `n_steps` stand for more."""
        along_mm2 = np.full(self.n_steps + 1, math.inf)
        along_mm2[:-1] = (np.arange(self.n_steps) * self.lines.step_mm) ** 2
        return along_mm2

    def squares_mm2(self, steps: Places) -> NDArray[np.float64]:
        """The squared distance for every number of steps along a line, some steps away across the others."""
        return squares_mm2(self.spacing_mm, self.lines.axis, self.along_mm2, steps.tolist())

    def offsets(self, steps: Places) -> NDArray[np.int64]:
        """What to add to a place to be some steps away, one row each."""
        return np.asarray(steps @ self.strides[list(self.lines.across)] + self.centre)


def line_grid(start: Places, end: Places, spacing_mm: tuple[float, ...]) -> LineGrid:
    """The box of all places, with the axis of the lines first: all lines are then searched at a time."""
    lines = lines_around(spacing_mm)
    low, high, end = _box(start, end, lines)
    axes = [lines.axis, *lines.across]
    box = (high - low + 1)[axes]
    # Empty lines follow the box along every other axis; before it they are those of the voxels before.
    room = np.concatenate([[0], lines.steps.max(axis=0)])
    shape = (box + room).tolist()
    strides = np.empty(len(axes), dtype=np.int64)
    strides[axes] = [math.prod(shape[k + 1 :]) for k in range(len(axes))]
    centre = int(room @ strides[axes])
    # what is farther away along a line than any line in reach settles nothing
    n_steps = min(shape[0], lines.n_steps)
    flat = np.full(centre + math.prod(shape), n_steps, dtype=np.min_scalar_type(n_steps + 1))
    steps_away = flat[centre:].reshape(shape)
    steps_away[tuple(end[:, axis] - low[axis] for axis in axes)] = 0
    for forth in range(1, shape[0]):
        np.minimum(steps_away[forth], steps_away[forth - 1] + 1, out=steps_away[forth, ...])
    for back in range(shape[0] - 2, -1, -1):
        np.minimum(steps_away[back], steps_away[back + 1] + 1, out=steps_away[back, ...])
    place = np.full(len(start), -int(low @ strides))
    for axis, stride in enumerate(strides.tolist()):
        place += start[:, axis] * stride
    return LineGrid(spacing_mm, lines, flat, n_steps, tuple(box.tolist()), place, strides, centre)


def _box(start: Places, end: Places, lines: Lines) -> tuple[NDArray[np.int64], NDArray[np.int64], Places]:
    """The first and the last voxel of a box around all starts and what is in reach of them, and that."""
    low, high = start.min(axis=0), start.max(axis=0)
    within = np.ones(len(end), dtype=bool)
    for axis in lines.across:
        reach, along = int(lines.reach[axis]), end[:, axis]
        within &= (along >= low[axis] - reach) & (along <= high[axis] + reach)
    end = end if within.all() else end[within]
    if len(end):
        low, high = np.minimum(low, end.min(axis=0)), np.maximum(high, end.max(axis=0))
    return low, high, end
