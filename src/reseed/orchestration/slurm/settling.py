"""How the end of an attempt on the cluster is taken in: by its own step, by the next, or by `reseed run`."""

from __future__ import annotations

import errno
from datetime import UTC, datetime
from pathlib import Path

from reseed.contracts.errors import UserError
from reseed.contracts.files import sync_folder
from reseed.contracts.job import Attempt, Job, JobRecord, JobState
from reseed.orchestration.ending import Ending, ending_of
from reseed.orchestration.executors.executor import ProgramState, ProgramStatus
from reseed.orchestration.executors.process import log_tail
from reseed.orchestration.faults import judged
from reseed.orchestration.results import complete_output
from reseed.orchestration.slurm.batch import BatchDocument
from reseed.orchestration.state import write_job_record
from reseed.orchestration.study_folder import AttemptFolder, JobFolder, StudyFolder
from reseed.orchestration.workspace import discard, refuse_unsafe_output


def exit_status(attempt: AttemptFolder, *, out_of_memory: bool = False) -> ProgramStatus:
    """How a program that no longer runs has ended: by its exit code file, never by silence."""
    try:
        code = int(attempt.exit_code.read_text().split()[0])
    except (FileNotFoundError, ValueError, IndexError):
        return ProgramStatus(ProgramState.LOST, out_of_memory=out_of_memory)
    return ProgramStatus(ProgramState.EXITED, exit_code=code, out_of_memory=out_of_memory)


def ending_on_disk(study: StudyFolder, job: Job, attempt: Attempt) -> tuple[Ending, int | None]:
    """How an attempt has ended whose step was killed before it could record it, and the exit code."""
    folder = study.job(job.key).attempt(attempt.number)
    if study.job(job.key).output.is_dir():
        return Ending(JobState.SUCCEEDED), 0  # published, and not yet recorded
    status = exit_status(folder)
    return ending_of(job, status, folder, log=log_tail(folder.log), cancelled=None), status.exit_code


def last_sign(study: StudyFolder, job: Job, attempt: Attempt) -> datetime:
    """When the step of an attempt was last heard of; now, where it never was."""
    try:
        beat = (study.job(job.key).claims / str(attempt.number)).stat().st_mtime
    except FileNotFoundError:
        return datetime.now(UTC)
    return max(datetime.fromtimestamp(beat, UTC), attempt.started)


def settled(
    document: BatchDocument,
    study: StudyFolder,
    job: Job,
    record: JobRecord,
    ending: Ending,
    *,
    exit_code: int | None = None,
    peak_memory_mib: float | None = None,
    ended: datetime | None = None,
) -> JobRecord:
    """
    Publish the output of the latest attempt if it has one, and record how it ended.

    The caller has the claim on the job.
    """
    attempt = record.attempts[-1]
    folder = study.job(job.key)
    own = folder.attempt(attempt.number)
    if ending.state is JobState.SUCCEEDED:
        try:
            if own.output.is_dir() and not folder.output.is_dir():
                complete_output(job, own.output, task=document.task, dataset=Path(document.dataset))
            _publish(folder, own)
        except UserError as error:
            ending = Ending(JobState.FAILED, str(error), "job")
    ending = judged(ending, exit_code=exit_code, earlier=counted_attempts(record))
    attempt = attempt.model_copy(
        update={
            "ended": ended or datetime.now(UTC),
            "exit_code": exit_code,
            "peak_memory_mib": peak_memory_mib,
            "reason": ending.reason,
            "fault": ending.fault,
        }
    )
    record = record.model_copy(update={"state": ending.state, "attempts": (*record.attempts[:-1], attempt)})
    write_job_record(study, record)
    discard(folder, own, keep_checkpoints=record.state is not JobState.SUCCEEDED)
    return record


def counted_attempts(record: JobRecord) -> list[Attempt]:
    """
    The attempts before the latest that count against it.

    Faults of the cluster since the job was last submitted. The job's own always: it may be submitted again
    between two of them, and a node knows of no command that forces another attempt.
    """
    *before, latest = record.attempts
    batch = latest.handle.get("batch")
    return [past for past in before if past.fault == "job" or past.handle.get("batch") == batch]


def _publish(folder: JobFolder, attempt: AttemptFolder) -> None:
    """
    Make an attempt's output the job's, unless the job has one.

    A rename never replaces a folder that holds something: whoever is first wins, and nobody who
    reads the output sees it change.
    """
    if attempt.output.is_dir() and not folder.output.is_dir():
        refuse_unsafe_output(attempt.output)
        try:
            attempt.output.rename(folder.output)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        sync_folder(folder.path)
    if not folder.output.is_dir():
        raise UserError(f"{folder.path}: the attempt's output has disappeared")
