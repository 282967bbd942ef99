"""
Which attempts are followed by another, and when.

- The machine's fault (killed from outside, engine refused): three attempts a command, each after a
  longer wait.
- A full disk or a stop: any number, they say nothing of the job.
- The job's own failure: once more, in case it was chance. Twice the same way is not chance. A
  program that fails in ever new ways is given up at the third.
- What would only happen again (out of memory, out of time, an output that is refused): no other.

A job that has failed by itself is not tried again by a later command either, unless that gives it
other resources or is told to; other code, settings or data make it another job.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from reseed.contracts.errors import UserError
from reseed.contracts.job import Attempt, Job, JobRecord, JobState
from reseed.documents.reading import read_json
from reseed.orchestration.ending import Ending
from reseed.orchestration.study_folder import StudyFolder

if TYPE_CHECKING:  # `reseed status` needs no seeds, and so no numpy
    from reseed.orchestration.plan import Plan

MAX_INFRASTRUCTURE_FAULTS = 3
MAX_OWN_FAULTS = 3
BACKOFF_S = 1.0
_BACKOFF_FACTOR = 4.0
_N_SHOWN = 10


def judged(
    ending: Ending, *, exit_code: int | None, earlier: Sequence[Attempt], backoff_s: float = BACKOFF_S
) -> Ending:
    """
    An ending with the state that it and those before it give the job.

    Parameters
    ----------
    ending
        Of the latest attempt.
    exit_code
        Of the latest attempt.
    earlier
        The attempts before it that count: all since the job was last given up or forced.
    backoff_s
        The first wait after a fault of the machine's; each next one is four times as long.
    """
    if ending.fault == "infrastructure":
        n_before = sum(attempt.fault == "infrastructure" for attempt in earlier)
        if n_before + 1 >= MAX_INFRASTRUCTURE_FAULTS:
            return replace(ending, state=JobState.FAILED)
        return replace(ending, delay_s=backoff_s * _BACKOFF_FACTOR**n_before)
    if ending.fault == "job" and ending.may_be_chance:
        own = [attempt for attempt in earlier if attempt.fault == "job"]
        same = any(
            _way(attempt.exit_code, attempt.reason) == _way(exit_code, ending.reason) for attempt in own
        )
        given_up = same or len(own) + 1 >= MAX_OWN_FAULTS
        return replace(ending, state=JobState.FAILED if given_up else JobState.QUEUED)
    return ending


def failed_for_good(record: JobRecord, job: Job, specification: Path) -> bool:
    """
    Whether a job failed by itself, so that trying it again would be trying the same.

    Parameters
    ----------
    record, job
        What is known of it, and what it is now.
    specification
        job.json, what it was at its last attempt: other memory, time or cores may make it succeed.
    """
    if record.state is not JobState.FAILED or record.last is None or record.last.fault != "job":
        return False
    try:
        return read_json(specification, Job).resources == job.resources
    except UserError:
        return False  # written by another version


def jobs_failed_for_good(plan: Plan, study: StudyFolder, records: Mapping[str, JobRecord]) -> list[Job]:
    """The jobs of a plan that an earlier command has seen fail by themselves, in order."""
    return [
        job for job in plan.jobs if failed_for_good(records[job.key], job, study.job(job.key).specification)
    ]


def left_out_lines(records: Sequence[JobRecord]) -> Iterator[str]:
    """What a command says of the jobs that it does not try again."""
    for record in records[:_N_SHOWN]:
        reason = record.attempts[-1].reason
        yield f"{record.name}: failed before and is not tried again: {reason}"
    if len(records) > _N_SHOWN:
        yield f"and {len(records) - _N_SHOWN} more; `reseed status` lists them"


def history(record: JobRecord) -> str:
    """How often a failed job was tried, and whether it failed the same way each time, in words."""
    own = [attempt for attempt in record.attempts if attempt.fault == "job"]
    if len(own) < 2:
        return ""
    ways = {_way(attempt.exit_code, attempt.reason) for attempt in own[-2:]}
    return "twice the same way" if len(ways) == 1 else f"{len(own)} times, each in another way"


def _way(exit_code: int | None, reason: str | None) -> tuple[int | None, str]:
    """What makes two failures the same: exit code and last words, but for numbers and addresses."""
    return exit_code, re.sub(r"0x[0-9a-f]+|\d+(\.\d+)?", "#", reason or "")
