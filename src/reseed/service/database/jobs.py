"""
The queue of the worker's jobs: claimed by lease, kept by heartbeat, taken back by the reaper.

On SQLite a claim is one BEGIN IMMEDIATE transaction; on PostgreSQL it is SELECT … FOR UPDATE SKIP
LOCKED, so that any number of workers on any number of hosts claim without waiting for each other.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from reseed.contracts.errors import ReseedError
from reseed.service.database.engine import Database
from reseed.service.database.locks import lock_submissions
from reseed.service.database.models import Job, Submission
from reseed.service.database.transitions import enter, transition
from reseed.service.domain.states import JobState

MAX_ATTEMPTS = 3
"""Of one job, that may fail."""

MAX_LOST = 10
"""Of one job, that may end with their worker: so that one that takes its workers down ends as well."""


class LeaseLost(ReseedError):
    """The job is no longer this worker's: the lease ran out, or somebody cancelled the job."""


@dataclass(frozen=True)
class Lease:
    """
    A claimed job, as the worker that holds it knows it.

    Of the attempts before this one, `n_failed` have failed; the others were lost with their worker.
    """

    job_pk: UUID
    kind: str
    owner: str
    attempt: int
    deadline: datetime | None
    details: dict[str, Any]
    n_failed: int = 0
    submission_pk: UUID | None = None
    run_pk: UUID | None = None
    evaluation_pk: UUID | None = None
    algorithm_image_pk: UUID | None = None
    algorithm_model_pk: UUID | None = None


def enqueue(session: Session, job: Job) -> Job:
    """Put a job into the queue, in the transaction of what makes it necessary."""
    enter(session, job)
    return job


