"""
Sums over the runs relabelled as a method's, for all relabellings of two methods' runs or a sample of them.

The relabellings are never listed: those that keep k of A's runs are all sums of one k-subset of A's runs
and one (r_A - k)-subset of B's, so an outer sum of two short lists gives their statistics at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain, combinations
from math import comb
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from reseed.statistics.scores import FloatArray

EXACT_LIMIT = 2_000_000
MONTE_CARLO_RELABELLINGS = 99_999


@dataclass(frozen=True)
class Relabellings:
    """
    Sums over the runs relabelled as the method's, one entry per relabelling.

    count k of the method's own runs kept, their sum, the sum of all, and the sum of squares.
    """

    kept: FloatArray = field(repr=False)
    own: FloatArray = field(repr=False)
    total: FloatArray = field(repr=False)
    squares: FloatArray = field(repr=False)
    exact: bool


def relabelled_sums(x: FloatArray, y: FloatArray, rng: np.random.Generator | None) -> Relabellings:
    """All relabellings, or a sample of them beyond `EXACT_LIMIT`; `rng` is by default seeded with 0."""
    if comb(len(x) + len(y), len(x)) > EXACT_LIMIT:
        return _sampled_relabellings(x, y, np.random.default_rng(0) if rng is None else rng)
    columns: list[tuple[FloatArray, ...]] = []
    for kept in range(len(x) + 1):
        if len(x) - kept > len(y):
            continue
        own, own_squares = subset_sums(x, kept)
        taken, taken_squares = subset_sums(y, len(x) - kept)
        total = np.add.outer(own, taken).ravel()
        columns.append(
            (
                np.full(total.size, float(kept)),
                np.repeat(own, taken.size),
                total,
                np.add.outer(own_squares, taken_squares).ravel(),
            )
        )
    kept_all, own_all, total_all, squares_all = (
        np.concatenate(parts) for parts in zip(*columns, strict=True)
    )
    return Relabellings(kept_all, own_all, total_all, squares_all, exact=True)


def subset_sums(values: FloatArray, size: int) -> tuple[FloatArray, FloatArray]:
    """Sums and sums of squares of all subsets of one size."""
    count = comb(len(values), size)
    index = np.fromiter(
        chain.from_iterable(combinations(range(len(values)), size)), dtype=np.int64, count=count * size
    )
    chosen = values[index.reshape(count, size)]
    return chosen.sum(axis=1), (chosen**2).sum(axis=1)


def _sampled_relabellings(x: FloatArray, y: FloatArray, rng: np.random.Generator) -> Relabellings:
    pooled = np.concatenate([x, y])
    kept, own, total, squares = [], [], [], []
    for start in range(0, MONTE_CARLO_RELABELLINGS, 4096):
        rows = min(4096, MONTE_CARLO_RELABELLINGS - start)
        chosen = np.argsort(rng.random((rows, len(pooled))), axis=1)[:, : len(x)]
        is_own, values = chosen < len(x), pooled[chosen]
        kept.append(is_own.sum(axis=1).astype(np.float64))
        own.append((values * is_own).sum(axis=1))
        total.append(values.sum(axis=1))
        squares.append((values**2).sum(axis=1))
    return Relabellings(
        np.concatenate(kept), np.concatenate(own), np.concatenate(total), np.concatenate(squares), exact=False
    )


def midranks(values: FloatArray) -> FloatArray:
    """Ranks from 1; ties share the mean of theirs."""
    ordered = np.sort(values)
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right") + 1) / 2
