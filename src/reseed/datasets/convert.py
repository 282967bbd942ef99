"""`reseed data convert`: from what a person has, and says about it, to a dataset folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from reseed.contracts.dataset import DatasetManifest
from reseed.contracts.digests import file_digest
from reseed.contracts.errors import InvalidDataset, UserError
from reseed.contracts.evaluation import LesionClassification
from reseed.contracts.task import Task
from reseed.datasets.conversion import write_each, write_image_dataset, write_test_case
from reseed.datasets.conversion_request import ConversionRequest
from reseed.datasets.convert_dicom import dicom_cases
from reseed.datasets.convert_folder import is_image_folder, read_folder
from reseed.datasets.convert_nodules import write_nodule_dataset, write_scan_case
from reseed.datasets.convert_npz import npz_cases
from reseed.datasets.folder import publish_dataset, read_dataset
from reseed.datasets.images import checked_volume
from reseed.datasets.label_maps import refuse_mixed_tasks
from reseed.datasets.nodule_scans import NoduleScan, npz_scans, table_scans
from reseed.datasets.source_cases import (
    DatasetDescription,
    ImageCase,
    LabelValues,
    check_names,
    checked_sockets,
)
from reseed.datasets.split import drawn_test_cases, listed_test_cases, patients_of, refuse_leaks
from reseed.datasets.structures import names_after, refuse_other_structures

__all__ = ["ConversionRequest", "convert_cases", "convert_dataset"]

Progress = Callable[[str], None]


@dataclass(frozen=True)
class _Content:
    """The cases of a source, and what came to light while they were found."""

    cases: tuple[ImageCase | NoduleScan, ...]
    label_names: Mapping[int, str] = field(default_factory=dict)
    own_test: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def convert_dataset(asked: ConversionRequest, progress: Progress) -> DatasetManifest:
    """
    Make a dataset folder, whole or not at all.

    Raises
    ------
    UserError
        When what is asked for does not fit the source, or something is at the place already.
    InvalidDataset
        One line per bad input.
    """
    _refuse_taken(asked.out)
    asked.refuse_unasked_tasks()
    content = _with_patients(_checked_content(asked), asked.patients)
    scans = [case for case in content.cases if isinstance(case, NoduleScan)]
    images = [case for case in content.cases if isinstance(case, ImageCase)]
    if scans and asked.further:
        raise UserError(f"task {asked.task.task} is of nodules: its dataset is for no other task")
    if images:
        refuse_mixed_tasks(asked.tasks, list(images[0].channels))
        _refuse_other_structures(asked, content)
    test, how = _test_cases(content, asked)
    description = _description(asked, (*content.notes, how))
    progress(f"converting {len(content.cases)} cases, {len(test)} of them to test")

    def build(folder: Path) -> None:
        if scans:
            write_nodule_dataset(
                folder, scans, test=test, task=asked.task, description=description, progress=progress
            )
            return
        (task, labels), *further = _labels_by_task(asked, content)
        write_image_dataset(
            folder,
            images,
            test=test,
            task=task,
            labels=labels,
            further=further,
            description=description,
            progress=progress,
        )

    publish_dataset(asked.out, build)
    return read_dataset(asked.out)


def convert_cases(asked: ConversionRequest, progress: Progress) -> int:
    """
    Write the cases of a source as algorithms meet them under /input, without any reference.

    Returns
    -------
    int
        How many.

    Raises
    ------
    UserError, InvalidDataset
        As `convert_dataset`.
    """
    _refuse_taken(asked.out)
    if asked.further:
        raise UserError("cases alone have no reference, and are the same for every task: give one --task")
    cases = _checked_content(asked).cases
    images = [case for case in cases if isinstance(case, ImageCase)]
    sockets = checked_sockets(asked.task, list(images[0].channels)) if images else ()

    def build(folder: Path) -> None:
        def write(case: ImageCase | NoduleScan) -> None:
            if isinstance(case, NoduleScan):
                write_scan_case(folder / case.case, case, asked.task)
                return
            volumes = [checked_volume(source) for source in case.channels.values()]
            write_test_case(folder / case.case, case.case, asked.task, sockets, volumes)

        write_each(cases, write, progress)

    publish_dataset(asked.out, build)
    progress(f"{asked.out}: {len(cases)} cases")
    return len(cases)


def _labels_by_task(asked: ConversionRequest, content: _Content) -> list[tuple[Task, LabelValues]]:
    """The tasks, each with what it makes of the source's values."""
    found = []
    for task in asked.tasks:
        mapping = asked.labels_of(task)
        found.append((task, LabelValues(mapping, names_after(task, mapping, content.label_names))))
    return found


def _refuse_other_structures(asked: ConversionRequest, content: _Content) -> None:
    for task in asked.tasks:
        option = f"--label {task.task}:" if asked.further else "--label "
        refuse_other_structures(
            task, asked.labels_of(task), content.label_names, where=str(asked.source), option=option
        )


