"""Seeds of places in a training, and the global generators that nnU-Net draws from."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch


def seed_of_place(seed: int, *place: int) -> int:
    """
    The seed of one place (a phase, a batch, a sample) in a stream.

    Places have unrelated seeds (numpy's SeedSequence), so that nothing has to be drawn in order: a
    batch is the same whoever makes it and whatever was made before.
    """
    return int(np.random.SeedSequence(seed, spawn_key=place).generate_state(1)[0])


@contextlib.contextmanager
def global_generators(seed: int) -> Iterator[None]:
    """
    Seed the generators of `random`, numpy and torch (CPU) for a block, and put them back afterwards.

    nnU-Net's sampling and batchgeneratorsv2's transforms draw from all three and take no generator.
    """
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        torch.set_rng_state(before[2])
