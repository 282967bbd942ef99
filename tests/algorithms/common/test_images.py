"""Images: refusals that name the case, and grids that keep their place in space."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK

from algorithms.common.images import (
    array_of,
    centre_crop,
    centred_grid,
    paste,
    read_label_map,
    read_volume,
    resampled_to,
    same_grid,
    spaced_grid,
)
from algorithms.common.nnunet.preparation import AsTheyAre, CentreCrop, FixedGrid
from reseed.contracts.errors import UserError

ROTATED = (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)


def image_of(array, spacing=(1.0, 1.0, 1.0), origin=(5.0, -3.0, 10.0), direction=ROTATED):
    """An image that does not lie along the axes of space."""
    image = SimpleITK.GetImageFromArray(np.asarray(array))
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(direction)
    return image


def write(path, array, **where):
    SimpleITK.WriteImage(image_of(array, **where), str(path))
    return path


class TestReading:
    def test_slice_becomes_volume(self, tmp_path):
        """
        A two-dimensional image is a volume of one slice.
        """
        path = tmp_path / "slice.mha"
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.ones((4, 5), dtype=np.int16)), str(path))

        assert read_volume(path, case="c").GetSize() == (5, 4, 1)

    @pytest.mark.parametrize(
        ("array", "message"),
        [
            (np.full((2, 2, 2), np.inf, dtype=np.float32), "case 'c': x.mha must hold finite numbers"),
            (np.zeros((2, 2, 2, 2), dtype=np.float32), "case 'c': x.mha must have 3 dimensions, got 4"),
        ],
    )
    def test_refused(self, tmp_path, array, message):
        """
        What is no volume of numbers is refused, naming the case.
        """
        image = SimpleITK.GetImageFromArray(array, isVector=False)
        SimpleITK.WriteImage(image, str(tmp_path / "x.mha"))

        with pytest.raises(UserError, match=message):
            read_volume(tmp_path / "x.mha", case="c")

    def test_unreadable(self, tmp_path):
        """
        A file that is no image is named.
        """
        (tmp_path / "x.mha").write_text("hello")

        with pytest.raises(UserError, match=r"case 'c': x.mha is not a readable image"):
            read_volume(tmp_path / "x.mha", case="c")

    def test_labels_are_whole_numbers(self, tmp_path):
        """
        Half a label is refused.
        """
        path = write(tmp_path / "x.mha", np.full((2, 2, 2), 0.5, dtype=np.float32))

        with pytest.raises(UserError, match="must hold labels"):
            read_label_map(path, case="c")


class TestGrids:
    @pytest.fixture
    def image(self):
        array = np.random.default_rng(0).random((9, 20, 16)).astype(np.float32)
        return image_of(array, spacing=(0.5, 0.7, 3.0))

    def test_crop_and_back(self, image):
        """
        A crop in its place again is the image, and 0 around it.
        """
        part = centre_crop(image, (15.0, 7.0, 1000.0))
        back = array_of(paste(part, image))

        assert part.GetSize() == (16, 10, 5)
        assert np.array_equal(back[2:7, 5:15], array_of(image)[2:7, 5:15])
        assert np.count_nonzero(back) == 16 * 10 * 5

    def test_centred_grid_shares_the_centre(self, image):
        """
        The middle of the grid is the middle of the image, in space.
        """
        grid = centred_grid(image, size_zyx=(4, 6, 8), spacing_zyx=(2.0, 1.0, 0.5))

        for each, size in ((image, (16, 20, 9)), (grid, (8, 6, 4))):
            middle = each.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in size])
            assert middle == pytest.approx(
                image.TransformContinuousIndexToPhysicalPoint([7.5, 9.5, 4.0]), abs=1e-9
            )

    def test_spaced_grid_covers(self, image):
        """
        As many voxels as fit, at least one: an image of fewer columns than a coarse voxel still has one.
        """
        assert spaced_grid(image, (9.0, 4.5, 100.0)).GetSize() == (1, 3, 3)

    def test_same_place(self, image):
        """
        A grid that differs by a shift of a tenth of a millimetre is another one.
        """
        moved = SimpleITK.Image(image)
        moved.SetOrigin((5.1, -3.0, 10.0))

        assert same_grid(image, SimpleITK.Image(image))
        assert not same_grid(image, moved)


class TestPreparations:
    def test_as_they_are_needs_one_grid(self):
        """
        Channels on two grids are refused.
        """
        images = [image_of(np.zeros((3, 4, 4))), image_of(np.zeros((3, 4, 5)))]

        with pytest.raises(UserError, match="case 'c': image 1 must lie on the grid of image 0"):
            AsTheyAre().channels(images, case="c")

    def test_centre_crop_aligns(self):
        """
        A coarser channel is brought to the grid of the first; the result goes back to its place.
        """
        first = image_of(np.ones((6, 12, 12), dtype=np.float32))
        coarse = centred_grid(first, size_zyx=(6, 6, 6), spacing_zyx=(1.0, 2.0, 2.0))
        second = SimpleITK.Cast(coarse, SimpleITK.sitkFloat32) + 7

        one, two = CentreCrop((4.0, 6.0, 6.0)).channels([first, second], case="c")

        assert one.GetSize() == two.GetSize() == (6, 6, 4)
        assert (array_of(two) == 7).all()
        assert CentreCrop((4.0, 6.0, 6.0)).back(one, first).GetSize() == first.GetSize()

    def test_fixed_grid_and_back(self):
        """
        A body in the middle is where it was after resampling there and back.
        """
        array = np.zeros((10, 40, 40), dtype=np.float32)
        array[3:7, 12:28, 12:28] = 1
        first = image_of(array, spacing=(0.5, 0.5, 3.6))
        preparation = FixedGrid((8, 20, 20), (3.6, 0.8, 0.8))

        (there,) = preparation.channels([first], case="c")
        back = array_of(preparation.back(there, first))

        assert there.GetSize() == (20, 20, 8)
        assert ((back > 0.5) == (array > 0.5)).mean() > 0.98
        assert resampled_to(there, there, nearest=True).GetSize() == there.GetSize()
