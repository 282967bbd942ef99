"""The queue of jobs: each claimed once, kept by heartbeat, taken back when its worker is gone."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update

from reseed.service.database.engine import Database
from reseed.service.database.jobs import (
    MAX_ATTEMPTS,
    MAX_LOST,
    LeaseLost,
    cancel_jobs,
    claim,
    enqueue,
    finish,
    heartbeat,
    held_job,
    put_back,
    reap_leases,
    release,
)
from reseed.service.database.models import Job
from reseed.service.domain.states import JobState

_MINUTE = timedelta(minutes=1)

_CLAIMER = """
import json, sys
from datetime import timedelta
from reseed.service.database.engine import Database
from reseed.service.database.jobs import claim, finish
url, owner = sys.argv[1:]
database = Database(url)
database.ping()
print("ready", flush=True)
sys.stdin.readline()
claimed = []
while (lease := claim(database, owner, lease_for=timedelta(minutes=5))) is not None:
    claimed.append(str(lease.job_pk))
print(json.dumps(claimed))
"""


def _claimer(url: str, owner: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _CLAIMER, url, owner],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _enqueue(database: Database, *kinds: str, **values: object) -> list[Job]:
    with database.write() as session:
        return [enqueue(session, Job(kind=kind, **values)) for kind in kinds]


def _job(database: Database, job: Job) -> Job:
    with database.read() as session:
        return session.get_one(Job, job.pk)


def test_eight_processes_claim_two_thousand_jobs(database: Database):
    """No lock error, each job claimed once, none left."""
    with database.write() as session:
        session.add_all([Job(kind="check", details={"number": number}) for number in range(2000)])
    url = database.url.render_as_string(hide_password=False)
    claimed: list[str] = []
    with ExitStack() as stack:
        workers = [stack.enter_context(_claimer(url, f"worker-{number}")) for number in range(8)]
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        for worker in workers:
            out, err = worker.communicate(timeout=300)
            assert worker.returncode == 0, err
            claimed += json.loads(out)

    assert len(claimed) == 2000
    assert len(set(claimed)) == 2000
    with database.read() as session:
        assert {job.attempts for job in session.scalars(select(Job))} == {1}


def test_the_most_urgent_job_that_is_due_comes_first(database: Database):
    """A low priority number is urgent; a job of the future waits."""
    later = datetime.now().astimezone() + timedelta(hours=1)
    _enqueue(database, "later", available_at=later, priority=1)
    _enqueue(database, "usual")
    _enqueue(database, "urgent", priority=10)

    leases = [claim(database, "w", lease_for=_MINUTE) for _ in range(3)]

    assert [lease and lease.kind for lease in leases] == ["urgent", "usual", None]


def test_a_worker_takes_only_the_kinds_it_can_do(database: Database):
    """A worker without a GPU leaves trainings alone."""
    _enqueue(database, "train", "check")

    lease = claim(database, "w", lease_for=_MINUTE, kinds=["check"])

    assert lease is not None
    assert lease.kind == "check"
    assert claim(database, "w", lease_for=_MINUTE, kinds=["check"]) is None


def test_a_heartbeat_keeps_the_job_and_finishing_ends_it(database: Database):
    """The lease moves on; afterwards the worker holds nothing."""
    (job,) = _enqueue(database, "check")
    lease = claim(database, "w", lease_for=_MINUTE)
    assert lease is not None
    before = _job(database, job).lease_until
    heartbeat(database, lease, lease_for=2 * _MINUTE)
    after = _job(database, job).lease_until
    assert before is not None
    assert after is not None
    assert after > before

    with database.write() as session:
        finish(session, lease, reason="checked")
    assert _job(database, job).state is JobState.DONE
    with pytest.raises(LeaseLost):
        heartbeat(database, lease, lease_for=_MINUTE)


def _lose(database: Database) -> list[Job]:
    with database.write() as session:
        return reap_leases(session, database.now(session) + timedelta(hours=1))


def test_a_lost_worker_s_job_is_tried_again_and_its_late_result_refused(database: Database):
    """Whoever lost the lease cannot write, not even under the same name."""
    (job,) = _enqueue(database, "check")
    first = claim(database, "w", lease_for=_MINUTE)
    assert first is not None
    assert _lose(database) == []
    assert _job(database, job).state is JobState.QUEUED
    assert "no sign of life" in _job(database, job).reason

    second = claim(database, "w", lease_for=_MINUTE)
    assert second is not None
    assert second.attempt == 2
    with pytest.raises(LeaseLost), database.write() as session:
        finish(session, first)
    with database.write() as session:
        assert held_job(session, second).pk == job.pk


def test_a_job_that_loses_every_worker_fails_with_a_reason(database: Database):
    """After so many that it may be what ends them; then whatever it was about is told to the caller."""
    (job,) = _enqueue(database, "check")
    for attempt in range(1, MAX_LOST + 1):
        assert claim(database, f"w{attempt}", lease_for=_MINUTE) is not None
        ended = _lose(database)

    assert [each.pk for each in ended] == [job.pk]
    found = _job(database, job)
    assert found.state is JobState.FAILED
    assert found.reason == "its worker w10 gave no sign of life; lost 10 times"
    assert claim(database, "w", lease_for=_MINUTE) is None


def test_a_lost_attempt_is_no_failed_one(database: Database):
    """However often workers vanish in between, a job may fail three times."""
    (job,) = _enqueue(database, "check")
    for n_failed in range(MAX_ATTEMPTS):
        for _ in range(MAX_ATTEMPTS):
            assert claim(database, "w", lease_for=_MINUTE) is not None
            assert _lose(database) == []
        lease = claim(database, "w", lease_for=_MINUTE)
        assert lease is not None
        assert lease.n_failed == n_failed
        with database.write() as session:
            assert put_back(session, lease, reason="no space left") is (n_failed + 1 < MAX_ATTEMPTS)
    found = _job(database, job)
    assert (found.attempts, found.lost_attempts) == (12, 9)
    assert found.reason == "no space left; failed 3 times"


def test_put_back_counts_and_release_does_not(database: Database):
    """A worker that is told to stop gives its job back as if it had never had it."""
    (job,) = _enqueue(database, "check")
    lease = claim(database, "w", lease_for=_MINUTE)
    assert lease is not None
    with database.write() as session:
        release(session, lease, reason="the worker was told to stop")
    assert _job(database, job).attempts == 0

    for attempt in range(1, MAX_ATTEMPTS + 1):
        lease = claim(database, "w", lease_for=_MINUTE)
        assert lease is not None
        with database.write() as session:
            assert put_back(session, lease, reason="no space left") is (attempt < MAX_ATTEMPTS)
    assert _job(database, job).state is JobState.FAILED


def test_a_job_past_its_deadline_ends_wherever_it_is(database: Database):
    """In the queue as well as with a worker that still sends heartbeats."""
    _enqueue(database, "check", "train")
    lease = claim(database, "w", lease_for=timedelta(days=2), kinds=["train"], within=_MINUTE)
    assert lease is not None
    with database.write() as session:
        now = database.now(session)
        session.execute(update(Job).where(Job.kind == "check").values(deadline=now - _MINUTE))
    ended = _lose(database)

    assert {job.kind: job.reason for job in ended} == {
        "check": "waited too long in the queue",
        "train": "took too long",
    }


def test_cancelling_takes_a_job_from_its_worker(database: Database):
    """The next heartbeat tells it."""
    (job,) = _enqueue(database, "check")
    lease = claim(database, "w", lease_for=_MINUTE)
    assert lease is not None
    with database.write() as session:
        assert cancel_jobs(session, Job.pk == job.pk, reason="cancelled by its owner") == 1
    with pytest.raises(LeaseLost):
        heartbeat(database, lease, lease_for=_MINUTE)
