"""The reaper: nothing outlives its deadline, and no lost job leaves what it is about waiting."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from reseed.service.database.engine import Database
from reseed.service.database.jobs import cancel_jobs, reap_leases
from reseed.service.database.locks import lock_submissions
from reseed.service.database.models import (
    AlgorithmImage,
    AlgorithmModel,
    Evaluation,
    Job,
    Run,
    RunCase,
    Submission,
    Upload,
)
from reseed.service.database.results import end_parts, record_failure
from reseed.service.database.transitions import transition
from reseed.service.domain.states import (
    ArchiveState,
    CaseState,
    EvaluationState,
    JobState,
    RunState,
    SubmissionState,
    UploadState,
)


def reap(database: Database) -> int:
    """
    End or take back whatever is overdue, in one transaction; any process may, at any time.

    Nothing is written, and nobody waits, when nothing is overdue.

    Returns
    -------
    int
        How many submissions, runs, cases, evaluations, images, models, uploads and jobs were ended.
    """
    with database.read() as session:
        if not _is_anything_overdue(session, database.now(session)):
            return 0
    with database.write() as session:
        now = database.now(session)
        lost = reap_leases(session, now)
        for job in lost:
            fail_subject(session, job, _in_words(job))
        return len(lost) + end_overdue(session, now)


def _is_anything_overdue(session: Session, now: datetime) -> bool:
    jobs = select(Job.pk).where(
        Job.state.in_([JobState.QUEUED, JobState.LEASED]), or_(Job.lease_until < now, Job.deadline < now)
    )
    questions = [jobs, *(select(table.pk).where(table.deadline < now) for table in _TABLES)]
    return any(session.scalar(question.limit(1)) is not None for question in questions)


def _in_words(job: Job) -> str:
    """What a person is told of a job that ended here; its own reason names hosts."""
    if "no sign of life" in job.reason:
        return f"{job.kind}: the service lost its workers {job.lost_attempts} times"
    return f"{job.kind}: {job.reason}"


def fail_subject(session: Session, job: Job, reason: str, *, is_refusal: bool = False) -> None:
    """
    End what a failed job was about; what has ended already stays as it is.

    Parameters
    ----------
    session
        The transaction in which the job has ended.
    job
        Which has failed.
    reason
        What a person sees.
    is_refusal
        Whether an uploaded image or model breaks a rule, and is rejected.
    """
    evaluation = None if job.evaluation_pk is None else session.get(Evaluation, job.evaluation_pk)
    if evaluation is not None and not evaluation.state.is_terminal:
        record_failure(session, evaluation, reason)
    run = None if job.run_pk is None else session.get(Run, job.run_pk)
    if run is not None and not run.state.is_terminal:
        transition(session, run, RunState.FAILED, reason=reason)
    for table, pk in (
        (AlgorithmImage, job.algorithm_image_pk),
        (AlgorithmModel, job.algorithm_model_pk),
    ):
        archive: Any = None if pk is None else session.get(table, pk)
        to = ArchiveState.REJECTED if is_refusal else ArchiveState.FAILED
        if archive is not None and archive.state.may_become(to):
            transition(session, archive, to, reason=reason)
    submission = None if job.submission_pk is None else session.get(Submission, job.submission_pk)
    if submission is not None:
        which = reason if run is None else f"run {run.number}: {reason}"
        end_submission(session, submission, SubmissionState.FAILED, which)


def end_overdue(session: Session, now: datetime) -> int:
    """
    Let everything that is past its deadline expire, with a reason.

    An external evaluation whose claim ran out is anybody's again. A submission takes its runs,
    evaluations and jobs along; a run or an evaluation takes its submission.
    """
    n_ended = 0
    for submission in _overdue(session, Submission, now):
        words = f"was {submission.state} for too long"
        end_submission(session, submission, SubmissionState.EXPIRED, words)
        n_ended += 1
    for evaluation in _overdue(session, Evaluation, now):
        if evaluation.state is EvaluationState.CLAIMED:
            words = "its evaluator did not answer in time"
            transition(session, evaluation, EvaluationState.QUEUED, reason=words, claimed_by_pk=None)
            continue
        words = f"its evaluation was {evaluation.state} for too long"
        transition(session, evaluation, EvaluationState.EXPIRED, reason=words)
        _expire_submission_of(session, evaluation.submission_pk, words)
        n_ended += 1
    for run in _overdue(session, Run, now):
        words = f"run {run.number} was {run.state} for too long"
        transition(session, run, RunState.EXPIRED, reason=words)
        _expire_submission_of(session, run.submission_pk, words)
        n_ended += 1
    for case in _overdue(session, RunCase, now):
        run = session.get_one(Run, case.run_pk)
        words = f"run {run.number}: a case was {case.state} for too long"
        transition(session, case, CaseState.FAILED, reason=words)
        _expire_submission_of(session, run.submission_pk, words)
        n_ended += 1
    archives: tuple[type[Any], ...] = (AlgorithmImage, AlgorithmModel)
    for table in archives:
        for archive in _overdue(session, table, now):
            words = f"was {archive.state} for too long"
            transition(session, archive, ArchiveState.EXPIRED, reason=words)
            n_ended += 1
    for upload in _overdue(session, Upload, now):
        transition(session, upload, UploadState.EXPIRED, reason="was not finished or not used in time")
        n_ended += 1
    return n_ended


def _overdue(session: Session, table: type[Any], now: datetime) -> list[Any]:
    late = select(table).where(table.deadline < now)
    if table in _SUBMISSION_PK:
        theirs = _SUBMISSION_PK[table]
        locked = lock_submissions(
            session, Submission.pk.in_(late.with_only_columns(theirs)), skip_locked=True
        )
        late = late.where(theirs.in_(locked))
    rows = session.scalars(late.with_for_update(skip_locked=True, of=table)).unique()
    # what an earlier row has taken along has no deadline any more
    return [row for row in rows if row.deadline is not None]


# Of the parts of a submission, which is locked before them.
_SUBMISSION_PK: dict[type[Any], Any] = {
    Evaluation: Evaluation.submission_pk,
    Run: Run.submission_pk,
    RunCase: select(Run.submission_pk).where(Run.pk == RunCase.run_pk).scalar_subquery(),
}


def _expire_submission_of(session: Session, pk: Any, reason: str) -> None:
    end_submission(session, session.get_one(Submission, pk), SubmissionState.EXPIRED, reason)


def end_submission(session: Session, submission: Submission, state: SubmissionState, reason: str) -> None:
    """End a submission, unless it has ended, and with it its runs, cases, evaluations and jobs."""
    if not submission.state.is_terminal:
        transition(session, submission, state, reason=reason)
    ended = f"its submission is {submission.state}"
    end_parts(session, submission, reason=ended)
    cancel_jobs(session, Job.submission_pk == submission.pk, reason=ended)


_TABLES: tuple[type[Any], ...] = (
    Submission,
    Evaluation,
    Run,
    RunCase,
    AlgorithmImage,
    AlgorithmModel,
    Upload,
)
