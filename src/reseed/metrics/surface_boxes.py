"""The nearest of some places, for places that are far away from all of them: by boxes, exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

_N_PAIRS = 100_000
"""How many distances are computed at a time before it is worth to look at smaller boxes."""

_FEW_PLACES = 8
"""A box of so few places is not divided again."""

_SLACK_MM2 = 1e-6
"""Far more than a rounded difference of squares is wrong by: what nearly ties is kept."""


@dataclass(frozen=True)
class _Box:
    """Some places, and those of the others that may be the nearest to one of them; one column each."""

    places: NDArray[np.intp]
    points_mm: Points
    others: NDArray[np.intp]
    others_mm: Points


def nearest_from_afar(start_mm: Points, end_mm: Points) -> NDArray[np.intp]:
    """
    Which of the others is nearest to each place.

    From afar, neighbouring places have the same few others in reach. A box around places drops every
    other that is nowhere in the box nearer than the one that is nearest to its centre; it is then
    divided, until all that are left can be tried. How much nearer one of two is changes linearly from
    place to place, so that the most of it within a box is known without looking at the places.

    Parameters
    ----------
    start_mm, end_mm
        Coordinates, one row for each place; `end_mm` has one or more.
    """
    nearest = np.empty(len(start_mm), dtype=np.intp)
    boxes = [
        _Box(
            np.arange(len(start_mm)),
            np.ascontiguousarray(start_mm.T),
            np.arange(len(end_mm)),
            np.ascontiguousarray(end_mm.T),
        )
    ]
    while boxes:
        box = boxes.pop()
        low, high = box.points_mm.min(axis=1), box.points_mm.max(axis=1)
        centre, half = (low + high) / 2, (high - low) / 2
        box = _without_the_beaten(box, centre, half)
        n_places, n_others = box.places.size, box.others.size
        if n_others == 1:
            nearest[box.places] = box.others[0]
        elif n_places * n_others <= _N_PAIRS or n_places <= _FEW_PLACES or not half.any():
            nearest[box.places] = box.others[_tried(box, centre)]
        else:
            boxes += _divided(box, centre, int(np.argmax(half)))
    return nearest


def _without_the_beaten(box: _Box, centre: Points, half: Points) -> _Box:
    """Without the others that are nowhere in the box nearer than the one nearest to its centre."""
    offset = box.others_mm - centre[:, np.newaxis]
    lead_mm2 = np.einsum("ij,ij->j", offset, offset)
    first = lead_mm2.argmin()
    lead_mm2 -= lead_mm2[first]
    for along, at_first, reach in zip(offset, offset[:, first], half, strict=True):
        lead_mm2 -= 2 * reach * np.abs(along - at_first)
    kept = np.flatnonzero(lead_mm2 <= _SLACK_MM2)
    return _Box(box.places, box.points_mm, box.others[kept], box.others_mm[:, kept])


def _divided(box: _Box, centre: Points, axis: int) -> list[_Box]:
    """The two halves of a box; each has places, since the box is as small as it can be."""
    is_low = box.points_mm[axis] <= centre[axis]
    return [
        _Box(box.places[part], box.points_mm[:, part], box.others, box.others_mm)
        for part in (np.flatnonzero(is_low), np.flatnonzero(~is_low))
    ]


def _tried(box: _Box, centre: Points) -> NDArray[np.intp]:
    """Which of the others is nearest to each place, all tried; about the centre little is rounded away."""
    points, others = box.points_mm - centre[:, np.newaxis], box.others_mm - centre[:, np.newaxis]
    # the squared distance, less the place's own square, which is the same for all others
    compared = points.T @ (-2 * others)
    compared += np.einsum("ij,ij->j", others, others)
    return np.asarray(compared.argmin(axis=1))
