"""Whether what a study will still write fits on its disk, as far as that can be known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from reseed.contracts.job import Job, JobKind, JobRecord, JobState
from reseed.orchestration.disk import StudyDisk, bytes_text
from reseed.orchestration.plan import Plan

_Sort = tuple[JobKind, str | None]


class DiskForecast:
    """
    Expects of every job the mean size of the results of its kind and method so far.

    Parameters
    ----------
    plan, records
        What is to do, and what has been done.
    disk
        Where.
    tell
        Is given one line, once, when there is less room than will be needed.
    """

    def __init__(
        self,
        plan: Plan,
        records: Mapping[str, JobRecord],
        disk: StudyDisk,
        tell: Callable[[str], None],
    ) -> None:
        self._disk = disk
        self._tell = tell
        self._n_left: Counter[_Sort] = Counter()
        self._n_done: Counter[_Sort] = Counter()
        self._done_bytes: Counter[_Sort] = Counter()
        self._has_told = False
        for job in plan.jobs:
            self._n_left[job.kind, job.method] += 1
            if records[job.key].state is JobState.SUCCEEDED:
                self._count(job, records[job.key])
        self._compare()

    def note(self, job: Job, record: JobRecord) -> None:
        """A job has its result; the first of its sort says what the others will take."""
        if self._count(job, record) == 1:
            self._compare()

    def bytes_to_come(self) -> float:
        """What the jobs that are left are expected to write; nothing is expected of unknown sorts."""
        return sum(
            n_left * self._done_bytes[sort] / self._n_done[sort]
            for sort, n_left in self._n_left.items()
            if self._n_done[sort]
        )

    def _count(self, job: Job, record: JobRecord) -> int:
        sort = (job.kind, job.method)
        self._n_left[sort] -= 1
        if record.output_bytes is not None:
            self._n_done[sort] += 1
            self._done_bytes[sort] += record.output_bytes
        return self._n_done[sort]

    def _compare(self) -> None:
        needed, free = self.bytes_to_come(), self._disk.room_bytes()
        if needed > free and not self._has_told:
            self._has_told = True
            self._tell(
                f"about {bytes_text(needed)} are still to be written and {bytes_text(free)} are free: "
                "the study will wait for room; `reseed prune` may find some"
            )
