"""Scores of many runs on shared cases, as arrays: what every kernel and every test works on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]


CASE_ONLY = -1  # reference of a candidate that counts for its case's score and for nothing else


@dataclass(frozen=True)
class RunLayout:
    """
    Which run belongs to which method, which case to which patient.

    Runs are nested in methods and grouped by method; cases are crossed with all runs.
    """

    methods: tuple[str, ...]
    runs: tuple[str, ...]
    method_of_run: IntArray = field(repr=False)
    cases: tuple[str, ...] = field(repr=False)
    patient_of_case: IntArray = field(repr=False)
    case_weight: FloatArray = field(repr=False)
    clustered: bool = False
    weighted: bool = False

    @property
    def n_methods(self) -> int:
        return len(self.methods)

    @property
    def n_runs(self) -> int:
        return len(self.runs)

    @property
    def n_cases(self) -> int:
        return len(self.cases)

    @property
    def n_patients(self) -> int:
        """Number of units that are deleted or resampled: patients, or cases where none are named."""
        return int(self.patient_of_case.max()) + 1

    @property
    def run_counts(self) -> IntArray:
        """Runs per method, shape (n_methods,)."""
        return np.bincount(self.method_of_run, minlength=self.n_methods)

    def runs_of(self, method: int) -> IntArray:
        """Columns of one method's runs."""
        return np.flatnonzero(self.method_of_run == method)


@dataclass(frozen=True)
class CaseScores:
    """
    One score per run and case.

    Parameters
    ----------
    layout
        Methods, runs, cases, patients.
    score
        Shape (n_cases, n_runs). NaN where a per-case value is undefined.
    reference
        Shape (n_cases,), 0 or 1; None for per-case values that need none.
    """

    layout: RunLayout
    score: FloatArray = field(repr=False)
    reference: IntArray | None = field(default=None, repr=False)


@dataclass(frozen=True)
class CandidateScores:
    """
    Lesion candidates of every run: for each run one array per column, all of one length.

    `row_case` is the index of the case, `row_reference` 1 for a lesion (hit or missed), 0 for a false
    positive and `CASE_ONLY` for a discarded candidate that is neither. `row_score` is NaN where nothing was
    found: a missed lesion, or a case with neither lesion nor candidate.
    """

    layout: RunLayout
    row_case: tuple[IntArray, ...] = field(repr=False)
    row_score: tuple[FloatArray, ...] = field(repr=False)
    row_reference: tuple[IntArray, ...] = field(repr=False)


Scores: TypeAlias = CaseScores | CandidateScores


def layout_of_counts(
    run_counts: Sequence[int],
    n_cases: int,
    *,
    patient_of_case: IntArray | None = None,
    case_weight: FloatArray | None = None,
    methods: Sequence[str] | None = None,
) -> RunLayout:
    """Layout of arrays that never were a table: methods A, B, … with run_counts runs each."""
    names = tuple(methods) if methods is not None else tuple(_letters(len(run_counts)))
    method_of_run = np.repeat(np.arange(len(run_counts)), run_counts)
    if patient_of_case is None:
        patients = np.arange(n_cases)
    else:
        _, patients = np.unique(patient_of_case, return_inverse=True)
    return RunLayout(
        methods=names,
        runs=tuple(str(j) for count in run_counts for j in range(count)),
        method_of_run=method_of_run.astype(np.int64),
        cases=tuple(str(k) for k in range(n_cases)),
        patient_of_case=patients.astype(np.int64),
        case_weight=np.ones(n_cases) if case_weight is None else np.asarray(case_weight, dtype=np.float64),
        clustered=patient_of_case is not None,
        weighted=case_weight is not None,
    )


def _letters(count: int) -> list[str]:
    return [chr(ord("A") + i) if count <= 26 else f"M{i + 1}" for i in range(count)]
