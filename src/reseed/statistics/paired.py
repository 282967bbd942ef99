"""
Paired tests over cases between fixed, trained models: runs fixed, cases random.

Paired bootstrap (percentile, and bias-corrected and accelerated after Efron 1987), DeLong, and for per-case
means the paired t and the sign-flip test. Patients, where named, are the units that are drawn or flipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri

from reseed.contracts.errors import UserError
from reseed.statistics.permutation import p_of_tails
from reseed.statistics.scores import CaseScores

if TYPE_CHECKING:
    from reseed.statistics.scores import FloatArray, RunLayout, Scores

BOOTSTRAP_REPLICATES = 10_000
SIGN_FLIPS = 99_999
_EXACT_FLIP_PATIENTS = 20


@dataclass(frozen=True)
class PairedTest:
    """P value and interval of one difference; `n_undefined` resamples were left out."""

    p_value: float
    low: float
    high: float
    n_undefined: int = 0


def percentile_test(
    replicates: FloatArray, *, alternative: str, confidence_level: float, null: float = 0.0
) -> PairedTest:
    """
    Percentile interval of bootstrapped differences and the p value that inverts it.

    Parameters
    ----------
    replicates
        Shape (n_replicates,): bootstrapped differences, NaN where undefined.
    alternative, confidence_level
        Of the p value and of the interval.
    null
        The difference under the null hypothesis.
    """
    defined = np.sort(replicates[~np.isnan(replicates)])
    n = defined.size
    if n == 0:
        return PairedTest(np.nan, np.nan, np.nan, replicates.size)
    below = (np.searchsorted(defined, null, side="right") + np.searchsorted(defined, null, side="left")) / 2
    greater = (below + 1) / (n + 2)
    low_share, high_share = tail_shares(alternative, confidence_level)
    low = float(np.quantile(defined, low_share)) if low_share > 0 else -np.inf
    high = float(np.quantile(defined, high_share)) if high_share < 1 else np.inf
    return PairedTest(p_of_tails(greater, 1 - greater, alternative), low, high, replicates.size - n)


def bca_test(
    replicates: FloatArray,
    observed: float,
    left_out: FloatArray,
    *,
    alternative: str,
    confidence_level: float,
) -> PairedTest:
    """
    Bias-corrected and accelerated interval and the p value that inverts it.

    Parameters
    ----------
    replicates
        Shape (n_replicates,): bootstrapped differences.
    observed
        The difference itself.
    left_out
        Shape (n_patients,): the difference with each patient left out, for the acceleration.
    alternative, confidence_level
        Of the p value and of the interval.
    """
    defined = np.sort(replicates[~np.isnan(replicates)])
    n = defined.size
    if n == 0 or defined[0] == defined[-1]:
        return percentile_test(replicates, alternative=alternative, confidence_level=confidence_level)
    below = (
        np.searchsorted(defined, observed, side="right") + np.searchsorted(defined, observed, side="left")
    ) / 2
    bias = float(ndtri((below + 0.5) / (n + 1)))
    deviation = left_out.mean() - left_out
    spread = float((deviation**2).sum())
    acceleration = float((deviation**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0

    def share(nominal: float) -> float:
        z = bias + float(ndtri(nominal))
        return float(ndtr(bias + z / (1 - acceleration * z)))

    low_share, high_share = tail_shares(alternative, confidence_level)
    low = float(np.quantile(defined, share(low_share))) if low_share > 0 else -np.inf
    high = float(np.quantile(defined, share(high_share))) if high_share < 1 else np.inf
    at_null = (np.searchsorted(defined, 0.0, side="right") + np.searchsorted(defined, 0.0, side="left")) / 2
    z = float(ndtri((at_null + 1) / (n + 2))) - bias
    greater = float(ndtr(z / (1 + acceleration * z) - bias)) if 1 + acceleration * z > 0 else float(z > 0)
    return PairedTest(p_of_tails(greater, 1 - greater, alternative), low, high, replicates.size - n)


def tail_shares(alternative: str, confidence_level: float) -> tuple[float, float]:
    """Lower and upper quantile of the interval that belongs to an alternative."""
    alpha = 1 - confidence_level
    match alternative:
        case "greater":
            return alpha, 1.0
        case "less":
            return 0.0, 1 - alpha
        case _:
            return alpha / 2, 1 - alpha / 2


def case_differences(scores: CaseScores, a: int, b: int) -> FloatArray:
    """Per-case value of a minus b, each averaged over its method's runs; NaN where a run has none."""
    layout = scores.layout
    mean_a = scores.score[:, layout.runs_of(a)].mean(axis=1)
    mean_b = scores.score[:, layout.runs_of(b)].mean(axis=1)
    return np.asarray(mean_a - mean_b)


def sign_flip_p(
    differences: FloatArray, layout: RunLayout, *, alternative: str, rng: np.random.Generator
) -> float:
    """
    P value of flipping the sign of each patient's differences, exact up to 20 patients.

    Parameters
    ----------
    differences
        Shape (n_cases,): NaN cases are left out.
    layout
        Cases of one patient flip together.
    alternative
        "two-sided", "greater" or "less".
    rng
        Source of randomness beyond 20 patients.
    """
    weighted = np.where(np.isnan(differences), 0.0, differences * layout.case_weight)
    sums = np.bincount(layout.patient_of_case, weighted, layout.n_patients)
    observed, n = float(sums.sum()), len(sums)
    exact = n <= _EXACT_FLIP_PATIENTS
    n_flips = 2**n if exact else SIGN_FLIPS
    slack = 1e-10 * float(np.abs(sums).sum())
    above = below = 0
    for start in range(0, n_flips, 4096):
        rows = min(4096, n_flips - start)
        if exact:
            signs = 1 - 2 * ((np.arange(start, start + rows)[:, None] >> np.arange(n)) & 1)
        else:
            signs = 1 - 2 * rng.integers(0, 2, size=(rows, n), dtype=np.int8)
        flipped = signs @ sums
        above += int(np.count_nonzero(flipped >= observed - slack))
        below += int(np.count_nonzero(flipped <= observed + slack))
    if exact:
        return p_of_tails(above / n_flips, below / n_flips, alternative)
    return p_of_tails((above + 1) / (n_flips + 1), (below + 1) / (n_flips + 1), alternative)


def check_single_case_scores(scores: Scores, test: str) -> CaseScores:
    """Refuse a test of per-case means for a metric that is not one."""
    if not isinstance(scores, CaseScores) or scores.reference is not None:
        raise UserError(
            f"test {test!r} is for means of per-case values, such as Dice; use 'bootstrap_percentile'"
        )
    return scores
