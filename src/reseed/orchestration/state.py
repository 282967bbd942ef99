"""What is known of every job, on disk: written before a job starts, and again when it has ended."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from reseed.contracts.errors import UserError
from reseed.contracts.files import write_json_atomically
from reseed.contracts.job import Job, JobRecord, JobState
from reseed.documents.reading import read_json
from reseed.orchestration.study_folder import StudyFolder


def job_record(study: StudyFolder, job: Job) -> JobRecord:
    """
    The recorded state of a job; queued when nothing was ever recorded.

    A job whose record says succeeded and whose output is gone is queued again.

    Raises
    ------
    InvalidDocument
        When the record cannot be understood: an unknown state is an error, never "done".
    """
    folder = study.job(job.key)
    if not folder.record.is_file():
        return JobRecord(key=job.key, name=job.name, state=JobState.QUEUED)
    record = read_json(folder.record, JobRecord)
    if record.key != job.key:
        raise UserError(f"{folder.record}: belongs to job {record.key}, not to {job.key}")
    if record.state is JobState.SUCCEEDED and not folder.output.is_dir():
        return record.model_copy(update={"state": JobState.QUEUED})
    return record


def write_job_record(study: StudyFolder, record: JobRecord) -> None:
    """Record the state of a job so that it survives a power cut."""
    write_json_atomically(study.job(record.key).record, record)


@contextmanager
def exclusive(study: StudyFolder) -> Iterator[None]:
    """
    Be the only orchestrator of a study; the lock goes with the process, however it ends.

    Raises
    ------
    UserError
        When another orchestrator is at work, naming its process.
    """
    study.path.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(study.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 64).decode(errors="replace").strip() or "unknown"
            raise UserError(
                f"{study.path}: another reseed, process {holder}, runs this study; wait for it or stop it"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
