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

N_LINES = 2000
"""How many lines around a place are looked along at most."""

_LINES_PER_TILE = 12
"""About so many neighbouring lines are looked along at a time where the surface is far."""


@dataclass(frozen=True)
class Lines:
    """
    The lines around a place: along which axis, how far away, and on which sides.

    `steps` has one row for lines at equal distances across each other axis, without signs. All lines up
    to `radius_mm` are also covered by tiles: `tile_steps` is the first line of each, with signs,
    `tile_shape` how many lines it has across each other axis. Both are in the order of `square_mm2` and
    `tile_square_mm2`, the squared distance of the nearest line; `tile_furthest_mm2` is that of the
    furthest line of a tile, `in_tile` the steps from the first of a tile's lines to each. `reach` is the
    most steps along every axis, 0 along the lines themselves, which are known from end to end.
    """

    axis: int
    step_mm: float
    across: tuple[int, ...]
    radius_mm: float
    reach: NDArray[np.int64]
    steps: Places
    square_mm2: NDArray[np.float64]
    tile_shape: tuple[int, ...]
    in_tile: Places
    tile_steps: Places
    tile_square_mm2: NDArray[np.float64]
    tile_furthest_mm2: NDArray[np.float64]

    @functools.cached_property
    def n_before(self) -> NDArray[np.int64]:
        """How many lines are before each row of `steps`."""
        n_sides = 2 ** np.count_nonzero(self.steps, axis=1)
        return np.asarray(np.cumsum(n_sides) - n_sides)

    def on_all_sides(self, row: int) -> Places:
        """The steps with every combination of signs."""
        sides = [sorted({step, -step}) for step in self.steps[row].tolist()]
        return np.array(list(itertools.product(*sides)), dtype=np.int64)


