"""Which jobs of a plan can start: those whose needs are met, in the order of the plan."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from reseed.contracts.errors import UserError
from reseed.contracts.job import Job
from reseed.contracts.manifest import Resources
from reseed.orchestration.plan import Plan

MAX_OVERTAKEN = 16

Place = TypeVar("Place")


class JobQueue:
    """
    The jobs of a plan that are still to do.

    A job that does not fit at the moment lets later ones go first, so that nothing idles, but
    only a number of times: then everybody waits until it fits.

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
        self._ready: dict[Resources, list[tuple[int, str]]] = {}
        self._is_ready: set[str] = set()
        self._later: list[tuple[float, int, str]] = []
        self._withdrawn: set[str] = set()
        self._n_overtaken: dict[str, int] = {}
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
        """Whether a job can start, now or after a wait."""
        return bool(self._is_ready or self._later)

    def put(self, job: Job, *, delay_s: float = 0.0) -> None:
        """Queue a job whose needs are met, also one that is to be tried again, after a wait."""
        self._withdrawn.discard(job.key)
        if delay_s > 0:
            heapq.heappush(self._later, (time.monotonic() + delay_s, self._order[job.key], job.key))
            return
        self._is_ready.add(job.key)
        heapq.heappush(self._ready.setdefault(job.resources, []), (self._order[job.key], job.key))

    def take(self, place_for: Callable[[Resources], Place | None]) -> tuple[Job, Place] | None:
        """
        The first job that can start and has a place, with its place.

        Parameters
        ----------
        place_for
            Takes a place for a job that needs so much; None when there is none.
        """
        passed: list[str] = []
        for _, key, resources in sorted(self._heads()):
            place = place_for(resources)
            if place is not None:
                heapq.heappop(self._ready[resources])
                self._is_ready.discard(key)
                self._n_overtaken.pop(key, None)
                for waiting in passed:
                    self._n_overtaken[waiting] = self._n_overtaken.get(waiting, 0) + 1
                return self._jobs[key], place
            if self._n_overtaken.get(key, 0) >= MAX_OVERTAKEN:
                return None
            passed.append(key)
        return None

    def _heads(self) -> list[tuple[int, str, Resources]]:
        """The first of the jobs that need as much as each other; they fit, or do not, alike."""
        while self._later and self._later[0][0] <= time.monotonic():
            self.put(self._jobs[heapq.heappop(self._later)[2]])
        heads = []
        for resources, waiting in self._ready.items():
            while waiting and waiting[0][1] not in self._is_ready:
                heapq.heappop(waiting)
            if waiting:
                heads.append((*waiting[0], resources))
        return heads

    def withdraw(self, job: Job) -> None:
        """Take out a job that runs already, or is not to run, whether or not its needs are met."""
        self._withdrawn.add(job.key)
        self._is_ready.discard(job.key)

    def finish(self, job: Job) -> None:
        """A job has its result: queue what waited for it alone."""
        for key in self._dependants.pop(job.key, ()):
            self._missing[key].discard(job.key)
            if not self._missing[key] and key not in self._withdrawn:
                self.put(self._jobs[key])
