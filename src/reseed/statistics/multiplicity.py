"""Adjusting p values for many pairs: Holm, max-T from the joint distribution, Dunnett."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri, stdtrit

from reseed.contracts.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reseed.statistics.scores import FloatArray, IntArray

ADJUSTMENTS = ("holm", "max_t", "dunnett", "none")
MAX_T_DRAWS = 200_000
MAX_T_RELABELLINGS = 19_999
CLOSED_UP_TO = 5  # methods: 52 ways to group five; beyond, one joint relabelling of all runs
_BLOCK = 8192


def holm(p_values: FloatArray) -> FloatArray:
    """Holm's step-down adjustment; NaN p values stay NaN and do not count."""
    adjusted = np.full(len(p_values), np.nan)
    defined = np.flatnonzero(~np.isnan(p_values))
    order = defined[np.argsort(p_values[defined], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p_values[order] * factors))
    return adjusted


def joint_t_adjusted(
    p_values: FloatArray,
    root: FloatArray,
    df: float,
    *,
    alternative: str,
    rng: np.random.Generator,
    n_draws: int = MAX_T_DRAWS,
) -> FloatArray:
    """
    Single-step max-T: chance that the largest of all t statistics exceeds each one observed.

    Parameters
    ----------
    p_values
        Shape (n_pairs,): raw p values, whatever their own degrees of freedom.
    root
        Shape (n_pairs, any): its product with its transpose is the correlation of the differences, as
        `difference_root` makes it. With differences from one baseline this is Dunnett's test.
    df
        Degrees of freedom of the joint t distribution; infinite for the normal.
    alternative
        As of the raw p values.
    rng
        Source of randomness.
    n_draws
        From the joint distribution.
    """
    sides = 2 if alternative == "two-sided" else 1
    tail = np.clip(p_values / sides, 1e-300, 1 - 1e-16)
    critical = -ndtri(tail) if np.isinf(df) else -stdtrit(df, tail)
    exceeded = np.zeros(len(p_values))
    for start in range(0, n_draws, _BLOCK):
        rows = min(_BLOCK, n_draws - start)
        t = rng.standard_normal((rows, root.shape[1])) @ root.T
        if np.isfinite(df):
            t /= np.sqrt(rng.chisquare(df, size=rows) / df)[:, None]
        largest = (np.abs(t) if sides == 2 else t).max(axis=1)
        exceeded += (largest[:, None] >= critical).sum(axis=0)
    return np.maximum(p_values, (exceeded + 1) / (n_draws + 1))


def permutation_max_t(
    theta: FloatArray,
    method_of_run: IntArray,
    pairs: Sequence[tuple[int, int]],
    *,
    alternative: str,
    rng: np.random.Generator,
    n_relabellings: int = MAX_T_RELABELLINGS,
) -> FloatArray:
    """
    Max-T over relabellings of runs, on Welch's t of every pair.

    Up to five methods the tests are closed: a pair is refused only when every grouping of the methods
    that holds the pair together is, each by relabelling runs within its groups. That is exact and
    controls the family-wise error strongly. With more methods all runs are relabelled at once, which
    controls it when no method differs.

    Parameters
    ----------
    theta, method_of_run
        Shapes (n_runs,): metric and method of every run.
    pairs
        (method, baseline) of every comparison of the family.
    alternative
        "two-sided", "greater" or "less".
    rng
        Source of randomness.
    n_relabellings
        Drawn for each grouping.
    """
    t = int(method_of_run.max()) + 1
    groupings = _groupings(tuple(range(t))) if t <= CLOSED_UP_TO else iter([(tuple(range(t)),)])
    adjusted = np.zeros(len(pairs))
    observed = _pair_statistics(theta[None, :], method_of_run, pairs, alternative)[0]
    for grouping in groupings:
        together = [
            i for i, (a, b) in enumerate(pairs) if any(a in group and b in group for group in grouping)
        ]
        if not together:
            continue
        chosen = [pairs[i] for i in together]
        exceeded = np.zeros(len(together))
        for order in _relabellings_within(grouping, method_of_run, rng, n_relabellings):
            largest = _pair_statistics(theta[order], method_of_run, chosen, alternative).max(axis=1)
            slack = 1e-9 * np.abs(observed[together])
            exceeded += (largest[:, None] >= observed[together] - slack).sum(axis=0)
        # the hypothesis of a grouping is refused by its largest statistic
        p_of_grouping = (exceeded.min() + 1) / (n_relabellings + 1)
        share = (exceeded + 1) / (n_relabellings + 1) if t > CLOSED_UP_TO else p_of_grouping
        adjusted[together] = np.maximum(adjusted[together], share)
    return adjusted