def claim(
    database: Database,
    owner: str,
    *,
    lease_for: timedelta,
    kinds: Collection[str] | None = None,
    within: timedelta | None = None,
) -> Lease | None:
    """
    Take the most urgent job that is due, or None when there is none.

    Parameters
    ----------
    database
        Where the queue is.
    owner
        Name of the worker process, different from that of any other.
    lease_for
        After which, without a heartbeat, the job is anybody's again.
    kinds
        Only jobs of these kinds; None for all.
    within
        How long the job may take altogether, heartbeats or not.
    """
    with database.write() as session:
        now = database.now(session)
        due = (
            select(Job)
            .where(Job.state == JobState.QUEUED, Job.available_at <= now)
            .order_by(Job.priority, Job.available_at)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        if kinds is not None:
            due = due.where(Job.kind.in_(kinds))
        job = session.scalar(due)
        if job is None:
            return None
        attempt = job.attempts + 1
        transition(
            session,
            job,
            JobState.LEASED,
            reason=f"attempt {attempt} on {owner}",
            at=now,
            within=within,
            lease_owner=owner,
            lease_until=now + lease_for,
            attempts=attempt,
        )
        return _lease(job, owner)


def _lease(job: Job, owner: str) -> Lease:
    return Lease(
        job_pk=job.pk,
        kind=job.kind,
        owner=owner,
        attempt=job.attempts,
        deadline=job.deadline,
        details=dict(job.details),
        n_failed=job.attempts - 1 - job.lost_attempts,
        submission_pk=job.submission_pk,
        run_pk=job.run_pk,
        evaluation_pk=job.evaluation_pk,
        algorithm_image_pk=job.algorithm_image_pk,
        algorithm_model_pk=job.algorithm_model_pk,
    )


def heartbeat(database: Database, lease: Lease, *, lease_for: timedelta) -> None:
    """
    Keep a job for another `lease_for`.

    Raises
    ------
    LeaseLost
        When the job is not this worker's any more; it must stop and write nothing.
    """
    with database.write() as session:
        job = held_job(session, lease)
        job.lease_until = database.now(session) + lease_for


def held_job(session: Session, lease: Lease) -> Job:
    """
    The job of a lease, locked after its submission, in the transaction that is going to write its result.

    Raises
    ------
    LeaseLost
        When the job is not this worker's any more: the transaction must write nothing.
    """
    if lease.submission_pk is not None:
        lock_submissions(session, Submission.pk == lease.submission_pk)
    job = session.scalar(
        select(Job)
        .where(
            Job.pk == lease.job_pk,
            Job.state == JobState.LEASED,
            Job.lease_owner == lease.owner,
            Job.attempts == lease.attempt,
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if job is None:
        raise LeaseLost(f"job {lease.job_pk} ({lease.kind}) is no longer held by {lease.owner}")
    return job


def finish(session: Session, lease: Lease, *, reason: str = "") -> None:
    """End a job well, in the transaction of its result; raises LeaseLost as `held_job` does."""
    transition(session, held_job(session, lease), JobState.DONE, reason=reason, lease_until=None)


def give_up(session: Session, lease: Lease, *, reason: str) -> None:
    """End a job without a result, and without another attempt; raises as `held_job` does."""
    transition(session, held_job(session, lease), JobState.FAILED, reason=reason, lease_until=None)


def put_back(session: Session, lease: Lease, *, reason: str, after: timedelta = timedelta()) -> bool:
    """
    Let a job be tried again, or end it when it has failed often enough.

    Returns
    -------
    bool
        Whether it is in the queue again; when it is not, the caller fails what the job is about.

    Raises
    ------
    LeaseLost
        As `held_job` does.
    """
    job = held_job(session, lease)
    n_failed = lease.n_failed + 1
    if n_failed >= MAX_ATTEMPTS:
        transition(
            session, job, JobState.FAILED, reason=f"{reason}; failed {n_failed} times", lease_until=None
        )
        return False
    transition(session, job, JobState.QUEUED, reason=reason, lease_owner=None, lease_until=None)
    job.available_at = job.state_since + after
    return True


def release(session: Session, lease: Lease, *, reason: str, after: timedelta = timedelta()) -> None:
    """
    Put a job back uncounted, as a worker does that is told to stop, or that must wait for another job.

    Raises
    ------
    LeaseLost
        As `held_job` does.
    """
    job = held_job(session, lease)
    transition(
        session,
        job,
        JobState.QUEUED,
        reason=reason,
        lease_owner=None,
        lease_until=None,
        attempts=max(0, job.attempts - 1),
    )
    job.available_at = job.state_since + after


def cancel_jobs(session: Session, *subjects: Any, reason: str, actor: UUID | None = None) -> int:
    """
    End every job that is not over and that is about a given column value, such as Job.run_pk == pk.

    A submission whose jobs these are is locked before.
    """
    open_jobs = session.scalars(
        select(Job).where(Job.state.in_([JobState.QUEUED, JobState.LEASED]), *subjects).with_for_update()
    ).all()
    for job in open_jobs:
        transition(session, job, JobState.CANCELLED, reason=reason, actor=actor, lease_until=None)
    return len(open_jobs)


def reap_leases(session: Session, now: datetime) -> list[Job]:
    """
    Take back the jobs whose worker gave no sign, and end the ones past their deadline.

    An attempt that is lost with its worker says nothing about the job, and is no failed one. Jobs, and
    jobs of submissions, that somebody else has locked are left for the next time.

    Returns
    -------
    list of Job
        Those that ended here as failed; the caller fails what they are about, in this transaction.
    """
    ended = []
    for job in _locked_jobs(session, (Job.state == JobState.LEASED) & (Job.lease_until < now)):
        if not _queued_after_loss(session, job):
            ended.append(job)
    is_open = Job.state.in_([JobState.QUEUED, JobState.LEASED])
    for job in _locked_jobs(session, is_open & (Job.deadline < now)):
        waited = "waited too long in the queue" if job.state is JobState.QUEUED else "took too long"
        transition(session, job, JobState.FAILED, reason=waited, lease_until=None)
        ended.append(job)
    return ended


def _queued_after_loss(session: Session, job: Job) -> bool:
    """Let a job be tried again at once, unless it was lost too often; whether it is in the queue."""
    n_lost = job.lost_attempts + 1
    to, reason = JobState.QUEUED, f"its worker {job.lease_owner} gave no sign of life"
    if n_lost >= MAX_LOST:
        to, reason = JobState.FAILED, f"{reason}; lost {n_lost} times"
    transition(session, job, to, reason=reason, lease_owner=None, lease_until=None, lost_attempts=n_lost)
    return to is JobState.QUEUED


def _locked_jobs(session: Session, which: ColumnElement[bool]) -> Sequence[Job]:
    """Those that nobody else has locked, after their submissions."""
    theirs = select(Job.submission_pk).where(which, Job.submission_pk.is_not(None))
    locked = lock_submissions(session, Submission.pk.in_(theirs), skip_locked=True)
    free = or_(Job.submission_pk.is_(None), Job.submission_pk.in_(locked))
    return session.scalars(select(Job).where(which, free).with_for_update(skip_locked=True)).all()
