"""The nearest by planes, against a full table of distances."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from reseed.metrics.surface_lines import line_grid, lines_around
from reseed.metrics.surface_planes import can_be_searched, squares_by_planes
from reseed.metrics.surface_search import nearest_distances_mm


def cloud(rng, n_places, shape):
    """Different places of a grid."""
    return np.unique(rng.integers(0, shape, size=(n_places, 3)), axis=0)


def search(start, end, spacing, best_mm2=None):
    """The distances in mm by planes alone, and by a table."""
    grid = line_grid(start, end, spacing)
    best_mm2 = np.full(len(start), np.inf) if best_mm2 is None else best_mm2
    expected = cdist(start * np.array(spacing), end * np.array(spacing)).min(axis=1)
    return np.sqrt(squares_by_planes(grid, grid.place, best_mm2)), expected


class TestSquaresByPlanes:
    def test_hand_worked(self):
        """
        Two planes, three rows and six voxels away: the square of 5² + 3² + 6² beats one step less, twice.
        """
        start, end = np.array([[10, 10, 10]]), np.array([[12, 13, 16], [12, 14, 16], [10, 10, 19]])

        found, _ = search(start, end, (2.5, 1.0, 1.0))

        assert found.tolist() == [np.sqrt(25 + 9 + 36)]

    @pytest.mark.parametrize(
        "spacing",
        [(2.5, 1.0, 1.0), (0.7, 1.1, 3.0), (1.1, 0.7, 3.0), (3.0, 0.7421875, 0.7421875), (1.0, 1.0, 1.0)],
    )
    @pytest.mark.parametrize("shape", [(9, 40, 30), (60, 7, 50), (50, 60, 2), (1, 90, 90)])
    def test_what_is_in_reach_is_found_and_nothing_else_is_settled(self, spacing, shape):
        """
        Few others among many places, along every axis; no row or plane is taken for another.
        """
        rng = np.random.default_rng(sum(shape))
        start, end = cloud(rng, 900, shape), cloud(rng, 4, shape)

        found, expected = search(start, end, spacing)

        in_reach = expected <= lines_around(spacing).radius_mm
        assert np.array_equal(np.isnan(found), ~in_reach)
        assert found[in_reach] == pytest.approx(expected[in_reach], abs=1e-12)

    def test_more_than_one_slab(self):
        """
        Lines that are longer than what is worked out at a time, with places here and there on them.
        """
        rng = np.random.default_rng(5)
        start, end = cloud(rng, 300, (40, 90, 120)), cloud(rng, 300, (40, 90, 120))

        found, expected = search(start, end, (2.5, 1.0, 1.0))

        assert found == pytest.approx(expected, abs=1e-12)

    def test_no_farther_than_what_was_found(self):
        """
        What other means have found limits the search, and is found again where nothing is nearer.
        """
        rng = np.random.default_rng(6)
        start, end = cloud(rng, 400, (20, 40, 40)), cloud(rng, 50, (20, 40, 40))
        steps = (start[:, np.newaxis] - end[:10]) * np.array([2.5, 1.0, 1.0])

        found, expected = search(start, end, (2.5, 1.0, 1.0), (steps**2).sum(axis=-1).min(axis=1))

        assert found == pytest.approx(expected, abs=1e-12)

    def test_too_close_to_call(self):
        """
        Five steps along one axis, or three along it and four along one that is longer by a ten-millionth.

        The squares differ by less than the unit in which they are compared: planes leave the place to others.
        """
        spacing = (3.0, 1.0000002, 1.0)
        rng = np.random.default_rng(7)
        start, end = cloud(rng, 3000, (6, 40, 40)), cloud(rng, 60, (6, 40, 40))

        found, expected = search(start, end, spacing)

        left = np.isnan(found)
        assert 0 < np.count_nonzero(left) < left.size
        assert found[~left] == pytest.approx(expected[~left], abs=1e-12)
        assert nearest_distances_mm(start, end, spacing) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("spacing", "expected"), [((2.5, 1.0, 1.0), True), ((1.0, 1.0), False), ((1e-6, 1.0, 1.0), False)]
)
def test_what_can_be_searched(spacing, expected):
    """Three dimensions, none of them extremely fine."""
    start, end = np.zeros((1, len(spacing)), dtype=np.int64), np.ones((1, len(spacing)), dtype=np.int64)

    assert can_be_searched(line_grid(start, end, spacing)) is expected
