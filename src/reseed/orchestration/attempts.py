"""An attempt that runs, as the runner holds it in its hands."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from reseed.contracts.errors import InfrastructureError
from reseed.contracts.job import Attempt, Job, JobRecord, JobState
from reseed.orchestration.clock import seconds_since_start
from reseed.orchestration.disk import StudyDisk
from reseed.orchestration.ending import Ending
from reseed.orchestration.executors.executor import ProgramStatus
from reseed.orchestration.slots import Slot
from reseed.orchestration.study_folder import AttemptFolder

_RETRY_INTERVAL_S = 0.5


@dataclass
class Trouble:
    """What an engine, which answers, does not do for one attempt; it is asked again after a while."""

    error: InfrastructureError | None = None
    _since: float = 0.0
    _again_at: float = 0.0
    _told: set[str] = field(default_factory=set)

    @property
    def may_try(self) -> bool:
        """Whether it is time to ask again."""
        return time.monotonic() >= self._again_at

    def note(self, error: InfrastructureError) -> bool:
        """It was refused; whether that is news."""
        now = time.monotonic()
        self._since = now if self.error is None else self._since
        self.error, self._again_at = error, now + _RETRY_INTERVAL_S
        is_news = str(error) not in self._told
        self._told.add(str(error))
        return is_news

    def is_over(self) -> None:
        """It was done."""
        self.error = None

    def has_lasted(self, patience_s: float) -> bool:
        """Whether it has been refused for so long without a break."""
        return self.error is not None and time.monotonic() - self._since > patience_s


@dataclass
class ActiveAttempt:
    """
    A started job until its end has been taken in.

    Parameters
    ----------
    job, record, slot, folder
        What runs, what is known of it, what it occupies, where it works.
    is_certain
        Whether it is known to have been started: not of what an earlier orchestrator had begun,
        and not when the engine broke off.
    refusal
        What the engine said, when it refused to start it.
    saw_full_disk, saw_exhausted_disk
        Whether the disk was full while it ran; and whether nothing at all could be written.
    was_unwatched
        Whether it ran for a while without an orchestrator, when the disk may have been full or exhausted.
    trouble
        What the engine does not do for it.
    """

    job: Job
    record: JobRecord
    slot: Slot
    folder: AttemptFolder
    is_certain: bool = True
    refusal: str | None = None
    status: ProgramStatus | None = None
    ending: Ending | None = None
    log: str = ""
    output_bytes: int | None = None
    saw_full_disk: bool = False
    saw_exhausted_disk: bool = False
    was_unwatched: bool = False
    cancelled_at: float | None = None
    forced: bool = False
    why_cancelled: str | None = None
    taken_at: float = field(default_factory=time.monotonic)
    trouble: Trouble = field(default_factory=Trouble)

    @property
    def attempt(self) -> Attempt:
        """The attempt as it is recorded."""
        return self.record.attempts[-1]

    def note(self, disk: StudyDisk) -> None:
        """Remember what the disk is like while it runs."""
        self.saw_full_disk |= disk.is_full
        self.saw_exhausted_disk |= disk.is_exhausted

    def is_out_of_time(self) -> bool:
        """Whether it has run longer than it may; asked once it has not been cancelled."""
        ran_s = max(seconds_since_start(self.attempt), time.monotonic() - self.taken_at)
        return self.cancelled_at is None and ran_s > self.job.resources.timeout_s

    def is_overdue(self, grace_s: float) -> bool:
        """Whether it was asked to stop long ago and has not."""
        asked = self.cancelled_at
        return asked is not None and not self.forced and time.monotonic() - asked > grace_s


def with_attempt(record: JobRecord, state: JobState, attempt: Attempt) -> JobRecord:
    """A record with its latest attempt as it is now, and the state that gives the job."""
    earlier = tuple(past for past in record.attempts if past.number != attempt.number)
    return record.model_copy(update={"state": state, "attempts": (*earlier, attempt)})


def recorded_gpus(attempt: Attempt) -> tuple[int, ...]:
    """The GPUs that an attempt was given."""
    return tuple(int(gpu) for gpu in str(attempt.handle.get("gpus", "")).split(",") if gpu)
