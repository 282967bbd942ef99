"""Equivalence (two one-sided tests) and non-inferiority within a margin, from an estimate and its df."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from reseed.contracts.errors import UserError

if TYPE_CHECKING:
    from reseed.statistics.obuchowski_rockette import Estimate


@dataclass(frozen=True)
class MarginTest:
    """
    P values of "not worse than baseline by the margin" and "within the margin of baseline".

    `low` and `high` are the 1 - 2α interval that the two one-sided tests look at.
    """

    margin: float
    p_noninferior: float
    p_equivalent: float
    low: float
    high: float


def margin_test(
    estimate: Estimate, margin: float, *, higher_is_better: bool = True, confidence_level: float = 0.95
) -> MarginTest:
    """
    Test a difference (method minus baseline) against a margin (Schuirmann 1987).

    Raises
    ------
    UserError
        If the margin is not a positive number.
    """
    check_margin(margin)
    above = tail_p(estimate.value + margin, estimate)  # against difference <= -margin
    below = tail_p(margin - estimate.value, estimate)  # against difference >= +margin
    quantile = t_quantile(confidence_level, estimate.df)
    half = quantile * estimate.standard_error
    return MarginTest(
        margin=margin,
        p_noninferior=above if higher_is_better else below,
        p_equivalent=max(above, below),
        low=estimate.value - half,
        high=estimate.value + half,
    )


def check_margin(margin: float) -> None:
    """Refuse a margin that is not a positive number."""
    if not (np.isfinite(margin) and margin > 0):
        raise UserError(f"margin must be a positive number, got {margin:g}")


def tail_p(excess: float, estimate: Estimate) -> float:
    """P(T >= excess / SE) under the estimate's own t or normal distribution."""
    if estimate.standard_error == 0:
        return 1.0 if excess <= 0 else 0.0
    ratio = -excess / estimate.standard_error
    return float(ndtr(ratio) if np.isinf(estimate.df) else stdtr(estimate.df, ratio))


def t_quantile(share: float, df: float) -> float:
    """Quantile of Student's t; of the normal for infinite df."""
    return float(ndtri(share) if np.isinf(df) else stdtrit(df, share))
