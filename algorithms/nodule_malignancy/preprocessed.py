"""The folder between `preprocess` and `train`: patches, and a table of what they are."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from algorithms.common.arrays import ArrayFile, array_file_bytes, read_array_file
from reseed.contracts.digests import file_digest
from reseed.contracts.errors import UserError
from reseed.contracts.files import write_bytes_atomically, write_text_atomically

PATCHES = "patches.npz"
CASES = "cases.csv"
_COLUMNS = ("case", "patient", "label")


@dataclass(frozen=True)
class LabelledCase:
    """One row of a reference table."""

    case: str
    patient: str
    label: int


@dataclass(frozen=True, eq=False)
class Preprocessed:
    """All training cases: patches of shape (case, *PATCH_SHAPES[dimension]), and their rows."""

    patches: npt.NDArray[np.float32]
    cases: tuple[LabelledCase, ...]
    dimension: int


def read_labelled_cases(path: Path) -> tuple[LabelledCase, ...]:
    """
    A reference table, by case; further columns are not read.

    Raises
    ------
    UserError
        When it is missing, lacks a column, names a case twice or has a label other than 0 and 1.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; the training channel needs a {path.name}")
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        missing = [column for column in _COLUMNS if column not in (reader.fieldnames or [])]
        if missing:
            raise UserError(f"{path}: must have columns {', '.join(_COLUMNS)}; missing {', '.join(missing)}")
        rows = [(row["case"], row["patient"], row["label"]) for row in reader]
    for case, _, label in rows:
        if label not in {"0", "1"}:
            raise UserError(f"{path}: case {case!r}: label must be 0 or 1, got {label!r}")
    names = [case for case, _, _ in rows]
    if len(set(names)) != len(names):
        raise UserError(f"{path}: case {next(n for n in names if names.count(n) > 1)!r} is given twice")
    return tuple(LabelledCase(case, patient, int(label)) for case, patient, label in sorted(rows))


def write_preprocessed(folder: Path, content: Preprocessed) -> None:
    """Write the folder; the same contents are the same bytes."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows((row.case, row.patient, row.label) for row in content.cases)
    arrays = ArrayFile({"patches": content.patches}, {"dimension": content.dimension})
    write_bytes_atomically(folder / PATCHES, array_file_bytes(arrays))
    write_text_atomically(folder / CASES, table.getvalue())


def read_preprocessed(folder: Path, *, dimension: int) -> Preprocessed:
    """
    Read the folder.

    Raises
    ------
    UserError
        When it is not there, or was made for another dimension.
    """
    path = folder / PATCHES
    if not path.is_file():
        raise UserError(f"{path}: no such file; channel `preprocessed` must hold the output of preprocess")
    content = read_array_file(path)
    made_for = int(content.document["dimension"])
    if made_for != dimension:
        raise UserError(f"{path}: was preprocessed for dimension {made_for}, and the setting is {dimension}")
    return Preprocessed(content.arrays["patches"], read_labelled_cases(folder / CASES), made_for)


def preprocessed_digest(folder: Path) -> dict[str, str]:
    """SHA-256 of both files, by name."""
    return {name: file_digest(folder / name) for name in (CASES, PATCHES)}
