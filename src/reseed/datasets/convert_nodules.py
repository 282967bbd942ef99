"""CT scans with nodules and what is known of each, as a dataset of a task that scores every nodule."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reseed.contracts.errors import InvalidDataset
from reseed.contracts.evaluation import LesionClassification
from reseed.contracts.sockets import Socket, SocketValue
from reseed.contracts.task import Task
from reseed.datasets.conversion import write_each, write_manifest, write_test_case
from reseed.datasets.convert_npz import Arrays, read_arrays
from reseed.datasets.images import (
    SourceImage,
    array_image,
    checked_volume,
    image_file,
    images_of,
    write_image,
)
from reseed.datasets.source_cases import DatasetDescription, case_name
from reseed.datasets.split import PARTS, refuse_leaks, table_rows

Progress = Callable[[str], None]
Point = tuple[float, float, float]

NODULES = "nodules.csv"
NODULE_COLUMNS = ("case", "patient", "nodule", "x_mm", "y_mm", "z_mm", "label")
INDETERMINATE = 3
"""The middle of the readers' scale of malignancy from 1 to 5."""


@dataclass(frozen=True)
class Nodule:
    """One nodule: where its centre is in the scan's own coordinates, and whether it is malignant."""

    name: str
    point_xyz_mm: Point
    label: int


@dataclass(frozen=True)
class NoduleScan:
    """One CT with its nodules."""

    case: str
    patient: str
    image: SourceImage
    nodules: tuple[Nodule, ...]


def npz_scans(
    path: Path,
    *,
    spacing_xyz_mm: Point,
    hounsfield: tuple[float, float],
    skip: Collection[str] = (),
) -> tuple[NoduleScan, ...]:
    """
    Nodules cut out of CT, each a scan of its own with the nodule in its centre.

    Arrays `image` (case, z, y, x) or (case, y, x) of bytes, `case`, and `label` (0, 1) or `malignancy`
    (1 to 5: above 3 is malignant, 3 is left out); `patient` where it is known.

    Parameters
    ----------
    path
        The .npz file.
    spacing_xyz_mm, hounsfield
        Nominal, since the file does not say: the distance of voxels, and what 0 and 255 stand for.
    skip
        Names of cases to leave out.

    Raises
    ------
    InvalidDataset
        As `read_arrays`; when image is not of bytes, neither label nor malignancy is there, or a value of
        theirs is none of the scale.
    """
    arrays = read_arrays(path, ("image", "case"))
    images, labels = arrays["image"], _labels(arrays, path)
    if images.dtype != np.uint8 or images.ndim not in {3, 4}:
        raise InvalidDataset(
            f"{path}: image must be bytes of shape (case, z, y, x) or (case, y, x), "
            f"got {images.dtype} of shape {images.shape}"
        )
    low, high = hounsfield
    patients = arrays.get("patient", arrays["case"])
    scans = []
    for name, patient, cube, label in zip(map(str, arrays["case"]), patients, images, labels, strict=True):
        if label is None or name in skip:
            continue
        sizes = (1, *cube.shape)[-3:]
        voxels = np.round(low + cube.astype(np.float32) / 255 * (high - low)).astype(np.int16)
        x, y, z = ((size - 1) / 2 * step for size, step in zip(reversed(sizes), spacing_xyz_mm, strict=True))
        scans.append(
            NoduleScan(
                case_name(name),
                str(patient),
                array_image(f"{path}: image of {name}", voxels, spacing_xyz_mm),
                (Nodule("1", (x, y, z), label),),
            )
        )
    return tuple(scans)


