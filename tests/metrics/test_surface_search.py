"""The nearest place, against a full table of distances."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from reseed.metrics.surface_search import nearest_distances_mm

SPACING = (3.0, 0.78125, 0.8)


def by_table(start, end, spacing):
    """The smallest entry of each row."""
    return cdist(start * np.array(spacing), end * np.array(spacing)).min(axis=1)


def places(*rows):
    """Places on a grid."""
    return np.array(rows, dtype=np.int64)


def by_tree(start, end, spacing):
    """By SciPy's k-d tree, for more places than a table has room for."""
    return cKDTree(end * np.array(spacing)).query(start * np.array(spacing))[0]


def sphere(radius_mm, spacing):
    """The places of a grid about the origin that are half a step or less from a sphere."""
    reach = [int(radius_mm / step) + 2 for step in spacing]
    grid = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in reach], indexing="ij"), axis=-1)
    off_mm = np.sqrt(((grid * np.array(spacing)) ** 2).sum(axis=-1)) - radius_mm
    return grid[np.abs(off_mm) <= max(spacing) / 2]


class TestNearestDistances:
    def test_hand_worked(self):
        """
        One step along the first axis, three and four along the others.
        """
        found = nearest_distances_mm(places((0, 0, 0), (1, 3, 4)), places((1, 0, 0)), (2.0, 1.0, 1.0))

        assert found.tolist() == [2, 5]

    @pytest.mark.parametrize("reach", [2, 10, 60, 400])
    def test_near_and_far(self, reach):
        """
        Places close by, found along lines, and far away, found by boxes.
        """
        rng = np.random.default_rng(reach)
        for _ in range(10):
            start, end = (np.unique(rng.integers(0, reach, size=(150, 3)), axis=0) for _ in range(2))
            end = end + rng.integers(-reach, reach, size=3)
            assert nearest_distances_mm(start, end, SPACING) == pytest.approx(
                by_table(start, end, SPACING), abs=1e-9
            )

    @pytest.mark.parametrize("spacing", [(2.5, 1.0, 1.0), (1.0, 0.7, 2.0), (0.9, 2.1, 0.9), (1.5, 1.5)])
    @pytest.mark.parametrize("shift_mm", [0.0, 12.0, 45.0, 300.0])
    @pytest.mark.parametrize("radii_mm", [(30.0, 12.0), (30.0, 29.0)])
    def test_spheres(self, radii_mm, shift_mm, spacing):
        """
        Inside each other, touching, apart and far apart, from either side: lines, planes and boxes.
        """
        start, end = (sphere(radius_mm, spacing) for radius_mm in radii_mm)
        end = end + np.rint(shift_mm / np.array(spacing)).astype(np.int64)

        assert nearest_distances_mm(start, end, spacing) == pytest.approx(
            by_tree(start, end, spacing), abs=1e-9
        )
        assert nearest_distances_mm(end, start, spacing) == pytest.approx(
            by_tree(end, start, spacing), abs=1e-9
        )

    @pytest.mark.parametrize("spacing", [(2.5, 1.0, 1.0), (0.9, 2.1, 0.7), (0.8, 0.3)])
    def test_no_square_rounds_otherwise(self, spacing):
        """
        Near and far along lines and planes: the sum over the axes in their order, to its last bit.

        Where squares of other steps are equal but for rounding, some are a bit apart; halves and wholes
        round to themselves.
        """
        start, end = sphere(20.0, spacing), sphere(9.0, spacing)
        end = end + np.rint(5.0 / np.array(spacing)).astype(np.int64)

        for one, other in ((start, end), (end, start)):
            steps_mm = ((one[:, axis, None] - other[:, axis]) * step for axis, step in enumerate(spacing))
            table = np.sqrt(sum(along_mm**2 for along_mm in steps_mm).min(axis=1))
            found = nearest_distances_mm(one, other, spacing)
            np.testing.assert_array_max_ulp(found, table, maxulp=0 if spacing == (2.5, 1.0, 1.0) else 1)

    def test_no_other_place_in_reach(self):
        """
        Many places within the box of the others, all farther from them than any line in reach.
        """
        rng = np.random.default_rng(4)
        start = np.unique(rng.integers(-20, 21, size=(3000, 3)), axis=0)
        end = places((-200, -200, -200), (200, 200, 200), (-200, 200, 0), (0, 0, 170))

        assert nearest_distances_mm(start, end, SPACING) == pytest.approx(
            by_table(start, end, SPACING), abs=1e-9
        )

    def test_one_far_place_among_many_near_ones(self):
        """
        What no line in reach settles is not forgotten.
        """
        start = places(*[(0, row, 0) for row in range(50)], (90, 90, 90))
        end = start[:-1] + places((0, 0, 1))

        assert nearest_distances_mm(start, end, SPACING) == pytest.approx(
            by_table(start, end, SPACING), abs=1e-9
        )

    @pytest.mark.parametrize("spacing", [(0.7, 1.1, 3.0), (1.1, 0.7, 3.0), (3.0, 1.1, 0.7), (1.0, 1.0, 1.0)])
    @pytest.mark.parametrize("shift", [(3, 0, 0), (0, 3, 0), (0, 0, 3), (90, 0, 0), (0, 90, 0), (0, 0, 90)])
    def test_any_axis_may_be_the_finest(self, spacing, shift):
        """
        Lines run along each axis, and the others are before, beside and behind, touching or far off.
        """
        rng = np.random.default_rng(8)
        start, end = (np.unique(rng.integers(0, 14, size=(200, 3)), axis=0) for _ in range(2))
        end = end + np.array(shift)
        expected = by_table(start, end, spacing)

        assert nearest_distances_mm(start, end, spacing) == pytest.approx(expected, abs=1e-9)

    @pytest.mark.parametrize("n_dimensions", [1, 2, 4])
    def test_other_dimensions(self, n_dimensions):
        """
        On a line, on a plane, and with time.
        """
        rng = np.random.default_rng(n_dimensions)
        start, end = (np.unique(rng.integers(0, 12, size=(60, n_dimensions)), axis=0) for _ in range(2))
        spacing = (0.8, 2.0, 1.5, 1.0)[:n_dimensions]

        assert nearest_distances_mm(start, end, spacing) == pytest.approx(
            by_table(start, end, spacing), abs=1e-9
        )

    @given(
        st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=1, max_size=20, unique=True),
        st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=1, max_size=20, unique=True),
        st.sampled_from([(1.0, 1.0), (0.5, 3.0), (1e-6, 1.0), (1.0, 1e6)]),
    )
    def test_any_places_and_spacings(self, start, end, spacing):
        """
        Grids that are extremely fine along one axis as well.
        """
        found = nearest_distances_mm(places(*start), places(*end), spacing)

        assert found == pytest.approx(by_table(places(*start), places(*end), spacing), rel=1e-9, abs=1e-9)
