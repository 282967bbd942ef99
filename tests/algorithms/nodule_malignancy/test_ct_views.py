"""From a CT to what a network sees."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK
import torch
from scipy.ndimage import map_coordinates

from algorithms.nodule_malignancy.scans import cube_side, nodule_cube, read_scan
from algorithms.nodule_malignancy.views import drawn_motions, plane_points, sampled, volume_points
from reseed.contracts.errors import UserError

CPU = torch.device("cpu")


def ramp(spacing=(0.7, 0.7, 1.5), shape=(60, 130, 130)):
    """A scan whose values are 10 x + y − 2 z in millimetres, which linear interpolation gets right."""
    image = SimpleITK.Image(*reversed(shape), SimpleITK.sitkInt16)
    image = SimpleITK.Cast(image, SimpleITK.sitkFloat64)
    image.SetSpacing(spacing)
    image.SetOrigin((-40.0, -50.0, -45.0))
    z, y, x = np.indices(shape)
    values = 10 * (x * spacing[0] - 40) + (y * spacing[1] - 50) - 2 * (z * spacing[2] - 45)
    filled = SimpleITK.GetImageFromArray(values)
    filled.CopyInformation(image)
    return filled


class TestNoduleCube:
    def test_a_ramp(self):
        """
        Voxels are 50 mm / 64 apart around the point, whatever the scan's spacing.
        """
        cube = nodule_cube(ramp(), (3.0, -2.0, 4.0), patch_voxels=64, case="c", nodule="n")
        side = cube_side(64)
        steps_mm = (np.arange(side) - (side - 1) / 2) * 50 / 64
        expected = (
            10 * (3 + steps_mm)[None, None]
            + (-2 + steps_mm)[None, :, None]
            - 2 * (4 + steps_mm)[:, None, None]
        )

        assert cube.shape == (76, 76, 76)
        assert cube.dtype == np.int16
        np.testing.assert_allclose(cube, expected, atol=0.51)

    def test_turned_scan(self):
        """
        The cube lies along the axes of the patient, also when the scan's axes do not.
        """
        scan = ramp()
        flipped = SimpleITK.Flip(scan, (True, False, True))
        permuted = SimpleITK.PermuteAxes(scan, (2, 0, 1))
        straight = nodule_cube(scan, (3.0, -2.0, 4.0), patch_voxels=32, case="c", nodule="n")

        for other in (flipped, permuted):
            turned = nodule_cube(other, (3.0, -2.0, 4.0), patch_voxels=32, case="c", nodule="n")
            np.testing.assert_allclose(turned, straight, atol=1)

    def test_at_the_edge(self):
        """
        What lies outside the scan is the nearest voxel inside.
        """
        cube = nodule_cube(ramp(), (-39.0, 0.0, 0.0), patch_voxels=32, case="c", nodule="n")

        assert (cube[19, 19, :5] == cube[19, 19, 0]).all()

    def test_outside(self):
        """
        A point that is not in the scan is refused with its place.
        """
        with pytest.raises(UserError, match=r"nodule 'n' must lie inside the scan, is at 300, 0, 0 mm"):
            nodule_cube(ramp(), (300.0, 0.0, 0.0), patch_voxels=32, case="c", nodule="n")

    def test_not_a_scan(self, tmp_path):
        """
        A file that is no image, or no volume, is refused.
        """
        (tmp_path / "a.mha").write_bytes(b"no")
        SimpleITK.WriteImage(SimpleITK.Image(4, 4, SimpleITK.sitkInt16), str(tmp_path / "b.mha"))

        with pytest.raises(UserError, match=r"case 'c': a\.mha is not a readable image"):
            read_scan(tmp_path / "a.mha", case="c")
        with pytest.raises(UserError, match="must have 3 dimensions and one number per voxel, got 2 and 1"):
            read_scan(tmp_path / "b.mha", case="c")


@pytest.fixture
def cubes():
    side = cube_side(16)
    return np.random.default_rng(0).integers(-1200, 600, (3, side, side, side)).astype(np.int16)


def scaled(hounsfield):
    return np.clip((hounsfield.astype(np.float32) + 1000) / 1400, 0, 1)


class TestSampled:
    def test_volume(self, cubes):
        """
        Without motion the volume is the middle of the cube, clipped and scaled.
        """
        found = sampled(cubes, volume_points(16), None, CPU)

        np.testing.assert_allclose(found.numpy(), scaled(cubes[:, 2:-2, 2:-2, 2:-2]), atol=2e-5)

    def test_orthogonal_planes(self, cubes):
        """
        The first three planes are the axial, coronal and sagittal ones, between the two middle slices.
        """
        planes = sampled(cubes, plane_points(16), None, CPU).numpy()
        middle = cubes.astype(np.float32)[:, 2:-2, 2:-2, 2:-2]

        assert planes.shape == (3, 9, 16, 16)
        for plane, axis in enumerate((1, 2, 3)):
            expected = scaled(middle.take([7, 8], axis).mean(axis))
            np.testing.assert_allclose(planes[:, plane], expected, atol=2e-5)

    def test_diagonal_planes(self, cubes):
        """
        The other six contain one axis and a diagonal of the other two; scipy interpolates the same.
        """
        points = plane_points(16)
        planes = sampled(cubes, points, None, CPU).numpy()
        centre = (cubes.shape[-1] - 1) / 2

        for plane in range(3, 9):
            places = (points[plane] + centre).transpose(2, 0, 1)
            expected = map_coordinates(cubes[0].astype(np.float64), places, order=1, mode="nearest")
            np.testing.assert_allclose(planes[0, plane], scaled(expected), atol=2e-5)
        rows, columns = points[3:, 1, 0] - points[3:, 0, 0], points[3:, 0, 1] - points[3:, 0, 0]
        assert np.allclose((rows * columns).sum(1), 0)
        assert np.allclose((rows**2).sum(1), 1)
        assert np.allclose((columns**2).sum(1), 1)
        normals = np.abs(np.cross(rows, columns)).round(3)
        assert sorted(map(tuple, normals)) == sorted(
            2 * [(0, 0.707, 0.707), (0.707, 0, 0.707), (0.707, 0.707, 0)]
        )

    def test_motion(self, cubes):
        """
        A turned and shifted view is the cube at turned and shifted points; scipy agrees.
        """
        motions = drawn_motions(3, strength=1.0, patch_voxels=16, rng=np.random.default_rng(5))
        points = volume_points(16)
        found = sampled(cubes, points, motions, CPU).numpy()

        centre = (cubes.shape[-1] - 1) / 2
        for case in range(3):
            places = np.moveaxis(points @ motions[0][case].T + motions[1][case] + centre, -1, 0)
            expected = map_coordinates(cubes[case].astype(np.float64), places, order=1, mode="nearest")
            np.testing.assert_allclose(found[case], scaled(expected), atol=1e-4)


class TestDrawnMotions:
    def test_limits(self):
        """
        Rotations are rotations, by at most 20 degrees an axis; shifts are at most 2.5 mm long.
        """
        rotations, shifts = drawn_motions(2000, strength=1.0, patch_voxels=64, rng=np.random.default_rng(0))
        lengths_mm = np.linalg.norm(shifts, axis=1) * 50 / 64
        only_z = np.degrees(np.arcsin(np.clip(rotations[:, 2, 1], -1, 1)))

        np.testing.assert_allclose(
            rotations @ rotations.transpose(0, 2, 1), np.eye(3)[None].repeat(2000, 0), atol=1e-12
        )
        np.testing.assert_allclose(np.linalg.det(rotations), 1)
        assert 2.4 < lengths_mm.max() <= 2.5
        assert 15 < np.abs(only_z).max() < 45
        assert abs(np.mean(lengths_mm**3 < 2.5**3 / 2) - 0.5) < 0.05  # uniform in the ball

    def test_strength(self):
        """
        At strength 0 nothing moves, and as many numbers are drawn as at strength 1.
        """
        first, second = np.random.default_rng(3), np.random.default_rng(3)
        rotations, shifts = drawn_motions(4, strength=0.0, patch_voxels=64, rng=first)
        drawn_motions(4, strength=1.0, patch_voxels=64, rng=second)

        assert (rotations == np.eye(3)).all()
        assert (shifts == 0).all()
        assert first.random() == second.random()
