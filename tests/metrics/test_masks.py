"""What every metric of masks asks of its arguments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reseed.metrics.masks import bounding_box, box_with_values, checked_masks, checked_spacing


class TestCheckedMasks:
    def test_numbers_become_booleans(self):
        """
        0 and 1 of any type are a mask.
        """
        masks = checked_masks(np.array([0, 1], dtype=np.uint8), [1.0, 0.0])

        assert [mask.tolist() for mask in masks] == [[False, True], [True, False]]

    def test_a_label_map_is_no_mask(self):
        """
        Other numbers would silently merge labels.
        """
        with pytest.raises(ValueError, match="the prediction must be a mask of 0 and 1"):
            checked_masks([0, 1], [0, 2])

    def test_another_grid(self):
        """
        Shapes that numpy would broadcast are refused.
        """
        with pytest.raises(ValueError, match=r"on one grid, got \(2, 1\) and \(2,\)"):
            checked_masks(np.zeros((2, 1)), np.zeros(2))


class TestCheckedSpacing:
    @pytest.mark.parametrize("spacing", [(1, 1), (1, 1, 0), (1, 1, -1), (1, 1, np.inf), (1, 1, np.nan), ()])
    def test_what_is_no_spacing(self, spacing):
        """
        As many positive numbers as there are axes.
        """
        with pytest.raises(ValueError, match="spacing_mm must be 3 positive numbers"):
            checked_spacing(spacing, 3)


class TestBoundingBox:
    def test_empty(self):
        """
        Nothing has no box.
        """
        assert bounding_box(np.zeros((3, 4), dtype=bool)) is None

    @given(hnp.arrays(bool, hnp.array_shapes(min_dims=1, max_dims=3, max_side=6), elements=st.booleans()))
    def test_smallest_box_that_holds_all(self, mask):
        """
        The extremes of the coordinates of the mask's voxels.
        """
        box = bounding_box(mask)

        if box is not None:
            places = np.argwhere(mask)
            assert [side.start for side in box] == places.min(axis=0).tolist()
            assert [side.stop - 1 for side in box] == places.max(axis=0).tolist()
        assert (box is None) == (not mask.any())


class TestBoxWithValues:
    @given(
        hnp.arrays(
            st.sampled_from(
                [np.dtype(name) for name in ("?", "u1", "<i2", ">i4", "<f4", "<f8", "<c16", "<f2")]
            ),
            hnp.array_shapes(min_dims=1, max_dims=3, max_side=17),
            elements=st.sampled_from([0, 0, 0, 1]),
            fill=st.just(0),
        ),
        st.booleans(),
    )
    def test_all_values_are_inside(self, values, turned):
        """
        Whatever the type, the length of lines and the order in memory; no larger than the word on its rim.
        """
        values = values.T if turned else values
        box = box_with_values(values)

        assert (box is None) == (not values.any())
        if box is not None:
            assert np.count_nonzero(values[box]) == np.count_nonzero(values)
            smallest = bounding_box(values != 0)
            assert smallest is not None
            assert box[:-1] == smallest[:-1]
            assert box[-1].start <= smallest[-1].start < box[-1].start + 8
            assert smallest[-1].stop <= box[-1].stop < smallest[-1].stop + 8

    def test_what_has_no_number(self):
        """
        NaN is a value.
        """
        values = np.zeros((3, 4, 16), dtype=np.float32)
        values[1, 2, 15] = np.nan

        assert box_with_values(values) == (slice(1, 2), slice(2, 3), slice(14, 16))

    def test_nothing(self):
        """
        A volume without voxels, and one of zeros.
        """
        assert box_with_values(np.zeros((0, 4, 8))) is None
        assert box_with_values(np.zeros((2, 0))) is None
        assert box_with_values(np.zeros((2, 4, 8))) is None
