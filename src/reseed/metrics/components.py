"""Connected components of a sparse volume: voxels that touch by a face, an edge or a corner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from reseed.metrics.masks import Box, Mask, bounding_box, box_with_values


@dataclass(frozen=True)
class Component:
    """One component: its voxels as flat indices into the volume, ascending."""

    voxels: NDArray[np.intp]

    @property
    def size(self) -> int:
        """Number of voxels."""
        return int(self.voxels.size)


def connected_components(values: NDArray[Any], *, within: Box | None = None) -> list[Component]:
    """
    The components of what is not 0 under full connectivity (26 neighbours in 3D, 8 in 2D).

    Ordered by their first voxel in the order of memory, as `scipy.ndimage.label` numbers them. A
    volume that is mostly empty is cut into boxes between empty planes first, and only these are
    searched. `within` is a box that is known to hold all of it.
    """
    outer = box_with_values(values) if within is None else within
    if outer is None:
        return []
    mask: Mask = values[outer] != 0
    box = bounding_box(mask)
    if box is None:
        return []
    structure = np.ones((3,) * mask.ndim, dtype=bool)
    strides = _strides(values.shape)
    corner = sum(side.start * stride for side, stride in zip(outer, strides, strict=True))
    found = []
    for part in _separate_boxes(mask, box):
        labels, n_components = ndimage.label(mask[part], structure=structure)
        places = np.nonzero(labels)
        flat = corner + sum(
            (place + side.start) * stride for place, side, stride in zip(places, part, strides, strict=True)
        )
        owner = labels[places]
        order = np.argsort(owner, kind="stable")
        ends = np.cumsum(np.bincount(owner, minlength=n_components + 1)[1:])
        found += [Component(voxels) for voxels in np.split(np.asarray(flat)[order], ends[:-1])]
    return sorted(found, key=lambda component: int(component.voxels[0]))


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """How far apart neighbours along each axis are in the flat volume."""
    return tuple(int(np.prod(shape[axis + 1 :], dtype=np.int64)) for axis in range(len(shape)))


def _separate_boxes(mask: Mask, box: Box) -> Iterator[Box]:
    """Boxes that hold all of the mask, between which at least one plane is empty."""
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        occupied = np.flatnonzero(mask[box].any(axis=others))
        gaps = np.flatnonzero(np.diff(occupied) > 1)
        if gaps.size == 0:
            continue
        for run in np.split(occupied, gaps + 1):
            side = slice(box[axis].start + int(run[0]), box[axis].start + int(run[-1]) + 1)
            within = (*box[:axis], side, *box[axis + 1 :])
            inner = bounding_box(mask[within])
            if inner is not None:
                yield from _separate_boxes(
                    mask,
                    tuple(
                        slice(outer.start + part.start, outer.start + part.stop)
                        for outer, part in zip(within, inner, strict=True)
                    ),
                )
        return
    yield box
