"""The queue: what can start, in the order of the plan."""

from __future__ import annotations

import pytest

from reseed.contracts.errors import UserError
from reseed.contracts.job import Job
from reseed.orchestration.plan import Plan
from reseed.orchestration.queue import JobQueue


def _job(number: int, *needs: int) -> Job:
    return Job(
        key=f"{number:064x}",
        name=str(number),
        kind="train",
        role="x",
        command="train",
        code="0" * 64,
        outputs=(),
        needs=tuple(f"{need:064x}" for need in needs),
    )


def _taken(queue: JobQueue) -> list[str]:
    names = []
    while queue:
        names.append(queue.take().name)
    return names


JOBS = (_job(1), _job(2, 1), _job(3, 1), _job(4, 2, 3), _job(5))
PLAN = Plan(JOBS)


def test_only_jobs_without_open_needs_can_start():
    """What waits for another is not offered, whatever stands first in the plan."""
    assert _taken(JobQueue(PLAN, [])) == ["1", "5"]


def test_a_finished_job_frees_those_that_waited_for_it_alone():
    """A job with two needs starts after both."""
    queue = JobQueue(PLAN, [JOBS[0].key])
    assert _taken(queue) == ["2", "3", "5"]

    queue.finish(JOBS[1])
    assert not queue
    queue.finish(JOBS[2])
    assert _taken(queue) == ["4"]


def test_a_job_put_back_keeps_its_place():
    """A second try comes before what stands later in the plan."""
    queue = JobQueue(PLAN, [])
    first = queue.take()
    queue.put(first)

    assert _taken(queue) == ["1", "5"]


def test_a_withdrawn_job_is_not_offered():
    """A job that runs already is not started again, also when its need is done once more."""
    queue = JobQueue(PLAN, [])
    queue.withdraw(JOBS[1])
    queue.withdraw(JOBS[4])

    assert _taken(queue) == ["1"]
    queue.finish(JOBS[0])
    assert _taken(queue) == ["3"]
    queue.put(JOBS[4])
    assert _taken(queue) == ["5"]


def test_a_need_outside_the_plan_is_refused():
    """Half a plan starts only when the other half is done."""
    half = Plan(JOBS[1:3])
    with pytest.raises(UserError, match="2: needs a job outside this plan"):
        JobQueue(half, [])

    assert _taken(JobQueue(half, [JOBS[0].key])) == ["2", "3"]
