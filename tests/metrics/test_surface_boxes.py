"""The nearest from afar, against a full table of distances."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from reseed.metrics.surface_boxes import nearest_from_afar


def distances(start_mm, end_mm, nearest):
    """From each place to the one that was found for it."""
    return np.linalg.norm(start_mm - end_mm[nearest], axis=1)


class TestNearestFromAfar:
    @pytest.mark.parametrize("apart_mm", [0.0, 3.0, 40.0, 1000.0])
    @pytest.mark.parametrize("n_dimensions", [1, 2, 3])
    def test_clouds(self, n_dimensions, apart_mm):
        """
        Also in each other, where it is slower and still right.
        """
        rng = np.random.default_rng(int(apart_mm) + n_dimensions)
        start, end = (rng.normal(scale=9.0, size=(n, n_dimensions)) for n in (900, 700))
        end[:, 0] += apart_mm

        found = nearest_from_afar(start, end)

        assert distances(start, end, found) == pytest.approx(cdist(start, end).min(axis=1), abs=1e-9)

    def test_from_the_centre_of_a_sphere(self):
        """
        All others are nearly as far away as each other: hardly any can be dropped.
        """
        rng = np.random.default_rng(11)
        start = rng.normal(scale=0.5, size=(400, 3))
        end = rng.normal(size=(3000, 3))
        end *= 50 / np.linalg.norm(end, axis=1, keepdims=True)

        found = nearest_from_afar(start, end)

        assert distances(start, end, found) == pytest.approx(cdist(start, end).min(axis=1), abs=1e-9)

    def test_one_of_each(self):
        """
        Hand-worked.
        """
        assert nearest_from_afar(np.zeros((1, 3)), np.ones((1, 3))).tolist() == [0]

    def test_ties_and_repeats(self):
        """
        Two as near as each other, and places that occur more than once: any that is nearest will do.
        """
        start, end = np.zeros((50, 2)), np.array([[3.0, 4.0], [-3.0, 4.0], [5.0, 5.0], [3.0, 4.0]])

        assert set(nearest_from_afar(start, end).tolist()) <= {0, 1, 3}
