"""Results of detection in the JSON of picai_eval, read and written."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from reseed.contracts.errors import InvalidDocument
from reseed.contracts.files import write_json_atomically
from reseed.contracts.metrics import CaseResult, LesionRow, Metrics
from reseed.documents.mistakes import shown_value
from reseed.documents.reading import json_document
from reseed.scoring.detection import detection_aggregates

PICAI_METRICS = ("picai_score", "case_auroc", "lesion_ap")


def picai_document(metrics: Metrics) -> dict[str, Any]:
    """
    What picai_eval's `Metrics.save_minimal` writes, so that picai_eval can load it.

    A missed lesion is a lesion of confidence 0 there.
    """
    cases = {result.case_id: result for result in metrics.results}
    lesions = {case: result.lesions or () for case, result in cases.items()}
    return {
        "lesion_results": {
            case: [[lesion.reference, lesion.score or 0.0, lesion.overlap or 0.0] for lesion in lesions[case]]
            for case in cases
        },
        "lesion_weight": {case: [1] * len(lesions[case]) for case in cases},
        "case_pred": {case: result.score or 0.0 for case, result in cases.items()},
        "case_target": {case: int(result.reference or 0) for case, result in cases.items()},
        "case_weight": dict.fromkeys(cases, 1),
    }


def write_picai_results(path: Path, metrics: Metrics) -> None:
    """Write `picai_document`, whole or not at all."""
    write_json_atomically(path, picai_document(metrics))


def read_picai_results(path: Path, *, task: str, confidence_level: float = 0.95) -> Metrics:
    """
    A file of picai_eval as our metrics, computed anew from its lesions.

    Raises
    ------
    InvalidDocument
        When it is not such a file, has a weight other than 1, or a number that is not finite.
    """
    document = json_document(path)
    columns = {}
    for key in ("lesion_results", "case_pred", "case_target"):
        column = document.get(key) if isinstance(document, dict) else None
        if not isinstance(column, dict):
            raise InvalidDocument(f"{path}: {key} must be a mapping of cases, as picai_eval writes it")
        columns[key] = column
    _refuse_weights(path, document)
    if not columns["lesion_results"]:
        raise InvalidDocument(f"{path}: lesion_results has no case")
    results = tuple(_case(path, case, columns) for case in sorted(columns["lesion_results"]))
    return Metrics(
        task=task,
        confidence_level=confidence_level,
        aggregates=detection_aggregates(results, PICAI_METRICS, confidence_level=confidence_level),
        results=results,
    )


def _case(path: Path, case: str, columns: dict[str, dict[str, Any]]) -> CaseResult:
    for key in ("case_pred", "case_target"):
        if case not in columns[key]:
            raise InvalidDocument(f"{path}: {key} has no case {case!r}")
    rows = columns["lesion_results"][case]
    if not isinstance(rows, list):
        raise InvalidDocument(f"{path}: lesion_results.{case} must be a list, got {shown_value(rows)}")
    target = _number(path, f"case_target.{case}", columns["case_target"][case])
    lesions = tuple(_lesion(path, f"lesion_results.{case}.{index}", row) for index, row in enumerate(rows))
    if target != int(any(lesion.reference for lesion in lesions)):
        raise InvalidDocument(f"{path}: case_target.{case} is {target:g}, its lesions say otherwise")
    score = _number(path, f"case_pred.{case}", columns["case_pred"][case])
    return CaseResult(case_id=case, reference=target, score=score, lesions=lesions)


def _lesion(path: Path, place: str, row: Any) -> LesionRow:
    if not isinstance(row, list) or len(row) != 3:
        raise InvalidDocument(f"{path}: {place} must be [is lesion, confidence, overlap]")
    is_lesion, confidence, overlap = (_number(path, place, value) for value in row)
    if is_lesion not in (0, 1) or confidence < 0 or (is_lesion == 0 and confidence == 0):
        raise InvalidDocument(
            f"{path}: {place} must have 0 or 1 and a confidence, above 0 for a false positive"
        )
    return LesionRow(
        reference=1 if is_lesion else 0,
        score=confidence or None,
        overlap=overlap if is_lesion and confidence else None,
    )


def _number(path: Path, place: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidDocument(f"{path}: {place} must be a finite number, got {shown_value(value)}")
    if abs(value) > 1e300:
        raise InvalidDocument(f"{path}: {place} must be a finite number, got {shown_value(value)}")
    return float(value)


def _refuse_weights(path: Path, document: dict[str, Any]) -> None:
    weights = document.get("case_weight", {})
    lesion_weights = document.get("lesion_weight", {})
    if not isinstance(weights, dict) or not isinstance(lesion_weights, dict):
        raise InvalidDocument(f"{path}: case_weight and lesion_weight must be mappings of cases")
    for case, weight in weights.items():
        if weight != 1:
            raise InvalidDocument(
                f"{path}: case_weight.{case} is {shown_value(weight)}; only 1 is understood"
            )
    for case, each in lesion_weights.items():
        if not isinstance(each, list) or any(weight != 1 for weight in each):
            raise InvalidDocument(f"{path}: lesion_weight.{case} must be all 1; others are not understood")
