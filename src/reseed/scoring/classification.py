"""Scoring of a classification task: one number per case against a binary label."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reseed.contracts.containers import SubmissionPaths
from reseed.contracts.errors import UserError
from reseed.contracts.metrics import Aggregate, CaseResult, Metrics
from reseed.contracts.task import Classification, Task
from reseed.metrics.classification import area_under_roc_curve, average_precision
from reseed.metrics.classification_calibration import brier_score, expected_calibration_error
from reseed.metrics.classification_thresholds import decisions_at_threshold, sensitivity, specificity
from reseed.scoring.aggregates import estimated_aggregate, jackknifed_aggregate
from reseed.scoring.interfaces import matched_jobs
from reseed.scoring.numbers import predicted_number
from reseed.scoring.progress import Progress
from reseed.scoring.reference import ReferenceCase, reference_cases
from reseed.statistics import single_run_estimate

RankingMetric = Callable[[NDArray[Any], NDArray[Any]], float]

CLASSIFICATION_METRICS: Mapping[str, RankingMetric] = {
    "auroc": area_under_roc_curve,
    "ap": average_precision,
}
"""Those that runs are compared by, which a task may also only report; `_value` has the others."""


def classification_metrics(
    submission: SubmissionPaths,
    ground_truth: Path,
    task: Task,
    *,
    progress: Progress,
) -> Metrics:
    """Metrics of one submission to a classification task; raises as `submission_metrics` does."""
    rule = task.evaluation
    if not isinstance(rule, Classification):
        raise TypeError(f"not a classification: {rule.kind}")
    cases = reference_cases(ground_truth, rule.reference)
    matched = matched_jobs(submission, task, [case.case_id for case in cases])
    scores = []
    for n_done, match in enumerate(matched, start=1):
        scores.append(predicted_number(submission, match.job, match.socket, rule, case_id=match.case_id))
        progress(n_done, len(cases))
    level = task.comparison.confidence_level
    return Metrics(
        task=task.task,
        confidence_level=level,
        aggregates={
            key: classification_aggregate(cases, scores, metric=key, confidence_level=level)
            if key in CLASSIFICATION_METRICS
            else _uncompared_aggregate(cases, scores, key, task)
            for key in (*task.metrics, *task.reported)
        },
        results=tuple(
            CaseResult(case_id=case.case_id, patient=case.patient, reference=case.label, score=score)
            for case, score in zip(cases, scores, strict=True)
        ),
    )


def classification_aggregate(
    cases: Sequence[ReferenceCase],
    scores: Sequence[float],
    *,
    metric: str,
    confidence_level: float,
) -> Aggregate:
    """
    A metric over all cases, with its standard error and interval over cases clustered by patient.

    The number is that of `reseed.metrics`; the error says how much it would move with other
    patients, and nothing about a retraining.
    """
    reference = np.array([case.label for case in cases])
    score = np.array(scores)
    patients = [case.patient for case in cases]
    estimate = single_run_estimate(
        reference,
        score,
        None if None in patients else np.array(patients),
        metric=metric,
        confidence_level=confidence_level,
    )
    return estimated_aggregate(CLASSIFICATION_METRICS[metric](reference, score), estimate)


def _uncompared_aggregate(
    cases: Sequence[ReferenceCase], scores: Sequence[float], metric: str, task: Task
) -> Aggregate:
    """A metric that runs are not compared by, with a jackknife over patients."""
    threshold = task.evaluation.threshold if isinstance(task.evaluation, Classification) else math.nan
    reference, score = np.array([case.label for case in cases]), np.array(scores)

    def value_of(kept: NDArray[np.intp]) -> float:
        return _value(metric, reference[kept], score[kept], threshold)

    level = task.comparison.confidence_level
    patients = [case.patient or case.case_id for case in cases]
    try:
        aggregate = jackknifed_aggregate(value_of, patients, confidence_level=level)
    except ValueError as error:
        raise UserError(f"metric {metric!r}: {error}; give the evaluation minimum 0 and maximum 1") from None
    if aggregate is None:
        raise UserError(f"metric {metric!r} is undefined on these cases")
    return aggregate


def _value(metric: str, reference: NDArray[Any], score: NDArray[Any], threshold: float) -> float:
    match metric:
        case "brier":
            return brier_score(reference, score)
        case "ece":
            return expected_calibration_error(reference, score)
        case "sensitivity":
            return sensitivity(decisions_at_threshold(reference, score, threshold))
        case "specificity":
            return specificity(decisions_at_threshold(reference, score, threshold))
        case _:
            raise KeyError(f"a classification has no metric {metric!r}")
