"""Connected components of sparse volumes, against SciPy on the whole volume."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from reseed.metrics.components import connected_components


def by_scipy(mask):
    """Flat indices of the components, as SciPy numbers them."""
    labels, n_components = ndimage.label(mask, structure=np.ones((3,) * mask.ndim))
    return [np.flatnonzero(labels == label).tolist() for label in range(1, n_components + 1)]


class TestConnectedComponents:
    def test_corners_touch(self):
        """
        Two voxels that share a corner are one component, two with a voxel between them are two.
        """
        mask = np.zeros((4, 4, 4), dtype=bool)
        mask[0, 0, 0] = mask[1, 1, 1] = mask[3, 3, 3] = True

        assert [component.voxels.tolist() for component in connected_components(mask)] == [[0, 21], [63]]

    def test_nothing(self):
        """
        An empty mask has no component.
        """
        assert connected_components(np.zeros((2, 2), dtype=bool)) == []
        assert connected_components(np.full((2, 8), -0.0)) == []

    def test_values(self):
        """
        What is not 0 is in a component, whatever it is, and a negative zero is not.
        """
        values = np.zeros((4, 4, 8), dtype=np.float32)
        values[1, 1, 5], values[1, 2, 6], values[3, 3, 7], values[0, 0, 0] = 0.5, -2, np.nan, -0.0

        assert [component.voxels.tolist() for component in connected_components(values)] == [[45, 54], [127]]

    @given(
        hnp.arrays(
            bool,
            hnp.array_shapes(min_dims=1, max_dims=3, max_side=8),
            elements=st.sampled_from([False, False, False, True]),
        )
    )
    def test_equals_scipy(self, mask):
        """
        The same components in the same order as on the whole volume.
        """
        assert [component.voxels.tolist() for component in connected_components(mask)] == by_scipy(mask)

    def test_equals_scipy_on_sparse_boxes(self):
        """
        Volumes that are cut into boxes give the same.
        """
        rng = np.random.default_rng(1)
        for _ in range(50):
            mask = np.zeros((12, 20, 16), dtype=bool)
            for _ in range(rng.integers(0, 6)):
                low = [int(rng.integers(0, size)) for size in mask.shape]
                mask[tuple(slice(start, start + int(rng.integers(1, 5))) for start in low)] = True
            assert [component.voxels.tolist() for component in connected_components(mask)] == by_scipy(mask)
