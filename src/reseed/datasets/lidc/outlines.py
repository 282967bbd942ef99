"""Outlines in millimetres, averaged over readers into one volume."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reseed.datasets.lidc.database import Annotation, Outline, Scan
from reseed.datasets.lidc.nodules import Nodule

SHAPE_ZYX = (32, 32, 32)
SPACING_MM = 1.25
_SAMPLES_PER_AXIS = 4
_N_FINE = SHAPE_ZYX[0] * _SAMPLES_PER_AXIS
_STEP_MM = SPACING_MM / _SAMPLES_PER_AXIS

Mask = npt.NDArray[np.bool_]
Coordinates = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NoduleVolume:
    """
    What the readers outlined, on a cubic grid centred on the nodule.

    `percent_zyx` is, for each voxel, the percentage of its inside that lies inside the outlines,
    averaged over readers: 100 where all agree, 50 where half of them see nodule.
    """

    percent_zyx: npt.NDArray[np.uint8]
    origin_xyz_mm: tuple[float, float, float]


def nodule_volume(nodule: Nodule) -> NoduleVolume:
    """
    The average of the readers' outlines, 32³ voxels of 1.25 mm, centred on the readers' mean centroid.

    Each reader's nodule is a stack of slabs: the outlined area of a slice, as thick as the points
    that are nearer to that slice than to any other. Each voxel is sampled at 4 × 4 × 4 points.
    What lies beyond the 40 mm cube is cut off.
    """
    half_mm = SPACING_MM * SHAPE_ZYX[0] / 2
    corner_xyz_mm = np.array(nodule.centre_mm) - half_mm
    n_inside = np.zeros(SHAPE_ZYX, dtype=np.int64)
    for annotation in nodule.annotations:
        n_inside += _samples_inside(annotation, nodule.scan, corner_xyz_mm)
    n_samples = len(nodule.annotations) * _SAMPLES_PER_AXIS**3
    # half up, in whole numbers: no rounding mode can change a byte
    percent = (200 * n_inside + n_samples) // (2 * n_samples)
    x_mm, y_mm, z_mm = (round(float(corner) + SPACING_MM / 2, 3) for corner in corner_xyz_mm)
    return NoduleVolume(percent.astype(np.uint8), (x_mm, y_mm, z_mm))


def _samples_inside(annotation: Annotation, scan: Scan, corner_xyz_mm: Coordinates) -> npt.NDArray[np.int64]:
    """How many of the sample points of each voxel lie inside one reader's outlines."""
    by_slice: dict[float, list[Outline]] = defaultdict(list)
    for outline in annotation.outlines:
        by_slice[outline.z_mm].append(outline)
    offsets_mm = (np.arange(_N_FINE, dtype=np.float64) + 0.5) * _STEP_MM
    xs_mm, ys_mm, zs_mm = (corner + offsets_mm for corner in corner_xyz_mm)
    nearest_z_mm = _nearest_slices(scan.slices_z_mm, zs_mm)
    counts = np.zeros(SHAPE_ZYX, dtype=np.int64)
    pixel_xs, pixel_ys = xs_mm / scan.pixel_spacing_mm, ys_mm / scan.pixel_spacing_mm
    for z_mm, outlines in by_slice.items():
        planes = np.flatnonzero(nearest_z_mm == z_mm) // _SAMPLES_PER_AXIS
        if len(planes) == 0:
            continue
        area = _area(outlines, pixel_xs, pixel_ys)
        rows = area.view(np.uint8).reshape(SHAPE_ZYX[1], _SAMPLES_PER_AXIS, -1).sum(axis=1, dtype=np.uint8)
        blocks = rows.reshape(*SHAPE_ZYX[1:], _SAMPLES_PER_AXIS).sum(axis=2, dtype=np.int64)
        n_planes = np.bincount(planes, minlength=SHAPE_ZYX[0])
        for plane in np.flatnonzero(n_planes):
            counts[plane] += n_planes[plane] * blocks
    return counts


def _nearest_slices(slices_z_mm: Coordinates, zs_mm: Coordinates) -> Coordinates:
    """The slice that each z belongs to: the nearest, and none (NaN) beyond half a slice of the stack."""
    borders = (slices_z_mm[1:] + slices_z_mm[:-1]) / 2
    nearest = slices_z_mm[np.searchsorted(borders, zs_mm)]
    half_slice_mm = float(np.median(np.diff(slices_z_mm))) / 2
    beyond = (zs_mm < slices_z_mm[0] - half_slice_mm) | (zs_mm > slices_z_mm[-1] + half_slice_mm)
    return np.where(beyond, np.nan, nearest)


def _area(outlines: list[Outline], xs: Coordinates, ys: Coordinates) -> Mask:
    """Inside any inclusion of one slice and inside no exclusion, at the points of a (y, x) grid."""
    inside = np.zeros((len(ys), len(xs)), dtype=np.bool_)
    for outline in sorted(outlines, key=lambda outline: not outline.is_inclusion):
        # only the rows and columns that the outline reaches: nodules are small, the cube is not
        (x_low, y_low), (x_high, y_high) = outline.points_xy.min(axis=0), outline.points_xy.max(axis=0)
        rows, columns = (
            slice(*np.searchsorted(axis, ends).tolist())
            for axis, ends in ((ys, (y_low, y_high)), (xs, (x_low, x_high)))
        )
        enclosed = points_in_polygon(outline.points_xy, xs[columns], ys[rows])
        if outline.is_inclusion:
            inside[rows, columns] |= enclosed
        else:
            inside[rows, columns] &= ~enclosed
    return inside


def points_in_polygon(points_xy: npt.NDArray[np.int64], xs: Coordinates, ys: Coordinates) -> Mask:
    """
    Which points of a grid lie inside a closed polygon, by the even-odd rule.

    Parameters
    ----------
    points_xy
        Corners in order; the last is joined to the first.
    xs, ys
        Increasing coordinates of the grid's columns and rows, in the unit of the corners.

    Returns
    -------
    Mask
        In (y, x) order.
    """
    x0, y0 = points_xy[:, 0].astype(np.float64), points_xy[:, 1].astype(np.float64)
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    # an edge owns its lower end and not its upper one, so that a corner is crossed once
    edge, row = np.nonzero((np.minimum(y0, y1)[:, None] <= ys) & (ys < np.maximum(y0, y1)[:, None]))
    slope = (x1[edge] - x0[edge]) / (y1[edge] - y0[edge])
    crossings = x0[edge] + (ys[row] - y0[edge]) * slope
    n_columns = len(xs) + 1
    cell = row * n_columns + np.searchsorted(xs, crossings)
    is_odd = np.bincount(cell, minlength=len(ys) * n_columns).reshape(len(ys), n_columns) % 2 == 1
    inside: Mask = np.logical_xor.accumulate(is_odd, axis=1)[:, :-1]
    return inside
