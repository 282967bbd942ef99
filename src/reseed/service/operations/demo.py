"""A challenge filled from a finished study, so that a stranger sees a leaderboard of real retrainings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from reseed.contracts.errors import UserError
from reseed.contracts.metrics import Metrics
from reseed.contracts.study import Study
from reseed.contracts.task import Task
from reseed.documents.reading import read_yaml
from reseed.scoring.reference_results import reference_runs
from reseed.scoring.tasks import is_path, read_task
from reseed.service.database.columns import now_utc
from reseed.service.database.models import (
    Algorithm,
    AlgorithmImage,
    Challenge,
    Evaluation,
    Phase,
    Run,
    Submission,
    User,
)
from reseed.service.database.results import record_success
from reseed.service.database.transitions import enter, transition
from reseed.service.domain.roles import JoinPolicy, SubmissionKind
from reseed.service.domain.states import ArchiveState, EvaluationState, RunState, SubmissionState
from reseed.service.security.accounts import add_user

OWNER = "demo"
PHASE = "results"
_REASON = "taken from a finished study"


@dataclass(frozen=True)
class FinishedStudy:
    """The results of a study: its name, its task, and the metrics of every run by method."""

    name: str
    task: Task
    task_text: str
    folder: Path
    runs: dict[str, list[Metrics]]


def read_finished_study(folder: Path, tasks: Path) -> FinishedStudy:
    """
    What a demo needs of a study's folder: runs/<method>/<run>/metrics.json.

    Parameters
    ----------
    folder
        Of the study.
    tasks
        The folder in which its task is looked up by name.

    Raises
    ------
    UserError
        When the folder has no results, they are of different cases, or the task is not there.
    """
    if not (folder / "runs").is_dir():
        raise UserError(f"{folder}: has no runs/; it must be the folder of a finished study")
    found = reference_runs(folder / "runs")
    first = next(iter(found.values()))
    cases = {result.case_id for result in first.results}
    runs: dict[str, list[Metrics]] = {}
    for (method, run), metrics in found.items():
        if metrics.task != first.task or {result.case_id for result in metrics.results} != cases:
            raise UserError(f"{folder}/runs/{method}/{run}: is of another task or other cases than the rest")
        runs.setdefault(method, []).append(metrics)
    name = folder.resolve().name
    task_name = first.task
    if (folder / "study.yaml").is_file():
        study = read_yaml(folder / "study.yaml", Study)
        name = study.study
        task_name = study.task if is_path(study.task) and Path(study.task).is_file() else first.task
    task = read_task(task_name, tasks)
    path = Path(task_name) if is_path(task_name) else tasks / f"{task_name}.yaml"
    return FinishedStudy(name, task, path.read_text(encoding="utf-8"), folder.resolve(), runs)


def add_demo(session: Session, study: FinishedStudy, *, slug: str) -> Phase:
    """
    A public challenge whose released phase has a submission for each method, with all its runs.

    No image comes with it, and nothing is run: the submissions are evaluated already.

    Parameters
    ----------
    session
        A writing transaction.
    study
        Whose results are shown.
    slug
        Name of the challenge in addresses.

    Raises
    ------
    UserError
        When there is a challenge of that name.
    """
    if session.scalar(select(Challenge.pk).where(Challenge.slug == slug)) is not None:
        raise UserError(f"there is a challenge {slug!r} already; give another name with --slug")
    owner = session.scalar(select(User).where(User.username == OWNER))
    owner = owner or add_user(session, OWNER, password=None)
    n_runs = max(len(metrics) for metrics in study.runs.values())
    challenge = Challenge(
        slug=slug,
        title=f"{study.task.title} ({study.name})",
        description=f"A demonstration: the methods of the study **{study.name}** with all their runs.",
        is_public=True,
        join_policy=JoinPolicy.CLOSED,
    )
    session.add(challenge)
    session.flush()
    now = now_utc()
    phase = Phase(
        challenge=challenge,
        slug=PHASE,
        title="Results",
        task_name=study.task.task,
        task_text=study.task_text,
        cases_folder=str(study.folder),
        reference_folder=str(study.folder),
        submission_kind=SubmissionKind.TRAINING,
        n_runs=n_runs,
        closes_at=now,
        released_at=now,
        allows_csv=True,
    )
    session.add(phase)
    session.flush()
    for method, metrics in study.runs.items():
        _add_submission(session, phase, owner, method, metrics)
    return phase


def _add_submission(session: Session, phase: Phase, owner: User, method: str, runs: list[Metrics]) -> None:
    slug = f"{phase.challenge.slug}-{method}".replace("_", "-").lower()[:64]
    algorithm = Algorithm(owner=owner, slug=slug, title=method)
    image = AlgorithmImage(algorithm=algorithm, creator=owner, has_training=True)
    session.add(algorithm)
    enter(session, image)
    for checked in (ArchiveState.CHECKING, ArchiveState.READY, ArchiveState.REMOVED):
        transition(session, image, checked, reason=_REASON)
    submission = Submission(
        phase=phase,
        creator=owner,
        algorithm_image=image,
        kind=SubmissionKind.TRAINING,
        n_runs=len(runs),
        comment=_REASON.capitalize(),
    )
    enter(session, submission)
    for to in (SubmissionState.CHECKING, SubmissionState.TRYING, SubmissionState.RUNNING):
        transition(session, submission, to, reason=_REASON)
    for number, _ in enumerate(runs, start=1):
        enter(session, Run(submission=submission, number=number))
    for run, metrics in zip(submission.runs, runs, strict=True):
        for state in (RunState.PREDICTING, RunState.EVALUATING):
            transition(session, run, state, reason=_REASON)
        evaluation = Evaluation(run=run, phase_pk=phase.pk, submission=submission)
        enter(session, evaluation)
        transition(session, evaluation, EvaluationState.EXECUTING, reason=_REASON)
        record_success(session, evaluation, metrics.document())
