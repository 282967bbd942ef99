"""
Permutation of run-level metrics between two methods: runs random, cases fixed.

All C(r_A + r_B, r_A) relabellings when there are at most two million, else Monte Carlo with (b+1)/(B+1).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import comb
from typing import TYPE_CHECKING

import numpy as np

from reseed.contracts.errors import UserError
from reseed.statistics.relabellings import (
    EXACT_LIMIT,
    MONTE_CARLO_RELABELLINGS,
    Relabellings,
    midranks,
    relabelled_sums,
    subset_sums,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reseed.statistics.scores import FloatArray

STATISTICS = ("mean_difference", "mann_whitney", "studentised")
_TIE = 1e-10  # relative: sums of the same numbers in another order must count as ties
_BISECTIONS = 32  # of sixteen times the range of the runs: to 4e-9 of it


@dataclass(frozen=True)
class PermutationTest:
    """
    Result of a permutation test of method minus baseline.

    `low` and `high` invert the test for a shift of the method's runs; they are infinite where no
    shift is refused. `smallest_p` is the smallest p value these run counts can reach.
    """

    statistic: float
    p_value: float
    low: float
    high: float
    n_relabellings: int
    exact: bool
    smallest_p: float


def permutation_test(
    method: FloatArray,
    baseline: FloatArray,
    *,
    statistic: str = "mean_difference",
    alternative: str = "two-sided",
    confidence_level: float = 0.95,
    rng: np.random.Generator | None = None,
) -> PermutationTest:
    """
    Test whether the runs of two methods are exchangeable.

    Parameters
    ----------
    method, baseline
        Shapes (r_A,) and (r_B,): run-level metrics.
    statistic
        `mean_difference`, `mann_whitney` (what picai_eval uses, one-sided there) or `studentised`
        (Welch's t; valid asymptotically when both run counts and run variances differ).
    alternative
        `two-sided` (twice the smaller one-sided p), `greater` or `less` (method against baseline).
    confidence_level
        Of the interval for the shift, which inverts the test.
    rng
        Needed only beyond two million relabellings; by default seeded with 0.

    Raises
    ------
    UserError
        If the statistic or alternative is unknown.
    """
    if statistic not in STATISTICS:
        raise UserError(f"unknown permutation statistic {statistic!r}; known: {', '.join(STATISTICS)}")
    x, y = _centred(method, baseline)
    if statistic == "mann_whitney":
        value, greater, less = _rank_tails(x, y, rng)
        limits = _rank_limits(x, y)
    else:
        relabelled = relabelled_sums(x, y, rng)
        value, greater, less = _tails(relabelled, x, y, statistic)
        limits = (_mean_limits if statistic == "mean_difference" else _studentised_limits)(relabelled, x, y)
    low, high = _interval(limits, alternative, 1 - confidence_level)
    n_relabellings = comb(len(x) + len(y), len(x))
    exact = n_relabellings <= EXACT_LIMIT
    return PermutationTest(
        statistic=value,
        p_value=p_of_tails(greater, less, alternative),
        low=low,
        high=high,
        n_relabellings=n_relabellings if exact else MONTE_CARLO_RELABELLINGS,
        exact=exact,
        smallest_p=smallest_p(len(method), len(baseline), alternative),
    )


def permutation_p(
    method: FloatArray,
    baseline: FloatArray,
    *,
    statistic: str = "mean_difference",
    alternative: str = "two-sided",
    rng: np.random.Generator | None = None,
) -> float:
    """P value of `permutation_test` alone; a mean difference then needs no list of relabellings."""
    x, y = _centred(method, baseline)
    if statistic == "mean_difference" and comb(len(x) + len(y), len(x)) <= EXACT_LIMIT:
        return p_of_tails(*_counted_tails(x, y), alternative)
    tails = (
        _rank_tails(x, y, rng)
        if statistic == "mann_whitney"
        else _tails(relabelled_sums(x, y, rng), x, y, statistic)
    )
    return p_of_tails(tails[1], tails[2], alternative)


def _centred(method: FloatArray, baseline: FloatArray) -> tuple[FloatArray, FloatArray]:
    centre = float(np.concatenate([method, baseline]).mean())
    return method - centre, baseline - centre


def _tails(
    relabelled: Relabellings, x: FloatArray, y: FloatArray, statistic: str
) -> tuple[float, float, float]:
    """The observed statistic, and the shares of relabellings at least and at most as large."""
    if statistic == "mean_difference":
        return float(x.mean() - y.mean()), *_tail_shares(relabelled, relabelled.total, float(x.sum()))
    value = _welch_t(x, y)
    return value, *_tail_shares(relabelled, _studentised(relabelled, x, y, 0.0), value)


def _rank_tails(x: FloatArray, y: FloatArray, rng: np.random.Generator | None) -> tuple[float, float, float]:
    """U of x over y with its exact tails; without ties they depend on the run counts alone."""
    ranks = midranks(np.concatenate([x, y]))
    u = float(ranks[: len(x)].sum()) - len(x) * (len(x) + 1) / 2
    if np.unique(ranks).size == ranks.size:
        cumulative = _u_distribution(len(x), len(y))
        at_most = float(cumulative[round(u)])
        return u, float(cumulative[len(x) * len(y) - round(u)]), at_most
    relabelled = relabelled_sums(ranks[: len(x)], ranks[len(x) :], rng)
    return u, *_tail_shares(relabelled, relabelled.total, float(ranks[: len(x)].sum()))


def _counted_tails(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    """Tails of the sum of x among all relabellings, counted by bisection in sorted subset sums."""
    observed = float(x.sum())
    slack = _TIE * float(np.abs(x).sum() + np.abs(y).sum())
    above = below = 0
    for kept in range(max(len(x) - len(y), 0), len(x) + 1):
        own, taken = subset_sums(x, kept)[0], np.sort(subset_sums(y, len(x) - kept)[0])
        above += int((taken.size - np.searchsorted(taken, observed - slack - own, side="left")).sum())
        below += int(np.searchsorted(taken, observed + slack - own, side="right").sum())
    n = comb(len(x) + len(y), len(x))
    return above / n, below / n


def p_of_tails(greater: float, less: float, alternative: str) -> float:
    """P value of the named alternative from both tail probabilities."""
    match alternative:
        case "two-sided":
            return min(1.0, 2 * min(greater, less))
        case "greater":
            return greater
        case "less":
            return less
        case _:
            raise UserError(f"alternative must be 'two-sided', 'greater' or 'less', got {alternative!r}")


def smallest_p(r_method: int, r_baseline: int, alternative: str) -> float:
    """The smallest p value that so many runs can reach, all run metrics being distinct."""
    sides = 2 if alternative == "two-sided" else 1
    return min(1.0, sides / comb(r_method + r_baseline, r_method))


def _tail_shares(relabelled: Relabellings, statistics: FloatArray, observed: float) -> tuple[float, float]:
    """Shares of relabellings at least and at most as large as observed."""
    slack = _TIE * max(float(np.abs(statistics[np.isfinite(statistics)]).max(initial=0.0)), 1e-300)
    above = int(np.count_nonzero(statistics >= observed - slack))
    below = int(np.count_nonzero(statistics <= observed + slack))
    if relabelled.exact:
        return above / statistics.size, below / statistics.size
    return (above + 1) / (statistics.size + 1), (below + 1) / (statistics.size + 1)


def _welch_t(x: FloatArray, y: FloatArray) -> float:
    difference = float(x.mean() - y.mean())
    variance = float(x.var(ddof=1) / len(x) + y.var(ddof=1) / len(y))
    if variance > 0:
        return difference / float(np.sqrt(variance))
    return 0.0 if difference == 0 else float(np.copysign(np.inf, difference))


def _studentised(relabelled: Relabellings, x: FloatArray, y: FloatArray, shift: float) -> FloatArray:
    """Welch's t of every relabelling after the method's own runs moved down by `shift`."""
    r_x, r_y = len(x), len(y)
    total = relabelled.total - shift * relabelled.kept
    squares = relabelled.squares - 2 * shift * relabelled.own + shift**2 * relabelled.kept
    all_total = float(x.sum() + y.sum()) - shift * r_x
    all_squares = float((x**2).sum() + (y**2).sum() - 2 * shift * x.sum()) + shift**2 * r_x
    mean_x, mean_y = total / r_x, (all_total - total) / r_y
    var_x = (squares - r_x * mean_x**2) / (r_x - 1)
    var_y = (all_squares - squares - r_y * mean_y**2) / (r_y - 1)
    variance = np.maximum(var_x, 0.0) / r_x + np.maximum(var_y, 0.0) / r_y
    difference = mean_x - mean_y
    scale = float(np.abs(difference).max(initial=0.0))
    tiny = variance <= (1e-9 * scale) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        t = difference / np.sqrt(variance)
    return np.where(
        tiny, np.where(np.abs(difference) <= _TIE * scale, 0.0, np.copysign(np.inf, difference)), t
    )


def _interval(
    limits: Callable[[float], tuple[float, float]], alternative: str, alpha: float
) -> tuple[float, float]:
    """All shifts of the method's runs that the test does not refuse at alpha."""
    low, high = limits(alpha / 2 if alternative == "two-sided" else alpha)
    return (low if alternative != "less" else -np.inf), (high if alternative != "greater" else np.inf)


def _mean_limits(
    relabelled: Relabellings, x: FloatArray, y: FloatArray
) -> Callable[[float], tuple[float, float]]:
    """Exact inversion: relabelling π is as extreme as observed once the shift passes (D - D_π)/(1 - c_π)."""
    r_x, r_y = len(x), len(y)
    difference = relabelled.total / r_x - (float(x.sum() + y.sum()) - relabelled.total) / r_y
    share = relabelled.kept / r_x - (r_x - relabelled.kept) / r_y
    moved = relabelled.kept < r_x
    turning = np.sort((float(x.mean() - y.mean()) - difference[moved]) / (1 - share[moved]))
    n_fixed, n = int(np.count_nonzero(~moved)), relabelled.total.size
    if not relabelled.exact:
        n_fixed, n = n_fixed + 1, n + 1
    return lambda tail: _order_limits(turning, n_fixed, n, tail)


def _order_limits(turning: FloatArray, n_fixed: int, n: int, tail: float) -> tuple[float, float]:
    """Shifts at which (n_fixed + number of turning points passed)/n exceeds the tail, from either side."""
    index = int(np.floor(tail * n * (1 + 1e-12))) - n_fixed  # so many may be passed while p <= tail
    if index < 0:
        return -np.inf, np.inf
    if index >= turning.size:
        return float(turning[-1]), float(turning[0])
    return float(turning[index]), float(turning[turning.size - 1 - index])


def _rank_limits(x: FloatArray, y: FloatArray) -> Callable[[float], tuple[float, float]]:
    """Hodges-Lehmann limits: order statistics of all x - y, by the exact distribution of U without ties."""
    differences = np.sort(np.subtract.outer(x, y).ravel())
    cumulative = _u_distribution(len(x), len(y))

    def limits(tail: float) -> tuple[float, float]:
        index = int(np.searchsorted(cumulative, tail * (1 + 1e-12), side="right"))  # P(U <= index-1) <= tail
        if index == 0:
            return -np.inf, np.inf
        return float(differences[index - 1]), float(differences[-index])

    return limits


@lru_cache(maxsize=64)
def _u_distribution(r_x: int, r_y: int) -> FloatArray:
    """P(U <= u) for u = 0 … r_x·r_y without ties."""
    return np.asarray(np.cumsum(_u_counts(r_x, r_y)) / comb(r_x + r_y, r_x))


def _u_counts(r_x: int, r_y: int) -> FloatArray:
    """Number of rankings with each value of U: coefficients of the Gaussian binomial (r_x + r_y over r_x)."""
    counts = np.zeros(r_x * r_y + 1)
    counts[0] = 1
    for i in range(1, r_x + 1):
        for u in range(counts.size - 1, r_y + i - 1, -1):
            counts[u] -= counts[u - r_y - i]
        for u in range(i, counts.size):
            counts[u] += counts[u - i]
    return counts


def _studentised_limits(
    relabelled: Relabellings, x: FloatArray, y: FloatArray
) -> Callable[[float], tuple[float, float]]:
    centre = float(x.mean() - y.mean())
    reach = 16 * max(float(np.ptp(np.concatenate([x - x.mean(), y - y.mean()]))), 1e-12)

    def refused(shift: float, tail: float, side: int) -> bool:
        moved = x - shift
        observed = side * _welch_t(moved, y)
        share, _ = _tail_shares(relabelled, side * _studentised(relabelled, x, y, shift), observed)
        return share <= tail

    def limit(tail: float, side: int) -> float:
        inside, outside = centre, centre - side * reach
        if not refused(outside, tail, side):
            return -side * np.inf
        for shift in _halvings(inside, outside, lambda shift: refused(shift, tail, side)):
            outside = shift
        return outside

    return lambda tail: (limit(tail, 1), limit(tail, -1))


def _halvings(inside: float, outside: float, refused: Callable[[float], bool]) -> Iterator[float]:
    """Closer and closer bounds on the shift at which the test begins to refuse."""
    for _ in range(_BISECTIONS):
        middle = (inside + outside) / 2
        if refused(middle):
            outside = middle
            yield middle
        else:
            inside = middle
