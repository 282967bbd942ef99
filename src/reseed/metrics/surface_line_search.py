"""The nearest of some places along the lines of a grid: exact, and fast for places that are close to them."""

from __future__ import annotations

import functools
import math

import numpy as np

from reseed.metrics.surface_lines import LineGrid

_N_TRIALS_BETWEEN_SIEVES = 4
"""How many lines are looked along before the places that are settled are left behind."""


class LineSearch:
    """
    The starts of a grid that are still sought, and the squared distance found for each.

    Lines are tried in the order of their distance, until the next is farther away than what was found.

    `found_mm2` is NaN for the starts that are not settled; those are `seeking`, by their number, and
    `best_mm2` is what was found for them so far.
    """

    def __init__(self, grid: LineGrid) -> None:
        self._grid = grid
        self._n_tried = 0
        self._place = grid.place
        self.found_mm2 = np.full(grid.place.size, math.nan)
        self.seeking = np.arange(grid.place.size)
        self.best_mm2 = np.full(grid.place.size, math.inf)

    def try_lines(self, n_lines: int) -> None:
        """Look along the nearest lines, after those that were tried, until about so many were."""
        grid, lines = self._grid, self._grid.lines
        n_since_sieve = 0
        for k in range(self._n_tried, len(lines.steps)):
            if n_since_sieve >= _N_TRIALS_BETWEEN_SIEVES:
                self._sieve(float(lines.square_mm2[k]), least_share=0.2)
                n_since_sieve = 0
            if lines.n_before[k] >= n_lines or not self._place.size:
                break
            offsets = grid.offsets(lines.on_all_sides(k)).tolist()
            sides = (grid.steps_away[offset:].take(self._place) for offset in offsets)
            fewest = functools.reduce(np.minimum, sides)
            np.minimum(self.best_mm2, grid.squares_mm2(lines.steps[k]).take(fewest), out=self.best_mm2)
            n_since_sieve += len(offsets)
            self._n_tried = k + 1
        all_tried = self._n_tried == len(lines.steps)
        self._sieve(lines.beyond_mm2 if all_tried else float(lines.square_mm2[self._n_tried]), least_share=0)

    def _sieve(self, tried_mm2: float, *, least_share: float) -> None:
        """Leave the places behind to which no line beyond is nearer, if that is more than a share of all."""
        settled = self.best_mm2 <= tried_mm2
        if np.count_nonzero(settled) <= least_share * settled.size:
            return
        self.found_mm2[self.seeking[settled]] = self.best_mm2[settled]
        on = np.flatnonzero(~settled)
        self.seeking, self._place = self.seeking.take(on), self._place.take(on)
        self.best_mm2 = self.best_mm2.take(on)
