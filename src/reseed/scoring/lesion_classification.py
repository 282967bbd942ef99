"""Scoring of a classification per lesion: a list of numbers per case against a label per lesion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reseed.contracts.containers import SubmissionPaths
from reseed.contracts.errors import InvalidDocument, InvalidPrediction
from reseed.contracts.evaluation import LesionClassification, LesionTable
from reseed.contracts.metrics import Aggregate, CaseResult, LesionRow, Metrics
from reseed.contracts.task import Task
from reseed.documents.mistakes import shown_value
from reseed.metrics.case_level import case_level
from reseed.metrics.classification import area_under_roc_curve, average_precision
from reseed.scoring.aggregates import estimated_aggregate
from reseed.scoring.interfaces import matched_jobs
from reseed.scoring.lesion_rows import lesion_columns, lesion_labels_and_scores
from reseed.scoring.numbers import checked_number, predicted_value
from reseed.scoring.progress import Progress
from reseed.scoring.reference import LABELS, table_rows
from reseed.statistics.single_run import single_run_estimate


@dataclass(frozen=True)
class ReferenceLesions:
    """One case: its lesions in the order of the list, by name, each with its label."""

    case_id: str
    label_by_lesion: Mapping[str, int]
    patient: str | None = None


def lesion_classification_metrics(
    submission: SubmissionPaths, ground_truth: Path, task: Task, *, progress: Progress
) -> Metrics:
    """Metrics of one submission to such a task; raises as `submission_metrics` does."""
    rule = task.evaluation
    if not isinstance(rule, LesionClassification):
        raise TypeError(f"not a classification of lesions: {rule.kind}")
    cases = reference_lesions(ground_truth, rule.reference)
    results: list[CaseResult] = []
    matched = matched_jobs(submission, task, [case.case_id for case in cases])
    for case, match in zip(cases, matched, strict=True):
        value = predicted_value(
            submission, match.job, match.socket, case_id=case.case_id, expected="a list of numbers"
        )
        results.append(_case_result(case, value, match.socket.slug, rule))
        progress(len(results), len(cases))
    level = task.comparison.confidence_level
    return Metrics(
        task=task.task,
        confidence_level=level,
        aggregates={
            key: lesion_aggregate(results, metric=key, confidence_level=level)
            for key in (*task.metrics, *task.reported)
        },
        results=tuple(results),
    )


def reference_lesions(ground_truth: Path, table: LesionTable) -> tuple[ReferenceLesions, ...]:
    """
    The cases of a table of lesions, sorted by case id, lesions in the order of the file.

    Raises
    ------
    UserError
        When the file is missing or cannot be read.
    InvalidDocument
        One line per mistake, with its place; or when all lesions have one label.
    """
    path = ground_truth / table.file
    labels: dict[str, dict[str, int]] = {}
    patients: dict[str, str | None] = {}
    mistakes = []
    for line, row in table_rows(path, (table.case, table.lesion, table.label, table.patient)):
        case, lesion, label = row[table.case], row[table.lesion], LABELS.get(row[table.label])
        patient = None if table.patient is None else row[table.patient]
        if not case or not lesion or patient == "":
            mistakes.append(f"{path}:{line}: case, lesion and patient must not be empty")
        elif label is None:
            mistakes.append(
                f"{path}:{line}: case {case!r}: {table.label} must be 0 or 1, got {row[table.label]!r}"
            )
        elif lesion in labels.setdefault(case, {}):
            mistakes.append(f"{path}:{line}: lesion {lesion!r} of case {case!r} is given twice")
        elif patients.setdefault(case, patient) != patient:
            mistakes.append(f"{path}:{line}: case {case!r} has two patients")
        else:
            labels[case][lesion] = label
    if mistakes:
        raise InvalidDocument(*mistakes)
    if not any(any(each.values()) for each in labels.values()) or all(
        any(each.values()) for each in labels.values()
    ):
        raise InvalidDocument(f"{path}: must have cases with a lesion of label 1 and cases without one")
    return tuple(ReferenceLesions(case, labels[case], patients[case]) for case in sorted(labels))


def _case_result(case: ReferenceLesions, value: Any, slug: str, rule: LesionClassification) -> CaseResult:
    scores = [
        checked_number(each, f"{slug} of lesion {name!r}", rule, case_id=case.case_id)
        for name, each in zip(case.label_by_lesion, _listed(case, value, slug), strict=True)
    ]
    return CaseResult(
        case_id=case.case_id,
        patient=case.patient,
        reference=max(case.label_by_lesion.values()),
        score=max(scores),
        lesions=tuple(
            LesionRow(reference=1 if label else 0, score=score, lesion=name)
            for (name, label), score in zip(case.label_by_lesion.items(), scores, strict=True)
        ),
    )


def _listed(case: ReferenceLesions, value: Any, slug: str) -> Sequence[Any]:
    """One entry for each lesion: a list in the order of the reference, or a mapping by name."""
    n_lesions = len(case.label_by_lesion)
    if isinstance(value, dict):
        missing = next((name for name in case.label_by_lesion if name not in value), None)
        unknown = next((name for name in value if name not in case.label_by_lesion), None)
        if missing is not None:
            raise InvalidPrediction(f"{slug} has no number for lesion {missing!r}", case_id=case.case_id)
        if unknown is not None:
            raise InvalidPrediction(f"{slug} has the unknown lesion {unknown!r}", case_id=case.case_id)
        return [value[name] for name in case.label_by_lesion]
    if not isinstance(value, list):
        raise InvalidPrediction(
            f"{slug} must be a list of {n_lesions} numbers, got {shown_value(value)}", case_id=case.case_id
        )
    if len(value) != n_lesions:
        raise InvalidPrediction(
            f"{slug} must have {n_lesions} numbers, one for each lesion, got {len(value)}",
            case_id=case.case_id,
        )
    return value


def lesion_aggregate(results: Sequence[CaseResult], *, metric: str, confidence_level: float) -> Aggregate:
    """A metric over the lesions, or over the cases, of all results, with its error over patients."""
    pairs = list(lesion_labels_and_scores(results))
    labels, scores = np.array([label for label, _ in pairs]), np.array([score for _, score in pairs])
    cases = case_level([result.case_id for result in results for _ in result.lesions or ()], labels, scores)
    value = {
        "case_auroc": lambda: area_under_roc_curve(cases.reference, cases.score),
        "case_ap": lambda: average_precision(cases.reference, cases.score),
        "lesion_auroc": lambda: area_under_roc_curve(labels, scores),
        "fixed_lesion_ap": lambda: average_precision(labels, scores),
    }[metric]()
    columns = lesion_columns(results)
    estimate = single_run_estimate(
        columns.reference,
        columns.score,
        columns.patient,
        metric=metric,
        confidence_level=confidence_level,
        case=columns.case,
    )
    return estimated_aggregate(value, estimate)
