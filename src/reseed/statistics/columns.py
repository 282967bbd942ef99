"""The columns of a score table, one by one: what each may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from reseed.contracts.errors import InvalidTable
from reseed.statistics.metric import Metric, TableKind

if TYPE_CHECKING:
    from reseed.statistics.scores import FloatArray, IntArray

REQUIRED_COLUMNS = ("method", "run", "case", "score")
OPTIONAL_COLUMNS = ("reference", "patient", "weight")


def check_columns(table: pd.DataFrame, metric: Metric) -> None:
    """Refuse columns that are missing, unknown or named twice, and a table without rows."""
    columns = [str(name) for name in table.columns]
    missing = [name for name in REQUIRED_COLUMNS if name not in columns]
    if missing:
        raise InvalidTable(
            f"score table lacks column {missing[0]!r}; it has {', '.join(columns) or 'no columns'}"
        )
    known = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)
    unknown = [name for name in columns if name not in known]
    if unknown:
        raise InvalidTable(f"score table has unknown column {unknown[0]!r}; allowed: {', '.join(known)}")
    if len(set(columns)) != len(columns):
        raise InvalidTable("score table names a column twice")
    if metric.kind in (TableKind.CASES, TableKind.CANDIDATES) and "reference" not in columns:
        raise InvalidTable(
            f"metric {metric.name!r} needs column 'reference'; the table has {', '.join(columns)}"
        )
    if table.empty:
        raise InvalidTable("score table must have rows, got none")


def label_codes(table: pd.DataFrame, name: str) -> tuple[IntArray, list[str]]:
    """A column of labels as codes and names; 1, "1" and " 1" are one label."""
    codes, uniques = pd.factorize(table[name])
    names = [str(label).strip() for label in uniques]
    if (codes < 0).any() or "" in names:
        blank = [i for i, label in enumerate(names) if not label]
        row = int(np.flatnonzero((codes < 0) | np.isin(codes, blank))[0])
        raise InvalidTable(f"column {name!r} must not be empty, row {row + 1} is")
    if len(set(names)) != len(names):  # 1 and "1", or "a" and "a ": the same label
        merged = {label: i for i, label in enumerate(dict.fromkeys(names))}
        codes = np.array([merged[label] for label in names])[codes]
        names = list(merged)
    return codes.astype(np.int64), names


def number_column(table: pd.DataFrame, name: str) -> FloatArray:
    """A column as floats, NaN where it is empty."""
    numbers = pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = (
        np.isnan(numbers)
        & table[name].notna().to_numpy()
        & (table[name].astype(str).str.strip() != "").to_numpy()
    )
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InvalidTable(f"column {name!r} must hold numbers, row {row + 1} has {table[name].iloc[row]!r}")
    if name == "weight" and not (np.isfinite(numbers) & (numbers >= 0)).all():
        row = int(np.flatnonzero(~(np.isfinite(numbers) & (numbers >= 0)))[0])
        raise InvalidTable(
            f"column 'weight' must be finite and not negative, row {row + 1} has {_shown(numbers[row])}"
        )
    return np.asarray(numbers, dtype=np.float64)


def check_reference(numbers: dict[str, FloatArray], kind: TableKind) -> None:
    """Refuse a reference other than 0 or 1; a lesion candidate may have none."""
    if "reference" not in numbers or kind is TableKind.VALUES:
        return
    reference = numbers["reference"]
    wrong = ~np.isin(reference, (0, 1))
    if kind is TableKind.CANDIDATES:
        wrong &= ~np.isnan(reference)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InvalidTable(f"column 'reference' must be 0 or 1, row {row + 1} has {_shown(reference[row])}")


def _shown(number: float) -> str:
    return "nothing" if np.isnan(number) else f"{number:g}"


def check_scores(table: pd.DataFrame, score: FloatArray, kind: TableKind) -> None:
    """Refuse scores that are not finite, and for cases also empty ones."""
    wrong = ~np.isfinite(score) if kind is TableKind.CASES else np.isinf(score)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        place = ", ".join(f"{name} {table[name].iloc[row]!r}" for name in ("method", "run", "case"))
        hint = (
            "; for lesion candidates use 'lesion_ap', 'case_auroc' or 'picai_score'"
            if np.isnan(score[row]) and kind is TableKind.CASES
            else ""
        )
        raise InvalidTable(f"every score must be a finite number, {place} has {_shown(score[row])}{hint}")
