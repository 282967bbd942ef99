"""CT scans with nodules as a dataset, or as cases, of a task that scores every nodule."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from reseed.contracts.errors import InvalidDataset
from reseed.contracts.evaluation import LesionClassification
from reseed.contracts.sockets import Socket, SocketValue
from reseed.contracts.task import Task
from reseed.datasets.conversion import write_each, write_manifest, write_test_case
from reseed.datasets.images import checked_volume, write_image
from reseed.datasets.nodule_scans import NODULE_COLUMNS, NoduleScan
from reseed.datasets.source_cases import DatasetDescription
from reseed.datasets.split import PARTS, refuse_leaks

Progress = Callable[[str], None]

NODULES = "nodules.csv"


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
    write_manifest(folder, description, tasks=(task.task,), patient_by_case=patient_by_case, test=test)


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
