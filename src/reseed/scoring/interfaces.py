"""Which of a task's interfaces a job came through, and what that changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reseed.contracts.containers import SubmissionPaths
from reseed.contracts.errors import InvalidDocument
from reseed.contracts.predictions import PredictionJob
from reseed.contracts.sockets import Socket
from reseed.contracts.task import Interface, Task
from reseed.scoring.submission import job_by_case, submitted_jobs


@dataclass(frozen=True)
class MatchedJob:
    """The job of a case, with the output socket that its interface has evaluated."""

    case_id: str
    job: PredictionJob
    socket: Socket


def matched_jobs(submission: SubmissionPaths, task: Task, case_ids: Sequence[str]) -> tuple[MatchedJob, ...]:
    """
    The one job of every case, in the order of `case_ids`.

    Raises
    ------
    InvalidPrediction
        As `job_by_case` does.
    InvalidDocument
        When the inputs of a job fit no interface of the task.
    """
    jobs = submitted_jobs(submission)
    interfaces = {job.pk: interface_of(job, task) for job in jobs}
    matches = {
        pk: task.match if interface is None else interface.match or task.match
        for pk, interface in interfaces.items()
    }
    found = job_by_case(jobs, matches, case_ids)
    return tuple(
        MatchedJob(case, job, evaluated_socket(interfaces[job.pk], task)) for case, job in found.items()
    )


def interface_of(job: PredictionJob, task: Task) -> Interface | None:
    """
    The interface with the inputs of a job, whatever their order; None when the task names none.

    Raises
    ------
    InvalidDocument
        When the inputs fit no interface.
    """
    if not task.interfaces:
        return None
    slugs = tuple(sorted(value.described_by.slug for value in job.inputs))
    for interface in task.interfaces:
        if interface.key == slugs:
            return interface
    known = "; ".join(", ".join(interface.key) for interface in task.interfaces)
    raise InvalidDocument(
        f"job {job.pk!r}: its inputs ({', '.join(slugs) or 'none'}) fit no interface of task {task.task!r}: "
        f"{known}"
    )


def evaluated_socket(interface: Interface | None, task: Task) -> Socket:
    """The output socket that is evaluated for jobs of an interface."""
    slug = None if interface is None else interface.output
    return task.output(slug or next(iter(task.evaluation.outputs.values())))
