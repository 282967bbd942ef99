"""A study file, read and checked against its task and its algorithms' manifests."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from reseed.contracts.digests import file_digest
from reseed.contracts.errors import InvalidDocument, UserError
from reseed.contracts.study import Study
from reseed.contracts.task import Task
from reseed.documents.places import place_in
from reseed.documents.reading import read_yaml
from reseed.orchestration.plan import INITIAL_WEIGHTS, GivenFile
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
    initial_weights: dict[str, GivenFile] = field(default_factory=dict)


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
    return study_context(path, read_yaml(path, Study), project=project)


def study_context(path: Path, study: Study, *, project: Path | None = None) -> StudyContext:
    """
    A study with everything it names.

    Parameters
    ----------
    path
        The file that the study is from, for places and relative paths.
    study
        As read.
    project
        As of `read_study`.

    Raises
    ------
    InvalidDocument, UserError
        As `read_study`.
    """
    home = Project(project) if project else Project.around(path.parent, Path.cwd())
    try:
        task = read_task(study.task, home.tasks)
    except InvalidDocument:
        raise
    except UserError as error:
        raise InvalidDocument(f"{place_in(path, ('task',))}: task: {error}") from None
    algorithms, algorithm_of = _algorithms(path, study, home)
    mistakes = [
        *_method_mistakes(path, study, algorithms, algorithm_of),
        *_compare_mistakes(path, study, task),
    ]
    if mistakes:
        raise InvalidDocument(*mistakes)
    return StudyContext(path, study, home, task, algorithms, algorithm_of, _initial_weights(path, study))


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
        if found.manifest.trains_with is not None:
            trainer = project.algorithm(found.manifest.trains_with)
            algorithms.setdefault(trainer.name, trainer)
    if mistakes:
        raise InvalidDocument(*mistakes)
    return algorithms, algorithm_of


def _initial_weights(path: Path, study: Study) -> dict[str, GivenFile]:
    found: dict[str, GivenFile] = {}
    mistakes = []
    for method, spec in study.methods.items():
        if spec.initial_weights is None:
            continue
        file = (path.parent / spec.initial_weights).resolve()
        if file.is_file():
            found[method] = GivenFile(file, file_digest(file))
        else:
            place = place_in(path, ("methods", method, INITIAL_WEIGHTS))
            mistakes.append(f"{place}: methods.{method}.{INITIAL_WEIGHTS}: no file {file}")
    if mistakes:
        raise InvalidDocument(*mistakes)
    return found


def _method_mistakes(
    path: Path, study: Study, algorithms: dict[str, Algorithm], algorithm_of: dict[str, str]
) -> list[str]:
    mistakes = []
    for method, spec in study.methods.items():
        manifest = algorithms[algorithm_of[method]].manifest
        trainer = algorithms[manifest.trains_with or manifest.algorithm].manifest
        if spec.initial_weights is not None and INITIAL_WEIGHTS not in trainer.hyperparameters:
            place = place_in(path, ("methods", method, INITIAL_WEIGHTS))
            rule = f"{trainer.algorithm} has no setting {INITIAL_WEIGHTS!r}: it always starts at random"
            mistakes.append(f"{place}: methods.{method}.{INITIAL_WEIGHTS}: {rule}")
        if spec.profile is not None and spec.profile not in {*manifest.profiles, *trainer.profiles}:
            place = place_in(path, ("methods", method, "profile"))
            known = ", ".join(sorted(manifest.profiles)) or "none"
            rule = f"{manifest.algorithm} has no profile {spec.profile!r}; it has {known}"
            mistakes.append(f"{place}: methods.{method}.profile: {rule}")
        own = {key: value for key, value in spec.settings.items() if key in manifest.hyperparameters}
        rest = {key: value for key, value in spec.settings.items() if key not in own}
        found = manifest.setting_mistakes(own) | trainer.setting_mistakes(rest)
        for key, mistake in found.items():
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
