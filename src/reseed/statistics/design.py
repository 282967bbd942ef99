"""
How many runs and how many cases a comparison needs.

power = P(F'(1, df2, λ) > F_crit), λ = r·d²/(2·den), den = MS_R + r·max(Cov2 - Cov3, 0) (Hillis, Obuchowski
and Berbaum 2011, Acad Radiol 18:129). As r grows SE² tends to 2(Cov2 - Cov3): more runs cannot replace cases.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import fdtri, ncfdtr, ndtr, ndtri

from reseed.contracts.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from reseed.statistics.obuchowski_rockette import RunMoments

MOST_RUNS = 10_000
MOST_CASES = 10_000_000


@dataclass(frozen=True)
class ErrorTerms:
    """
    Variances that decide the power of a pair of methods, for test sets of `n_cases`.

    Parameters
    ----------
    run
        True variance over retrainings, whatever the test set.
    run_case
        Variance of a run's metric from run × case, falling as 1/n.
    method_case
        Cov2 - Cov3 of the pair, falling as 1/n.
    n_cases
        Independent cases (patients) to which run_case and method_case belong.
    """

    run: float
    run_case: float
    method_case: float
    n_cases: int

    def __post_init__(self) -> None:
        for name in ("run", "run_case", "method_case"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                raise UserError(f"variance {name!r} must be finite and not negative, got {value:g}")
        if self.n_cases < 1:
            raise UserError(f"the number of cases must be 1 or more, got {self.n_cases}")

    def mean_square(self, n_cases: float) -> float:
        """Expected MS_R on so many cases."""
        return self.run + self.run_case * self.n_cases / n_cases

    def shared(self, n_cases: float) -> float:
        """Expected Cov2 - Cov3 on so many cases."""
        return self.method_case * self.n_cases / n_cases


def error_terms(moments: RunMoments, a: int, b: int, n_cases: int) -> ErrorTerms:
    """
    Error terms of a pair, or of a method against a copy of itself.

    The observed MS is kept whole when the estimate of σ²_run is negative.
    """
    df = (moments.r[[a, b]] - 1).astype(np.float64)
    ms = float(df @ moments.ms[[a, b]] / df.sum())
    run_case = float(np.mean(moments.var_error[[a, b]] - moments.cov2[[a, b]]))
    run_case = min(max(run_case, 0.0), ms)
    shared = 0.0 if a == b else float((moments.cov2[a] + moments.cov2[b]) / 2 - moments.cov3[a, b])
    return ErrorTerms(ms - run_case, run_case, max(shared, 0.0), n_cases)


def power_of(
    terms: ErrorTerms, difference: float, runs: int, n_cases: float | None = None, *, level: float = 0.05
) -> float:
    """
    Two-sided power to see a true difference with `runs` runs a method on `n_cases` cases.

    Parameters
    ----------
    terms
        Variances of the pair.
    difference
        The true difference between the methods.
    runs
        Retrainings of each method.
    n_cases
        By default those of `terms`.
    level
        Of the two-sided test.
    """
    if runs < 2:
        raise UserError(f"power needs two or more runs a method, got {runs}")
    n = float(terms.n_cases if n_cases is None else n_cases)
    ms, shared = terms.mean_square(n), terms.shared(n)
    den = ms + runs * shared
    if den <= 0:
        return 1.0 if difference != 0 else level
    lam = runs * difference**2 / (2 * den)
    if ms <= 0:
        return _normal_power(float(np.sqrt(lam)), level)
    df2 = min(2 * (runs - 1) * (den / ms) ** 2, 1e8)
    if lam > 500:
        return 1.0
    return float(1 - ncfdtr(1, df2, lam, fdtri(1, df2, 1 - level)))


def power_of_endless_runs(
    terms: ErrorTerms, difference: float, n_cases: float | None = None, *, level: float = 0.05
) -> float:
    """The power that no number of runs exceeds: SE² = 2(Cov2 - Cov3)."""
    shared = terms.shared(float(terms.n_cases if n_cases is None else n_cases))
    if shared <= 0:
        return 1.0 if difference != 0 else level
    return _normal_power(abs(difference) / float(np.sqrt(2 * shared)), level)


def _normal_power(ratio: float, level: float) -> float:
    z = -float(ndtri(level / 2))
    return float(ndtr(ratio - z) + ndtr(-ratio - z))


def runs_needed(
    terms: ErrorTerms,
    difference: float,
    *,
    power: float = 0.8,
    n_cases: float | None = None,
    level: float = 0.05,
) -> int | None:
    """Smallest number of runs a method that reaches the power; None if no number does."""
    _check_target(difference, power)
    if power_of_endless_runs(terms, difference, n_cases, level=level) <= power:
        return None
    return _smallest(
        lambda runs: power_of(terms, difference, runs, n_cases, level=level) >= power, 2, MOST_RUNS
    )


def cases_needed(
    terms: ErrorTerms, difference: float, runs: int, *, power: float = 0.8, level: float = 0.05
) -> int | None:
    """Smallest number of cases that reaches the power with `runs` runs a method; None if no number does."""
    _check_target(difference, power)
    if power_of(terms, difference, runs, MOST_CASES, level=level) < power:
        return None
    return _smallest(lambda n: power_of(terms, difference, runs, n, level=level) >= power, 2, MOST_CASES)


def _check_target(difference: float, power: float) -> None:
    if not (np.isfinite(difference) and difference != 0):
        raise UserError(f"the difference to be seen must be a number other than 0, got {difference:g}")
    if not 0.05 < power < 1:
        raise UserError(f"power must lie between .05 and 1, got {power:g}")


def _smallest(enough: Callable[[int], bool], low: int, most: int) -> int | None:
    """Smallest integer in low..most that is enough, `enough` turning True once."""
    if enough(low):
        return low
    high = low
    while not enough(high):
        if high >= most:
            return None
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
