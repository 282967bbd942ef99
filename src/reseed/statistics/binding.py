"""Binding a metric to scores: which kernel computes which name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reseed.contracts.errors import UserError
from reseed.statistics.kernels import (
    ArithmeticMeanKernel,
    AurocKernel,
    AveragePrecisionKernel,
    FunctionKernel,
    Kernel,
    MeanKernel,
    auroc_of_cases,
    average_precision_of_cases,
    highest_candidates,
    pooled_candidates,
)
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
