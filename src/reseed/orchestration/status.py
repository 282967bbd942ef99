"""How a study stands, read from its folder alone: nobody is asked, nothing is locked or written."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic_core

from reseed.contracts.errors import InvalidDocument, UserError
from reseed.contracts.job import Attempt, JobKind, JobRecord, JobState
from reseed.documents.reading import read_json
from reseed.orchestration.clock import seconds_since_start
from reseed.orchestration.disk import StudyDisk
from reseed.orchestration.durations import duration_text
from reseed.orchestration.faults import history
from reseed.orchestration.state import orchestrator_at_work
from reseed.orchestration.study_folder import StudyFolder

_N_SHOWN = 10


@dataclass(frozen=True)
class JobStatus:
    """
    One job of a plan, and how it stands.

    Parameters
    ----------
    key, name, kind, needs
        As the plan has them.
    state
        As it is recorded; queued when nothing is.
    record
        All that is known, of jobs that are neither done nor untouched.
    open_needs
        Keys of the jobs that it waits for.
    """

    key: str
    name: str
    kind: JobKind
    needs: tuple[str, ...]
    state: JobState
    record: JobRecord | None = None
    open_needs: tuple[str, ...] = ()

    @property
    def last(self) -> Attempt | None:
        """The latest attempt, of a job that is not done."""
        return self.record.last if self.record else None


@dataclass(frozen=True)
class StudyStatus:
    """
    How a study stands.

    Parameters
    ----------
    folder
        STUDY_DIR.
    jobs
        By key, in the order of the plan.
    orchestrator
        The process that runs the study, when one does; 0 when it is not known which.
    disk_complaint
        What is wrong with the disk, if something is.
    """

    folder: Path
    jobs: dict[str, JobStatus]
    orchestrator: int | None
    disk_complaint: str | None

    def of_state(self, *states: JobState) -> list[JobStatus]:
        """The jobs in some states."""
        return [job for job in self.jobs.values() if job.state in states]

    @property
    def hopeless(self) -> dict[str, str]:
        """Jobs that wait for one that has failed, with that one's key; directly or through others."""
        found: dict[str, str] = {}
        for job in self.jobs.values():
            for need in job.open_needs:
                cause = need if self.jobs[need].state is JobState.FAILED else found.get(need)
                if cause is not None:
                    found.setdefault(job.key, cause)
        return found


def study_status(folder: StudyFolder) -> StudyStatus:
    """
    How a study stands.

    Raises
    ------
    UserError
        When the folder holds no plan, or a record that cannot be understood.
    """
    if not folder.plan.is_file():
        raise UserError(f"{folder.path}: no plan.json here; name the folder of a study that was started")
    planned = _document(str(folder.plan))
    jobs: dict[str, JobStatus] = {}
    done: set[str] = set()
    for job in planned:
        state, record = _state(folder, job["key"])
        if state is JobState.SUCCEEDED:
            done.add(job["key"])
        needs = tuple(job["needs"])
        open_needs = () if state is JobState.SUCCEEDED else tuple(need for need in needs if need not in done)
        kind = JobKind(job["kind"])
        jobs[job["key"]] = JobStatus(job["key"], job["name"], kind, needs, state, record, open_needs)
    disk = StudyDisk(folder.path)
    disk.look()
    complaint = disk.complaint() if disk.is_full else None
    return StudyStatus(folder.path, jobs, orchestrator_at_work(folder), complaint)


