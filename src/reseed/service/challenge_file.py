"""A challenge from its file: every folder and task looked at before anything is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from reseed.contracts.challenge import ChallengeFile, PhaseSettings
from reseed.contracts.errors import InvalidDocument, UserError
from reseed.contracts.task import Task
from reseed.datasets.folder import read_dataset
from reseed.documents.places import place_in
from reseed.documents.reading import read_yaml
from reseed.scoring.reference_check import reference_line
from reseed.scoring.tasks import is_path, read_task
from reseed.service.database.models import Challenge, Membership, Phase
from reseed.service.database.transitions import record_event
from reseed.service.domain.roles import JoinPolicy, MembershipState, Role, SubmissionKind
from reseed.service.security.accounts import named_user


@dataclass(frozen=True)
class PhaseData:
    """What a phase of the file names, found on this machine."""

    settings: PhaseSettings
    task: Task
    task_text: str
    cases: Path
    reference: Path
    training: Path | None
    reference_words: str


@dataclass(frozen=True)
class CheckedChallenge:
    """A challenge file whose tasks and folders are there and fit each other."""

    file: ChallengeFile
    phases: dict[str, PhaseData]


def read_challenge(path: Path, tasks: Path) -> CheckedChallenge:
    """
    A challenge file, with all that it names.

    Parameters
    ----------
    path
        The YAML file; the paths in it are relative to its folder.
    tasks
        The folder in which tasks are looked up by name.

    Raises
    ------
    InvalidDocument
        One line per mistake, with its place in the file.
    UserError
        When a task, a dataset or a reference standard is not as it should be.
    """
    file = read_yaml(path, ChallengeFile)
    lines: list[str] = []
    phases = {}
    for slug, settings in file.phases.items():
        try:
            phases[slug] = _phase_data(path.resolve().parent, settings, tasks)
        except UserError as error:
            place = place_in(path, ("phases", slug))
            lines += [f"{place}: phases.{slug}: {line}" for line in str(error).splitlines()]
    if lines:
        raise InvalidDocument(*lines)
    return CheckedChallenge(file, phases)


def _phase_data(folder: Path, settings: PhaseSettings, tasks: Path) -> PhaseData:
    task_path = folder / settings.task if is_path(settings.task) else tasks / f"{settings.task}.yaml"
    task = read_task(task_path if is_path(settings.task) else settings.task, tasks)
    if settings.dataset is not None:
        dataset = folder / settings.dataset
        manifest = read_dataset(dataset)
        if task.task not in manifest.tasks:
            has = ", ".join(manifest.tasks)
            raise UserError(f"dataset {manifest.dataset!r} is for {has}, not for task {task.task!r}")
        cases, reference = dataset / "test" / "cases", dataset / "test" / "reference"
        training: Path | None = dataset / "training"
    else:
        cases, reference = folder / (settings.cases or ""), folder / (settings.reference or "")
        training = None if settings.training is None else folder / settings.training
    for path in (cases, reference, *([] if training is None else [training])):
        if not path.is_dir():
            raise UserError(f"{path}: no such folder")
    if not any(each.is_dir() for each in cases.iterdir()):
        raise UserError(f"{cases}: has no cases, which are a folder each")
    if settings.trial_case is not None and not (cases / settings.trial_case / "inputs.json").is_file():
        raise UserError(f"trial_case {settings.trial_case!r}: {cases} has no such case with inputs.json")
    return PhaseData(
        settings=settings,
        task=task,
        task_text=task_path.read_text(encoding="utf-8"),
        cases=cases.resolve(),
        reference=reference.resolve(),
        training=None if training is None else training.resolve(),
        reference_words=reference_line(reference, task),
    )


def create_challenge(session: Session, checked: CheckedChallenge) -> Challenge:
    """
    Make the challenge with its phases and organisers.

    Raises
    ------
    UserError
        When there is one of that name, or an organiser is no user.
    """
    file = checked.file
    if session.scalar(select(Challenge.pk).where(Challenge.slug == file.challenge)) is not None:
        raise UserError(f"there is a challenge {file.challenge!r} already")
    challenge = Challenge(
        slug=file.challenge,
        title=file.title,
        description=file.description,
        contact=file.contact,
        is_public=file.is_public,
        join_policy=JoinPolicy(file.join_policy),
    )
    session.add(challenge)
    for position, (slug, data) in enumerate(checked.phases.items(), start=1):
        challenge.phases.append(_phase(slug, position, data))
    session.flush()
    for username in file.organisers:
        user = named_user(session, username)
        membership = Membership(
            challenge_pk=challenge.pk,
            user_pk=user.pk,
            role=Role.ORGANISER,
            state=MembershipState.ACCEPTED,
        )
        session.add(membership)
    record_event(session, challenge, "created")
    session.flush()
    return challenge


def _phase(slug: str, position: int, data: PhaseData) -> Phase:
    settings = data.settings
    return Phase(
        slug=slug,
        position=position,
        title=settings.title,
        description=settings.description,
        task_name=data.task.task,
        task_text=data.task_text,
        cases_folder=str(data.cases),
        reference_folder=str(data.reference),
        training_folder=None if data.training is None else str(data.training),
        evaluation_image=settings.evaluation_image,
        is_external=settings.is_external,
        submission_kind=SubmissionKind(settings.submission_kind),
        n_runs=settings.runs,
        hyperparameters=dict(settings.hyperparameters),
        opens_at=settings.opens_at,
        closes_at=settings.closes_at,
        released_at=settings.released_at,
        allows_csv=settings.allows_csv,
        trial_case=settings.trial_case,
        shows_trial_log=settings.shows_trial_log,
        shows_error_lines=settings.shows_error_lines,
        **settings.limits.model_dump(),
    )
