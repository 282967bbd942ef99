"""From the network's grid back to the image's, a block of slices at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

_BLOCK_VALUES = 1 << 20
"""Numbers in memory at once: 4 MiB, and twice that for whatever they become."""

AnyArray = npt.NDArray[Any]


@dataclass(frozen=True)
class NetworkGrid:
    """
    Where the voxels of a network lie in an image: transposed, cut to what is not zero, resampled.

    Attributes
    ----------
    shape
        Of the network's grid.
    box
        First and last + 1 voxel of the cut in the transposed image, by axis.
    whole
        Shape of the transposed image.
    transposed
        nnU-Net's transpose_forward.
    """

    shape: tuple[int, ...]
    box: tuple[tuple[int, int], ...]
    whole: tuple[int, ...]
    transposed: tuple[int, ...]

    @classmethod
    def of(
        cls, properties: Mapping[str, Any], shape: Sequence[int], transpose_forward: Sequence[int]
    ) -> NetworkGrid:
        """From what nnU-Net's preprocessor writes down."""
        return cls(
            tuple(int(n) for n in shape),
            tuple((int(low), int(high)) for low, high in properties["bbox_used_for_cropping"]),
            tuple(int(n) for n in properties["shape_before_cropping"]),
            tuple(int(axis) for axis in transpose_forward),
        )

    def on_image(
        self, values: AnyArray, reduced: Callable[[npt.NDArray[np.float32]], AnyArray], dtype: np.dtype[Any]
    ) -> AnyArray:
        """
        Values on the grid of the image, 0 outside the cut.

        Voxels of both grids are boxes that fill the same space, as nnU-Net resamples. Every voxel is
        interpolated linearly along each axis by itself, so the size of the blocks changes no more than a
        last digit.

        Parameters
        ----------
        values
            (channel, *network grid).
        reduced
            From a block (channel, slices, y, x) to what is kept of it, (slices, y, x).
        dtype
            Of what is kept.

        Returns
        -------
        numpy.ndarray
            In the (z, y, x) order of the image.
        """
        result = np.zeros(self.whole, dtype=dtype)
        cut = result[tuple(slice(low, high) for low, high in self.box)]
        n_slices, *plane = cut.shape
        below, above, weight = _neighbours(self.shape[0], n_slices)
        step = max(1, _BLOCK_VALUES // max(1, len(values) * int(np.prod(plane))))
        for start in range(0, n_slices, step):
            chosen = slice(start, start + step)
            lower = values[:, below[chosen]].astype(np.float32)
            upper = values[:, above[chosen]].astype(np.float32)
            rows = lower + (upper - lower) * weight[chosen, None, None]
            cut[chosen] = reduced(_in_plane(rows, (int(plane[0]), int(plane[1]))))
        return np.ascontiguousarray(result.transpose(np.argsort(self.transposed)))


def _neighbours(
    n_from: int, n_to: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """For each of `n_to` places the two of `n_from` between which it lies, and the part of the upper one."""
    place = np.clip((np.arange(n_to) + 0.5) * n_from / n_to - 0.5, 0, n_from - 1)
    below = np.floor(place).astype(np.int64)
    return below, np.minimum(below + 1, n_from - 1), (place - below).astype(np.float32)


def _in_plane(rows: npt.NDArray[np.float32], plane: tuple[int, int]) -> npt.NDArray[np.float32]:
    if rows.shape[2:] == plane:
        return rows
    resized = torch.nn.functional.interpolate(
        torch.from_numpy(rows), size=plane, mode="bilinear", align_corners=False
    )
    return resized.numpy()
