"""A study file, read and checked against its task and its algorithms' manifests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reseed.contracts.errors import InvalidDocument, UserError
from reseed.contracts.study import Study
from reseed.contracts.task import Task
from reseed.documents.places import place_in
from reseed.documents.reading import read_yaml
from reseed.orchestration.project import Algorithm, Project
from reseed.scoring.tasks import read_task


@dataclass(frozen=True)
class StudyContext:
    """A study with everything that its names stand for."""

    path: Path
    study: Study
    project: Project
    task: Task
    algorithms: dict[str, Algorithm]
    algorithm_of: dict[str, str]


def read_study(path: Path, *, project: Path | None = None) -> StudyContext:
    """
    Read a study file and everything it names.

    Parameters
    ----------
    path
        The YAML file.
    project
        The folder with algorithms/ and evaluation/; found from the study file or the current
        folder when not given.

    Raises
    ------
    InvalidDocument
        One line per mistake, with its place in the file.
    UserError
        When a file or a folder that it names is not there.
    """
    study = read_yaml(path, Study)
    home = Project(project) if project else Project.around(path.parent, Path.cwd())
    try:
        task = read_task(study.task, home.tasks)
    except InvalidDocument:
        raise
    except UserError as error:
        raise InvalidDocument(f"{place_in(path, ('task',))}: task: {error}") from None
    algorithms, algorithm_of = _algorithms(path, study, home)
    mistakes = [
        *_method_mistakes(path, study, {name: algorithms[algorithm_of[name]] for name in study.methods}),
        *_compare_mistakes(path, study, task),
    ]
    if mistakes:
        raise InvalidDocument(*mistakes)
    return StudyContext(path, study, home, task, algorithms, algorithm_of)


def _algorithms(path: Path, study: Study, project: Project) -> tuple[dict[str, Algorithm], dict[str, str]]:
    algorithms: dict[str, Algorithm] = {}
    algorithm_of: dict[str, str] = {}
    mistakes = []
    for method, spec in study.methods.items():
        place = f"{place_in(path, ('methods', method, 'algorithm'))}: methods.{method}.algorithm"
        try:
            found = project.algorithm(spec.algorithm)
        except InvalidDocument:
            raise
        except UserError as error:
            mistakes.append(f"{place}: {error}")
            continue
        known = algorithms.setdefault(found.name, found)
        if known.folder != found.folder:
            mistakes.append(f"{place}: two folders are named {found.name!r}: {known.folder}, {found.folder}")
        if study.task not in found.manifest.tasks:
            made_for = " and ".join(map(repr, found.manifest.tasks))
            mistakes.append(f"{place}: {found.name} is made for {made_for}, not for {study.task!r}")
        algorithm_of[method] = found.name
    if mistakes:
        raise InvalidDocument(*mistakes)
    return algorithms, algorithm_of


def _method_mistakes(path: Path, study: Study, algorithm_by_method: dict[str, Algorithm]) -> list[str]:
    mistakes = []
    for method, spec in study.methods.items():
        manifest = algorithm_by_method[method].manifest
        if spec.profile is not None and spec.profile not in manifest.profiles:
            place = place_in(path, ("methods", method, "profile"))
            known = ", ".join(sorted(manifest.profiles)) or "none"
            rule = f"{manifest.algorithm} has no profile {spec.profile!r}; it has {known}"
            mistakes.append(f"{place}: methods.{method}.profile: {rule}")
        for key, mistake in manifest.setting_mistakes(spec.settings).items():
            place = place_in(path, ("methods", method, "settings", key))
            mistakes.append(f"{place}: methods.{method}.settings: {mistake}")
    return mistakes


def _compare_mistakes(path: Path, study: Study, task: Task) -> list[str]:
    unknown = [metric for metric in study.compare.metrics if metric not in task.metrics]
    if not unknown:
        return []
    place = place_in(path, ("compare", "metrics"))
    known = ", ".join(task.metrics)
    return [f"{place}: compare.metrics: task {task.task} has no {', '.join(unknown)}; it has {known}"]