def status_lines(status: StudyStatus) -> list[str]:
    """A study's status as text: counts, then what runs, what has failed and why, what waits for what."""
    at_work = (
        "nobody is at work" if status.orchestrator is None else f"process {status.orchestrator} is at work"
    )
    counts = Counter(job.state for job in status.jobs.values())
    waiting = [job for job in status.of_state(JobState.QUEUED) if job.key not in status.hopeless]
    lines = [
        f"{status.folder.name}: {len(status.jobs)} jobs: {counts[JobState.SUCCEEDED]} done, "
        f"{counts[JobState.RUNNING]} running, {counts[JobState.FAILED]} failed, "
        f"{counts[JobState.QUEUED]} waiting; {at_work}",
        "   ".join(_kind_counts(status.jobs.values())),
    ]
    if status.disk_complaint:
        lines.append(status.disk_complaint)
    lines += _section("running", [_running_line(job) for job in status.of_state(JobState.RUNNING)])
    lines += _section("failed", [_failed_line(job) for job in status.of_state(JobState.FAILED)])
    lines += _section(
        "will not be done for that",
        [
            f"{status.jobs[key].name} needs {status.jobs[cause].name}"
            for key, cause in status.hopeless.items()
        ],
    )
    ready = [job for job in waiting if not job.open_needs]
    again = [f"{job.name}, again: {job.last.reason}" for job in ready if job.last and job.last.reason]
    lines += _section("will be tried again", again)
    if waiting:
        lines.append(f"waiting: {len(ready)} for a slot, {len(waiting) - len(ready)} for other jobs")
    return lines


def status_document(status: StudyStatus) -> dict[str, Any]:
    """A study's status as JSON: every job that is not done, with why."""
    hopeless = status.hopeless
    open_jobs = [job for job in status.jobs.values() if job.state is not JobState.SUCCEEDED]
    return {
        "study_dir": str(status.folder),
        "orchestrator": status.orchestrator,
        "disk": status.disk_complaint,
        "counts": dict(Counter(job.state.value for job in status.jobs.values())),
        "jobs": [
            {
                "key": job.key,
                "name": job.name,
                "state": job.state.value,
                "attempts": len(job.record.attempts) if job.record else 0,
                "reason": job.last.reason if job.last else None,
                "waits_for": [status.jobs[key].name for key in job.open_needs],
                "blocked_by": status.jobs[hopeless[job.key]].name if job.key in hopeless else None,
            }
            for job in open_jobs
        ],
    }


def _state(folder: StudyFolder, key: str) -> tuple[JobState, JobRecord | None]:
    """The state of a job; of those that are done, ten thousand perhaps, the record is not checked in full."""
    path, output = folder.record_and_output(key)
    try:
        state = _document(path).get("state")
    except FileNotFoundError:
        return JobState.QUEUED, None
    if state == JobState.SUCCEEDED.value:
        is_there = os.path.isdir(output)  # noqa: PTH112 (as record_and_output)
        return (JobState.SUCCEEDED if is_there else JobState.QUEUED), None
    record = read_json(Path(path), JobRecord)
    return record.state, record


def _document(path: str) -> Any:
    try:
        with open(path, "rb") as stream:  # noqa: PTH123 (as record_and_output)
            return pydantic_core.from_json(stream.read(), cache_strings="keys")
    except ValueError as error:
        raise InvalidDocument(f"{path}: not valid JSON: {error}") from None


def _kind_counts(jobs: Iterable[JobStatus]) -> Iterator[str]:
    total: Counter[JobKind] = Counter()
    done: Counter[JobKind] = Counter()
    for job in jobs:
        total[job.kind] += 1
        done[job.kind] += job.state is JobState.SUCCEEDED
    for kind in JobKind:
        if total[kind]:
            yield f"{kind.value} {done[kind]}/{total[kind]}"


def _running_line(job: JobStatus) -> str:
    if job.last is None:
        return job.name
    return f"{job.name}, attempt {job.last.number}, {duration_text(seconds_since_start(job.last))}"


def _failed_line(job: JobStatus) -> str:
    if job.record is None or job.last is None:
        return job.name
    often = history(job.record)
    return f"{job.name}: {job.last.reason}{' (' + often + ')' if often else ''}"


def _section(title: str, lines: list[str]) -> Iterator[str]:
    if not lines:
        return
    yield f"{title}:"
    yield from (f"  {line}" for line in lines[:_N_SHOWN])
    if len(lines) > _N_SHOWN:
        yield f"  and {len(lines) - _N_SHOWN} more; --json has all"
