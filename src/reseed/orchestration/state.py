"""What is known of every job, on disk: written before a job starts, and again when it has ended."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from pathlib import Path

import psutil
from pydantic import ValidationError

from reseed.contracts.errors import UserError
from reseed.contracts.files import write_json_atomically
from reseed.contracts.job import Job, JobRecord, JobState
from reseed.documents.reading import read_json
from reseed.orchestration.study_folder import COLLECTION_FILE, StudyFolder

_LOCKS = Path("/proc/locks")
_HELD: ContextVar[frozenset[Path]] = ContextVar("held", default=frozenset())
"""The folders whose locks the caller has, so that it does not refuse itself."""


def job_record(study: StudyFolder, job: Job) -> JobRecord:
    """
    The recorded state of a job; queued when nothing was ever recorded.

    A job whose record says succeeded and whose output is gone is queued again.

    Raises
    ------
    InvalidDocument
        When the record cannot be understood: an unknown state is an error, never "done".
    """
    path, output = study.record_and_output(job.key)
    if not os.path.isfile(path):  # noqa: PTH113 (as record_and_output)
        return JobRecord(key=job.key, name=job.name, state=JobState.QUEUED)
    record = _read_record(Path(path))
    if record.key != job.key:
        raise UserError(f"{path}: belongs to job {record.key}, not to {job.key}")
    if record.state is JobState.SUCCEEDED and not os.path.isdir(output):  # noqa: PTH112
        return record.model_copy(update={"state": JobState.QUEUED})
    return record


def job_state(study: StudyFolder, job: Job) -> JobState:
    """The state of `job_record` alone: at once for the jobs of which nothing was ever recorded."""
    if not os.path.isfile(study.record_and_output(job.key)[0]):  # noqa: PTH113 (as record_and_output)
        return JobState.QUEUED
    return job_record(study, job).state


def _read_record(path: Path) -> JobRecord:
    try:
        return JobRecord.model_validate_json(path.read_bytes(), strict=True)
    except ValidationError:
        return read_json(path, JobRecord)  # says what is wrong with it


def write_job_record(study: StudyFolder, record: JobRecord) -> None:
    """Record the state of a job so that it survives a power cut."""
    write_json_atomically(study.job(record.key).record, record)


@contextmanager
def exclusive(study: StudyFolder) -> Iterator[None]:
    """
    Be the only orchestrator of a study; the lock goes with the process, however it ends.

    Studies of a collection share their jobs: whoever is at work on one of them has the collection too.
    Who has the collection already, as `reseed run` of the whole, may take its studies.

    Raises
    ------
    UserError
        When another orchestrator is at work, naming its process.
    """
    shared = study.collection
    with ExitStack() as locks:
        if shared is not None and shared.path not in _HELD.get():
            locks.enter_context(_locked(shared))
        locks.enter_context(_locked(study))
        yield


@contextmanager
def _locked(study: StudyFolder) -> Iterator[None]:
    study.path.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(study.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 64).decode(errors="replace").strip() or "unknown"
            raise UserError(_refusal(study, holder)) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        before = _HELD.set(_HELD.get() | {study.path.resolve()})
        try:
            yield
        finally:
            _HELD.reset(before)
    finally:
        os.close(descriptor)


def _refusal(study: StudyFolder, holder: str) -> str:
    if (study.path / COLLECTION_FILE).is_file():
        return (
            f"{study.path}: another reseed, process {holder}, is at work in this collection, whose studies "
            "share their jobs; wait for it or stop it"
        )
    return (
        f"{study.path}: another reseed, process {holder}, runs this study; wait for it or stop it; "
        "`reseed status --watch` shows what it does"
    )


def orchestrator_at_work(study: StudyFolder) -> int | None:
    """
    The process that runs a study, asked without taking part: a look never keeps anybody from starting.

    None when nobody does, 0 when it is somebody on another machine.
    """
    if not study.lock.is_file():
        return None
    if not _LOCKS.is_file():
        pid = _noted_process(study)
        return pid if pid and psutil.pid_exists(pid) else None
    status = study.lock.stat()
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    if any(line.split()[5] == place for line in _LOCKS.read_text().splitlines() if "FLOCK" in line):
        return _noted_process(study)
    return None


def _noted_process(study: StudyFolder) -> int:
    text = study.lock.read_text().strip()
    return int(text) if text.isdigit() else 0
