"""The folder between `preprocess` and `train`: nnU-Net's own datasets, and a table of the cases."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from algorithms.common.folds import is_held_out
from algorithms.common.member import Member
from reseed.contracts.digests import digest_by_file, file_digest
from reseed.contracts.errors import UserError
from reseed.contracts.files import write_json_atomically, write_text_atomically
from reseed.contracts.manifest import SettingValue

CASES = "cases.csv"
FILES = "files.json"
PREPARATION = "preparation.json"
"""Settings that inference must share with preprocess; they travel with the model."""
_COLUMNS = ("case", "patient", "label")


@dataclass(frozen=True)
class PreparedCase:
    """One row of the table: `label` is 1 for a case that the folds should spread evenly, else 0."""

    case: str
    patient: str
    label: int


def write_tables(
    folder: Path, cases: Sequence[PreparedCase], preparation: Mapping[str, SettingValue]
) -> None:
    """Write the table of cases, how they were prepared and, last, the digest of every file."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows((row.case, row.patient, row.label) for row in cases)
    write_text_atomically(folder / CASES, table.getvalue())
    write_json_atomically(folder / PREPARATION, dict(preparation))
    write_json_atomically(folder / FILES, digest_by_file(folder, skip=[FILES]))


def read_cases(folder: Path) -> tuple[PreparedCase, ...]:
    """
    The table of cases.

    Raises
    ------
    UserError
        When the folder is not what `preprocess` makes.
    """
    path = folder / CASES
    if not path.is_file() or not (folder / FILES).is_file():
        raise UserError(f"{path}: no such file; channel `preprocessed` must hold the output of preprocess")
    with path.open(encoding="utf-8", newline="") as stream:
        return tuple(
            PreparedCase(row["case"], row["patient"], int(row["label"])) for row in csv.DictReader(stream)
        )


def read_preparation(folder: Path) -> dict[str, SettingValue]:
    """How the cases were prepared, from the preprocessed folder or from a member's model."""
    preparation: dict[str, SettingValue] = json.loads((folder / PREPARATION).read_text(encoding="utf-8"))
    return preparation


def file_digests(folder: Path) -> dict[str, str]:
    """
    SHA-256 of the folder's tables and plans; that of FILES stands for the arrays, which are many.

    Raises
    ------
    UserError
        When one of them is not what `preprocess` wrote.
    """
    recorded: dict[str, str] = json.loads((folder / FILES).read_text(encoding="utf-8"))
    small = {name: sha256 for name, sha256 in recorded.items() if name.endswith((".json", ".csv"))}
    for name, sha256 in small.items():
        if file_digest(folder / name) != sha256:
            raise UserError(f"{folder / name}: has changed since preprocess wrote it")
    return {**small, FILES: file_digest(folder / FILES)}


def split_cases(
    cases: Sequence[PreparedCase], member: Member, *, seed: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """
    Names of the cases that a member trains on, and of those it holds out.

    Parameters
    ----------
    cases
        All of them.
    member
        Of the ensemble.
    seed
        Of the stream `split`.
    """
    held_out = is_held_out(
        member,
        [row.patient for row in cases],
        [row.label for row in cases],
        rng=np.random.default_rng(seed),
    )
    sides: tuple[list[str], list[str]] = ([], [])
    for row, is_out in zip(cases, held_out.tolist(), strict=True):
        sides[int(is_out)].append(row.case)
    return tuple(sides[0]), tuple(sides[1])
