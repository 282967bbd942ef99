"""Which jobs of a plan can start: those whose needs are met, in the order of the plan."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from reseed.contracts.errors import UserError
from reseed.contracts.job import Job
from reseed.orchestration.plan import Plan


class JobQueue:
    """
    The jobs of a plan that are still to do.

    Parameters
    ----------
    plan
        All jobs.
    done
        Keys of the jobs that have their result.

    Raises
    ------
    UserError
        When a job needs one that is neither done nor in the plan.
    """

    def __init__(self, plan: Plan, done: Iterable[str]) -> None:
        finished = set(done)
        self._jobs = plan.by_key()
        self._order = {job.key: index for index, job in enumerate(plan.jobs)}
        self._missing: dict[str, set[str]] = {}
        self._dependants: dict[str, list[str]] = {}
        self._ready: list[tuple[int, str]] = []
        self._withdrawn: set[str] = set()
        for job in plan.jobs:
            if job.key not in finished:
                self._add(job, finished)

    def _add(self, job: Job, done: set[str]) -> None:
        missing = {key for key in job.needs if key not in done}
        if missing - self._jobs.keys():
            raise UserError(f"{job.name}: needs a job outside this plan that has not been done")
        self._missing[job.key] = missing
        for key in missing:
            self._dependants.setdefault(key, []).append(job.key)
        if not missing:
            self.put(job)

    def __bool__(self) -> bool:
        """Whether a job can start."""
        return bool(self._ready)

    def put(self, job: Job) -> None:
        """Queue a job whose needs are met, also one that is to be tried again."""
        self._withdrawn.discard(job.key)
        heapq.heappush(self._ready, (self._order[job.key], job.key))

    def take(self) -> Job:
        """The first job that can start."""
        return self._jobs[heapq.heappop(self._ready)[1]]

    def withdraw(self, job: Job) -> None:
        """Take out a job that runs already, whether or not its needs are met."""
        self._withdrawn.add(job.key)
        self._ready = [entry for entry in self._ready if entry[1] != job.key]
        heapq.heapify(self._ready)

    def finish(self, job: Job) -> None:
        """A job has its result: queue what waited for it alone."""
        for key in self._dependants.pop(job.key, ()):
            self._missing[key].discard(job.key)
            if not self._missing[key] and key not in self._withdrawn:
                self.put(self._jobs[key])
