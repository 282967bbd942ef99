"""Ranks that say how sure they are: rank intervals, groups that cannot be told apart, win probability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reseed.contracts.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reseed.statistics.scores import BoolArray, FloatArray, IntArray

WIN_DRAWS = 200_000
LETTERED_UP_TO = 26


@dataclass(frozen=True)
class Ranks:
    """
    Rank of each method, 1 the best, with an interval that holds for all methods at once.

    `groups` are compact letters: methods that share a letter cannot be told apart. They are empty for
    more than `LETTERED_UP_TO` methods: their number can double with every method, and nobody reads it.
    """

    rank: IntArray
    low: IntArray
    high: IntArray
    groups: tuple[str, ...]


def ranks(mean: FloatArray, better: BoolArray, *, higher_is_better: bool) -> Ranks:
    """
    Ranks by mean with simultaneous intervals from adjusted pairwise tests.

    Parameters
    ----------
    mean
        Shape (t,): mean metric of each method.
    better
        Shape (t, t): True where the row is significantly better than the column.
    higher_is_better
        Direction of the metric.
    """
    sign = -1.0 if higher_is_better else 1.0
    order = np.argsort(sign * mean, kind="stable")
    rank = np.array([1 + int(np.count_nonzero(sign * mean < sign * value)) for value in mean])
    return Ranks(
        rank=rank,
        low=1 + better.sum(axis=0),
        high=len(mean) - better.sum(axis=1),
        groups=_compact_letters(order, better | better.T)
        if len(mean) <= LETTERED_UP_TO
        else ("",) * len(mean),
    )


def _compact_letters(order: IntArray, different: BoolArray) -> tuple[str, ...]:
    """Letters by insert-and-absorb (Piepho 2004): methods share one exactly when they are not different."""
    columns: list[set[int]] = [{int(i) for i in order}]
    t = len(order)
    for a in range(t):
        for b in range(a + 1, t):
            if not different[a, b]:
                continue
            split: list[set[int]] = []
            for column in columns:
                split.extend([column - {a}, column - {b}] if {a, b} <= column else [column])
            columns = _maximal(split)
    place = {int(method): i for i, method in enumerate(order)}
    columns.sort(key=lambda column: sorted(place[method] for method in column))
    return tuple(
        "".join(_letter(i) for i, column in enumerate(columns) if method in column) for method in range(t)
    )


def _maximal(columns: Sequence[set[int]]) -> list[set[int]]:
    kept: list[set[int]] = []
    for column in sorted(columns, key=len, reverse=True):
        if column and not any(column <= other for other in kept):
            kept.append(column)
    return kept


def _letter(index: int) -> str:
    return chr(ord("a") + index) if index < 26 else f"({index + 1})"


def win_probability(
    scores: Mapping[str, float] | Sequence[float],
    run_sd: float | Sequence[float],
    *,
    higher_is_better: bool = True,
    n_draws: int = WIN_DRAWS,
    rng: np.random.Generator | None = None,
) -> dict[str, float]:
    """
    Chance of each method to come first if every method of a leaderboard were retrained.

    One score a method is drawn from N(score, σ) again and again (Bosma et al. 2023); ties share the win.

    Parameters
    ----------
    scores
        Score of each method's submission, by name or in order ("1", "2", … are their names then).
    run_sd
        Standard deviation over retrainings, one for all or one each.
    higher_is_better
        Whether the highest score wins, or the lowest.
    n_draws
        Retrained leaderboards that are drawn.
    rng
        Source of randomness, by default seeded with 0.

    Raises
    ------
    UserError
        If a score or SD is not finite, or an SD is negative.
    """
    named = (
        dict(scores) if isinstance(scores, Mapping) else {str(i): s for i, s in enumerate(scores, start=1)}
    )
    centre = np.array(list(named.values()), dtype=np.float64)
    sd = np.broadcast_to(np.asarray(run_sd, dtype=np.float64), centre.shape)
    if not (np.isfinite(centre).all() and np.isfinite(sd).all() and (sd >= 0).all() and centre.size):
        raise UserError("win probability needs finite scores and finite SDs that are not negative")
    rng = np.random.default_rng(0) if rng is None else rng
    sign = 1.0 if higher_is_better else -1.0
    wins = np.zeros(centre.size)
    for start in range(0, n_draws, 65_536):
        rows = min(65_536, n_draws - start)
        drawn = sign * (centre + sd * rng.standard_normal((rows, centre.size)))
        first = drawn == drawn.max(axis=1, keepdims=True)
        wins += (first / first.sum(axis=1, keepdims=True)).sum(axis=0)
    return dict(zip(named, (wins / n_draws).tolist(), strict=True))
