"""Cases of a source before they are a dataset: images, label map, patient; and what the dataset is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reseed.contracts.errors import InvalidDataset
from reseed.contracts.evaluation import Detection, Segmentation
from reseed.contracts.sockets import Socket
from reseed.contracts.task import Task
from reseed.datasets.images import SourceImage

CASE_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}"
"""Safe as a file name, as nnU-Net's case, and as an image name on a platform."""


@dataclass(frozen=True)
class ImageCase:
    """
    One case with a label map.

    Parameters
    ----------
    case, patient
        Names; a patient's cases stay together.
    channels
        Images by the slug of their input socket, the one that the label map lies on first.
    labels
        The label map; None for a case that is only predicted.
    """

    case: str
    patient: str
    channels: Mapping[str, SourceImage]
    labels: SourceImage | None


@dataclass(frozen=True)
class DatasetDescription:
    """What the manifest says of a dataset besides its files and counts."""

    dataset: str
    title: str
    version: str
    licence: str
    citation: str
    source: str
    notes: tuple[str, ...] = ()
    licence_text: str | None = None


@dataclass(frozen=True)
class LabelValues:
    """
    What the values of a source's label maps become.

    Parameters
    ----------
    mapping
        New value by old one; a value that is not named stays.
    names
        Of new values, as far as a source's dataset.json has them.
    """

    mapping: Mapping[int, int] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)


def image_evaluation(task: Task) -> Segmentation | Detection:
    """
    How a task with label maps is measured.

    Raises
    ------
    InvalidDataset
        When the task has no label maps.
    """
    if not isinstance(task.evaluation, Segmentation | Detection):
        raise InvalidDataset(f"task {task.task} is a {task.evaluation.kind}: it has no label maps to convert")
    return task.evaluation


def known_labels(task: Task) -> frozenset[int] | None:
    """The values that label maps of a task may hold; None when any may."""
    evaluation = image_evaluation(task)
    if isinstance(evaluation, Segmentation):
        return evaluation.known_labels
    if evaluation.lesion_labels is None:
        return None
    return frozenset({0, *evaluation.lesion_labels, *evaluation.ignored_labels})


def label_names(task: Task, values: Sequence[int], given: Mapping[int, str]) -> dict[str, int]:
    """Background and a name for each value: the source's, else the task's structure, lesion or other."""
    evaluation = image_evaluation(task)
    names = {"background": 0}
    for value in values:
        structures = evaluation.labels.items() if isinstance(evaluation, Segmentation) else ()
        own = next((name for name, members in structures if value in members), None)
        name = given.get(value, own or ("other" if value in evaluation.ignored_labels else "lesion"))
        names[name if name not in names else f"{name}_{value}"] = value
    return names


def channel_name(slug: str) -> str:
    """As nnU-Net's dataset.json has it: its name CT asks for the normalisation of Hounsfield units."""
    return "CT" if "ct" in slug.split("-") else slug


def checked_sockets(task: Task, slugs: Sequence[str]) -> tuple[Socket, ...]:
    """
    The input sockets that a source fills, in its order.

    Raises
    ------
    InvalidDataset
        When one is not an image input of the task, or they are not a whole set of its inputs.
    """
    images = {socket.slug: socket for socket in task.inputs if socket.super_kind == "Image"}
    for slug in slugs:
        if slug not in images:
            raise InvalidDataset(f"task {task.task} has no image input {slug!r}; it has {', '.join(images)}")
    wanted = [set(interface.inputs) for interface in task.interfaces] or [set(images)]
    if set(slugs) not in wanted:
        sets = " or ".join(", ".join(sorted(each)) for each in wanted)
        raise InvalidDataset(f"task {task.task} takes the inputs {sets}; got {', '.join(slugs) or 'none'}")
    return tuple(images[slug] for slug in slugs)


def case_name(text: str) -> str:
    """A name of a source as a case may be called, every other character a dash."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_")[:100]


def check_names(cases: Sequence[str], *, where: str) -> None:
    """
    Refuse names that are not safe, or not unique.

    Raises
    ------
    InvalidDataset
        One line per name.
    """
    mistakes = [
        f"{where}: case {case!r} must be letters, digits, - and _, at most 100, a letter or digit first"
        for case in cases
        if not re.fullmatch(CASE_PATTERN, case)
    ]
    mistakes += [f"{where}: case {case!r} is there twice" for case in sorted(cases) if cases.count(case) > 1]
    if mistakes:
        raise InvalidDataset("\n".join(dict.fromkeys(mistakes)))
