"""Seed sequences: the numbers of numpy, whatever the entropy and the key."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reseed.orchestration.seed_sequence import first_word

WORDS = st.integers(0, 2**32 - 1)


@given(st.integers(0, 2**128 - 1), st.lists(WORDS, min_size=1, max_size=9).map(tuple))
def test_the_same_as_numpy(entropy: int, spawn_key: tuple[int, ...]):
    """numpy is the definition: a study's seeds can be made again without Reseed."""
    expected = np.random.SeedSequence(entropy, spawn_key=spawn_key).generate_state(1, np.uint32)[0]

    assert first_word(entropy, spawn_key) == expected
