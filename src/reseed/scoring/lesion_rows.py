"""
Lesion results of cases as the rows of a score table, in which one table holds cases and lesions.

A case's score is usually that of its best candidate, and its rows say so by themselves. Where a
likelihood of its own is above them, a row without reference carries it. Where it is below them in any
case, scores become ranks: lesions between 0 and 1, cases above 1. Every metric here only asks for the
order of lesions among lesions and of cases among cases, so that none of them changes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reseed.contracts.metrics import CaseResult


@dataclass(frozen=True)
class LesionTableRow:
    """One row; `reference` is None for a case's own score, `score` is NaN where nothing was found."""

    case_id: str
    score: float
    reference: int | None
    patient: str | None


def lesion_table_rows(results: Sequence[CaseResult], *, as_ranks: bool | None = None) -> list[LesionTableRow]:
    """
    The rows of the cases of one run, in their order; every case has one row or more.

    Parameters
    ----------
    results
        Cases with lesions and a score.
    as_ranks
        Whether scores become ranks; by default when a case's score is below its lesions'. All runs of
        one table must be alike: see `needs_ranks`.
    """
    ranks = needs_ranks(results) if as_ranks is None else as_ranks
    lesion_scores = [lesion.score for result in results for lesion in result.lesions or ()]
    of_lesion = _ranks([score for score in lesion_scores if score is not None]) if ranks else {}
    of_case = _ranks([_case_score(result) for result in results]) if ranks else {}
    rows = []
    for result in results:
        own = [
            LesionTableRow(
                result.case_id,
                math.nan if lesion.score is None else of_lesion.get(lesion.score, lesion.score),
                lesion.reference,
                result.patient,
            )
            for lesion in result.lesions or ()
        ]
        score = _case_score(result)
        if ranks or score > _highest(result) or not own:
            shown = 1 + of_case[score] if ranks else score
            own.append(LesionTableRow(result.case_id, shown, None, result.patient))
        rows += own
    return rows


def needs_ranks(results: Sequence[CaseResult]) -> bool:
    """
    Whether a case's score is below that of one of its lesions, by more than a rounding.

    A map holds single precision, a likelihood double: .3 is below .3 of the map by 1e-8.
    """
    return any(_case_score(result) < _highest(result) * (1 - 1e-6) for result in results)


@dataclass(frozen=True)
class LesionColumns:
    """The rows as columns, as `reseed.statistics` takes them."""

    case: NDArray[np.str_]
    score: NDArray[np.float64]
    reference: NDArray[np.float64]
    patient: NDArray[np.str_] | None


def lesion_columns(results: Sequence[CaseResult]) -> LesionColumns:
    """The rows of the cases of one run, as columns; `reference` is NaN for a case's own score."""
    rows = lesion_table_rows(results)
    patients = [row.patient for row in rows if row.patient is not None]
    return LesionColumns(
        case=np.array([row.case_id for row in rows]),
        score=np.array([row.score for row in rows]),
        reference=np.array([math.nan if row.reference is None else row.reference for row in rows]),
        patient=np.array(patients) if len(patients) == len(rows) else None,
    )


def lesion_labels_and_scores(results: Sequence[CaseResult]) -> Iterator[tuple[int, float]]:
    """Label and score of every lesion of all cases, NaN for a missed one."""
    for result in results:
        for lesion in result.lesions or ():
            yield lesion.reference, math.nan if lesion.score is None else lesion.score


def _case_score(result: CaseResult) -> float:
    return 0.0 if result.score is None else result.score


def _highest(result: CaseResult) -> float:
    scores = [lesion.score for lesion in result.lesions or () if lesion.score is not None]
    return max(scores, default=0.0 if result.score is None else -math.inf)


def _ranks(scores: Sequence[float]) -> dict[float, float]:
    """Scores as dense ranks between 0 and 1, equal where they are equal."""
    distinct = sorted(set(scores))
    return {score: (place + 1) / (len(distinct) + 1) for place, score in enumerate(distinct)}
