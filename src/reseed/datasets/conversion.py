"""Cases with label maps, written as a dataset folder: nnU-Net's layout to train, the platform's to test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from reseed.contracts.dataset import DATASET_MANIFEST, DatasetManifest
from reseed.contracts.digests import digest_by_file
from reseed.contracts.errors import InvalidDataset
from reseed.contracts.files import write_json_atomically
from reseed.contracts.sockets import Socket, SocketValue
from reseed.contracts.task import Task
from reseed.datasets.images import check_label_grid, checked_volume, write_image
from reseed.datasets.label_maps import TaskLabelMaps, refuse_mixed_tasks, write_json, write_or_copy
from reseed.datasets.source_cases import (
    DatasetDescription,
    ImageCase,
    LabelValues,
    channel_name,
    checked_sockets,
)
from reseed.datasets.split import patients_text, refuse_leaks

Progress = Callable[[str], None]
TasksLabels = Sequence[tuple[Task, LabelValues]]

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
    further: TasksLabels = (),
) -> None:
    """
    Fill an empty folder with a dataset of a segmentation or detection task, or of several.

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
    further
        Tasks of the same inputs, each with its own values, whose references are written too.

    Raises
    ------
    UserError
        When the tasks cannot share a dataset.
    InvalidDataset
        One line per bad input: an image that cannot be read, another grid, an unknown label.
    """
    patient_by_case = {case.case: case.patient for case in cases}
    refuse_leaks(patient_by_case, test, where=description.dataset)
    sockets = checked_sockets(task, list(cases[0].channels))
    refuse_mixed_tasks([task, *(other for other, _ in further)], list(cases[0].channels))
    writer = _Writer(folder, task, sockets, ((task, labels), *further))
    write_each(cases, lambda case: writer.write(case, is_test=case.case in test), progress)
    writer.write_tables(patient_by_case, test)
    tasks = (task.task, *(other.task for other, _ in further))
    write_manifest(folder, description, tasks=tasks, patient_by_case=patient_by_case, test=test)


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
    """Writes the cases of one dataset."""

    def __init__(self, folder: Path, task: Task, sockets: tuple[Socket, ...], labels: TasksLabels) -> None:
        self._training = folder / "training"
        self._test = folder / "test"
        self._task = task
        self._sockets = sockets
        self._label_maps = [TaskLabelMaps(each, own, self._test / "reference") for each, own in labels]

    def write(self, case: ImageCase, *, is_test: bool) -> None:
        """Write one case to its side; the label maps of the first task train, those of all of them test."""
        if case.labels is None:
            raise InvalidDataset("has no label map")
        images = [checked_volume(source) for source in case.channels.values()]
        first = next(iter(case.channels.values()))
        label_map = checked_volume(case.labels)
        used = self._label_maps if is_test else self._label_maps[:1]
        for label_maps in used:
            check_label_grid(
                images[0],
                label_map,
                where=case.labels.where,
                image_where=first.where,
                tolerance=label_maps.grid,
            )
        if is_test:
            write_test_case(self._test / "cases" / case.case, case.case, self._task, self._sockets, images)
            for label_maps in self._label_maps:
                label_maps.write_reference(case.case, label_map, case.labels)
            return
        for channel, (image, source) in enumerate(zip(images, case.channels.values(), strict=True)):
            write_or_copy(image, source, self._training / "imagesTr" / f"{case.case}_{channel:04d}.nii.gz")
        path = self._training / "labelsTr" / f"{case.case}.nii.gz"
        self._label_maps[0].write(label_map, case.labels, path)

    def write_tables(self, patient_by_case: Mapping[str, str], test: frozenset[str]) -> None:
        """Write what is about all cases: both dataset.json, and who is whose."""
        values = self._label_maps[0].values
        if values != list(range(1, len(values) + 1)):
            raise InvalidDataset(
                f"label values must be 1, 2, … without a gap, as nnU-Net needs them; got {values}; "
                "map them with --label OLD=NEW"
            )
        training = {case: who for case, who in patient_by_case.items() if case not in test}
        document = {
            "channel_names": {str(i): channel_name(s.slug) for i, s in enumerate(self._sockets)},
            "labels": self._label_maps[0].names,
            "numTraining": len(training),
            "file_ending": ".nii.gz",
            "sockets": {str(i): s.slug for i, s in enumerate(self._sockets)},
        }
        write_json(self._training / "dataset.json", document)
        (self._training / "patients.csv").write_text(patients_text(training), encoding="utf-8")
        for label_maps in self._label_maps:
            label_maps.write_tables({case: who for case, who in patient_by_case.items() if case in test})


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
    write_json(folder / "inputs.json", values)


def write_manifest(
    folder: Path,
    description: DatasetDescription,
    *,
    tasks: tuple[str, ...],
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
        tasks=tasks,
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
