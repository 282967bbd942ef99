"""The nearest of some places by planes: exact, and fast for many places, also centimetres away from them."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reseed.metrics.surface_lines import LineGrid, Lines, lines_around, squares_mm2

_N_CELLS_AT_A_TIME = 90_000
"""Of so many voxels at a time what is worked out stays close to the processor."""

_N_STEPS_AT_MOST = 500
"""Of lines that are finer than that, squares are not told apart well enough."""

_N_ROWS_BETWEEN_SIEVES = 6
"""How many rows are gone on before the places that are settled are left behind."""


def can_be_searched(grid: LineGrid) -> bool:
    """Whether a grid has three dimensions and is not extremely fine along one of them."""
    return len(grid.shape) == 3 and grid.lines.n_steps <= _N_STEPS_AT_MOST


def n_visits(grid: LineGrid, place: NDArray[np.int64]) -> int:
    """How many voxels are visited, counted as often as they are, to find the nearest of some places."""
    if not place.size:
        return 0
    n_along = int(np.ptp(place)) // int(grid.strides[grid.lines.axis]) + 1
    n_planes, n_rows = grid.shape[1:]
    return n_along * n_planes * n_rows * min(n_planes, int(grid.lines.reach[grid.lines.across[0]]))


def squares_by_planes(
    grid: LineGrid, place: NDArray[np.int64], best_mm2: NDArray[np.float64]
) -> NDArray[np.float64]:
    """
    The squared distance in mm² from some places to the nearest of the others.

    As in an exact distance transform, the squares along the lines, which are known, are joined across one
    axis after the other: for all voxels across the first of them (from plane to plane), and across the
    second (from row to row) from the places alone.

    Squares are compared as whole numbers of a unit. They are rounded; where a square lies so close below
    that rounding may have hidden it, the place is not settled. Of two that differ by the rounding of their
    sums alone, either may be taken.

    Parameters
    ----------
    grid
        Of three dimensions.
    place
        Some of its starts, as they are in it.
    best_mm2
        What was found for each by other means; infinite for nothing.

    Returns
    -------
    numpy.ndarray
        NaN for places that are not settled: farther away than is looked, or too close to call.
    """
    return _PlaneSearch(grid).run(place, best_mm2)


def _coordinates(grid: LineGrid, place: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The steps along the lines, and across the two other axes."""
    lines = grid.lines
    along, rest = np.divmod(place, int(grid.strides[lines.axis]))
    plane, row = np.divmod(rest, int(grid.strides[lines.across[0]]))
    return [along, plane, row]


@dataclass(frozen=True)
class _Units:
    """
    Squares as whole numbers, in units of which the square of a step along a line has `2 ** shift`.

    `of_planes` and `of_rows` are rounded squares of every number of steps across the two other axes. In
    what is compared, the number of planes follows as the lowest bits, and then that of rows: so it is
    known to which place a square belongs. `near_ties_mm2` are the squares below which there is another,
    so close that rounding may hide it.
    """

    unit_mm2: float
    shift: int
    of_planes: NDArray[np.int64]
    of_rows: NDArray[np.int64]
    near_ties_mm2: NDArray[np.float64]

    @property
    def plane_bits(self) -> int:
        """How many bits hold a number of planes."""
        return int(self.of_planes.size).bit_length()

    @property
    def row_bits(self) -> int:
        """How many bits hold a number of rows."""
        return int(self.of_rows.size).bit_length()


@functools.lru_cache(maxsize=64)
def _units(spacing_mm: tuple[float, ...]) -> _Units:
    lines = lines_around(spacing_mm)
    n_planes, n_rows = (int(lines.reach[axis]) + 1 for axis in lines.across)
    # two squares in reach are joined, and the number of planes follows, in 32 bits
    shift = 32 - n_planes.bit_length() - math.ceil(math.log2(2 * (lines.n_steps + 1) ** 2))
    unit_mm2 = lines.step_mm**2 / 2**shift
    of_planes, of_rows = (
        np.rint((np.arange(n) * spacing_mm[axis]) ** 2 / unit_mm2).astype(np.int64)
        for n, axis in zip((n_planes, n_rows), lines.across, strict=True)
    )
    return _Units(unit_mm2, shift, of_planes, of_rows, _near_ties_mm2(spacing_mm, lines, 2 * unit_mm2))


def _near_ties_mm2(spacing_mm: tuple[float, ...], lines: Lines, within_mm2: float) -> NDArray[np.float64]:
    """All squares in reach that have another close below, by more than the rounding of a sum."""
    along_mm2 = (np.arange(lines.n_steps, dtype=np.float64) * lines.step_mm) ** 2
    n_planes, n_rows = (int(lines.reach[axis]) + 1 for axis in lines.across)
    across = [np.arange(n_planes)[:, np.newaxis, np.newaxis], np.arange(n_rows)[:, np.newaxis]]
    squares = squares_mm2(spacing_mm, lines.axis, along_mm2, across).ravel()
    squares = np.unique(squares[squares <= lines.radius_mm**2])
    rounding_mm2 = 1e-12 * lines.radius_mm**2
    below = np.searchsorted(squares, squares - rounding_mm2) - 1
    is_near = (below >= 0) & (squares - squares[below] <= within_mm2 + rounding_mm2)
    return np.asarray(squares[is_near])


