"""The reference standard as a table: one row per case, in a CSV file of the ground truth folder."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reseed.contracts.errors import InvalidDocument, UserError
from reseed.contracts.task import ReferenceTable

LABELS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}
"""How a table may write the two labels; spreadsheets like to add the decimal."""


@dataclass(frozen=True)
class ReferenceCase:
    """One case of the reference standard."""

    case_id: str
    label: int
    patient: str | None = None


def reference_cases(ground_truth: Path, table: ReferenceTable) -> tuple[ReferenceCase, ...]:
    """
    The cases of a reference table, sorted by case id.

    Raises
    ------
    UserError
        When the file is missing or cannot be read.
    InvalidDocument
        One line per mistake: file:line, the case, the rule, what arrived. A column that is not
        there, an empty cell, a label that is neither 0 nor 1, a case given twice, no case at all,
        or one class only.
    """
    path = ground_truth / table.file
    cases: dict[str, ReferenceCase] = {}
    first_line: dict[str, int] = {}
    mistakes = []
    for line, row in table_rows(path, (table.case, table.label, table.patient)):
        case = row[table.case]
        label = LABELS.get(row[table.label])
        patient = None if table.patient is None else row[table.patient]
        if not case:
            mistakes.append(f"{path}:{line}: {table.case}: required, and empty")
        elif case in cases:
            mistakes.append(f"{path}:{line}: case {case!r} is given twice, first in line {first_line[case]}")
        elif label is None:
            mistakes.append(
                f"{path}:{line}: case {case!r}: {table.label} must be 0 or 1, got {row[table.label]!r}"
            )
        elif patient == "":
            mistakes.append(f"{path}:{line}: case {case!r}: {table.patient} is empty")
        else:
            cases[case] = ReferenceCase(case_id=case, label=label, patient=patient)
            first_line[case] = line
    if mistakes:
        raise InvalidDocument(*mistakes)
    _refuse_one_class(path, list(cases.values()))
    return tuple(cases[case] for case in sorted(cases))


def _refuse_one_class(path: Path, cases: list[ReferenceCase]) -> None:
    if not cases:
        raise InvalidDocument(f"{path}: has no case")
    labels = {case.label for case in cases}
    if len(labels) == 1:
        raise InvalidDocument(
            f"{path}: all {len(cases)} cases have label {labels.pop()}; both 0 and 1 must be there"
        )


def table_rows(path: Path, columns: Sequence[str | None]) -> Iterator[tuple[int, dict[str, str]]]:
    """
    Line number and stripped cells of every row of a CSV file that is not blank.

    Parameters
    ----------
    path
        The file.
    columns
        Those that must be there, once; None is none.

    Raises
    ------
    UserError
        When the file is missing or cannot be read.
    InvalidDocument
        When it is no table, or a column is missing.
    """
    try:
        # utf-8-sig: spreadsheets put a byte order mark in front
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = [name.strip() for name in next(reader, [])]
            _check_header(path, header, columns)
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                if len(cells) != len(header):
                    raise InvalidDocument(
                        f"{path}:{reader.line_num}: has {len(cells)} cells, the header has {len(header)}"
                    )
                yield reader.line_num, dict(zip(header, (cell.strip() for cell in cells), strict=True))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; it is the reference standard of the task") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        reason = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
        raise InvalidDocument(f"{path}: not a CSV table: {reason}") from None


def _check_header(path: Path, header: list[str], columns: Sequence[str | None]) -> None:
    found = ", ".join(header) or "none"
    for name in columns:
        if name is not None and header.count(name) != 1:
            problem = "is missing" if name not in header else "is given twice"
            raise InvalidDocument(f"{path}:1: column {name!r} {problem}; columns: {found}")
