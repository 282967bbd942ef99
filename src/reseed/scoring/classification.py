"""Scoring of a classification task: one number per case against a binary label."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reseed.contracts.containers import SubmissionPaths
from reseed.contracts.metrics import Aggregate, CaseResult, Metrics
from reseed.contracts.task import Task
from reseed.metrics.classification import area_under_roc_curve, average_precision
from reseed.scoring.numbers import predicted_number
from reseed.scoring.reference import ReferenceCase, reference_cases
from reseed.scoring.submission import job_by_case, submitted_jobs
from reseed.statistics import single_run_estimate

RankingMetric = Callable[[NDArray[Any], NDArray[Any]], float]
Progress = Callable[[int, int], None]
"""Told how many cases are done, of how many."""

CLASSIFICATION_METRICS: Mapping[str, RankingMetric] = {
    "auroc": area_under_roc_curve,
    "ap": average_precision,
}


def classification_metrics(
    submission: SubmissionPaths,
    ground_truth: Path,
    task: Task,
    *,
    progress: Progress,
) -> Metrics:
    """Metrics of one submission to a classification task; raises as `submission_metrics` does."""
    rule = task.evaluation
    cases = reference_cases(ground_truth, rule.reference)
    jobs = job_by_case(submitted_jobs(submission), task.match, [case.case_id for case in cases])
    scores = []
    for n_done, case in enumerate(cases, start=1):
        job = jobs[case.case_id]
        socket = task.output(rule.score)
        scores.append(predicted_number(submission, job, socket, rule, case_id=case.case_id))
        progress(n_done, len(cases))
    level = task.comparison.confidence_level
    return Metrics(
        task=task.task,
        confidence_level=level,
        aggregates={
            key: classification_aggregate(cases, scores, metric=key, confidence_level=level)
            for key in task.metrics
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
    return Aggregate(
        value=CLASSIFICATION_METRICS[metric](reference, score),
        standard_error=_finite_or_none(estimate.standard_error),
        low=_finite_or_none(estimate.low),
        high=_finite_or_none(estimate.high),
    )


def _finite_or_none(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
