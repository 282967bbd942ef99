"""The nearest of some places along the lines of a grid: exact, and fast for places that are close to them."""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

from reseed.metrics.surface_lines import LineGrid, StepsAway

_N_LINES_AT_FIRST = 40
"""How many of the nearest lines are looked along one by one for every place."""

_N_LINES_ONE_BY_ONE = 160
"""How many for the places that are near by what was found at first; lines beyond are by tiles."""

_FAR = 6.0
"""A place is far when what was found is so many times as far away, squared, as the lines tried at first."""

_N_TRIALS_PER_PLACE = 200
"""How many are looked along on average before most places must be settled, or all others are far away."""

_N_TRIALS_PER_SETTLED_PLACE = 2000
"""How many more are looked along for every place that was settled."""

_N_TILES_PREPARED = 8
"""For so many tiles at a time it is worked out what every step along their lines is worth, and to whom."""

_MANY = 2000
"""For so many places a tile is looked along line by line, for fewer all lines at once."""

_N_TRIALS_BETWEEN_SIEVES = 4
"""How many are looked along before the places that are settled are left behind."""


class LineSearch:
    """
    The starts of a grid that are still sought, and the squared distance found for each.

    Lines are tried in the order of their distance, until the next is farther away than what was found,
    or until so many have been tried that a search of another kind is better. Far lines are tried by
    tiles: where even the nearest of a tile's lines with its nearest step would be farther away, none of
    them is.

    `found_mm2` is NaN for the starts that are not settled.
    """

    def __init__(self, grid: LineGrid) -> None:
        self._grid = grid
        self.found_mm2 = np.full(grid.place.size, math.nan)
        self._seek(np.arange(grid.place.size), np.full(grid.place.size, math.inf))

    def run(self) -> NDArray[np.float64]:
        """The squared distances in mm²; NaN for the starts that the lines around them do not settle."""
        tried_mm2 = self._try_lines(0, _N_LINES_AT_FIRST)
        is_far = self._best_mm2 > _FAR * tried_mm2
        far, best_mm2 = self._seeking[is_far], self._best_mm2[is_far]
        self._seek(self._seeking[~is_far], self._best_mm2[~is_far])
        self._settle(self._try_tiles(self._try_lines(_N_LINES_AT_FIRST, _N_LINES_ONE_BY_ONE)))
        self._seek(far, best_mm2)
        self._settle(self._try_tiles(tried_mm2))
        return self.found_mm2

    def _seek(self, places: NDArray[np.intp], best_mm2: NDArray[np.float64]) -> None:
        """Turn to some places, by their number."""
        self._seeking, self._best_mm2 = places, best_mm2
        self._place = self._grid.place[places]
        self._n_trials_left = _N_TRIALS_PER_PLACE * places.size
        self._n_since_sieve = 0

    def _try_lines(self, n_tried: int, n_lines: int) -> float:
        """
        Look along the nearest lines, when so many have been tried, until so many have been.

        Returns the squared distance from which on they have not been tried.
        """
        grid, lines = self._grid, self._grid.lines
        begun = int(np.searchsorted(lines.n_before, n_tried))
        for k in range(begun, len(lines.steps)):
            square_mm2 = float(lines.square_mm2[k])
            self._sieve(square_mm2)
            if lines.n_before[k] >= n_lines or self._is_over:
                return square_mm2
            offsets = grid.offsets(lines.on_all_sides(k)).tolist()
            self._count(len(offsets) * self._place.size, len(offsets))
            sides = (grid.steps_away[offset:].take(self._place) for offset in offsets)
            fewest = functools.reduce(np.minimum, sides)
            np.minimum(self._best_mm2, grid.squares_mm2(lines.steps[k]).take(fewest), out=self._best_mm2)
        return lines.radius_mm**2

    def _try_tiles(self, tried_mm2: float) -> float:
        """Look along the lines beyond; the squared distance from which on they have not been tried."""
        grid, lines = self._grid, self._grid.lines
        beyond = np.flatnonzero(lines.tile_furthest_mm2 >= tried_mm2)
        for begun in range(0, beyond.size, _N_TILES_PREPARED):
            block = beyond[begun : begun + _N_TILES_PREPARED]
            tile_square_mm2: list[float] = lines.tile_square_mm2[block].tolist()
            self._sieve(tile_square_mm2[0])
            if self._is_over:
                return max(tile_square_mm2[0], tried_mm2)
            steps = lines.tile_steps[block, np.newaxis] + lines.in_tile
            too_many_steps = self._too_many_steps(tile_square_mm2[0])
            tiles = zip(tile_square_mm2, grid.offsets(steps), grid.squares_mm2(steps), strict=True)
            for square_mm2, offsets, squares_mm2 in tiles:
                self._try_tile(square_mm2, offsets, squares_mm2, too_many_steps)
        return max(lines.radius_mm**2, tried_mm2)

    def _too_many_steps(self, square_mm2: float) -> StepsAway:
        """
        From how many steps along a line at some squared distance it is not nearer than what was found.

        It holds for lines farther away as well: whole steps are compared faster than squares are looked up.
        """
        grid = self._grid
        # a little more: rounded sums of squares are compared
        left_mm2 = np.maximum(self._best_mm2 - square_mm2 * (1 - 1e-12), 0)
        steps = np.ceil(np.sqrt(left_mm2) * ((1 + 1e-9) / grid.lines.step_mm))
        return np.minimum(steps, grid.n_steps).astype(grid.steps_away.dtype)

    def _try_tile(
        self,
        square_mm2: float,
        offsets: NDArray[np.int64],
        squares_mm2: NDArray[np.float64],
        too_many_steps: StepsAway,
    ) -> None:
        """Look along every line of a tile, for the places to which one of them may be nearer."""
        grid = self._grid
        away = grid.tile_steps_away[offsets[0] :].take(self._place)
        hopeful = (away < too_many_steps).nonzero()[0]
        # by what was found since then; a little less: rounded sums of squares are compared
        least_mm2 = (square_mm2 + grid.along_mm2) * (1 - 1e-12)
        is_nearer = least_mm2.take(away.take(hopeful)) < self._best_mm2.take(hopeful)
        hopeful = hopeful.compress(is_nearer)
        self._count(self._place.size + len(offsets) * hopeful.size, 1)
        if hopeful.size:
            found_mm2 = self._along_all(self._place.take(hopeful), offsets, squares_mm2)
            self._best_mm2[hopeful] = np.minimum(self._best_mm2.take(hopeful), found_mm2)

    def _along_all(
        self, place: NDArray[np.int64], offsets: NDArray[np.int64], squares_mm2: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The least squared distance along some lines, one row of `squares_mm2` for each."""
        steps_away = self._grid.steps_away
        if place.size > _MANY:
            lines = zip(offsets.tolist(), squares_mm2, strict=True)
            found = (row.take(steps_away[offset:].take(place)) for offset, row in lines)
            return functools.reduce(np.minimum, found)
        rows = np.arange(len(offsets))[:, np.newaxis] * squares_mm2.shape[1]
        away = steps_away.take(place + offsets[:, np.newaxis]) + rows
        return np.asarray(squares_mm2.take(away).min(axis=0))

    @property
    def _is_over(self) -> bool:
        return self._place.size == 0 or self._n_trials_left < 0

    def _count(self, n_trials: int, n_since_sieve: int) -> None:
        self._n_trials_left -= n_trials
        self._n_since_sieve += n_since_sieve

    def _sieve(self, tried_mm2: float) -> None:
        """Now and then, and if it pays: leave the places behind to which no line beyond is nearer."""
        if self._n_since_sieve >= _N_TRIALS_BETWEEN_SIEVES:
            settled = self._best_mm2 <= tried_mm2
            if np.count_nonzero(settled) > 0.2 * settled.size:
                self._leave(settled)
            self._n_since_sieve = 0

    def _settle(self, tried_mm2: float) -> None:
        """Leave the places behind to which no line beyond is nearer, at last."""
        self._leave(self._best_mm2 <= tried_mm2)

    def _leave(self, settled: NDArray[np.bool_]) -> None:
        self._n_trials_left += _N_TRIALS_PER_SETTLED_PLACE * int(np.count_nonzero(settled))
        self.found_mm2[self._seeking[settled]] = self._best_mm2[settled]
        on = np.flatnonzero(~settled)
        self._seeking, self._place = self._seeking.take(on), self._place.take(on)
        self._best_mm2 = self._best_mm2.take(on)