def _pair_statistics(
    values: FloatArray, method_of_run: IntArray, pairs: Sequence[tuple[int, int]], alternative: str
) -> FloatArray:
    """Welch's t of each pair for each row of run values, signed so that large means evidence."""
    t = int(method_of_run.max()) + 1
    member = (method_of_run[:, None] == np.arange(t)).astype(np.float64)
    r = member.sum(axis=0)
    mean = values @ member / r
    centred = values - mean[:, method_of_run]
    of_mean = (centred**2) @ member / (r - 1) / r
    a, b = (np.array(side) for side in zip(*pairs, strict=True))
    difference = mean[:, a] - mean[:, b]
    spread = np.sqrt(of_mean[:, a] + of_mean[:, b])
    floor = 1e-12 * max(float(np.abs(values).max()), 1e-300)
    statistics = difference / np.maximum(spread, floor)
    match alternative:
        case "two-sided":
            return np.asarray(np.abs(statistics))
        case "less":
            return np.asarray(-statistics)
        case _:
            return np.asarray(statistics)


def _groupings(items: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], ...]]:
    """All ways to put items into groups."""
    if not items:
        yield ()
        return
    first, rest = items[0], items[1:]
    for size in range(len(rest) + 1):
        for mates in combinations(rest, size):
            left = tuple(item for item in rest if item not in mates)
            for others in _groupings(left):
                yield ((first, *mates), *others)


def _relabellings_within(
    grouping: Sequence[tuple[int, ...]],
    method_of_run: IntArray,
    rng: np.random.Generator,
    n_relabellings: int,
) -> Iterator[IntArray]:
    """Blocks (rows, n_runs) of run orders shuffled within each group of methods."""
    for start in range(0, n_relabellings, _BLOCK):
        rows = min(_BLOCK, n_relabellings - start)
        order = np.tile(np.arange(len(method_of_run)), (rows, 1))
        for group in grouping:
            columns = np.flatnonzero(np.isin(method_of_run, group))
            order[:, columns] = columns[np.argsort(rng.random((rows, len(columns))), axis=1)]
        yield order


def difference_root(covariance: FloatArray, pairs: Sequence[tuple[int, int]]) -> FloatArray:
    """
    Square root of the correlation of differences between methods, shape (n_pairs, t).

    Parameters
    ----------
    covariance
        Shape (t, t): of the methods' means; what is negative in it by estimation counts as 0.
    pairs
        (method, baseline) of every difference.
    """
    values, vectors = np.linalg.eigh(covariance)
    of_means = vectors * np.sqrt(np.clip(values, 0.0, None))
    a, b = (np.array(side) for side in zip(*pairs, strict=True))
    root = of_means[a] - of_means[b]
    length = np.sqrt((root**2).sum(axis=1, keepdims=True))
    return np.asarray(root / np.where(length > 0, length, 1.0))


def check_adjustment(adjust: str, baseline: str | None) -> None:
    """Refuse an unknown adjustment, and Dunnett without a baseline."""
    if adjust not in ADJUSTMENTS:
        raise UserError(f"unknown adjustment {adjust!r}; known: {', '.join(ADJUSTMENTS)}")
    if adjust == "dunnett" and baseline is None:
        raise UserError("adjustment 'dunnett' compares every method with one: name the baseline")
