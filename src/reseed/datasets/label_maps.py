"""The label maps of a dataset: with the values of a task, where its training and its evaluation look."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reseed.contracts.errors import InvalidDataset, UserError
from reseed.contracts.evaluation import GridTolerance, PatientTable
from reseed.contracts.task import Task
from reseed.datasets.images import SourceImage, simpleitk, write_image
from reseed.datasets.source_cases import (
    LabelValues,
    checked_sockets,
    image_evaluation,
    known_labels,
    label_names,
)
from reseed.datasets.split import patients_text

_UNSIGNED = ("8-bit unsigned integer", "16-bit unsigned integer")


class TaskLabelMaps:
    """Writes the label maps of one task, and remembers the values it has seen."""

    def __init__(self, task: Task, labels: LabelValues, reference: Path) -> None:
        self._task = task
        self._labels = labels
        self._root = reference
        self._reference = image_evaluation(task).reference
        self._known = known_labels(task)
        self._seen: set[int] = set()

    @property
    def grid(self) -> GridTolerance:
        """How far a label map's grid may be from its image's."""
        return image_evaluation(self._task).grid

    @property
    def values(self) -> list[int]:
        """Every value that was written, but 0."""
        return sorted(self._seen - {0})

    @property
    def names(self) -> dict[str, int]:
        """A name for each of them, and the background."""
        return label_names(self._task, self.values, self._labels.names)

    def write_reference(self, case: str, label_map: Any, source: SourceImage) -> None:
        """Write the label map of a test case to the ground truth."""
        folder = self._root / self._reference.folder
        if self._reference.layout != "files":
            folder /= self._reference.split
        self.write(label_map, source, folder / f"{case}.nii.gz")

    def write(self, label_map: Any, source: SourceImage, path: Path) -> None:
        """Write a label map with the task's values; copy it when none of them changes."""
        mapped = self._mapped(label_map, source)
        is_as_it_was = not self._labels.mapping and mapped.GetPixelIDTypeAsString() in _UNSIGNED
        write_or_copy(mapped, source if is_as_it_was else SourceImage(source.where, source.read), path)

    def write_tables(self, patients: Mapping[str, str]) -> None:
        """Write what the evaluation reads beside the label maps: who is whose, and dataset.json."""
        table = patient_table(self._task)
        text = patients_text(patients).replace("case,patient", f"{table.case},{table.patient}", 1)
        (self._root / table.file).write_text(text, encoding="utf-8")
        if self._reference.layout == "files":
            return
        names = self.names
        document: dict[str, Any] = {"file_ending": ".nii.gz"}
        is_msd = self._reference.layout == "msd"
        document["labels"] = {str(v): n for n, v in names.items()} if is_msd else dict(names)
        if self._reference.split == "labelsTr":
            document["training"] = [{"label": f"./labelsTr/{case}.nii.gz"} for case in sorted(patients)]
        write_json(self._root / self._reference.folder / "dataset.json", document)

    def _mapped(self, image: Any, source: SourceImage) -> Any:
        """The label map with its new values, as unsigned bytes or words."""
        voxels = simpleitk().GetArrayFromImage(image)
        old = np.unique(voxels)
        wrong = [value for value in old.tolist() if value < 0 or not float(value).is_integer()]
        if wrong:
            raise InvalidDataset(f"{source.where}: label values must be whole numbers from 0, got {wrong[0]}")
        new = {int(value): self._labels.mapping.get(int(value), int(value)) for value in old.tolist()}
        self._refuse_unknown(new, source.where)
        self._seen |= set(new.values())
        if all(key == value for key, value in new.items()) and image.GetPixelIDTypeAsString() in _UNSIGNED:
            return image
        mapped = np.zeros(voxels.shape, dtype=np.uint8 if max(new.values()) < 256 else np.uint16)
        for key, value in new.items():
            mapped[voxels == key] = value
        result = simpleitk().GetImageFromArray(mapped)
        result.CopyInformation(image)
        return result

    def _refuse_unknown(self, new: Mapping[int, int], where: str) -> None:
        unknown = [] if self._known is None else sorted(set(new.values()) - self._known)
        if unknown:
            known = ", ".join(map(str, sorted(self._known or ())))
            old = min(key for key, value in new.items() if value == unknown[0])
            raise InvalidDataset(
                f"{where}: task {self._task.task} does not know label {unknown[0]}; it knows {known}; "
                f"say what it becomes with --label {self._task.task}:{old}=NEW"
            )


def patient_table(task: Task) -> PatientTable:
    """Where the evaluation of a task looks up patients; a table of ours where it does not."""
    return image_evaluation(task).reference.patients or PatientTable()


def refuse_mixed_tasks(tasks: Sequence[Task], slugs: Sequence[str]) -> None:
    """
    Refuse tasks whose cases, or whose ground truths, cannot lie in one dataset.

    Raises
    ------
    UserError
        When two take other inputs or name cases otherwise, or would write to one place.
    """
    layout = _case_layout(tasks[0], slugs)
    for number, task in enumerate(tasks):
        if _case_layout(task, slugs) != layout:
            raise UserError(f"tasks {tasks[0].task} and {task.task}: the inputs of both must be the same")
        own, table = image_evaluation(task).reference, patient_table(task)
        for other in tasks[:number]:
            both = f"tasks {other.task} and {task.task}"
            if task.task == other.task:
                raise UserError(f"task {task.task} is given twice")
            if image_evaluation(other).reference.folder == own.folder:
                raise UserError(f"{both}: each must have a folder of reference of its own, got {own.folder}")
            if patient_table(other).file == table.file and patient_table(other) != table:
                raise UserError(f"{both}: {table.file} must have the same columns for both")


def _case_layout(task: Task, slugs: Sequence[str]) -> object:
    """All that decides what a test case looks like under /input."""
    places = [(each.slug, each.kind, each.relative_path) for each in checked_sockets(task, slugs)]
    return places, task.match.socket, task.match.ending


def write_or_copy(image: Any, source: SourceImage, path: Path) -> None:
    """Write an image; copy the file that it is from byte for byte where that is .nii.gz already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if source.file is not None and source.file.name.endswith(".nii.gz"):
        shutil.copyfile(source.file, path)
    else:
        write_image(image, path)


def write_json(path: Path, document: Any) -> None:
    """Write JSON where nobody can look yet, so that plain writes are enough."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{json.dumps(document, indent=1)}\n", encoding="utf-8")
