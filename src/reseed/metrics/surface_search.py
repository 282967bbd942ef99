"""The nearest of some places on a grid, for each of some others: exact, and fast where they are close."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Places = NDArray[np.int64]

_N_CLOSE_STEPS = 1000
"""How many steps are tried at most before what is left is searched by a tree."""

_N_TRIALS_PER_PLACE = 100
"""How many steps are tried on average: surfaces that are far apart go to the tree sooner."""


def nearest_distances_mm(start: Places, end: Places, spacing_mm: tuple[float, ...]) -> NDArray[np.float64]:
    """
    The distance from each place to the nearest of the others.

    Two surfaces of one organ mostly run close together: from every place the steps of the grid are
    tried in the order of their length until one ends on the other surface. The few places that
    are farther away are found by a k-d tree. Distances are computed from whole steps, so that no
    rounding of coordinates moves one across a tolerance.

    Parameters
    ----------
    start, end
        Indices on one grid, one row for each place; `end` has one or more.
    spacing_mm
        The length of a step along each axis.
    """
    rings = _close_steps(spacing_mm)
    margin = np.abs(np.concatenate([ring.steps for ring in rings])).max(axis=0)
    low = np.minimum(start.min(axis=0), end.min(axis=0)) - margin
    shape = np.maximum(start.max(axis=0), end.max(axis=0)) + margin - low + 1
    taken = np.zeros(math.prod(shape.tolist()), dtype=bool)
    strides = np.array([math.prod(shape[axis + 1 :].tolist()) for axis in range(shape.size)])
    taken[(end - low) @ strides] = True
    distances = np.empty(len(start))
    seeking, place = np.arange(len(start)), (start - low) @ strides
    n_trials_left = _N_TRIALS_PER_PLACE * len(start)
    for ring in rings:
        n_trials_left -= seeking.size * len(ring.steps)
        if n_trials_left < 0:
            break
        arrived = np.zeros(seeking.size, dtype=bool)
        for step in (ring.steps @ strides).tolist():
            arrived |= taken.take(place + step)
        if arrived.any():
            distances[seeking[arrived]] = ring.length_mm
            on = np.flatnonzero(~arrived)
            seeking, place = seeking[on], place[on]
            if seeking.size == 0:
                return distances
    distances[seeking] = _by_tree(start[seeking], end, np.array(spacing_mm))
    return distances


@dataclass(frozen=True)
class _Ring:
    """All steps on a grid of one length."""

    length_mm: float
    steps: Places


@functools.lru_cache(maxsize=64)
def _close_steps(spacing_mm: tuple[float, ...]) -> tuple[_Ring, ...]:
    """The shortest steps on a grid, all up to some length, in the order of their length."""
    n_dimensions = len(spacing_mm)
    unit_ball = math.pi ** (n_dimensions / 2) / math.gamma(n_dimensions / 2 + 1)
    radius_mm = (_N_CLOSE_STEPS * math.prod(spacing_mm) / unit_ball) ** (1 / n_dimensions)
    # of a grid that is extremely fine along one axis not all of that radius can be tried
    radius_mm = min(radius_mm, _N_CLOSE_STEPS * min(spacing_mm))
    reach = [int(radius_mm / step) for step in spacing_mm]
    axes = [np.arange(-far, far + 1) for far in reach]
    steps = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)
    lengths_mm = _lengths_mm(steps, np.array(spacing_mm))
    return tuple(
        _Ring(length_mm, steps[lengths_mm == length_mm])
        for length_mm in np.unique(lengths_mm[lengths_mm <= radius_mm]).tolist()
    )


def _by_tree(start: Places, end: Places, spacing_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    # plain splits are built faster, and the places are spread evenly
    tree = cKDTree(end * spacing_mm, leafsize=32, balanced_tree=False, compact_nodes=False)
    _, nearest = tree.query(start * spacing_mm)
    return _lengths_mm(start - end[nearest], spacing_mm)


def _lengths_mm(steps: Places, spacing_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    scaled = steps * spacing_mm
    return np.asarray(np.sqrt((scaled * scaled).sum(axis=1)))
