"""What the network sees, and what it refuses to look at."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK

from algorithms.nodule_malignancy.augmentation import augmented, padded
from algorithms.nodule_malignancy.patches import PATCH_SHAPES, patch_of, read_patch
from reseed.contracts.errors import UserError
from tests.algorithms.nodule_malignancy.conftest import volume_bytes

RNG_SEED = 3


@pytest.fixture
def image_file(tmp_path):
    def write(voxels, spacing_mm=(1.25, 1.25, 1.25)):
        image = SimpleITK.GetImageFromArray(voxels)
        image.SetSpacing(spacing_mm)
        SimpleITK.WriteImage(image, str(tmp_path / "volume.mha"))
        return tmp_path / "volume.mha"

    return write


class TestPatchOf:
    def test_planes(self):
        """
        The three planes are across z, y and x, each the mean of the two central slices.
        """
        volume = np.zeros((32, 32, 32), dtype=np.float32)
        volume[15, 4, 7] = 1.0

        planes = patch_of(volume, dimension=2)

        assert planes.shape == PATCH_SHAPES[2]
        assert planes[0, 4, 7] == 0.5
        assert planes[1:].max() == 0

    def test_blocks(self):
        """
        In three dimensions a voxel is the mean of eight.
        """
        volume = np.zeros((32, 32, 32), dtype=np.float32)
        volume[2:4, 6:8, 30:32] = 1.0
        volume[0, 0, 0] = 1.0

        blocks = patch_of(volume, dimension=3)

        assert blocks.shape == PATCH_SHAPES[3]
        assert blocks[1, 3, 15] == 1.0
        assert blocks[0, 0, 0] == 0.125


class TestReadPatch:
    @pytest.mark.parametrize("dimension", [2, 3])
    def test_percent_to_fraction(self, tmp_path, dimension):
        """
        100 percent of readers are 1.
        """
        path = tmp_path / "volume.mha"
        path.write_bytes(volume_bytes(np.full((32, 32, 32), 100, dtype=np.uint8)))

        patch = read_patch(path, case="c", dimension=dimension)

        assert patch.dtype == np.float32
        assert (patch == 1).all()

    def test_another_grid(self, image_file):
        """
        Another shape or spacing is refused and not resampled, with what arrived.
        """
        voxels = np.zeros((16, 32, 32), dtype=np.uint8)
        with pytest.raises(
            UserError, match=r"case 'c': the volume must be .* got 16 × 32 × 32 voxels of 1\.25"
        ):
            read_patch(image_file(voxels), case="c", dimension=2)
        with pytest.raises(UserError, match="got 32 × 32 × 32 voxels of 1 × 1 × 2 mm"):
            read_patch(
                image_file(np.zeros((32, 32, 32), dtype=np.uint8), (1.0, 1.0, 2.0)), case="c", dimension=2
            )

    @pytest.mark.parametrize("value", [-1.0, 101.0, np.nan])
    def test_values(self, image_file, value):
        """
        A voxel that is no percentage is refused.
        """
        voxels = np.zeros((32, 32, 32), dtype=np.float32)
        voxels[3, 3, 3] = value

        with pytest.raises(UserError, match=r"case 'c': voxels must be 0 to 100 \(percent of readers\)"):
            read_patch(image_file(voxels), case="c", dimension=3)

    def test_no_image(self, tmp_path):
        """
        A file that is no image is refused by name.
        """
        (tmp_path / "volume.mha").write_text("hello")

        with pytest.raises(UserError, match=r"case 'c': volume\.mha is not a readable image"):
            read_patch(tmp_path / "volume.mha", case="c", dimension=2)


class TestAugmented:
    @pytest.mark.parametrize("dimension", [2, 3])
    def test_strength_zero_changes_nothing(self, dimension):
        """
        Without augmentation patches come back as they were.
        """
        patches = np.random.default_rng(0).random((4, *PATCH_SHAPES[dimension]), dtype=np.float32)
        rng = np.random.default_rng(RNG_SEED)

        changed = augmented(padded(patches, dimension=dimension), dimension=dimension, strength=0.0, rng=rng)

        assert (changed == patches).all()

    @pytest.mark.parametrize("dimension", [2, 3])
    def test_content_stays(self, dimension):
        """
        What lies away from the border is turned, mirrored and moved, and never lost.
        """
        patches = np.zeros((16, *PATCH_SHAPES[dimension]), dtype=np.float32)
        inner = patches if dimension == 2 else patches[:, 5:7]
        inner[..., 5:9, 4:7] = np.random.default_rng(0).random((4, 3))
        rng = np.random.default_rng(RNG_SEED)

        changed = augmented(padded(patches, dimension=dimension), dimension=dimension, strength=1.0, rng=rng)

        n_views = 48 if dimension == 2 else 16
        before, after = (values.reshape(n_views, -1) for values in (patches, changed))
        assert (np.sort(after) == np.sort(before)).all()
        assert (after != before).any(axis=1).mean() > 0.9

    def test_generator_runs_on_alike(self):
        """
        As many numbers are drawn whatever the strength: changing it leaves later draws alone.
        """
        patches = padded(np.zeros((4, *PATCH_SHAPES[2]), dtype=np.float32), dimension=2)
        generators = [np.random.default_rng(RNG_SEED) for _ in range(2)]

        for rng, strength in zip(generators, (0.0, 1.0), strict=True):
            augmented(patches, dimension=2, strength=strength, rng=rng)

        assert generators[0].random() == generators[1].random()
