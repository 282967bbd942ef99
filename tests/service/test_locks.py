"""Transactions that meet at one submission wait for each other on PostgreSQL, and never in a circle."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text, update

from reseed.service.database.engine import Database
from reseed.service.database.jobs import Lease, claim, enqueue, finish, held_job
from reseed.service.database.locks import lock_submissions
from reseed.service.database.models import Evaluation, Job, Run, RunCase, Submission, User
from reseed.service.database.overdue import reap
from reseed.service.database.results import end_parts, record_failure, record_success
from reseed.service.database.transitions import enter, transition
from reseed.service.domain.states import EvaluationState, SubmissionState
from tests.service.ranked import evaluating
from tests.service.rows import add_image, add_submission
from tests.service.world import METRICS, World

# An SQLite database is locked as a whole.
pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)

_WAITING = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def _evaluating(world: World, n_runs: int = 2) -> tuple[Submission, list[Lease]]:
    """A submission of the world's participant whose runs are all being evaluated, each by a worker."""
    with world.database.write() as session:
        evaluated = session.get_one(Submission, UUID(world.names["submission"]))
        user, phase = evaluated.creator, evaluated.phase
        submission = add_submission(session, phase, user, add_image(session, user, "busy-net"), n_runs)
        for evaluation in evaluating(session, submission):
            subjects = {
                "submission_pk": submission.pk,
                "run_pk": evaluation.run_pk,
                "evaluation_pk": evaluation.pk,
            }
            enqueue(session, Job(kind="evaluate", **subjects))
    leases = [claim(world.database, f"w{n}", lease_for=timedelta(minutes=5)) for n in range(n_runs)]
    return submission, [lease for lease in leases if lease is not None]


def _submission(database: Database, submission: Submission) -> Submission:
    with database.read() as session:
        return session.get_one(Submission, submission.pk)


def _until_it_waits(database: Database, other: Future[Any]) -> None:
    """Return when the other transaction waits for a lock, or has come to its end without."""
    deadline = time.monotonic() + 60
    while not other.done():
        with database.read() as session:
            if session.scalar(_WAITING):
                return
        assert time.monotonic() < deadline


def test_cancelling_while_a_worker_fails_a_run(world_of_each_kind: World):
    """Who comes second is told that the submission is over."""
    world = world_of_each_kind
    submission, (lease, _) = _evaluating(world)
    with world.client("participant") as client, ThreadPoolExecutor(1) as pool:
        with world.database.write() as session:
            held_job(session, lease)
            answer = pool.submit(client.post, f"/api/v1/submissions/{submission.pk}/cancel/")
            _until_it_waits(world.database, answer)
            record_failure(session, session.get_one(Evaluation, lease.evaluation_pk), "no metrics")
            finish(session, lease)
        assert answer.result().status_code == 409
        assert answer.result().json()["detail"] == "the submission is over: failed"
    assert _submission(world.database, submission).state is SubmissionState.FAILED


def test_an_evaluator_outside_answers_while_the_submission_is_cancelled(world_of_each_kind: World):
    """The answer comes second, and is refused."""
    world = world_of_each_kind
    submission, (lease, _) = _evaluating(world)
    with world.database.write() as session:
        evaluation = session.get_one(Evaluation, lease.evaluation_pk)
        evaluation.is_external = True
        organiser = session.scalars(select(User).where(User.username == "organiser")).one()
        transition(session, evaluation, EvaluationState.QUEUED)
        transition(session, evaluation, EvaluationState.CLAIMED, claimed_by_pk=organiser.pk)
    url = f"/api/v1/evaluations/{lease.evaluation_pk}/update_external_evaluation/"
    with world.client("organiser") as client, ThreadPoolExecutor(1) as pool:
        with world.database.write() as session:
            lock_submissions(session, Submission.pk == submission.pk)
            told = {"status": "Failed", "error_message": "no space left"}
            answer = pool.submit(client.patch, url, json=told)
            _until_it_waits(world.database, answer)
            found = session.get_one(Submission, submission.pk)
            transition(session, found, SubmissionState.CANCELLED)
            end_parts(session, found, reason="withdrawn")
        assert answer.result().status_code == 409
    assert _submission(world.database, submission).state is SubmissionState.CANCELLED


def test_the_last_two_runs_end_at_once(world_of_each_kind: World):
    """The second worker sees that the first one is done: the submission does not go on running."""
    world = world_of_each_kind
    submission, (first, second) = _evaluating(world)

    def succeed(lease: Lease) -> None:
        with world.database.write() as session:
            held_job(session, lease)
            record_success(session, session.get_one(Evaluation, lease.evaluation_pk), METRICS)
            finish(session, lease)

    with ThreadPoolExecutor(1) as pool:
        with world.database.write() as session:
            held_job(session, first)
            record_success(session, session.get_one(Evaluation, first.evaluation_pk), METRICS)
            finish(session, first)
            session.flush()
            other = pool.submit(succeed, second)
            _until_it_waits(world.database, other)
        other.result()
    assert _submission(world.database, submission).state is SubmissionState.EVALUATED


@pytest.mark.parametrize("table", [Run, Evaluation, RunCase, Job])
def test_the_reaper_leaves_what_somebody_writes(world_of_each_kind: World, table: type[Any]):
    """It waits for nobody: what is overdue of a submission that is locked has its turn the next time."""
    world = world_of_each_kind
    submission, (first, second) = _evaluating(world)
    with world.database.write() as session:
        enter(session, RunCase(run_pk=second.run_pk, name="case-1"))
        late = world.database.now(session) - timedelta(minutes=1)
        subject = {Run: Run.pk, Evaluation: Evaluation.run_pk, RunCase: RunCase.run_pk, Job: Job.run_pk}
        session.execute(update(table).where(subject[table] == second.run_pk).values(deadline=late))
    with ThreadPoolExecutor(1) as pool:
        with world.database.write() as session:
            held_job(session, first)
            reaped = pool.submit(reap, world.database)
            _until_it_waits(world.database, reaped)
            record_success(session, session.get_one(Evaluation, first.evaluation_pk), METRICS)
            finish(session, first)
        assert reaped.result() == 0
    assert reap(world.database) == 1
    assert _submission(world.database, submission).state.is_terminal
