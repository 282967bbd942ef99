"""The maximum over windows, with a gradient that is the same every time on a GPU too."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.functional import pad


def window_maximum(
    features: torch.Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    paddings: Sequence[tuple[int, int]],
    *,
    fill: float,
) -> torch.Tensor:
    """
    Max pooling, one axis after the other.

    torch's own has no deterministic gradient on a GPU, where it adds in any order; a maximum of two
    slices has one. Where values tie, the gradient is shared instead of going to the first.

    Parameters
    ----------
    features
        Shape (case, channel, *space).
    kernel, stride
        One for each axis of space.
    paddings
        Before and after each axis of space.
    fill
        What lies outside: minus infinity as torch has it, 0 as TensorFlow's I3D has it.
    """
    padded = pad(features, [side for pair in reversed(paddings) for side in pair], value=fill)
    for axis, (size, step) in enumerate(zip(kernel, stride, strict=True), start=2):
        n_windows = (padded.shape[axis] - size) // step + 1
        pieces = [
            padded.narrow(axis, start, (n_windows - 1) * step + 1)[_every(padded.ndim, axis, step)]
            for start in range(size)
        ]
        padded = pieces[0]
        for piece in pieces[1:]:
            padded = torch.maximum(padded, piece)
    return padded


def _every(n_axes: int, axis: int, step: int) -> tuple[slice, ...]:
    return tuple(slice(None, None, step if each == axis else None) for each in range(n_axes))
