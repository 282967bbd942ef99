"""Scoring of a detection task: a detection map per case against lesions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reseed.contracts.containers import SubmissionPaths
from reseed.contracts.errors import InvalidPrediction, UserError
from reseed.contracts.evaluation import Detection
from reseed.contracts.metrics import Aggregate, CaseResult, LesionRow, Metrics
from reseed.contracts.predictions import PredictionJob
from reseed.contracts.sockets import Socket
from reseed.contracts.task import Task
from reseed.imaging.metaimage import UnusableImage
from reseed.metrics.classification import area_under_roc_curve
from reseed.metrics.detection import (
    FreeResponseCurve,
    free_response_curve,
    froc_score,
    lesion_average_precision,
    lesion_scores,
    ranking_score,
    sensitivity_at_false_positives,
)
from reseed.metrics.detection_candidates import ExtractionSettings, dynamic_lesion_candidates
from reseed.metrics.detection_matching import MatchingRule, case_detection
from reseed.scoring.aggregates import estimated_aggregate, jackknifed_aggregate
from reseed.scoring.case_pool import results_in_order
from reseed.scoring.image_outputs import predicted_image, predicted_image_file
from reseed.scoring.images import Image, label_map
from reseed.scoring.interfaces import matched_jobs
from reseed.scoring.lesion_rows import lesion_columns, lesion_labels_and_scores
from reseed.scoring.numbers import predicted_number
from reseed.scoring.progress import Progress
from reseed.scoring.reference_images import ReferenceImage, read_reference_image, reference_images
from reseed.statistics.single_run import single_run_estimate

OF_BOTH_CLASSES = frozenset({"case_auroc", "picai_score"})
"""Metrics that need cases without a lesion as well; every metric needs a lesion."""

_FALSE_POSITIVES = {"sensitivity_at_half_fp": 0.5, "sensitivity_at_1_fp": 1.0, "sensitivity_at_2_fp": 2.0}


@dataclass(frozen=True)
class DetectedCase:
    """What a process needs to know of a case to score it."""

    reference: ReferenceImage
    submission: SubmissionPaths
    job: PredictionJob
    prediction: Path
    socket: Socket
    likelihood: Socket | None
    rule: Detection


def detection_metrics(
    submission: SubmissionPaths, ground_truth: Path, task: Task, *, progress: Progress
) -> Metrics:
    """Metrics of one submission to a detection task; raises as `submission_metrics` does."""
    rule = task.evaluation
    if not isinstance(rule, Detection):
        raise TypeError(f"not a detection: {rule.kind}")
    references = reference_images(ground_truth, rule.reference)
    matched = matched_jobs(submission, task, [case.case_id for case in references])
    likelihood = None if rule.likelihood is None else task.output(rule.likelihood)
    cases = [
        DetectedCase(
            reference,
            submission,
            match.job,
            predicted_image_file(submission, match.job, match.socket, case_id=match.case_id),
            match.socket,
            likelihood,
            rule,
        )
        for reference, match in zip(references, matched, strict=True)
    ]
    results: list[CaseResult] = []
    for result in results_in_order(detected_case_result, cases):
        results.append(result)
        progress(len(results), len(cases))
    level = task.comparison.confidence_level
    return Metrics(
        task=task.task,
        confidence_level=level,
        aggregates=detection_aggregates(results, (*task.metrics, *task.reported), confidence_level=level),
        results=tuple(results),
    )


def detected_case_result(case: DetectedCase) -> CaseResult:
    """
    One case, read and measured: hits, missed lesions and false positives, and the case's score.

    Raises
    ------
    InvalidPrediction
        When the prediction is no detection map (or softmax) on the grid of the reference, or the
        likelihood is no number.
    UserError
        When the reference cannot be used.
    """
    case_id, rule = case.reference.case_id, case.rule
    expected = read_reference_image(case.reference)
    lesions = lesion_voxels(expected, rule, case.reference.path)
    found = predicted_image(
        case.prediction, case.socket, reference=expected.grid, tolerance=rule.grid, case_id=case_id
    ).voxels
    if found.size and (found.min() < 0 or (rule.maximum is not None and found.max() > rule.maximum)):
        limits = "0 or more" if rule.maximum is None else f"from 0 to {rule.maximum:g}"
        raise InvalidPrediction(
            f"{case.socket.slug} must hold confidences {limits}, got {found.min():g} to {found.max():g}",
            case_id=case_id,
        )
    if rule.extraction is not None:
        found = dynamic_lesion_candidates(found, ExtractionSettings(**rule.extraction.model_dump()))
    matching = MatchingRule(
        min_overlap=rule.min_overlap,
        overlap=rule.overlap,
        order=rule.matching,
        surplus_is_false_positive=rule.surplus == "false_positive",
    )
    try:
        detected = case_detection(lesions, found, matching)
    except ValueError as error:
        raise InvalidPrediction(f"{case.socket.slug}: {error}", case_id=case_id) from None
    score = (
        detected.confidence
        if case.likelihood is None
        else predicted_number(case.submission, case.job, case.likelihood, rule, case_id=case_id)
    )
    return CaseResult(
        case_id=case_id,
        patient=case.reference.patient,
        reference=int(detected.has_lesion),
        score=score,
        lesions=tuple(
            LesionRow(
                reference=1 if lesion.is_lesion else 0,
                score=lesion.confidence,
                overlap=lesion.overlap if lesion.is_lesion and lesion.confidence is not None else None,
            )
            for lesion in detected.lesions
        ),
    )


def lesion_voxels(image: Image, rule: Detection, path: Path) -> NDArray[Any]:
    """
    The voxels of a reference that are lesions, those of other values 0.

    Raises
    ------
    UserError
        When the task names the labels of lesions and the reference has another.
    """
    if rule.lesion_labels is None and not rule.ignored_labels:
        return image.voxels
    try:
        if rule.lesion_labels is None:
            return np.asarray((image.voxels != 0) & ~np.isin(image.voxels, rule.ignored_labels))
        labels = label_map(image, {0, *rule.lesion_labels, *rule.ignored_labels})
    except UnusableImage as error:
        raise UserError(f"{path}: the reference {error}") from None
    return np.isin(labels, rule.lesion_labels)


def detection_aggregates(
    results: Sequence[CaseResult], metrics: Sequence[str], *, confidence_level: float
) -> dict[str, Aggregate]:
    """
    Detection metrics over all cases.

    Raises
    ------
    UserError
        When one is undefined: without a lesion, or without a case of either class.
    """
    values = _values(results)
    aggregates = {}
    for key in metrics:
        aggregate = (
            _estimated(results, key, values, confidence_level)
            if key in values
            else _of_curve(results, key, confidence_level)
        )
        if aggregate is None:
            n_positive = sum(result.reference == 1 for result in results)
            raise UserError(
                f"metric {key!r} is undefined: {n_positive} of {len(results)} cases of the reference have a "
                "lesion, and both kinds must be there"
            )
        aggregates[key] = aggregate
    return aggregates


def _values(results: Sequence[CaseResult]) -> Mapping[str, float]:
    auroc = area_under_roc_curve(
        [0 if result.reference is None else result.reference for result in results],
        [0.0 if result.score is None else result.score for result in results],
    )
    pairs = list(lesion_labels_and_scores(results))
    ap = lesion_average_precision(
        lesion_scores(np.array([label for label, _ in pairs]), np.array([score for _, score in pairs]))
    )
    return {"case_auroc": auroc, "lesion_ap": ap, "picai_score": ranking_score(auroc, ap)}


def _estimated(
    results: Sequence[CaseResult], key: str, values: Mapping[str, float], confidence_level: float
) -> Aggregate | None:
    if not math.isfinite(values[key]):
        return None
    columns = lesion_columns(results)
    estimate = single_run_estimate(
        columns.reference,
        columns.score,
        columns.patient,
        metric=key,
        confidence_level=confidence_level,
        case=columns.case,
    )
    return estimated_aggregate(values[key], estimate)


def _of_curve(results: Sequence[CaseResult], key: str, confidence_level: float) -> Aggregate | None:
    """A metric of the FROC curve, with a jackknife of its own."""
    index = np.repeat(np.arange(len(results)), [len(result.lesions or ()) for result in results])
    pairs = np.array(list(lesion_labels_and_scores(results)), dtype=float).reshape(-1, 2)

    def value_of(cases: NDArray[np.intp]) -> float:
        kept = np.isin(index, cases)
        curve = free_response_curve(lesion_scores(pairs[kept, 0], pairs[kept, 1]), cases.size)
        return _curve_value(curve, key)

    patients = [result.patient or result.case_id for result in results]
    return jackknifed_aggregate(value_of, patients, confidence_level=confidence_level)


def _curve_value(curve: FreeResponseCurve, key: str) -> float:
    if key == "froc":
        return froc_score(curve)
    return sensitivity_at_false_positives(curve, _FALSE_POSITIVES[key])
