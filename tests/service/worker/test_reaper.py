"""The reaper: lost workers, and the deadline of every noun, each with a reason that a person sees."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from reseed.service.database.engine import Database
from reseed.service.database.jobs import MAX_ATTEMPTS, claim, enqueue
from reseed.service.database.models import (
    AlgorithmModel,
    Evaluation,
    Job,
    Phase,
    RunCase,
    Submission,
    Upload,
    User,
)
from reseed.service.database.transitions import enter, transition
from reseed.service.domain.states import (
    ArchiveState,
    CaseState,
    EvaluationState,
    JobState,
    RunState,
    SubmissionState,
    UploadState,
)
from reseed.service.worker.reaper import reap
from tests.service.rows import add_challenge, add_image, add_phase, add_submission, add_user
from tests.service.world import add_running

_MINUTE = timedelta(minutes=1)


def _phase(session: Session) -> tuple[User, Phase]:
    user = add_user(session, "ada")
    return user, add_phase(session, add_challenge(session))


def _submission(session: Session, **values: Any) -> Submission:
    user, phase = _phase(session)
    return add_submission(session, phase, user, add_image(session, user), **values)


def _make_late(database: Database, table: Any, pk: object, column: str = "deadline") -> None:
    with database.write() as session:
        past = database.now(session) - _MINUTE
        session.execute(update(table).where(table.pk == pk).values({column: past}))


def _again(database: Database, row: Any) -> Any:
    with database.read() as session:
        return session.get_one(type(row), row.pk)


def test_nothing_is_due(database: Database):
    """
    What is within its time is left alone.
    """
    with database.write() as session:
        submission = _submission(session)
        enqueue(session, Job(kind="start", submission_pk=submission.pk))
    assert claim(database, "w", lease_for=_MINUTE) is not None
    assert reap(database) == 0
    assert _again(database, submission).state is SubmissionState.RECEIVED


def test_workers_that_are_lost_again_and_again(database: Database):
    """
    The job is tried as often as it may be; then its run and its submission fail, in words.
    """
    with database.write() as session:
        submission = _submission(session)
        run = submission.runs[0]
        job = enqueue(session, Job(kind="try", submission_pk=submission.pk, run_pk=run.pk))
    for _ in range(MAX_ATTEMPTS):
        assert claim(database, "host.1@engine", lease_for=_MINUTE) is not None
        _make_late(database, Job, job.pk, "lease_until")
        reap(database)

    assert _again(database, job).state is JobState.FAILED
    ended = _again(database, submission)
    assert ended.state is SubmissionState.FAILED
    assert ended.reason == "run 1: the service lost its workers at this 3 times"
    assert _again(database, run).state is RunState.FAILED


def _late_submission(session: Session) -> tuple[Any, Submission, str]:
    submission = _submission(session)
    return submission, submission, "was received for longer than a submission may be"


def _late_run(session: Session) -> tuple[Any, Submission, str]:
    submission = _submission(session)
    transition(session, submission.runs[0], RunState.TRAINING)
    return submission.runs[0], submission, "run 1 was training for longer than a run may be"


def _late_case(session: Session) -> tuple[Any, Submission, str]:
    submission = _submission(session)
    case = RunCase(run_pk=submission.runs[0].pk, name="c")
    enter(session, case)
    transition(session, case, CaseState.RUNNING)
    return case, submission, "run 1: a case was running for longer than a case may be"


def _late_evaluation(session: Session) -> tuple[Any, Submission, str]:
    submission = _submission(session)
    evaluation = add_running(session, submission)
    return evaluation, submission, "run 1: its evaluation was queued for longer than one may be"


@pytest.mark.parametrize("late", [_late_submission, _late_run, _late_case, _late_evaluation])
def test_a_part_that_is_late_ends_the_submission(
    database: Database, late: Callable[[Session], tuple[Any, Submission, str]]
):
    """
    Everything of it ends with it, its jobs too, and it says what took too long.
    """
    with database.write() as session:
        row, submission, reason = late(session)
        job = enqueue(session, Job(kind="try", submission_pk=submission.pk, run_pk=submission.runs[0].pk))
    _make_late(database, type(row), row.pk)

    assert reap(database) == 1

    ended = _again(database, submission)
    assert (ended.state, ended.reason) == (SubmissionState.EXPIRED, reason)
    assert _again(database, row).state.is_terminal
    assert _again(database, submission.runs[0]).state.is_terminal
    assert _again(database, job).state is JobState.CANCELLED
    assert reap(database) == 0


def test_a_job_that_is_late(database: Database):
    """
    What it is about fails with it.
    """
    with database.write() as session:
        image = add_image(session, add_user(session, "ada"), state=ArchiveState.RECEIVED)
        job = enqueue(session, Job(kind="check_image", algorithm_image_pk=image.pk))
    _make_late(database, Job, job.pk)
    reap(database)
    found = _again(database, image)
    assert found.state is ArchiveState.FAILED
    assert found.reason == (
        "the service did not get to it in time: its job `check_image` waited too long in the queue"
    )


def test_an_external_claim_that_ran_out(database: Database):
    """
    The evaluation is anybody's again.
    """
    with database.write() as session:
        submission = _submission(session)
        evaluation = add_running(session, submission, is_external=True)
        transition(session, evaluation, EvaluationState.CLAIMED, claimed_by_pk=submission.creator_pk)
    _make_late(database, Evaluation, evaluation.pk)
    reap(database)
    found = _again(database, evaluation)
    assert (found.state, found.claimed_by_pk) == (EvaluationState.QUEUED, None)
    assert found.deadline is not None
    assert _again(database, submission).state is SubmissionState.RUNNING


def test_uploads_and_models_that_are_late(database: Database):
    """
    They expire, and say so.
    """
    with database.write() as session:
        user = add_user(session, "ada")
        model = AlgorithmModel(algorithm=add_image(session, user).algorithm, creator=user)
        upload = Upload(creator=user, size_bytes=10)
        enter(session, model)
        enter(session, upload)
    _make_late(database, AlgorithmModel, model.pk)
    _make_late(database, Upload, upload.pk)
    assert reap(database) == 2
    assert _again(database, model).state is ArchiveState.EXPIRED
    expired = _again(database, upload)
    assert (expired.state, expired.reason) == (UploadState.EXPIRED, "was not finished in time")