def _labels(arrays: Arrays, path: Path) -> list[int | None]:
    """0 or 1 for each case; None in the middle of the scale of malignancy."""
    name = "malignancy" if "malignancy" in arrays else "label"
    values = arrays.get(name)
    if values is None or values.ndim != 1 or values.dtype.kind not in "biuf":
        raise InvalidDataset(
            f"{path}: must have an array malignancy (1 to 5) or label (0, 1) with one per case"
        )
    is_scale = name == "malignancy"
    allowed = (values >= 1) & (values <= 5) if is_scale else (values == 0) | (values == 1)
    if not allowed.all():
        words = "from 1 to 5" if is_scale else "0 or 1"
        raise InvalidDataset(f"{path}: {name} must be {words}, got {values[~allowed][0]:g}")
    if not is_scale:
        return [int(value) for value in values]
    return [None if value == INDETERMINATE else int(value > INDETERMINATE) for value in values]


def table_scans(folder: Path, table: Path, *, skip: Collection[str] = ()) -> tuple[NoduleScan, ...]:
    """
    CT scans of a folder and their nodules in a table.

    Parameters
    ----------
    folder
        One image a scan, named after its case.
    table
        CSV with the columns case, patient, nodule, x_mm, y_mm, z_mm (in the image's own coordinates) and
        label (0, 1).
    skip
        Names of cases to leave out.

    Raises
    ------
    InvalidDataset
        One line per mistake in the table, or scan that is not there.
    """
    images = images_of(folder)
    mistakes: list[str] = []
    nodules: dict[str, list[Nodule]] = {}
    patients: dict[str, str] = {}
    for line, row in table_rows(table, NODULE_COLUMNS):
        case = row["case"]
        try:
            x, y, z = (float(row[f"{axis}_mm"]) for axis in "xyz")
        except ValueError:
            x = y = z = math.nan
        if not math.isfinite(x + y + z):
            mistakes.append(f"{table}:{line}: x_mm, y_mm and z_mm must be finite numbers")
        elif row["label"] not in {"0", "1"}:
            mistakes.append(f"{table}:{line}: label must be 0 or 1, got {row['label']!r}")
        elif not row["patient"] or not row["nodule"]:
            mistakes.append(f"{table}:{line}: patient and nodule must not be empty")
        elif patients.setdefault(case, row["patient"]) != row["patient"]:
            mistakes.append(f"{table}:{line}: case {case!r} has two patients")
        elif any(known.name == row["nodule"] for known in nodules.get(case, ())):
            mistakes.append(f"{table}:{line}: nodule {row['nodule']!r} of case {case!r} is given twice")
        elif case not in skip:
            nodules.setdefault(case, []).append(Nodule(row["nodule"], (x, y, z), int(row["label"])))
    mistakes += [f"{folder}: has no image of case {case!r}" for case in nodules if case not in images]
    if mistakes:
        raise InvalidDataset("\n".join(mistakes))
    return tuple(
        NoduleScan(case, patients[case], image_file(images[case]), tuple(nodules[case])) for case in nodules
    )


def write_nodule_dataset(
    folder: Path,
    scans: Sequence[NoduleScan],
    *,
    test: frozenset[str],
    task: Task,
    description: DatasetDescription,
    progress: Progress,
) -> None:
    """
    Fill an empty folder with a dataset of a task that scores nodules.

    training/ holds images/CASE.mha and nodules.csv; test cases have the scan and the list of points.

    Raises
    ------
    InvalidDataset
        One line per bad input: a scan that cannot be read, a nodule that is not inside it.
    """
    patient_by_case = {scan.case: scan.patient for scan in scans}
    refuse_leaks(patient_by_case, test, where=description.dataset)
    _sockets(task)  # a task without them is no mistake of every scan

    def write(scan: NoduleScan) -> None:
        if scan.case in test:
            write_scan_case(folder / "test" / "cases" / scan.case, scan, task)
        else:
            write_image(_checked_scan(scan), folder / "training" / "images" / f"{scan.case}.mha")

    write_each(scans, write, progress)
    _refuse_one_class(scans, test)
    _write_tables(folder, scans, test, task)
    write_manifest(folder, description, task=task.task, patient_by_case=patient_by_case, test=test)


