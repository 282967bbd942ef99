"""Cases with label maps, written as a dataset folder: nnU-Net's layout to train, the platform's to test."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from reseed.contracts.dataset import DATASET_MANIFEST, DatasetManifest
from reseed.contracts.digests import digest_by_file
from reseed.contracts.errors import InvalidDataset
from reseed.contracts.files import write_json_atomically
from reseed.contracts.sockets import Socket, SocketValue
from reseed.contracts.task import Task
from reseed.datasets.images import SourceImage, check_label_grid, checked_volume, simpleitk, write_image
from reseed.datasets.source_cases import (
    DatasetDescription,
    ImageCase,
    LabelValues,
    channel_name,
    checked_sockets,
    image_evaluation,
    known_labels,
    label_names,
)
from reseed.datasets.split import patients_text, refuse_leaks

Progress = Callable[[str], None]

_SAY_EVERY = 50


class NamedCase(Protocol):
    """A case of any kind."""

    @property
    def case(self) -> str:
        """Its name."""


Case = TypeVar("Case", bound=NamedCase)


def write_image_dataset(
    folder: Path,
    cases: Sequence[ImageCase],
    *,
    test: frozenset[str],
    task: Task,
    labels: LabelValues,
    description: DatasetDescription,
    progress: Progress,
) -> None:
    """
    Fill an empty folder with a dataset of a segmentation or detection task.

    training/ is a raw dataset of nnU-Net (dataset.json, imagesTr/CASE_0000.nii.gz,
    labelsTr/CASE.nii.gz) and patients.csv; test/ is as every dataset's. Nothing is resampled. Images
    are copied byte for byte where they are .nii.gz already and no value changes.

    Parameters
    ----------
    folder
        Empty.
    cases
        All of them, read one after the other.
    test
        Names of the cases that test.
    task
        Whose sockets and labels they fill.
    labels
        What values of the label maps become, and their names.
    description
        For the manifest.
    progress
        Told what is going on.

    Raises
    ------
    InvalidDataset
        One line per bad input: an image that cannot be read, another grid, an unknown label.
    """
    patient_by_case = {case.case: case.patient for case in cases}
    refuse_leaks(patient_by_case, test, where=description.dataset)
    sockets = checked_sockets(task, list(cases[0].channels))
    writer = _Writer(folder, task, sockets, labels)
    write_each(cases, lambda case: writer.write(case, is_test=case.case in test), progress)
    writer.write_tables(patient_by_case, test)
    write_manifest(folder, description, task=task.task, patient_by_case=patient_by_case, test=test)


def write_each(cases: Sequence[Case], write: Callable[[Case], None], progress: Progress) -> None:
    """
    Write cases one after the other, also those behind a bad one.

    Raises
    ------
    InvalidDataset
        One line per bad case.
    """
    mistakes: list[str] = []
    for number, case in enumerate(cases, start=1):
        try:
            write(case)
        except InvalidDataset as error:
            mistakes.append(f"case {case.case!r}: {error}")
        if number % _SAY_EVERY == 0:
            progress(f"converted {number} of {len(cases)} cases")
    if mistakes:
        raise InvalidDataset("\n".join(mistakes))


class _Writer:
    """Writes the cases of one dataset, and remembers the labels it has seen."""

    def __init__(self, folder: Path, task: Task, sockets: tuple[Socket, ...], labels: LabelValues) -> None:
        self._training = folder / "training"
        self._test = folder / "test"
        self._task = task
        self._sockets = sockets
        self._labels = labels
        self._known = known_labels(task)
        self._seen: set[int] = set()

    def write(self, case: ImageCase, *, is_test: bool) -> None:
        """Write one case to its side."""
        if case.labels is None:
            raise InvalidDataset("has no label map")
        images = [checked_volume(source) for source in case.channels.values()]
        first = next(iter(case.channels.values()))
        label_map = self._label_map(case.labels)
        check_label_grid(
            images[0],
            label_map,
            where=case.labels.where,
            image_where=first.where,
            tolerance=image_evaluation(self._task).grid,
        )
        if is_test:
            write_test_case(self._test / "cases" / case.case, case.case, self._task, self._sockets, images)
            _write_labels(label_map, case.labels, self._labels, self._reference_path(case.case))
            return
        for channel, (image, source) in enumerate(zip(images, case.channels.values(), strict=True)):
            _write_or_copy(image, source, self._training / "imagesTr" / f"{case.case}_{channel:04d}.nii.gz")
        path = self._training / "labelsTr" / f"{case.case}.nii.gz"
        _write_labels(label_map, case.labels, self._labels, path)

    def write_tables(self, patient_by_case: Mapping[str, str], test: frozenset[str]) -> None:
        """Write what is about all cases: both dataset.json, and who is whose."""
        values = sorted(self._seen - {0})
        if values != list(range(1, len(values) + 1)):
            raise InvalidDataset(
                f"label values must be 1, 2, … without a gap, as nnU-Net needs them; got {values}; "
                "map them with --label OLD=NEW"
            )
        names = label_names(self._task, values, self._labels.names)
        training = {case: who for case, who in patient_by_case.items() if case not in test}
        document = {
            "channel_names": {str(i): channel_name(s.slug) for i, s in enumerate(self._sockets)},
            "labels": names,
            "numTraining": len(training),
            "file_ending": ".nii.gz",
            "sockets": {str(i): s.slug for i, s in enumerate(self._sockets)},
        }
        _write_json(self._training / "dataset.json", document)
        (self._training / "patients.csv").write_text(patients_text(training), encoding="utf-8")
        self._write_reference_tables(
            {case: who for case, who in patient_by_case.items() if case in test}, names
        )

    def _label_map(self, source: SourceImage) -> Any:
        """The label map with its new values, as unsigned bytes or words."""
        image = checked_volume(source)
        voxels = simpleitk().GetArrayFromImage(image)
        old = np.unique(voxels)
        wrong = [value for value in old.tolist() if value < 0 or not float(value).is_integer()]
        if wrong:
            raise InvalidDataset(f"{source.where}: label values must be whole numbers from 0, got {wrong[0]}")
        new = {int(value): self._labels.mapping.get(int(value), int(value)) for value in old.tolist()}
        unknown = [] if self._known is None else sorted(set(new.values()) - self._known)
        if unknown:
            known = ", ".join(map(str, sorted(self._known or ())))
            raise InvalidDataset(
                f"{source.where}: task {self._task.task} does not know label {unknown[0]}; it knows {known}"
            )
        self._seen |= set(new.values())
        if all(key == value for key, value in new.items()) and image.GetPixelIDTypeAsString() in _UNSIGNED:
            return image
        mapped = np.zeros(voxels.shape, dtype=np.uint8 if max(new.values()) < 256 else np.uint16)
        for key, value in new.items():
            mapped[voxels == key] = value
        result = simpleitk().GetImageFromArray(mapped)
        result.CopyInformation(image)
        return result

    def _reference_path(self, case: str) -> Path:
        reference = image_evaluation(self._task).reference
        folder = self._test / "reference" / reference.folder
        return (folder if reference.layout == "files" else folder / reference.split) / f"{case}.nii.gz"

    def _write_reference_tables(self, patients: Mapping[str, str], names: Mapping[str, int]) -> None:
        reference = image_evaluation(self._task).reference
        root = self._test / "reference"
        if reference.patients is not None:
            table = reference.patients
            text = patients_text(patients).replace("case,patient", f"{table.case},{table.patient}", 1)
            (root / table.file).write_text(text, encoding="utf-8")
        else:
            (root / "patients.csv").write_text(patients_text(patients), encoding="utf-8")
        if reference.layout == "files":
            return
        document: dict[str, Any] = {"file_ending": ".nii.gz"}
        is_msd = reference.layout == "msd"
        document["labels"] = {str(v): n for n, v in names.items()} if is_msd else dict(names)
        if reference.split == "labelsTr":
            document["training"] = [{"label": f"./labelsTr/{case}.nii.gz"} for case in sorted(patients)]
        _write_json(root / reference.folder / "dataset.json", document)


def write_test_case(
    folder: Path, case: str, task: Task, sockets: Sequence[Socket], images: Sequence[Any]
) -> None:
    """
    One case as an algorithm meets it under /input: inputs.json and one .mha for each image socket.

    The socket that tells the case has the case's name; `values` of other sockets are the caller's.
    """
    values = []
    for socket, image in zip(sockets, images, strict=True):
        ending = task.match.ending if socket.slug == task.match.socket else ""
        name = f"{case}{ending}.mha"
        write_image(image, folder / socket.relative_path / name)
        values.append(SocketValue.of(socket, image_name=name).model_dump(mode="json"))
    _write_json(folder / "inputs.json", values)


def write_manifest(
    folder: Path,
    description: DatasetDescription,
    *,
    task: str,
    patient_by_case: Mapping[str, str],
    test: frozenset[str],
) -> None:
    """Write LICENSE and CITATION, and last the manifest with the digest of every file."""
    licence = description.licence_text or f"{description.licence}\n"
    (folder / "LICENSE").write_text(licence, encoding="utf-8")
    (folder / "CITATION").write_text(f"{description.citation.rstrip()}\n", encoding="utf-8")
    training = {case: who for case, who in patient_by_case.items() if case not in test}
    manifest = DatasetManifest(
        dataset=description.dataset,
        title=description.title,
        version=description.version,
        tasks=(task,),
        licence=description.licence,
        citation=description.citation,
        source=description.source,
        notes=description.notes,
        n_training_cases=len(training),
        n_training_patients=len(set(training.values())),
        n_test_cases=len(patient_by_case) - len(training),
        n_test_patients=len({who for case, who in patient_by_case.items() if case in test}),
        files=digest_by_file(folder),
    )
    write_json_atomically(folder / DATASET_MANIFEST, manifest)


_UNSIGNED = ("8-bit unsigned integer", "16-bit unsigned integer")


def _write_or_copy(image: Any, source: SourceImage, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if source.file is not None and source.file.name.endswith(".nii.gz"):
        shutil.copyfile(source.file, path)
    else:
        write_image(image, path)


def _write_labels(label_map: Any, source: SourceImage, labels: LabelValues, path: Path) -> None:
    """Copy a label map when none of its values changes, else write it."""
    is_as_it_was = not labels.mapping and label_map.GetPixelIDTypeAsString() in _UNSIGNED
    _write_or_copy(label_map, source if is_as_it_was else SourceImage(source.where, source.read), path)


def _write_json(path: Path, document: Any) -> None:
    # plain writes are enough where nobody can look yet
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{json.dumps(document, indent=1)}\n", encoding="utf-8")
