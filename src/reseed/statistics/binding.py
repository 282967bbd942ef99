"""Binding a metric to scores: which kernel computes which name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reseed.contracts.errors import UserError
from reseed.statistics.auroc import AurocKernel
from reseed.statistics.average_precision import AveragePrecisionKernel
from reseed.statistics.kernels import ArithmeticMeanKernel, FunctionKernel, Kernel, MeanKernel
from reseed.statistics.metric import Metric, TableKind
from reseed.statistics.scores import CASE_ONLY, CandidateScores, CaseScores, Scores

if TYPE_CHECKING:
    from collections.abc import Callable

    from reseed.statistics.scores import FloatArray, IntArray


def bound_kernel(metric: Metric, scores: Scores) -> Kernel:
    """
    The kernel that computes a metric on these scores.

    Raises
    ------
    UserError
        If the metric needs another kind of scores.
    """
    if metric.parts:
        return ArithmeticMeanKernel([bound_kernel(part, scores) for part in metric.parts])
    if metric.function is not None:
        return _function_kernel(metric.function, scores)
    if isinstance(scores, CandidateScores):
        return _candidate_kernel(metric, scores)
    if metric.kind is TableKind.VALUES:
        return MeanKernel(scores)
    if metric.name == "auroc":
        return auroc_of_cases(scores)
    if metric.name == "ap":
        return average_precision_of_cases(scores)
    raise UserError(f"metric {metric.name!r} needs lesion candidates, got one score per case")


def _candidate_kernel(metric: Metric, scores: CandidateScores) -> Kernel:
    match metric.name:
        case "case_auroc":
            return AurocKernel(scores.layout, highest_candidates(scores))
        case "case_ap":
            return AveragePrecisionKernel(
                scores.layout,
                [(*run, np.ones(len(run[0]), dtype=bool)) for run in highest_candidates(scores)],
            )
        case "lesion_ap":
            return AveragePrecisionKernel(
                scores.layout, [(*run, run[1] > 0) for run in pooled_candidates(scores)]
            )
        case "fixed_lesion_ap":
            return AveragePrecisionKernel(
                scores.layout, [(*run, np.ones(len(run[0]), dtype=bool)) for run in pooled_candidates(scores)]
            )
        case "lesion_auroc":
            return AurocKernel(scores.layout, pooled_candidates(scores))
        case name:
            raise UserError(f"metric {name!r} needs one score per case, got lesion candidates")


def _function_kernel(function: Callable[..., float], scores: Scores) -> FunctionKernel:
    runs: list[tuple[IntArray, FloatArray, IntArray | None]]
    if isinstance(scores, CaseScores):
        case = np.arange(scores.layout.n_cases)
        runs = [(case, column, scores.reference) for column in scores.score.T]
    else:
        runs = []
        for case, score, reference in zip(
            scores.row_case, scores.row_score, scores.row_reference, strict=True
        ):
            counts = reference != CASE_ONLY
            runs.append((case[counts], score[counts], reference[counts]))
    return FunctionKernel(scores.layout, function, runs)


def auroc_of_cases(scores: CaseScores) -> AurocKernel:
    """AUROC over cases."""
    case, reference = np.arange(scores.layout.n_cases), _reference(scores)
    return AurocKernel(scores.layout, [(case, column, reference) for column in scores.score.T])


def average_precision_of_cases(scores: CaseScores) -> AveragePrecisionKernel:
    """Average precision over cases."""
    case, reference = np.arange(scores.layout.n_cases), _reference(scores)
    found = np.ones(len(case), dtype=bool)
    return AveragePrecisionKernel(
        scores.layout, [(case, column, reference, found) for column in scores.score.T]
    )


def _reference(scores: CaseScores) -> IntArray:
    if scores.reference is None:
        raise ValueError("scores without reference have no classes")
    return scores.reference


def highest_candidates(scores: CandidateScores) -> list[tuple[IntArray, FloatArray, IntArray]]:
    """Each run's cases with their highest candidate (0 where nothing was found), and which hold a lesion."""
    n_cases = scores.layout.n_cases
    runs = []
    for case, score, reference in zip(scores.row_case, scores.row_score, scores.row_reference, strict=True):
        highest, lesion = np.zeros(n_cases), np.zeros(n_cases, dtype=np.int64)
        np.maximum.at(highest, case, np.nan_to_num(score, nan=0.0))
        np.maximum.at(lesion, case, (reference == 1).astype(np.int64))
        runs.append((np.arange(n_cases), highest, lesion))
    return runs


def pooled_candidates(scores: CandidateScores) -> list[tuple[IntArray, FloatArray, IntArray]]:
    """Each run's lesions and false positives pooled across cases, with score 0 where nothing was found."""
    runs = []
    for case, score, reference in zip(scores.row_case, scores.row_score, scores.row_reference, strict=True):
        counts = reference != CASE_ONLY
        runs.append((case[counts], np.nan_to_num(score[counts], nan=0.0), reference[counts]))
    return runs
