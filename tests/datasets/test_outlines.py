"""Outlines to volumes."""

from __future__ import annotations

import numpy as np
import pytest

from reseed.datasets.lidc.database import Annotation, Outline, Scan
from reseed.datasets.lidc.nodules import Nodule
from reseed.datasets.lidc.outlines import SPACING_MM, nodule_volume, points_in_polygon

SLICES_Z_MM = np.arange(-100.0, 100.0, 2.5)


def square(centre, half, *, z_mm, is_inclusion=True):
    corners = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
    points = np.array([(centre + sx * half, centre + sy * half) for sx, sy in corners])
    return Outline(z_mm, is_inclusion, points)


def box(annotation_id, half, *, extra=()):
    """A square of 2 × half pixels on the five slices about z = 0."""
    outlines = [square(100, half, z_mm=z) for z in (-5.0, -2.5, 0.0, 2.5, 5.0)]
    return Annotation(annotation_id, 5, (*outlines, *extra))


def nodule(*annotations, pixel_spacing_mm=0.5):
    scan = Scan(1, "LIDC-IDRI-0001", pixel_spacing_mm, SLICES_Z_MM, annotations)
    return Nodule("lidc-idri-0001-1", scan, annotations)


class TestPointsInPolygon:
    def test_concave(self):
        """
        The notch of a U is outside; worked by hand on a 3 × 3 grid.
        """
        u_shape = np.array([(0, 0), (6, 0), (6, 6), (4, 6), (4, 2), (2, 2), (2, 6), (0, 6)])

        inside = points_in_polygon(u_shape, np.array([1.0, 3.0, 5.0]), np.array([1.0, 3.0, 5.0]))

        assert inside.tolist() == [[True, True, True], [True, False, True], [True, False, True]]

    def test_closing_point_given_or_not(self):
        """
        A contour that repeats its first point is the same area, and so is one drawn the other way.
        """
        triangle = np.array([(0, 0), (7, 1), (3, 9)])
        grid = np.linspace(-0.9, 9.7, 40)

        areas = [
            points_in_polygon(points, grid, grid)
            for points in (triangle, np.vstack([triangle, triangle[:1]]), triangle[::-1])
        ]

        assert (areas[0] == areas[1]).all()
        assert (areas[0] == areas[2]).all()

    def test_rows_through_corners(self):
        """
        A row of the grid that runs through a corner crosses the outline there once.
        """
        diamond = np.array([(0, 4), (4, 0), (8, 4), (4, 8)])

        inside = points_in_polygon(diamond, np.array([-1.0, 3.9, 9.0]), np.array([0.0, 4.0, 8.0]))

        assert inside[1].tolist() == [False, True, False]
        assert not inside[2].any()

    def test_area(self):
        """
        The count of points inside a polygon is its area by the shoelace formula.
        """
        rng = np.random.default_rng(0)
        angles = np.sort(rng.uniform(0, 2 * np.pi, 12))
        points = np.round(50 + 40 * np.c_[np.cos(angles), np.sin(angles)] * rng.uniform(0.3, 1, (12, 1)))
        following = np.roll(points, -1, axis=0)
        expected = abs((points[:, 0] * following[:, 1] - following[:, 0] * points[:, 1]).sum()) / 2
        grid = np.arange(0.0, 100.0, 0.1) + 0.05

        inside = points_in_polygon(points.astype(np.int64), grid, grid)

        assert inside.sum() * 0.01 == pytest.approx(expected, rel=0.005)


class TestNoduleVolume:
    def test_volume_in_mm3(self):
        """
        A box of 10 × 10 mm on five slices of 2.5 mm is 1250 mm³, in the middle of the cube.
        """
        volume = nodule_volume(nodule(box(1, 10), box(2, 10)))

        measured = volume.percent_zyx.sum(dtype=np.int64) / 100 * SPACING_MM**3
        assert measured == pytest.approx(1250, rel=0.005)
        assert volume.percent_zyx[12:20, 13:19, 13:19].min() == 100

    def test_origin_is_where_the_scan_has_it(self):
        """
        The centre of the volume is the readers' centroid: pixel 100 of 0.5 mm, slice 0.
        """
        volume = nodule_volume(nodule(box(1, 10), box(2, 10)))

        centre = [first + SPACING_MM * 15.5 for first in volume.origin_xyz_mm]
        assert centre == pytest.approx([50, 50, 0])

    def test_readers_are_averaged(self):
        """
        Where one of two readers sees nodule, the volume holds 50.
        """
        volume = nodule_volume(nodule(box(1, 20), box(2, 10)))

        assert volume.percent_zyx[16, 16, 16] == 100
        assert volume.percent_zyx[16, 16, 16 + 6] == 50
        assert volume.percent_zyx[16, 16, 16 + 10] == 0

    def test_exclusions_are_holes(self):
        """
        What lies inside an exclusion contour of a slice is not nodule.
        """
        hole = square(100, 4, z_mm=0.0, is_inclusion=False)

        volume = nodule_volume(nodule(box(1, 10, extra=[hole])))

        assert volume.percent_zyx[15:17, 16, 16].max() < 100
        assert volume.percent_zyx[16, 16, 19] == 100
        assert volume.percent_zyx[13, 16, 16] == 100

    def test_pixels_are_not_millimetres(self):
        """
        The same outline on pixels twice as wide is four times the area.
        """
        small, large = (nodule_volume(nodule(box(1, 8), pixel_spacing_mm=mm)) for mm in (0.5, 1.0))

        ratio = large.percent_zyx.sum(dtype=np.int64) / small.percent_zyx.sum(dtype=np.int64)
        assert ratio == pytest.approx(4, rel=0.01)