class _PlaneSearch:
    """
    The search for one grid: some voxels along every line at a time, a slab, in memory that is used again.

    What is nearest in the planes around each voxel is in `_room`, with so much room before and behind every
    row that no row in reach is another's.
    """

    def __init__(self, grid: LineGrid) -> None:
        self._grid = grid
        self._units = _units(grid.spacing_mm)
        n_planes, n_rows = grid.shape[1:]
        n_along = min(grid.shape[0], max(1, _N_CELLS_AT_A_TIME // (n_planes * n_rows)))
        self._cells = tuple(np.empty((n_along, n_planes, n_rows), dtype=np.uint32) for _ in range(3))
        self._reach = min(int(grid.lines.reach[grid.lines.across[1]]), n_rows - 1)
        self._row = self._reach + n_rows
        self._room = np.full(n_along * n_planes * self._row + self._reach, np.iinfo(np.int64).max // 2)
        self._inner = self._room[: n_along * n_planes * self._row].reshape(n_along, n_planes, self._row)

    def run(self, place: NDArray[np.int64], best_mm2: NDArray[np.float64]) -> NDArray[np.float64]:
        """As `squares_by_planes`."""
        squares = np.full(place.size, math.nan)
        along, plane, row = _coordinates(self._grid, place)
        order = np.argsort(along.astype(np.min_scalar_type(self._grid.shape[0])), kind="stable")
        ordered, begun = along[order], 0
        while begun < place.size:
            first = int(ordered[begun])
            ended = int(np.searchsorted(ordered, first + len(self._inner)))
            some = order[begun:ended]
            limit_mm2 = min(float(best_mm2[some].max()), self._grid.lines.radius_mm**2)
            self._across_planes(first, self._n_steps(limit_mm2, 0))
            in_room = ((along[some] - first) * self._grid.shape[1] + plane[some]) * self._row
            found = self._across_rows(in_room + self._reach + row[some], self._n_steps(limit_mm2, 1))
            squares[some] = self._settled(found, limit_mm2)
            begun = ended
        return squares

    def _n_steps(self, limit_mm2: float, across: int) -> int:
        """How many steps across an axis there are up to some squared distance."""
        axis = self._grid.lines.across[across]
        # a little more: a rounded quotient is cut off
        n_steps = int(math.sqrt(limit_mm2) / self._grid.spacing_mm[axis] * (1 + 1e-9))
        return min(n_steps, int(self._grid.lines.reach[axis]), self._grid.shape[1 + across] - 1)

    def _across_planes(self, first: int, n_planes: int) -> None:
        """The smallest square in the planes around each voxel of a slab, and in which of them it is."""
        units = self._units
        steps_away = self._grid.box[first : first + len(self._inner)]
        own, fewest, farther = (cells[: len(steps_away)] for cells in self._cells)
        np.copyto(own, steps_away)
        if self._grid.n_steps < self._grid.lines.n_steps:
            np.putmask(own, own == self._grid.n_steps, self._grid.lines.n_steps)  # out of reach
        own *= own
        own <<= np.uint32(units.shift + units.plane_bits)
        np.copyto(fewest, own)
        for n in range(1, n_planes + 1):
            np.add(own, np.uint32((int(units.of_planes[n]) << units.plane_bits) | n), out=farther)
            np.minimum(fewest[:, n:], farther[:, :-n], out=fewest[:, n:])
            np.minimum(fewest[:, :-n], farther[:, n:], out=fewest[:, :-n])
        inner = self._inner[: len(steps_away), :, self._reach :]
        np.left_shift(fewest, units.row_bits, out=inner, dtype=np.int64)

    def _across_rows(self, place: NDArray[np.int64], n_rows: int) -> NDArray[np.int64]:
        """The smallest square in the rows around each place, with the numbers of planes and rows."""
        units, room = self._units, self._room
        found = room.take(place)
        seeking, best = np.arange(place.size), found
        for n in range(1, n_rows + 1):
            farther = (int(units.of_rows[n]) << (units.plane_bits + units.row_bits)) | n
            if n % _N_ROWS_BETWEEN_SIEVES == 0:
                on = np.flatnonzero(best > farther)
                if on.size < 0.8 * best.size:
                    found[seeking] = best
                    seeking, place, best = seeking.take(on), place.take(on), best.take(on)
                if not best.size:
                    break
            sides = np.minimum(room[n:].take(place), room.take(place - n))
            sides += farther
            np.minimum(best, sides, out=best)
        found[seeking] = best
        return found

    def _settled(self, found: NDArray[np.int64], limit_mm2: float) -> NDArray[np.float64]:
        """Squares in mm² from what was compared; NaN where it may not be the smallest."""
        units, lines = self._units, self._grid.lines
        row = found & (2**units.row_bits - 1)
        found >>= units.row_bits
        plane = found & (2**units.plane_bits - 1)
        found >>= units.plane_bits
        known = found <= limit_mm2 / units.unit_mm2 + 1
        found, row, plane = (np.where(known, each, 0) for each in (found, row, plane))
        along = np.sqrt((found - units.of_planes[plane] - units.of_rows[row]) >> units.shift)
        squares = squares_mm2(self._grid.spacing_mm, lines.axis, (along * lines.step_mm) ** 2, [plane, row])
        is_settled = known & (squares <= limit_mm2)
        if units.near_ties_mm2.size:
            is_settled &= ~np.isin(squares, units.near_ties_mm2)
        return np.where(is_settled, squares, math.nan)