def write_scan_case(folder: Path, scan: NoduleScan, task: Task) -> None:
    """
    One scan as an algorithm meets it under /input: the image and the list of points.

    Raises
    ------
    InvalidDataset
        When the scan cannot be read or a nodule is not inside it.
    """
    image_socket, points_socket = _sockets(task)
    write_test_case(folder, scan.case, task, (image_socket,), (_checked_scan(scan),))
    document = points_document(scan)
    (folder / points_socket.relative_path).write_text(f"{json.dumps(document, indent=1)}\n", encoding="utf-8")
    path = folder / "inputs.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    values.append(SocketValue.of(points_socket, value=document).model_dump(mode="json"))
    path.write_text(f"{json.dumps(values, indent=1)}\n", encoding="utf-8")


def points_document(scan: NoduleScan) -> dict[str, object]:
    """The nodules as the platform's annotation of kind Multiple points, in millimetres."""
    points = [{"name": nodule.name, "point": list(nodule.point_xyz_mm)} for nodule in scan.nodules]
    return {
        "name": "Nodule locations",
        "type": "Multiple points",
        "points": points,
        "version": {"major": 1, "minor": 0},
    }


def _sockets(task: Task) -> tuple[Socket, Socket]:
    images = [socket for socket in task.inputs if socket.super_kind == "Image"]
    points = [socket for socket in task.inputs if socket.super_kind == "Value"]
    if not isinstance(task.evaluation, LesionClassification) or (len(images), len(points)) != (1, 1):
        raise InvalidDataset(
            f"task {task.task} must take one image and one list of points and score every lesion"
        )
    return images[0], points[0]


def _refuse_one_class(scans: Sequence[NoduleScan], test: frozenset[str]) -> None:
    for part in PARTS:
        chosen = [scan for scan in scans if (scan.case in test) is (part == "test")]
        n_malignant = sum(any(nodule.label for nodule in scan.nodules) for scan in chosen)
        if n_malignant in {0, len(chosen)}:
            raise InvalidDataset(
                f"the {part} part must have scans with a malignant nodule and scans without, got "
                f"{n_malignant} and {len(chosen) - n_malignant}"
            )


def _checked_scan(scan: NoduleScan) -> Any:
    """The volume of a scan, which every nodule lies in."""
    image = checked_volume(scan.image)
    for nodule in scan.nodules:
        index = image.TransformPhysicalPointToContinuousIndex(nodule.point_xyz_mm)
        if any(not -0.5 <= at <= n - 0.5 for at, n in zip(index, image.GetSize(), strict=True)):
            raise InvalidDataset(
                f"nodule {nodule.name!r} must lie inside the scan, is at "
                f"{', '.join(f'{value:g}' for value in nodule.point_xyz_mm)} mm"
            )
    return image


def _write_tables(folder: Path, scans: Sequence[NoduleScan], test: frozenset[str], task: Task) -> None:
    ordered = sorted(scans, key=lambda scan: scan.case)
    training = [
        (scan.case, scan.patient, nodule.name, *map(repr, nodule.point_xyz_mm), nodule.label)
        for scan in ordered
        if scan.case not in test
        for nodule in scan.nodules
    ]
    _write_table(folder / "training" / NODULES, NODULE_COLUMNS, training)
    if not isinstance(task.evaluation, LesionClassification):
        raise TypeError(task.evaluation.kind)
    table = task.evaluation.reference
    rows: list[Mapping[str, object]] = [
        {table.case: scan.case, table.lesion: nodule.name, table.label: nodule.label}
        | ({} if table.patient is None else {table.patient: scan.patient})
        for scan in ordered
        if scan.case in test
        for nodule in scan.nodules
    ]
    _write_table(
        folder / "test" / "reference" / table.file, tuple(rows[0]), [tuple(row.values()) for row in rows]
    )


def _write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(stream.getvalue(), encoding="utf-8")
