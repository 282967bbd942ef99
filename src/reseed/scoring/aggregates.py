"""One number from all cases, with its sampling error over patients."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from reseed.contracts.metrics import Aggregate
from reseed.statistics.single_run import SingleRunEstimate


def estimated_aggregate(value: float, estimate: SingleRunEstimate) -> Aggregate:
    """A metric's own number with the error and interval of an estimate; what is undefined is null."""
    return Aggregate(
        value=value,
        standard_error=finite_or_none(estimate.standard_error),
        low=finite_or_none(estimate.low),
        high=finite_or_none(estimate.high),
    )


def jackknifed_aggregate(
    value_of: Callable[[NDArray[np.intp]], float],
    patients: Sequence[str],
    *,
    confidence_level: float,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Aggregate | None:
    """
    A metric over cases with a jackknife over patients, for metrics that have no kernel.

    Parameters
    ----------
    value_of
        The metric of some of the cases, given by their indices.
    patients
        The patient of every case.
    confidence_level
        Of the interval, by Student's t with one degree of freedom less than there are patients.
    bounds
        Between which the interval is cut.

    Returns
    -------
    Aggregate or None
        None when the metric is undefined over all cases.
    """
    _, patient = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    value = value_of(np.arange(patient.size))
    if not math.isfinite(value):
        return None
    n = int(patient.max()) + 1
    left_out = np.array([value_of(np.flatnonzero(patient != each)) for each in range(n)]) if n > 1 else None
    if left_out is None or not np.isfinite(left_out).all():
        return Aggregate(value=value)
    error = math.sqrt((n - 1) / n * float(((left_out - left_out.mean()) ** 2).sum()))
    half = float(stdtrit(n - 1, 1 - (1 - confidence_level) / 2)) * error
    return Aggregate(
        value=value,
        standard_error=error,
        low=max(value - half, bounds[0]),
        high=min(value + half, bounds[1]),
    )


def finite_or_none(value: float) -> float | None:
    """JSON has no NaN: what is undefined is null."""
    return float(value) if math.isfinite(value) else None
