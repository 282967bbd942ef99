"""What a runner tells while it runs, and how a plan stands when it stops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from reseed.contracts.job import Job, JobRecord, JobState
from reseed.orchestration.plan import Plan


class Listener(Protocol):
    """Whoever watches a study run."""

    def begun(self, plan: Plan, records: Mapping[str, JobRecord]) -> None:
        """The plan and what earlier commands have done of it."""

    def started(self, job: Job, *, adopted: bool) -> None:
        """A job runs; adopted when an earlier orchestrator had started it."""

    def ended(self, job: Job, record: JobRecord, log_tail: str) -> None:
        """A job has succeeded, failed, or gone back to the queue."""

    def notice(self, line: str) -> None:
        """Something that a person should know, in one line."""

    def tick(self) -> None:
        """Some time has passed."""


@dataclass(frozen=True)
class Outcome:
    """How a plan stands when the runner stops: jobs by key."""

    succeeded: tuple[str, ...]
    failed: tuple[str, ...]
    blocked: tuple[str, ...]
    interrupted: bool

    @property
    def is_complete(self) -> bool:
        """Whether every job of the plan has its result."""
        return not self.failed and not self.blocked and not self.interrupted


def outcome_of(records: Mapping[str, JobRecord], *, interrupted: bool) -> Outcome:
    """How a plan stands, from the records of its jobs by key."""
    by_state: dict[JobState, list[str]] = {}
    for key, record in records.items():
        by_state.setdefault(record.state, []).append(key)
    succeeded = tuple(by_state.pop(JobState.SUCCEEDED, ()))
    failed = tuple(by_state.pop(JobState.FAILED, ()))
    blocked = tuple(key for keys in by_state.values() for key in keys)
    return Outcome(succeeded, failed, blocked, interrupted=interrupted and bool(blocked or failed))
