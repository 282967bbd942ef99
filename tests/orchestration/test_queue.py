"""The queue: what can start, in the order of the plan."""

from __future__ import annotations

import time

import pytest

from reseed.contracts.errors import UserError
from reseed.contracts.job import Job
from reseed.contracts.manifest import Resources
from reseed.orchestration.plan import Plan
from reseed.orchestration.queue import MAX_OVERTAKEN, JobQueue
from reseed.orchestration.slots import Slots


def _job(number: int, *needs: int, cpus: int = 1) -> Job:
    return Job(
        key=f"{number:064x}",
        name=str(number),
        kind="train",
        role="x",
        command="train",
        code="0" * 64,
        outputs=(),
        needs=tuple(f"{need:064x}" for need in needs),
        resources=Resources(cpus=cpus),
    )


def _first(queue: JobQueue) -> Job | None:
    found = queue.take(lambda resources: True)
    return found and found[0]


def _taken(queue: JobQueue) -> list[str]:
    names = []
    while (job := _first(queue)) is not None:
        names.append(job.name)
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
    first = _first(queue)
    assert first is not None
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


def test_a_job_that_does_not_fit_lets_others_go_first_a_number_of_times():
    """Nothing idles while a ready job fits; and a large one is not put off for ever."""
    large, small = _job(1, cpus=2), [_job(number) for number in range(2, 40)]
    queue = JobQueue(Plan((large, *small)), [])
    slots = Slots(2)
    busy = slots.take(Resources(cpus=1))
    assert busy is not None

    overtaking = []
    while (found := queue.take(slots.take)) is not None:
        overtaking.append(found[0].name)
        slots.give_back(found[1])

    assert overtaking == [job.name for job in small[:MAX_OVERTAKEN]]
    slots.give_back(busy)
    found = queue.take(slots.take)
    assert found is not None
    assert found[0] == large
    slots.give_back(found[1])
    found = queue.take(slots.take)
    assert found is not None
    assert found[0] == small[MAX_OVERTAKEN]


def test_a_job_that_waits_before_its_next_attempt_keeps_nobody_from_starting():
    """It counts as to do, is not offered before its time, and then keeps its place."""
    queue = JobQueue(PLAN, [])
    first = _first(queue)
    assert first is not None
    queue.put(first, delay_s=1.0)

    assert _taken(queue) == ["5"]
    assert queue
    deadline = time.monotonic() + 10
    taken: list[str] = []
    while not taken and time.monotonic() < deadline:
        taken = _taken(queue)
    assert taken == ["1"]
    assert not queue
