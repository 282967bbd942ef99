"""The reaper: every state ends after its deadline, whatever else has stopped."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from reseed.service.database.engine import Database
from reseed.service.database.jobs import MAX_LOST, claim, enqueue
from reseed.service.database.models import (
    AlgorithmImage,
    Evaluation,
    Job,
    Run,
    RunCase,
    Submission,
    Upload,
)
from reseed.service.database.overdue import end_overdue, reap
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
from tests.service.rows import add_challenge, add_image, add_phase, add_submission, add_user
from tests.service.world import add_running

_LONG = timedelta(days=365)


def _submission(database: Database, state: SubmissionState = SubmissionState.RECEIVED) -> Submission:
    """With two runs, and brought step by step to a state."""
    path = [SubmissionState.CHECKING, SubmissionState.TRYING, SubmissionState.RUNNING]
    with database.write() as session:
        user = add_user(session, "ada")
        phase = add_phase(session, add_challenge(session))
        submission = add_submission(session, phase, user, add_image(session, user), n_runs=2)
        for step in path[: path.index(state) + 1] if state in path else []:
            transition(session, submission, step)
    return submission


def _states(database: Database, table: type[Any]) -> list[Any]:
    with database.read() as session:
        return list(session.scalars(select(table.state)))


def _years_pass(database: Database) -> int:
    with database.write() as session:
        return end_overdue(session, database.now(session) + _LONG)


@pytest.mark.parametrize("state", [each for each in SubmissionState if not each.is_terminal])
def test_a_submission_expires_from_every_state(database: Database, state: SubmissionState):
    """With its runs and its jobs, and with a reason; once."""
    submission = _submission(database, state)
    with database.write() as session:
        enqueue(session, Job(kind="try", submission_pk=submission.pk))
    assert _years_pass(database) == 1
    with database.read() as session:
        found = session.get_one(Submission, submission.pk)
    assert found.state is SubmissionState.EXPIRED
    assert found.reason == f"was {state} for too long"
    assert set(_states(database, Run)) == {RunState.CANCELLED}
    assert _states(database, Job) == [JobState.CANCELLED]
    assert _years_pass(database) == 0


@pytest.mark.parametrize("table", [Run, Evaluation])
def test_a_part_that_expires_takes_its_submission_along(database: Database, table: type[Any]):
    """Its own deadline is the shorter one."""
    submission = _submission(database)
    with database.write() as session:
        add_running(session, session.get_one(Submission, submission.pk))
        row = session.scalars(select(table).limit(1)).one()
        session.execute(
            update(table).where(table.pk == row.pk).values(deadline=database.now(session) - _LONG)
        )
    with database.write() as session:
        assert end_overdue(session, database.now(session)) == 1
    assert _states(database, Submission) == [SubmissionState.EXPIRED]
    assert {state.is_terminal for state in _states(database, Run)} == {True}
    assert {state.is_terminal for state in _states(database, Evaluation)} == {True}


def test_a_claim_that_ran_out_is_anybodys_again(database: Database):
    """The evaluation waits for the next evaluator."""
    submission = _submission(database)
    with database.write() as session:
        evaluation = add_running(session, session.get_one(Submission, submission.pk), is_external=True)
        transition(
            session,
            evaluation,
            EvaluationState.CLAIMED,
            within=timedelta(seconds=1),
            claimed_by_pk=submission.creator_pk,
        )
    with database.write() as session:
        end_overdue(session, database.now(session) + timedelta(minutes=1))
    with database.read() as session:
        found = session.scalars(select(Evaluation)).one()
    assert found.state is EvaluationState.QUEUED
    assert found.claimed_by_pk is None
    assert _states(database, Submission) == [SubmissionState.RUNNING]


def test_uploads_and_images_expire_and_ready_ones_stay(database: Database):
    """Whatever was checked is kept."""
    with database.write() as session:
        user = add_user(session, "ada")
        add_image(session, user, "ready")
        add_image(session, user, "stuck", state=ArchiveState.CHECKING, digest=None)
        enter(session, Upload(creator=user, size_bytes=10))
    assert _years_pass(database) == 2
    assert sorted(_states(database, AlgorithmImage)) == [ArchiveState.EXPIRED, ArchiveState.READY]
    assert _states(database, Upload) == [UploadState.EXPIRED]


def test_a_job_that_no_worker_ends_fails_its_submission(database: Database):
    """The person sees why; nothing waits for a worker that is gone."""
    submission = _submission(database, SubmissionState.RUNNING)
    with database.read() as session:
        run = session.scalars(select(Run).where(Run.number == 2)).one()
    with database.write() as session:
        enqueue(session, Job(kind="predict", submission_pk=submission.pk, run_pk=run.pk))
    for attempt in range(1, MAX_LOST + 1):
        assert claim(database, f"w{attempt}", lease_for=timedelta(minutes=-1)) is not None
        assert reap(database) == (attempt == MAX_LOST)
    with database.read() as session:
        found = session.get_one(Submission, submission.pk)
    assert found.state is SubmissionState.FAILED
    assert found.reason == "run 2: predict: the service lost its workers 10 times"
    assert sorted(_states(database, Run)) == [RunState.CANCELLED, RunState.FAILED]


def test_a_case_that_is_late_takes_its_submission_along(database: Database):
    """The other cases end, too."""
    submission = _submission(database)
    with database.write() as session:
        run = session.get_one(Submission, submission.pk).runs[0]
        for name in ("late", "other"):
            enter(session, RunCase(run_pk=run.pk, name=name))
        late = session.scalars(select(RunCase).where(RunCase.name == "late")).one()
        transition(session, late, CaseState.RUNNING, within=timedelta(seconds=-1))
    assert reap(database) == 1
    with database.read() as session:
        found = session.get_one(Submission, submission.pk)
    assert found.state is SubmissionState.EXPIRED
    assert found.reason == "run 1: a case was running for too long"
    assert sorted(_states(database, RunCase)) == [CaseState.CANCELLED, CaseState.FAILED]


def test_a_job_that_waited_too_long_fails_what_it_is_about(database: Database):
    """An image that nobody checked is not rejected: it has done nothing wrong."""
    with database.write() as session:
        image = add_image(session, add_user(session, "ada"), state=ArchiveState.RECEIVED, digest=None)
        job = enqueue(session, Job(kind="check_image", algorithm_image_pk=image.pk))
        job.deadline = database.now(session) - timedelta(minutes=1)
    assert reap(database) == 1
    with database.read() as session:
        found = session.get_one(AlgorithmImage, image.pk)
    assert found.state is ArchiveState.FAILED
    assert found.reason == "check_image: waited too long in the queue"


def test_what_is_in_time_is_left_alone(database: Database):
    """A job that is kept, a submission within its deadline."""
    submission = _submission(database)
    with database.write() as session:
        enqueue(session, Job(kind="start", submission_pk=submission.pk))
    assert claim(database, "w", lease_for=timedelta(minutes=1)) is not None
    assert reap(database) == 0
    assert _states(database, Job) == [JobState.LEASED]