@functools.lru_cache(maxsize=64)
def lines_around(spacing_mm: tuple[float, ...]) -> Lines:
    """The nearest lines along the finest axis, all up to some distance."""
    axis = len(spacing_mm) - 1 - int(np.argmin(spacing_mm[::-1]))
    across = tuple(other for other in range(len(spacing_mm)) if other != axis)
    sides = np.array([spacing_mm[other] for other in across])
    n_across = len(across)
    unit_ball = math.pi ** (n_across / 2) / math.gamma(n_across / 2 + 1)
    radius_mm = (N_LINES * math.prod(sides.tolist()) / unit_ball) ** (1 / max(n_across, 1))
    # of a grid that is extremely fine along one axis not all of that radius can be tried
    radius_mm = min(radius_mm, N_LINES * float(sides.min(initial=math.inf)))
    furthest = (radius_mm / sides).astype(np.int64)
    steps, square_mm2 = _nearest_first([np.arange(n + 1) for n in furthest], np.ones_like(furthest), sides)
    edge_mm = (_LINES_PER_TILE * math.prod(sides.tolist())) ** (1 / max(n_across, 1))
    shape = np.clip(np.rint(edge_mm / sides), 1, furthest + 1).astype(np.int64)
    firsts = [np.arange(-(-n // size) * -size, n + 1, size) for n, size in zip(furthest, shape, strict=True)]
    tiles, tile_square_mm2 = _nearest_first(firsts, shape, sides)
    kept, kept_tiles = square_mm2 <= radius_mm**2, tile_square_mm2 <= radius_mm**2
    reach = np.zeros(len(spacing_mm), dtype=np.int64)
    reach[list(across)] = furthest + shape
    return Lines(
        axis,
        spacing_mm[axis],
        across,
        radius_mm,
        reach,
        steps[kept],
        square_mm2[kept],
        tuple(shape.tolist()),
        np.array(list(itertools.product(*map(range, shape))), dtype=np.int64),
        tiles[kept_tiles],
        tile_square_mm2[kept_tiles],
        _furthest_mm2(tiles[kept_tiles], shape, sides),
    )


def _nearest_first(
    firsts: list[NDArray[np.int64]], shape: NDArray[np.int64], sides_mm: NDArray[np.float64]
) -> tuple[Places, NDArray[np.float64]]:
    """Tiles of lines by the squared distance of the nearest line in each, and that distance."""
    tiles = np.array(list(itertools.product(*firsts)), dtype=np.int64)  # one row also for no other axis
    nearest = np.maximum(np.maximum(tiles, -(tiles + shape - 1)), 0)
    square_mm2 = ((nearest * sides_mm) ** 2).sum(axis=1)
    order = np.argsort(square_mm2, kind="stable")
    return tiles[order], square_mm2[order]


def _furthest_mm2(
    tiles: Places, shape: NDArray[np.int64], sides_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    furthest = np.maximum(np.abs(tiles), np.abs(tiles + shape - 1))
    return np.asarray(((furthest * sides_mm) ** 2).sum(axis=1))


@dataclass(frozen=True)
class LineGrid:
    """
    How many steps away the other surface is along the line of every voxel, in a flat box, up to `n_steps`.

    Around the box is room for every line in reach. `tile_steps_away` has the fewest steps along the lines of
    the tile that begins at a voxel. `place` is where each start is in it, `strides` how far apart
    neighbours along every axis are, and `centre` what to add to a place.
    """

    spacing_mm: tuple[float, ...]
    lines: Lines
    steps_away: StepsAway
    n_steps: int
    place: NDArray[np.int64]
    strides: NDArray[np.int64]
    centre: int

    @functools.cached_property
    def tile_steps_away(self) -> StepsAway:
        """Made once it is asked for."""
        fewest = self.steps_away
        for axis, size in zip(self.lines.across, self.lines.tile_shape, strict=True):
            # what is beyond the end of an axis is beyond reach
            n_joined = 1
            while n_joined < size:
                further = min(n_joined, size - n_joined)
                beyond = further * int(self.strides[axis])
                fewest = np.minimum(fewest[:-beyond], fewest[beyond:])
                n_joined += further
        return fewest

    @functools.cached_property
    def along_mm2(self) -> NDArray[np.float64]:
        """The square of every number of steps along a line; `n_steps` stand for more."""
        along_mm2 = np.full(self.n_steps + 1, math.inf)
        along_mm2[:-1] = (np.arange(self.n_steps) * self.lines.step_mm) ** 2
        return along_mm2

    def squares_mm2(self, steps: Places) -> NDArray[np.float64]:
        """
        The squared distance for every number of steps along lines that are some steps away.

        The sum is over the axes in their order: so it rounds as for any other way to find the place.

        Parameters
        ----------
        steps
            Across each other axis, in the last axis of the array; the others are kept.
        """
        terms: list[Any] = [
            (steps[..., k, np.newaxis] * self.spacing_mm[axis]) ** 2
            for k, axis in enumerate(self.lines.across)
        ]
        terms.insert(self.lines.axis, self.along_mm2)
        return np.broadcast_to(functools.reduce(operator.add, terms), (*steps.shape[:-1], self.n_steps + 1))

    def offsets(self, steps: Places) -> NDArray[np.int64]:
        """What to add to a place to be some steps away."""
        return np.asarray(steps @ self.strides[list(self.lines.across)] + self.centre)


def line_grid(start: Places, end: Places, spacing_mm: tuple[float, ...]) -> LineGrid:
    """The box of all places, with the axis of the lines first: all lines are then searched at a time."""
    lines = lines_around(spacing_mm)
    low, high, end = _box(start, end, lines)
    # Empty lines in reach follow the box along every axis; before it they are those of the voxels before.
    axes = [lines.axis, *lines.across]
    shape = (high - low + 1 + lines.reach)[axes].tolist()
    strides = np.empty(len(axes), dtype=np.int64)
    strides[axes] = [math.prod(shape[k + 1 :]) for k in range(len(axes))]
    centre = int(lines.reach @ strides)
    # what is farther away along a line than any line in reach settles nothing
    n_steps = min(shape[0], int(lines.radius_mm / lines.step_mm) + 1)
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
    return LineGrid(spacing_mm, lines, flat, n_steps, place, strides, centre)


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
