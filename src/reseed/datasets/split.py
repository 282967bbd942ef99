"""Which cases train and which test: by patient, from a file or by chance."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from reseed.contracts.errors import InvalidDataset, UserError

PARTS = ("training", "test")


def drawn_test_cases(
    patient_by_case: Mapping[str, str], *, fraction: float, rng: np.random.Generator
) -> frozenset[str]:
    """
    Cases of patients drawn until they make up a part of all patients.

    Parameters
    ----------
    patient_by_case
        All cases. Their order does not matter.
    fraction
        Part of the patients to hold out, rounded to whole patients; at least one on either side.
    rng
        The same state draws the same patients from the same names.

    Raises
    ------
    InvalidDataset
        When there are fewer than two patients.
    UserError
        When the fraction is not between 0 and 1.
    """
    if not 0 < fraction < 1:
        raise UserError(f"the part of the patients to test must be between 0 and 1, got {fraction:g}")
    patients = sorted(set(patient_by_case.values()))
    if len(patients) < 2:
        raise InvalidDataset(f"a split needs two or more patients, got {len(patients)}")
    n_test = min(max(round(fraction * len(patients)), 1), len(patients) - 1)
    chosen = {patients[index] for index in rng.permutation(len(patients))[:n_test].tolist()}
    return frozenset(case for case, patient in patient_by_case.items() if patient in chosen)


def listed_test_cases(path: Path, patient_by_case: Mapping[str, str]) -> frozenset[str]:
    """
    The test cases that a CSV file names: columns `part` (training or test) and `case` or `patient`.

    Raises
    ------
    InvalidDataset
        One line per mistake: a part that is neither, a case or patient that is unknown, left out
        or named twice, a patient on both sides, a side without a case.
    """
    column, rows = _rows(path)
    names = set(patient_by_case) if column == "case" else set(patient_by_case.values())
    mistakes, part_of = [], {}
    for line, row in rows:
        name, part = row[column], row["part"]
        if part not in PARTS:
            mistakes.append(f"{path}:{line}: part must be training or test, got {part!r}")
        elif name not in names:
            mistakes.append(f"{path}:{line}: no {column} {name!r} in the source")
        elif name in part_of:
            mistakes.append(f"{path}:{line}: {column} {name!r} is given twice")
        part_of[name] = part
    mistakes += [f"{path}: has no line for {column} {name!r}" for name in sorted(names - part_of.keys())]
    if mistakes:
        raise InvalidDataset("\n".join(mistakes))
    chosen = frozenset(
        case
        for case, patient in patient_by_case.items()
        if part_of[case if column == "case" else patient] == "test"
    )
    refuse_leaks(patient_by_case, chosen, where=str(path))
    return chosen


def refuse_leaks(patient_by_case: Mapping[str, str], test: frozenset[str], *, where: str) -> None:
    """
    Refuse a split that has a patient on both sides, or nothing on one.

    Raises
    ------
    InvalidDataset
        Naming the first such patient, or the empty side.
    """
    sides = {
        part: {p for c, p in patient_by_case.items() if (c in test) is (part == "test")} for part in PARTS
    }
    for part in PARTS:
        if not sides[part]:
            raise InvalidDataset(f"{where}: the split has no {part} case")
    both = sorted(sides["training"] & sides["test"])
    if both:
        raise InvalidDataset(f"{where}: patient {both[0]!r} must be on one side of the split, is on both")


def patients_of(path: Path, cases: set[str]) -> dict[str, str]:
    """
    The patient of every case, from a CSV file with the columns `case` and `patient`.

    Raises
    ------
    InvalidDataset
        One line per mistake: a cell that is empty, a case twice, a case without a patient.
    """
    mistakes: list[str] = []
    found: dict[str, str] = {}
    for line, row in table_rows(path, ("case", "patient")):
        if not row["case"] or not row["patient"]:
            mistakes.append(f"{path}:{line}: case and patient must not be empty")
        elif row["case"] in found:
            mistakes.append(f"{path}:{line}: case {row['case']!r} is given twice")
        found[row["case"]] = row["patient"]
    mistakes += [f"{path}: has no patient for case {case!r}" for case in sorted(cases - found.keys())]
    if mistakes:
        raise InvalidDataset("\n".join(mistakes))
    return {case: found[case] for case in cases}


def patients_text(patient_by_case: Mapping[str, str]) -> str:
    """A table of cases and their patients, sorted."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["case", "patient"])
    writer.writerows(sorted(patient_by_case.items()))
    return stream.getvalue()


def _rows(path: Path) -> tuple[str, list[tuple[int, dict[str, str]]]]:
    rows = table_rows(path, ("part",))
    columns = [name for name in ("case", "patient") if not rows or name in rows[0][1]]
    if len(columns) != 1 or not rows:
        raise InvalidDataset(f"{path}: must have columns part and either case or patient, and a row or more")
    return columns[0], rows


def table_rows(path: Path, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """
    Line number and stripped cells of every row of a CSV file.

    Raises
    ------
    InvalidDataset
        When it cannot be read, or one of the columns is missing.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            header = [name.strip() for name in reader.fieldnames or []]
            missing = [name for name in columns if name not in header]
            if missing:
                raise InvalidDataset(
                    f"{path}:1: column {missing[0]!r} is missing; columns: {', '.join(header)}"
                )
            return [
                (reader.line_num, {str(key).strip(): str(value or "").strip() for key, value in row.items()})
                for row in reader
            ]
    except FileNotFoundError:
        raise InvalidDataset(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidDataset(f"{path}: is not a readable CSV table: {error}") from None
