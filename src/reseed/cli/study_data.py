"""The datasets of studies, before anything is built or run: which are here, and which are to be brought."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from reseed.contracts.errors import InvalidDataset
from reseed.datasets import KNOWN_DATASETS, kept_dataset, read_dataset
from reseed.orchestration.collection import provisional_inputs
from reseed.orchestration.plan import PlanInputs
from reseed.orchestration.study_file import StudyContext

if TYPE_CHECKING:
    from reseed.cli.study_request import StudyRequest


def dataset_here(study: StudyContext, asked: StudyRequest) -> Path | None:
    """
    The folder of a study's dataset, if it is here.

    Raises
    ------
    UserError
        When something else is at its place.
    """
    return kept_dataset(study.study.dataset, root=asked.datasets_folder(study.project))


def refuse_unfit_datasets(
    studies: Sequence[StudyContext], asked: StudyRequest, *, missing: Sequence[str] = ()
) -> None:
    """
    Refuse datasets of other tasks than the studies that name them, before anything is done.

    Parameters
    ----------
    studies, asked
        Whose datasets, and where they are kept.
    missing
        Further lines, of what must be there and is not.

    Raises
    ------
    InvalidDataset
        One line per study, and those.
    """
    lines = []
    for study in studies:
        name = study.study.dataset
        try:
            folder = dataset_here(study, asked)
        except InvalidDataset as error:
            lines += [f"study {study.study.study}: {line}" for line in str(error).splitlines()]
            continue
        if folder is None and name not in KNOWN_DATASETS:
            continue
        tasks = (KNOWN_DATASETS[name].task,) if folder is None else read_dataset(folder).tasks
        if study.study.task not in tasks:
            made_for = f"made for {', '.join(tasks)}, not for {study.study.task!r}"
            advice = "; `reseed data convert` takes several --task" if name not in KNOWN_DATASETS else ""
            lines.append(f"study {study.study.study}: dataset {folder or name}: {made_for}{advice}")
    if lines or missing:
        raise InvalidDataset("\n".join([*lines, *missing]))


def planned_inputs(study: StudyContext, asked: StudyRequest, code_digest: Callable[[str], str]) -> PlanInputs:
    """What decides a study's plan, with the digests of its dataset if that is here; nothing is built."""
    inputs = provisional_inputs(study, functools.cache(code_digest))
    folder = dataset_here(study, asked)
    if folder is None:
        return inputs
    manifest = read_dataset(folder)
    return replace(inputs, dataset_digest=functools.cache(lambda part: manifest.digest(f"{part}/")))


def provisional_lines(
    studies: Sequence[StudyContext], asked: StudyRequest, described: Mapping[str, str] | None = None
) -> list[str]:
    """That keys are provisional, and for want of which datasets; empty when all are here."""
    built = {
        study.study.dataset: f"  dataset {study.study.dataset}: `reseed run` builds it first"
        for study in studies
        if study.study.dataset in KNOWN_DATASETS and dataset_here(study, asked) is None
    }
    missing = [f"  {line}" for line in missing_lines(studies, asked, described or {})]
    if not built and not missing:
        return []
    return ["", "not here, so that keys of jobs are provisional:", *built.values(), *missing]


def missing_lines(
    studies: Sequence[StudyContext], asked: StudyRequest, described: Mapping[str, str]
) -> list[str]:
    """What has to be brought, a line for each dataset that is neither here nor can be built."""
    users: dict[str, list[StudyContext]] = {}
    for study in studies:
        if study.study.dataset not in KNOWN_DATASETS and _is_away(study, asked):
            users.setdefault(study.study.dataset, []).append(study)
    lines = []
    for name, found in users.items():
        studies_named = (
            f"{'study' if len(found) == 1 else 'studies'} {_listed(each.study.study for each in found)}"
        )
        what = f" ({described[name]})" if described.get(name) else ""
        tasks = " ".join(dict.fromkeys(f"--task {each.study.task}" for each in found))
        place = asked.datasets_folder(found[0].project) / name
        lines.append(
            f"{studies_named}: dataset {name}{what}: make it with "
            f"`reseed data convert SOURCE {tasks} --out {place}`"
        )
    return lines


def _is_away(study: StudyContext, asked: StudyRequest) -> bool:
    """Whether nothing is where a study's dataset should be."""
    try:
        return dataset_here(study, asked) is None
    except InvalidDataset:
        return False


def _listed(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
