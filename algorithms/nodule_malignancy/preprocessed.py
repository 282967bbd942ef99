"""The folder between `preprocess` and `train`: patches, and a table of what they are."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from algorithms.common.arrays import ArrayFile, array_file_bytes, read_array_file
from algorithms.nodule_malignancy.scans import Cube, Point, cube_side
from reseed.contracts.digests import file_digest
from reseed.contracts.errors import UserError
from reseed.contracts.files import write_bytes_atomically, write_text_atomically

PATCHES = "patches.npz"
CUBES = "cubes.npy"
CASES = "cases.csv"
NODULES = "nodules.csv"
_COLUMNS = ("case", "patient", "label")
_NODULE_COLUMNS = (*_COLUMNS, "nodule", "x_mm", "y_mm", "z_mm")


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
        raise UserError(f"{path}: no such file; the training channel needs a {path.name} or {NODULES}")
    return _labelled_cases(path, is_sorted=True)


def _labelled_cases(path: Path, *, is_sorted: bool) -> tuple[LabelledCase, ...]:
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
    ordered = sorted(rows) if is_sorted else rows
    return tuple(LabelledCase(case, patient, int(label)) for case, patient, label in ordered)


@dataclass(frozen=True)
class LabelledNodule:
    """One row of a table of nodules in scans."""

    case: str
    patient: str
    nodule: str
    point_xyz_mm: Point
    label: int


@dataclass(frozen=True, eq=False)
class PreprocessedNodules:
    """
    All nodules: cubes of shape (nodule, z, y, x) in a file mapped into memory, and their rows.

    A row's case is `case/nodule`.
    """

    cubes: Cube
    cases: tuple[LabelledCase, ...]


def read_labelled_nodules(path: Path) -> tuple[LabelledNodule, ...]:
    """
    A table of nodules, by case and in its order within a case; further columns are not read.

    Raises
    ------
    UserError
        When a column is missing, a label is not 0 or 1, a coordinate is no number, a nodule is named twice,
        or a case has two patients.
    """
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        missing = [column for column in _NODULE_COLUMNS if column not in (reader.fieldnames or [])]
        if missing:
            raise UserError(
                f"{path}: must have columns {', '.join(_NODULE_COLUMNS)}; missing {', '.join(missing)}"
            )
        nodules = [_nodule(path, row) for row in reader]
    patient_of: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    for row in nodules:
        if patient_of.setdefault(row.case, row.patient) != row.patient:
            raise UserError(f"{path}: case {row.case!r} has two patients")
        if (row.case, row.nodule) in seen:
            raise UserError(f"{path}: nodule {row.nodule!r} of case {row.case!r} is given twice")
        seen.add((row.case, row.nodule))
    if not nodules:
        raise UserError(f"{path}: has no nodule")
    return tuple(sorted(nodules, key=lambda row: row.case))


def _nodule(path: Path, row: dict[str, str]) -> LabelledNodule:
    name = f"{path}: nodule {row['nodule']!r} of case {row['case']!r}"
    if row["label"] not in {"0", "1"}:
        raise UserError(f"{name}: label must be 0 or 1, got {row['label']!r}")
    try:
        x, y, z = (float(row[f"{axis}_mm"]) for axis in "xyz")
    except ValueError:
        x = y = z = math.nan
    if not math.isfinite(x + y + z):
        raise UserError(f"{name}: x_mm, y_mm and z_mm must be finite numbers")
    return LabelledNodule(row["case"], row["patient"], row["nodule"], (x, y, z), int(row["label"]))


def write_preprocessed_nodules(
    folder: Path, nodules: tuple[LabelledNodule, ...], cubes: Iterable[Cube], *, patch_voxels: int
) -> None:
    """Write the folder, one cube after the other; the same contents are the same bytes."""
    side = cube_side(patch_voxels)
    folder.mkdir(parents=True, exist_ok=True)
    stored = np.lib.format.open_memmap(
        folder / CUBES, mode="w+", dtype=np.int16, shape=(len(nodules), side, side, side)
    )
    for index, cube in enumerate(cubes):
        stored[index] = cube
    stored.flush()
    rows = tuple(LabelledCase(f"{row.case}/{row.nodule}", row.patient, row.label) for row in nodules)
    write_text_atomically(folder / CASES, _table_text(rows))


def read_preprocessed_nodules(folder: Path, *, patch_voxels: int) -> PreprocessedNodules:
    """
    Open the folder.

    Raises
    ------
    UserError
        When it holds outlines instead, nothing, or cubes of another size.
    """
    path = folder / CUBES
    if not path.is_file():
        holds = "outlines" if (folder / PATCHES).is_file() else "nothing"
        raise UserError(
            f"{path}: no such file; this network looks at CT, and channel `preprocessed` holds {holds}"
        )
    cubes = np.load(path, mmap_mode="r", allow_pickle=False)
    side = cube_side(patch_voxels)
    if cubes.shape[1:] != (side, side, side):
        raise UserError(
            f"{path}: patch_voxels {patch_voxels} needs cubes of side {side}, got side {cubes.shape[1]}"
        )
    cases = _labelled_cases(folder / CASES, is_sorted=False)
    if len(cases) != len(cubes):
        raise UserError(f"{folder}: must have a cube for each of the {len(cases)} nodules, got {len(cubes)}")
    return PreprocessedNodules(cubes, cases)


def write_preprocessed(folder: Path, content: Preprocessed) -> None:
    """Write the folder; the same contents are the same bytes."""
    arrays = ArrayFile({"patches": content.patches}, {"dimension": content.dimension})
    write_bytes_atomically(folder / PATCHES, array_file_bytes(arrays))
    write_text_atomically(folder / CASES, _table_text(content.cases))


def _table_text(cases: tuple[LabelledCase, ...]) -> str:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows((row.case, row.patient, row.label) for row in cases)
    return table.getvalue()


def read_preprocessed(folder: Path, *, dimension: int) -> Preprocessed:
    """
    Read the folder.

    Raises
    ------
    UserError
        When it is not there, or was made for another dimension.
    """
    path = folder / PATCHES
    if (folder / CUBES).is_file():
        raise UserError(f"{folder}: holds CT; this network looks at outlines, choose another with `network`")
    if not path.is_file():
        raise UserError(f"{path}: no such file; channel `preprocessed` must hold the output of preprocess")
    content = read_array_file(path)
    made_for = int(content.document["dimension"])
    if made_for != dimension:
        raise UserError(f"{path}: was preprocessed for dimension {made_for}, and the setting is {dimension}")
    return Preprocessed(content.arrays["patches"], read_labelled_cases(folder / CASES), made_for)


def preprocessed_digest(folder: Path) -> dict[str, str]:
    """SHA-256 of the files that are there, by name."""
    names = (CASES, CUBES, PATCHES)
    return {name: file_digest(folder / name) for name in names if (folder / name).is_file()}
