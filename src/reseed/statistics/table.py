"""
Reading and refusing score tables.

One long table, one row per method, run and case:
`method, run, case, score[, reference][, patient][, weight]`.

Metrics over lesion candidates take the same columns with several rows per case: reference 1 for a hit or a
missed lesion, 0 for a false positive, an empty score where nothing was found (a missed lesion, or the one
row of a case with neither lesion nor candidate), an empty reference for a discarded candidate that is
neither hit nor false positive and counts for the score of its case only.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from reseed.contracts.errors import InvalidTable
from reseed.statistics.columns import check_columns, check_reference, check_scores, label_codes, number_column
from reseed.statistics.metric import Metric, TableKind
from reseed.statistics.scores import CASE_ONLY, CandidateScores, CaseScores, RunLayout, Scores

if TYPE_CHECKING:
    from reseed.statistics.scores import BoolArray, FloatArray, IntArray

_LABELS = ("method", "run", "case", "patient")
_NUMBERS = ("score", "reference", "weight")


def read_table(path: str | Path) -> pd.DataFrame:
    """
    Read a score table from CSV (also compressed) or Parquet; labels are text, an empty score is NaN.

    Raises
    ------
    InvalidTable
        If the file is absent, unreadable or of another type.
    """
    path = Path(path)
    if not path.is_file():
        raise InvalidTable(f"score table {str(path)!r} must be a file, found none there")
    if path.suffix == ".parquet":
        return _parquet(path)
    if ".csv" not in path.suffixes:
        raise InvalidTable(f"score table {path.name!r} must end in .csv, .csv.gz or .parquet")
    try:
        return pd.read_csv(
            path, dtype=dict.fromkeys(_LABELS, str), keep_default_na=False, na_values=_empty_numbers()
        )
    except (ValueError, OSError, EOFError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InvalidTable(f"score table {path.name!r} cannot be read as CSV: {reason}") from error


def _empty_numbers() -> dict[str, list[str]]:
    return {name: ["", "nan", "NaN", "NA"] for name in _NUMBERS}


def _parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except ImportError as error:
        raise InvalidTable(
            f"score table {path.name!r} is Parquet, which needs pyarrow: pip install 'reseed[parquet]'"
        ) from error
    except (ValueError, OSError) as error:
        raise InvalidTable(f"score table {path.name!r} cannot be read as Parquet") from error


def checked_scores(table: pd.DataFrame, metric: Metric) -> Scores:
    """
    The arrays behind a score table, or one line that says why it is refused.

    Methods, runs and cases keep the order of their first appearance.

    Raises
    ------
    InvalidTable
        For unknown or missing columns, empty labels, scores that are not finite numbers, a reference other
        than 0 or 1 or that differs between runs, duplicate rows, a case missing from a run, one class only.
    """
    check_columns(table, metric)
    labels = {name: label_codes(table, name) for name in _LABELS if name in table.columns}
    numbers = {name: number_column(table, name) for name in _NUMBERS if name in table.columns}
    kind = metric.kind or _kind_of(labels, numbers)
    check_reference(numbers, kind)
    check_scores(table, numbers["score"], kind)
    rows = _Rows(labels)
    layout = _layout(rows, labels, numbers)
    if kind is TableKind.CANDIDATES:
        return _candidates(rows, layout, numbers, metric)
    return _cases(rows, layout, numbers, kind)


class _Rows:
    """Each row's run and case as numbers; runs grouped by method."""

    def __init__(self, labels: dict[str, tuple[IntArray, list[str]]]) -> None:
        method, self.methods = labels["method"]
        run, run_names = labels["run"]
        self.case, self.cases = labels["case"]
        key = method * len(run_names) + run
        by_appearance, inverse = pd.factorize(key)
        order = np.argsort(np.asarray(inverse) // len(run_names), kind="stable")
        position = np.empty(len(order), dtype=np.int64)
        position[order] = np.arange(len(order))
        keys = np.asarray(inverse)[order]
        self.run: IntArray = position[by_appearance]
        self.method_of_run: IntArray = (keys // len(run_names)).astype(np.int64)
        self.run_names = tuple(run_names[i] for i in keys % len(run_names))
        self.counts = np.bincount(
            self.run * len(self.cases) + self.case, minlength=len(keys) * len(self.cases)
        ).reshape(len(keys), len(self.cases))

    def name_of_run(self, run: int) -> str:
        return f"method {self.methods[self.method_of_run[run]]!r} run {self.run_names[run]!r}"

    def check_complete(self) -> None:
        missing = self.counts == 0
        if missing.any():
            run, case = (int(i) for i in np.argwhere(missing)[0])
            raise InvalidTable(
                f"{self.name_of_run(run)} lacks case {self.cases[case]!r}, which another run has; "
                f"every run must be scored on the same cases ({int(missing.sum())} missing in all)"
            )

    def check_single(self, hint: str) -> None:
        double = self.counts > 1
        if double.any():
            run, case = (int(i) for i in np.argwhere(double)[0])
            raise InvalidTable(
                f"duplicate rows: {self.name_of_run(run)} case {self.cases[case]!r} "
                f"appears {int(self.counts[run, case])} times, must appear once{hint}"
            )


def _kind_of(labels: dict[str, Any], numbers: dict[str, FloatArray]) -> TableKind:
    if "reference" not in numbers:
        return TableKind.VALUES
    keys = pd.DataFrame({name: labels[name][0] for name in ("method", "run", "case")})
    return TableKind.CANDIDATES if keys.duplicated().any() else TableKind.CASES


def _layout(
    rows: _Rows, labels: dict[str, tuple[IntArray, list[str]]], numbers: dict[str, FloatArray]
) -> RunLayout:
    rows.check_complete()
    n_cases = len(rows.cases)
    patient = (
        _constant_per_case(rows, labels["patient"][0], "patient")
        if "patient" in labels
        else np.arange(n_cases)
    )
    weight = (
        _constant_per_case(rows, numbers["weight"], "weight") if "weight" in numbers else np.ones(n_cases)
    )
    return RunLayout(
        methods=tuple(rows.methods),
        runs=rows.run_names,
        method_of_run=rows.method_of_run,
        cases=tuple(rows.cases),
        patient_of_case=pd.factorize(patient)[0].astype(np.int64),
        case_weight=np.asarray(weight, dtype=np.float64),
        clustered="patient" in labels,
        weighted="weight" in numbers,
    )


def _constant_per_case(rows: _Rows, values: Any, name: str) -> Any:
    """One value per case, refusing a case whose rows disagree."""
    per_case = np.empty(len(rows.cases), dtype=values.dtype)
    per_case[rows.case] = values
    differs = per_case[rows.case] != values
    if differs.any():
        case = rows.cases[int(rows.case[np.flatnonzero(differs)[0]])]
        raise InvalidTable(f"{name} of case {case!r} differs between rows; it must be the same in every run")
    return per_case


def _cases(rows: _Rows, layout: RunLayout, numbers: dict[str, FloatArray], kind: TableKind) -> CaseScores:
    hint = (
        ""
        if kind is TableKind.VALUES
        else "; for lesion candidates use 'lesion_ap', 'case_auroc' or 'picai_score'"
    )
    rows.check_single(hint)
    score = np.empty((layout.n_cases, layout.n_runs))
    score[rows.case, rows.run] = numbers["score"]
    if kind is TableKind.VALUES:
        undefined = np.isnan(score).all(axis=0)
        if undefined.any():
            raise InvalidTable(f"{rows.name_of_run(int(np.argmax(undefined)))} has no defined score at all")
        return CaseScores(layout, score)
    reference = _constant_per_case(rows, numbers["reference"], "reference").astype(np.int64)
    _check_classes(reference)
    return CaseScores(layout, score, reference)


def _candidates(
    rows: _Rows, layout: RunLayout, numbers: dict[str, FloatArray], metric: Metric
) -> CandidateScores:
    reference = np.nan_to_num(numbers["reference"], nan=CASE_ONLY).astype(np.int64)
    n_cases = layout.n_cases
    lesions = np.zeros((layout.n_runs, n_cases), dtype=np.int64)
    np.add.at(lesions, (rows.run, rows.case), reference == 1)
    _check_same_count(rows, lesions, "lesions")
    _check_candidate_classes(metric, lesions[0] > 0, reference)
    if metric.name in ("lesion_auroc", "fixed_lesion_ap"):
        _check_same_count(rows, rows.counts, "rows")
    negative = np.flatnonzero(numbers["score"] < 0)
    if negative.size and metric.function is None:
        raise InvalidTable(
            f"scores of lesion candidates must be 0 or more (0 or empty: not found), "
            f"row {int(negative[0]) + 1} has {numbers['score'][negative[0]]:g}"
        )
    by_run = [np.flatnonzero(rows.run == run) for run in range(layout.n_runs)]
    return CandidateScores(
        layout,
        row_case=tuple(rows.case[index] for index in by_run),
        row_score=tuple(numbers["score"][index] for index in by_run),
        row_reference=tuple(reference[index] for index in by_run),
    )


def _check_same_count(rows: _Rows, counts: IntArray, noun: str) -> None:
    differs = counts != counts[0]
    if differs.any():
        run, case = (int(i) for i in np.argwhere(differs)[0])
        raise InvalidTable(
            f"the reference of case {rows.cases[case]!r} differs between runs: "
            f"{rows.name_of_run(0)} lists {int(counts[0, case])} {noun}, "
            f"{rows.name_of_run(run)} {int(counts[run, case])}"
        )


def _check_candidate_classes(metric: Metric, case_has_lesion: BoolArray, reference: IntArray) -> None:
    names = {part.name for part in metric.parts} or {metric.name}
    if names & {"case_auroc", "case_ap"}:
        _check_classes(case_has_lesion.astype(np.int64))
    if "lesion_auroc" in names:
        _check_classes(reference[reference != CASE_ONLY])
    if not case_has_lesion.any():
        raise InvalidTable("the reference must hold a lesion, every row has 0")


def _check_classes(reference: IntArray) -> None:
    present = np.unique(reference)
    if present.size == 1:
        raise InvalidTable(f"the reference must hold both classes, every row has {int(present[0])}")
