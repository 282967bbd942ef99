"""
The first word of a numpy SeedSequence, for hundreds of thousands of spawn keys.

The same numbers as `numpy.random.SeedSequence(entropy, spawn_key=key).generate_state(1)`, with what
the keys of a study have in common (the entropy, the stream, the method) mixed in once.

Source: numpy/random/bit_generator.pyx, whose algorithm numpy has promised not to change; after
M. E. O'Neill, "Developing a seed_seq alternative", 2015.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

_MASK = 0xFFFFFFFF
_INIT_A, _MULT_A = 0x43B0D7E5, 0x931E8875
_INIT_B, _MULT_B = 0x8B51F9DD, 0x58F38DED
_MIX_LEFT, _MIX_RIGHT = 0xCA01F9DD, 0x4973F715
_MULT_A_CUBED = pow(_MULT_A, 3, 1 << 32)
_POOL_SIZE = 4
_N_OWN_WORDS = 2


def first_word(entropy: int, spawn_key: tuple[int, ...]) -> int:
    """
    The first 32-bit word of the state that a seed sequence generates.

    Parameters
    ----------
    entropy
        Not negative, below 2**128.
    spawn_key
        Each below 2**32. Keys that differ in their last two words share most of the work.
    """
    pool, constant = _mixed(entropy, spawn_key[:-_N_OWN_WORDS])
    for word in spawn_key[-_N_OWN_WORDS:]:
        hashed, constant = _hashed(word, constant)
        pool = _mix(pool, hashed)
        constant = constant * _MULT_A_CUBED & _MASK  # spent on the words of the pool that nobody asks for
    value = pool ^ _INIT_B
    value = value * ((_INIT_B * _MULT_B) & _MASK) & _MASK
    return value ^ (value >> 16)


def first_words(
    entropy: int, beginning: tuple[int, ...], last: tuple[NDArray[np.uint64], NDArray[np.uint64]]
) -> NDArray[np.uint64]:
    """
    `first_word` of many spawn keys at a time.

    Parameters
    ----------
    entropy
        As `first_word` has it.
    beginning
        What all of the keys begin with.
    last
        Their last two words, each below 2**32, in arrays that can be broadcast together.
    """
    start, constant = _mixed(entropy, beginning)
    pool: NDArray[np.uint64] = np.full(1, start, dtype=np.uint64)
    mask, half = np.uint64(_MASK), np.uint64(16)
    for words in last:
        value = words ^ np.uint64(constant)
        constant = constant * _MULT_A & _MASK
        value = value * np.uint64(constant) & mask
        # products wrap around at 2**64, which leaves their last 32 bits as they are
        mixed = np.uint64(_MIX_LEFT) * pool - np.uint64(_MIX_RIGHT) * (value ^ (value >> half))
        pool = mixed.astype(np.uint64) & mask
        pool = pool ^ (pool >> half)
        constant = constant * _MULT_A_CUBED & _MASK
    value = pool ^ np.uint64(_INIT_B)
    value = value * np.uint64((_INIT_B * _MULT_B) & _MASK) & mask
    return np.asarray(value ^ (value >> half))


@functools.lru_cache(maxsize=4096)
def _mixed(entropy: int, spawn_key: tuple[int, ...]) -> tuple[int, int]:
    """The first word of the pool, and the hash constant, once all these words are in it."""
    words = [(entropy >> shift) & _MASK for shift in range(0, 32 * _POOL_SIZE, 32)]
    constant = _INIT_A
    pool = []
    for word in words:
        hashed, constant = _hashed(word, constant)
        pool.append(hashed)
    for source in range(_POOL_SIZE):
        for target in range(_POOL_SIZE):
            if source != target:
                hashed, constant = _hashed(pool[source], constant)
                pool[target] = _mix(pool[target], hashed)
    for word in spawn_key:
        for target in range(_POOL_SIZE):
            hashed, constant = _hashed(word, constant)
            pool[target] = _mix(pool[target], hashed)
    return pool[0], constant


def _hashed(value: int, constant: int) -> tuple[int, int]:
    value ^= constant
    constant = constant * _MULT_A & _MASK
    value = value * constant & _MASK
    return value ^ (value >> 16), constant


def _mix(left: int, right: int) -> int:
    value = (_MIX_LEFT * left - _MIX_RIGHT * right) & _MASK
    return value ^ (value >> 16)
