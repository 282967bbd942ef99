"""One run's metric with the uncertainty of its cases; for an evaluation container that sees one run only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from reseed.contracts.errors import UserError
from reseed.statistics.binding import bound_kernel
from reseed.statistics.metric import Metric, MetricLike, TableKind, resolved_metric
from reseed.statistics.obuchowski_rockette import Estimate
from reseed.statistics.outcome import method_interval
from reseed.statistics.scores import CASE_ONLY, CandidateScores, CaseScores, layout_of_counts

if TYPE_CHECKING:
    import pandas as pd

    from reseed.statistics.scores import FloatArray, IntArray

Values: TypeAlias = "Sequence[Any] | np.ndarray[Any, Any] | pd.Series[Any]"


@dataclass(frozen=True)
class SingleRunEstimate:
    """Metric of one run; NaN where it is undefined. The interval says nothing about retraining."""

    value: float
    standard_error: float
    low: float
    high: float


def single_run_estimate(
    reference: Values | None,
    score: Values,
    patient: Values | None = None,
    *,
    metric: MetricLike,
    confidence_level: float = 0.95,
    case: Values | None = None,
) -> SingleRunEstimate:
    """
    Metric of one trained model with a jackknife interval over patients (or cases).

    Parameters
    ----------
    reference
        0 or 1 for every row; None for per-case values.
    score
        One for every row; NaN marks an undefined per-case value or a lesion that was not found.
    patient
        Patient of every row; by default every case is one.
    metric
        As in `reseed.compare`.
    confidence_level
        Of the interval.
    case
        Case of every row, needed for metrics over lesion candidates (several rows per case).

    Returns
    -------
    SingleRunEstimate
        An undefined metric is NaN, not an exception. The interval is cut at the metric's bounds.

    Raises
    ------
    UserError
        If lengths differ, or lesion candidates come without their cases.
    """
    resolved = resolved_metric(metric)
    values = np.asarray(score, dtype=np.float64)
    n = len(values)
    for name, column in (("reference", reference), ("patient", patient), ("case", case)):
        if column is not None and len(column) != n:
            raise UserError(f"{name!r} must have one entry per score, got {len(column)} for {n}")
    if n == 0:
        return SingleRunEstimate(np.nan, np.nan, np.nan, np.nan)
    classes = None if reference is None else _classes(reference)
    if resolved.kind is TableKind.CANDIDATES:
        if case is None or classes is None:
            raise UserError(
                f"metric {resolved.name!r} needs the case and the reference of every lesion candidate"
            )
        scores: CaseScores | CandidateScores = _candidates(values, classes, case, patient)
    else:
        layout = layout_of_counts([1], n, patient_of_case=None if patient is None else _codes(patient))
        if resolved.kind is TableKind.CASES and (classes is None or np.isnan(values).any()):
            return SingleRunEstimate(np.nan, np.nan, np.nan, np.nan)
        scores = CaseScores(layout, values[:, None], classes)
    return _estimate(scores, resolved, confidence_level)


def _classes(reference: Values) -> IntArray:
    """0 and 1; an empty reference is a candidate that counts for its case only."""
    return np.nan_to_num(np.asarray(reference, dtype=np.float64), nan=CASE_ONLY).astype(np.int64)


def _codes(labels: Values) -> IntArray:
    return np.asarray(np.unique(np.asarray(labels).astype(str), return_inverse=True)[1], dtype=np.int64)


def _candidates(
    score: FloatArray, reference: IntArray, case: Values, patient: Values | None
) -> CandidateScores:
    cases = _codes(case)
    n_cases = int(cases.max()) + 1
    patient_of_case = None
    if patient is not None:
        patient_of_case = np.zeros(n_cases, dtype=np.int64)
        patient_of_case[cases] = _codes(patient)
    layout = layout_of_counts([1], n_cases, patient_of_case=patient_of_case)
    return CandidateScores(layout, (cases,), (score,), (reference,))


def _estimate(
    scores: CaseScores | CandidateScores, metric: Metric, confidence_level: float
) -> SingleRunEstimate:
    kernel = bound_kernel(metric, scores)
    value = float(kernel.observed()[0])
    left_out = kernel.leave_one_out()[:, 0]
    n = len(left_out)
    if not np.isfinite(value) or not np.isfinite(left_out).all() or n < 2:
        return SingleRunEstimate(value, np.nan, np.nan, np.nan)
    error = float(np.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum()))
    estimate = Estimate(value, error, float(n - 1))
    low, high = method_interval(estimate, metric.bounds, confidence_level=confidence_level)
    return SingleRunEstimate(value, error, low, high)
