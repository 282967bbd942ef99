"""Task files: where they are, and what this version of Reseed can do with one."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

from reseed.contracts.errors import InvalidDocument, UserError
from reseed.contracts.evaluation import Segmentation
from reseed.contracts.task import Task
from reseed.documents.places import Location, place_in
from reseed.documents.reading import read_yaml
from reseed.scoring.measures import MEASURES, comparable

TASKS_FOLDER = Path("evaluation/tasks")
"""Below a checkout of the project."""


def tasks_folder(start: Path) -> Path:
    """
    The folder of task files that belongs to a place: evaluation/tasks there, or in a folder above.

    Raises
    ------
    UserError
        When there is none.
    """
    here = start.resolve()
    for folder in (here, *here.parents):
        if (folder / TASKS_FOLDER).is_dir():
            return folder / TASKS_FOLDER
    raise UserError(f"no {TASKS_FOLDER.as_posix()} folder in {here} or above it; give the task file's path")


def is_path(name_or_path: str | Path) -> bool:
    """Whether this names a file, rather than a task of the folder."""
    return isinstance(name_or_path, Path) or name_or_path.endswith((".yaml", ".yml")) or "/" in name_or_path


def task_names(folder: Path) -> list[str]:
    """The tasks of a folder, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def read_task(name_or_path: str | Path, folder: Path) -> Task:
    """
    A task, by its name in a folder of task files or by the path of any task file.

    Parameters
    ----------
    name_or_path
        `nodule_malignancy`, or a path that ends in .yaml.
    folder
        The folder in which names are looked up; see `tasks_folder`.

    Raises
    ------
    UserError
        When there is no such task or file.
    InvalidDocument
        One line per mistake in the file, with its place.
    """
    if is_path(name_or_path):
        return _checked_task(Path(name_or_path))
    path = folder / f"{name_or_path}.yaml"
    if not path.is_file():
        known = task_names(folder)
        near = difflib.get_close_matches(str(name_or_path), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"tasks there: {', '.join(known) or 'none'}"
        raise UserError(f"no task {name_or_path!r} in {folder}; {hint}")
    task = _checked_task(path)
    if task.task != name_or_path:
        raise InvalidDocument(
            f"{place_in(path, ('task',))}: task: must be the file's name, {name_or_path!r}, got {task.task!r}"
        )
    return task


def _checked_task(path: Path) -> Task:
    task = read_yaml(path, Task)
    lines = [f"{place_in(path, location)}: {message}" for location, message in _mistakes(task)]
    if lines:
        raise InvalidDocument(*lines)
    return task


def _mistakes(task: Task) -> Iterator[tuple[Location, str]]:
    """What the contract cannot know: the metrics that exist, and what each needs said."""
    kind = task.evaluation.kind
    allowed = {"metrics": comparable(kind), "reported": list(MEASURES[kind])}
    for key, metrics in (("metrics", task.metrics), ("reported", task.reported)):
        for index, metric in enumerate(metrics):
            if metric not in allowed[key]:
                known = ", ".join(allowed[key])
                hint = "; put it under 'reported'" if metric in MEASURES[kind] else ""
                yield (key, index), f"{key}.{index}: {kind} has no metric {metric!r}; it has {known}{hint}"
    if isinstance(task.evaluation, Segmentation):
        yield from _aggregation_mistakes(task, task.evaluation)


def _aggregation_mistakes(task: Task, rule: Segmentation) -> Iterator[tuple[Location, str]]:
    asked = (*task.metrics, *task.reported)
    place = ("evaluation", "aggregation")
    for metric in asked:
        if metric not in rule.aggregation:
            example = f"{metric}: {{both_empty: skip, one_empty: skip}}"
            yield place, f"evaluation.aggregation: must say what metric {metric!r} is worth, as in {example}"
    for metric in rule.aggregation:
        if metric not in asked:
            yield (
                (*place, metric),
                f"evaluation.aggregation.{metric}: is not among the metrics: {', '.join(asked)}",
            )
