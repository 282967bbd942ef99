"""Scoring of a segmentation task: a label map per case against a label map."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from reseed.contracts.containers import SubmissionPaths
from reseed.contracts.errors import InvalidPrediction, UserError
from reseed.contracts.evaluation import Aggregation, Segmentation
from reseed.contracts.metrics import Aggregate, CaseResult, Metrics
from reseed.contracts.sockets import Socket
from reseed.contracts.task import Task
from reseed.imaging.metaimage import UnusableImage
from reseed.scoring.aggregates import estimated_aggregate
from reseed.scoring.case_pool import results_in_order
from reseed.scoring.image_outputs import predicted_image, predicted_image_file
from reseed.scoring.images import label_map
from reseed.scoring.interfaces import matched_jobs
from reseed.scoring.measures import SEGMENTATION
from reseed.scoring.progress import Progress
from reseed.scoring.reference_images import ReferenceImage, read_reference_image, reference_images
from reseed.scoring.segmented_labels import label_values
from reseed.statistics.single_run import single_run_estimate


@dataclass(frozen=True)
class SegmentedCase:
    """What a process needs to know of a case to score it."""

    reference: ReferenceImage
    prediction: Path
    socket: Socket
    rule: Segmentation
    metrics: tuple[str, ...]


def segmentation_metrics(
    submission: SubmissionPaths, ground_truth: Path, task: Task, *, progress: Progress
) -> Metrics:
    """Metrics of one submission to a segmentation task; raises as `submission_metrics` does."""
    rule = task.evaluation
    if not isinstance(rule, Segmentation):
        raise TypeError(f"not a segmentation: {rule.kind}")
    references = reference_images(ground_truth, rule.reference, rule.known_labels)
    matched = matched_jobs(submission, task, [case.case_id for case in references])
    keys = (*task.metrics, *task.reported)
    cases = [
        SegmentedCase(
            reference,
            predicted_image_file(submission, match.job, match.socket, case_id=match.case_id),
            match.socket,
            rule,
            keys,
        )
        for reference, match in zip(references, matched, strict=True)
    ]
    results = []
    for result in results_in_order(segmented_case_result, cases):
        results.append(result)
        progress(len(results), len(cases))
    level = task.comparison.confidence_level
    return Metrics(
        task=task.task,
        confidence_level=level,
        aggregates={
            name: _mean(results, name, key, level) for key in keys for name in _result_keys(key, rule)
        },
        results=tuple(results),
    )


def segmented_case_result(case: SegmentedCase) -> CaseResult:
    """
    One case, read and measured.

    Raises
    ------
    InvalidPrediction
        When the prediction is no label map on the grid of the reference.
    UserError
        When the reference cannot be used.
    """
    case_id, rule = case.reference.case_id, case.rule
    expected = read_reference_image(case.reference)
    found = predicted_image(
        case.prediction, case.socket, reference=expected.grid, tolerance=rule.grid, case_id=case_id
    )
    try:
        reference = label_map(expected, rule.known_labels)
    except UnusableImage as error:
        raise UserError(f"{case.reference.path}: the reference {error}") from None
    try:
        prediction = label_map(found, rule.known_labels)
    except UnusableImage as error:
        raise InvalidPrediction(f"{case.socket.slug} {error}", case_id=case_id) from None
    values: dict[str, float | None] = {}
    by_label = {
        name: label_values(
            _mask(reference, labels),
            _mask(prediction, labels),
            expected.grid.spacing_zyx_mm,
            rule,
            case.metrics,
        )
        for name, labels in rule.labels.items()
    }
    for key in case.metrics:
        worth = {
            name: _worth(measured.values[key], rule.aggregation[key], measured.both_are_empty)
            for name, measured in by_label.items()
        }
        values[key] = _mean_of_defined(worth.values())
        if len(worth) > 1:
            values |= {f"{key}_{name}": value for name, value in worth.items()}
    return CaseResult(case_id=case_id, patient=case.reference.patient, metrics=values)


def _mask(labels: NDArray[np.integer[Any]], values: Sequence[int]) -> NDArray[np.bool_]:
    return labels == values[0] if len(values) == 1 else np.isin(labels, values)


def _worth(value: float, rule: Aggregation, both_are_empty: bool) -> float | None:
    """A value, or what the task says that an undefined one is worth."""
    if math.isfinite(value):
        return value
    instead = rule.both_empty if both_are_empty else rule.one_empty
    match instead:
        case "skip":
            return None
        case float() | int():
            return float(instead)
        case _:
            assert_never(instead)


def _mean_of_defined(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return math.fsum(defined) / len(defined) if defined else None


def _result_keys(key: str, rule: Segmentation) -> list[str]:
    """The metric over labels, and that of each label when there are several."""
    return [key, *(f"{key}_{name}" for name in rule.labels if len(rule.labels) > 1)]


def _mean(results: Sequence[CaseResult], name: str, key: str, confidence_level: float) -> Aggregate:
    """The mean over cases where it is defined, with its error over patients, or cases without any."""
    values = [result.metrics[name] for result in results]
    scores = np.array([math.nan if value is None else value for value in values])
    defined = scores[~np.isnan(scores)]
    if defined.size == 0:
        raise UserError(
            f"metric {name!r} is undefined in every case; give evaluation.aggregation.{key} a number instead "
            "of 'skip'"
        )
    patients = [result.patient for result in results]
    measure = SEGMENTATION[key]
    estimate = single_run_estimate(
        None,
        scores,
        None if None in patients else np.array(patients),
        metric=key if measure.statistic == key else f"mean:{key}",
        confidence_level=confidence_level,
    )
    aggregate = estimated_aggregate(math.fsum(defined) / defined.size, estimate)
    if aggregate.low is None or aggregate.high is None or measure.higher_is_better is None:
        return aggregate
    highest = 1.0 if measure.higher_is_better else math.inf
    return aggregate.model_copy(update={"low": max(aggregate.low, 0.0), "high": min(aggregate.high, highest)})
