"""Masks on voxel grids: what every metric of masks asks of its arguments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Mask: TypeAlias = NDArray[np.bool_]
LabelMap: TypeAlias = NDArray[np.integer[Any]]
Box: TypeAlias = tuple[slice, ...]


def checked_masks(reference: ArrayLike, prediction: ArrayLike) -> tuple[Mask, Mask]:
    """
    Two masks on one grid, as booleans.

    Raises
    ------
    ValueError
        When the shapes differ, or a value is neither 0 nor 1.
    """
    masks = []
    for name, given in (("reference", reference), ("prediction", prediction)):
        array: NDArray[Any] = np.asarray(given)
        if array.dtype != bool and bool(((array != 0) & (array != 1)).any()):
            raise ValueError(f"the {name} must be a mask of 0 and 1; take one label of a label map at a time")
        masks.append(array.astype(bool, copy=False))
    check_same_grid(masks[0], masks[1])
    return masks[0], masks[1]


def check_same_grid(reference: NDArray[Any], prediction: NDArray[Any]) -> None:
    """Refuse, by ValueError, two arrays that are not on one grid: nothing is broadcast."""
    if reference.shape != prediction.shape:
        raise ValueError(
            f"reference and prediction must be on one grid, got {reference.shape} and {prediction.shape}"
        )


def checked_spacing(spacing_mm: Sequence[float], n_dimensions: int) -> tuple[float, ...]:
    """
    The voxel spacing, one positive number for each axis of the array, in its order.

    Raises
    ------
    ValueError
        When there are too few or many, or one is not positive and finite.
    """
    spacing = tuple(float(step) for step in spacing_mm)
    if len(spacing) != n_dimensions or not all(math.isfinite(step) and step > 0 for step in spacing):
        raise ValueError(
            f"spacing_mm must be {n_dimensions} positive numbers in the order of the axes, got {spacing}"
        )
    return spacing


def bounding_box(mask: Mask) -> Box | None:
    """The smallest box that holds every voxel of a mask; None when it is empty."""
    box: list[slice] = []
    inside: NDArray[np.bool_] = mask
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        # earlier axes are already cut, so that each pass looks at less
        occupied = np.flatnonzero(inside.any(axis=others))
        if occupied.size == 0:
            return None
        box.append(slice(int(occupied[0]), int(occupied[-1]) + 1))
        inside = mask[(*box, *[slice(None)] * (mask.ndim - axis - 1))]
    return tuple(box)


def box_with_values(values: NDArray[Any]) -> Box | None:
    """
    A box outside which every value is 0, not always the smallest; None when all bits of a volume are 0.

    For volumes that are mostly empty: their bits are looked at in words of eight bytes, whatever they
    stand for, which is as fast as memory is read. A negative zero counts as a value.
    """
    words = _words(values)
    if words.size == 0:
        return None
    lines = np.bitwise_or.reduce(words, axis=-1) != 0
    outer = bounding_box(lines)
    if outer is None:
        return None
    columns = np.bitwise_or.reduce(words[outer].reshape(-1, words.shape[-1]), axis=0)
    occupied = np.flatnonzero(columns)
    if occupied.size == 0:  # a single line that is empty
        return None
    per_word = values.shape[-1] // words.shape[-1]
    return (*outer, slice(int(occupied[0]) * per_word, (int(occupied[-1]) + 1) * per_word))


def _words(values: NDArray[Any]) -> NDArray[Any]:
    """The same volume in words of eight bytes along its last axis, if that fits; else what is not 0."""
    plain = values.dtype.kind in "biuf" and values.flags.c_contiguous
    if plain and 8 % values.itemsize == 0 and values.shape[-1] * values.itemsize % 8 == 0:
        return values.view(np.uint64)
    return np.asarray(values != 0)