def _refuse_taken(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: is there already; remove it or name another folder with --out")


def _checked_content(asked: ConversionRequest) -> _Content:
    """The cases of the source, one or more, by names that are safe."""
    content = _content(asked)
    if not content.cases:
        raise InvalidDataset(f"{asked.source}: has no case to convert")
    check_names([case.case for case in content.cases], where=str(asked.source))
    return content


def _content(asked: ConversionRequest) -> _Content:
    is_nodules = isinstance(asked.task.evaluation, LesionClassification)
    if not asked.source.exists():
        raise InvalidDataset(f"{asked.source}: no such file or folder")
    if asked.source.is_file():
        return _npz_content(asked, is_nodules=is_nodules)
    if is_nodules:
        if asked.nodules is None:
            raise UserError(f"task {asked.task.task} needs the table of nodules: --nodules FILE.csv")
        return _Content(table_scans(asked.source, asked.nodules, skip=asked.skip))
    if is_image_folder(asked.source):
        return _folder_content(asked)
    slugs = _socket_slugs(asked)
    patterns = {slug: asked.channels.get(slug, "*") for slug in slugs}
    return _Content(dicom_cases(asked.source, patterns, labels=asked.label_folder, skip=asked.skip))


def _npz_content(asked: ConversionRequest, *, is_nodules: bool) -> _Content:
    if asked.spacing_xyz_mm is None:
        raise UserError(
            f"{asked.source}: holds no distance of voxels; give a nominal one with --spacing X Y Z"
        )
    spacing = " × ".join(f"{step:g}" for step in asked.spacing_xyz_mm)
    notes = [f"spacing {spacing} mm is nominal: given by hand, the source has none"]
    if is_nodules:
        scans = npz_scans(
            asked.source, spacing_xyz_mm=asked.spacing_xyz_mm, hounsfield=asked.hounsfield, skip=asked.skip
        )
        low, high = asked.hounsfield
        notes.append(f"Hounsfield units are nominal: bytes 0 to 255 stand for {low:g} to {high:g}")
        return _Content(scans, notes=tuple(notes))
    slugs = _socket_slugs(asked)
    if len(slugs) != 1:
        raise UserError(
            f"a .npz file fills one input, got {', '.join(slugs)}; name one with --channel SLUG=0"
        )
    cases = npz_cases(asked.source, slugs[0], spacing_xyz_mm=asked.spacing_xyz_mm, skip=asked.skip)
    return _Content(cases, notes=tuple(notes))


def _folder_content(asked: ConversionRequest) -> _Content:
    slugs = _socket_slugs(asked)
    channels = {}
    for position, slug in enumerate(slugs):
        text = asked.channels.get(slug, str(position))
        if not text.isdecimal():
            raise UserError(f"--channel {slug}={text}: must be the number of a channel, from 0")
        channels[slug] = int(text)
    content = read_folder(asked.source, channels, skip=asked.skip)
    notes: tuple[str, ...] = ()
    if content.unpaired:
        if not asked.skip_unpaired:
            lines = [f"{asked.source / name}: has no partner" for name in content.unpaired]
            raise InvalidDataset("\n".join([*lines, "leave them out with --skip-unpaired"]))
        notes = (f"left out, having no partner: {', '.join(content.unpaired)}",)
    return _Content(content.cases, content.label_names, content.test, notes)


def _socket_slugs(asked: ConversionRequest) -> list[str]:
    """The sockets that the channels fill: those named, else those of the task's first interface."""
    if asked.channels:
        return list(asked.channels)
    if asked.task.interfaces:
        return list(asked.task.interfaces[0].inputs)
    return [socket.slug for socket in asked.task.inputs if socket.super_kind == "Image"]


def _with_patients(content: _Content, table: Path | None) -> _Content:
    if table is None:
        return content
    patients = patients_of(table, {case.case for case in content.cases})
    return replace(content, cases=tuple(replace(case, patient=patients[case.case]) for case in content.cases))


def _test_cases(content: _Content, asked: ConversionRequest) -> tuple[frozenset[str], str]:
    """The cases that test, and how they were chosen."""
    patient_by_case = {case.case: case.patient for case in content.cases}
    if asked.split is not None:
        test = listed_test_cases(asked.split, patient_by_case)
        return test, f"split as in {asked.split.name}, SHA-256 {file_digest(asked.split)}"
    if content.own_test:
        refuse_leaks(patient_by_case, content.own_test, where=str(asked.source))
        return content.own_test, "the cases of imagesTs test, as in the source"
    rng = np.random.default_rng(asked.seed)
    test = drawn_test_cases(patient_by_case, fraction=asked.test_fraction, rng=rng)
    return test, (
        f"{asked.test_fraction:.0%} of the patients test, drawn by numpy's default generator with seed "
        f"{asked.seed}"
    )


def _task_names(asked: ConversionRequest) -> str:
    return " and ".join(task.task for task in asked.tasks)


def _description(asked: ConversionRequest, notes: Sequence[str]) -> DatasetDescription:
    digest = f", SHA-256 {file_digest(asked.source)}" if asked.source.is_file() else ""
    return DatasetDescription(
        dataset=asked.out.name,
        title=asked.title or f"{asked.out.name}, converted for {_task_names(asked)}",
        version=asked.version,
        licence=asked.licence,
        citation=asked.citation,
        source=f"{asked.source.name}{digest}",
        notes=tuple(notes),
    )
