"""Pairs of small masks for the tests of segmentation metrics."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp


@st.composite
def mask_pairs(draw, *, n_dimensions=3, side=6):
    """Two masks on one small grid, from empty to full, and a spacing."""
    shape = draw(hnp.array_shapes(min_dims=n_dimensions, max_dims=n_dimensions, min_side=1, max_side=side))
    masks = [draw(hnp.arrays(bool, shape)) for _ in range(2)]
    step = st.sampled_from([0.3, 0.5, 0.78125, 1.0, 1.5, 3.0, 3.6])
    return masks[0], masks[1], tuple(draw(step) for _ in shape)


def blobs(rng, shape, n_labels):
    """A label map of overlapping boxes and balls, later labels on top."""
    grid = np.indices(shape)
    labels = np.zeros(shape, dtype=np.int16)
    for label in range(1, n_labels + 1):
        centre = [rng.integers(0, size) for size in shape]
        radius = [rng.integers(1, max(2, size // 2)) for size in shape]
        scaled = [(axis - middle) / reach for axis, middle, reach in zip(grid, centre, radius, strict=True)]
        ball = sum(axis**2 for axis in scaled) <= 1
        box = np.all([np.abs(axis) <= 0.7 for axis in scaled], axis=0)
        labels[ball if rng.random() < 0.6 else box] = label
    return labels
