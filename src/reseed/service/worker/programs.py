"""Running one container to its end: started once, found again by whoever holds its job, never doubled."""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
from pathlib import Path

from reseed.contracts.errors import InfrastructureError, RefusedOutput
from reseed.contracts.files import (
    make_folder,
    sync_folder,
    sync_tree,
    write_bytes_atomically,
    write_json_atomically,
)
from reseed.contracts.job import Attempt, JobKind
from reseed.documents.reading import read_json
from reseed.orchestration.clock import boot_instant, end_of, seconds_since_start, utc_now
from reseed.orchestration.ending import ending_of
from reseed.orchestration.executors.executor import ProgramState, ProgramStatus
from reseed.orchestration.study_folder import AttemptFolder, JobFolder
from reseed.orchestration.workspace import refuse_unsafe_output
from reseed.service.database.jobs import Lease, LeaseLost, heartbeat
from reseed.service.worker.program import Finished, Program, ProgramFailed, job_of, last_line, plain, prepared
from reseed.service.worker.worker import Worker, WorkerStops

_LONGEST_REST_S = 1.0
_log = logging.getLogger(__name__)


def run_program(worker: Worker, lease: Lease, program: Program) -> Finished:
    """
    Run a container to its end, or go on with the one that an earlier worker started on this engine.

    Idempotent: a result that is there is not made again.

    Raises
    ------
    ProgramFailed
        When the program failed by itself: exit code, time, memory, an output that is refused.
    InfrastructureError
        When it was lost, or the engine does not answer: it may be tried again.
    WorkerStops
        When the worker is to stop; the program was asked to checkpoint.
    LeaseLost
        When the job is not this worker's any more; its container is left to whoever has it.
    """
    folder = JobFolder(program.step)
    last = _last_attempt(folder)
    if program.result.is_dir() and last is not None:
        _forget(worker, last, folder.attempt(last.number))
        return _finished(last)
    if last is not None and last.fault == "job" and program.kind is not JobKind.SCORE:
        # a submission's program failed, and its worker was lost before it could say so
        raise ProgramFailed(last.reason or "failed", exit_code=last.exit_code, finished=_finished(last))
    heartbeat(worker.database, lease, lease_for=worker.lease_for)
    attempt = _adopted(worker, folder, last)
    if attempt is None:
        attempt = _start(worker, lease, program, number=1 if last is None else last.number + 1)
    else:
        _log.info("container adopted", extra={"job": str(lease.job_pk), "program": program.name})
    status, cancelled = _watched(worker, lease, program, attempt)
    # whoever has lost the job may have lost the container to the one who has it, and must not judge its end
    heartbeat(worker.database, lease, lease_for=worker.lease_for)
    return _taken_in(worker, program, attempt, status, cancelled)


def _record_path(folder: JobFolder) -> Path:
    return folder.path / "attempt.json"


def _last_attempt(folder: JobFolder) -> Attempt | None:
    """The latest attempt, on whichever engine."""
    path = _record_path(folder)
    return read_json(path, Attempt) if path.is_file() else None


def _adopted(worker: Worker, folder: JobFolder, last: Attempt | None) -> Attempt | None:
    """The latest attempt when its container is on this engine, running or not, and was not taken in."""
    if last is None or last.ended is not None or last.handle.get("engine") != worker.programs.engine_id:
        return None
    status = worker.programs.reconcile(last, folder.attempt(last.number))
    if status.state in (ProgramState.RUNNING, ProgramState.EXITED):
        return last
    _forget(worker, last, folder.attempt(last.number))
    return None


def _forget(worker: Worker, attempt: Attempt, folder: AttemptFolder) -> None:
    """
    Remove the container of an attempt that is over.

    One that the engine does not remove now, as while a removal that a killed worker has asked for goes
    on, is no fault of the job: no other attempt has its name, and it is ended with the job (orphans.py).
    """
    if attempt.handle.get("engine") == worker.programs.engine_id:
        try:
            worker.programs.release(attempt, folder)
        except InfrastructureError as error:
            _log.warning("container left for later", extra={"place": str(folder.path), "error": str(error)})


def _start(worker: Worker, lease: Lease, program: Program, *, number: int) -> Attempt:
    """Say that a container is going to be started, then start it."""
    folder = JobFolder(program.step)
    attempt = Attempt(
        number=number,
        executor=worker.programs.name,
        handle={"engine": worker.programs.engine_id},
        started=utc_now(),
        started_on_boot_clock=boot_instant(),
    )
    launch = prepared(program, number, gpus=worker.gpus, labels=worker.labels(str(lease.job_pk)))
    write_json_atomically(_record_path(folder), attempt)
    worker.programs.submit(launch)
    return attempt


def _watched(
    worker: Worker, lease: Lease, program: Program, attempt: Attempt
) -> tuple[ProgramStatus, str | None]:
    """Wait for the end of a container; how it ended, and why it was asked to, if it was."""
    folder = JobFolder(program.step).attempt(attempt.number)
    cancelled, cancelled_at, forced = None, 0.0, False
    rest_s = worker.programs.poll_interval_s
    while True:
        status = worker.programs.poll(attempt, folder)
        if status.state is not ProgramState.RUNNING:
            return status, cancelled
        if worker.lost.is_set():
            raise LeaseLost(f"job {lease.job_pk} ({lease.kind}) is no longer held by {lease.owner}")
        if cancelled is None:
            if worker.programs.queues:
                # it needs no worker, and would lose its place: the next worker goes on with it
                if worker.stop.is_set():
                    raise WorkerStops("the worker was told to stop; the program stays in its queue")
            elif seconds_since_start(attempt) > program.resources.timeout_s:
                cancelled = f"timed out after {program.resources.timeout_s} s"
            elif worker.stop.is_set():
                cancelled = "interrupted"
            if cancelled is not None:
                worker.programs.cancel(attempt, folder)
                cancelled_at, rest_s = time.monotonic(), worker.programs.poll_interval_s
        elif not forced and time.monotonic() - cancelled_at > worker.grace_s:
            worker.programs.cancel(attempt, folder, force=True)
            forced = True
        # the event wakes a resting worker at once; after it, only time does
        (worker.lost if worker.stop.is_set() else worker.stop).wait(rest_s)
        rest_s = min(rest_s * 1.3, max(_LONGEST_REST_S, worker.programs.poll_interval_s))


def _taken_in(
    worker: Worker, program: Program, attempt: Attempt, status: ProgramStatus, cancelled: str | None
) -> Finished:
    """Publish the output of a container that has ended, or say why there is none; then remove it."""
    folder = JobFolder(program.step).attempt(attempt.number)
    errors = last_line(worker.programs.errors(attempt, folder))
    write_bytes_atomically(program.log, worker.programs.logs(attempt, folder).encode())
    ended = attempt.model_copy(
        update={"ended": end_of(attempt, ran_s=status.ran_s), "exit_code": status.exit_code}
    )
    try:
        reason = _refusal(program, folder, status, errors=errors, cancelled=cancelled)
    except (InfrastructureError, WorkerStops) as error:
        _close(worker, program, ended.model_copy(update={"reason": str(error)}))
        raise
    finished = _finished(ended, errors)
    if reason is not None:
        _close(worker, program, ended.model_copy(update={"reason": reason, "fault": "job"}))
        raise ProgramFailed(reason, exit_code=status.exit_code, finished=finished)
    _close(worker, program, ended)
    shutil.rmtree(JobFolder(program.step).checkpoints, ignore_errors=True)
    return finished


def _refusal(
    program: Program, folder: AttemptFolder, status: ProgramStatus, *, errors: str, cancelled: str | None
) -> str | None:
    """Why there is no result, when that is the program's own doing; None once the result is in its place."""
    if status.state is ProgramState.EXITED and status.exit_code == 0:
        try:
            _publish(folder.output, program.result)
        except RefusedOutput as error:
            _log.warning("output refused", extra={"program": program.name, "error": str(error)})
            return plain(str(error)) if program.quotes else f"output: {error.rule}"
        return None
    if status.timed_out:
        cancelled = status.why or "timed out"
    if cancelled == "interrupted":
        raise WorkerStops("the worker was told to stop")
    if status.out_of_memory:
        return f"killed: it used more memory than its limit of {program.resources.memory_gib:g} GiB"
    job = job_of(program)
    ending = ending_of(job, status, folder, log=errors, cancelled=cancelled, quotes=program.quotes)
    if ending.fault == "infrastructure":
        raise InfrastructureError(f"{program.name}: {ending.reason}")
    return plain(ending.reason or "failed")


def _publish(output: Path, result: Path) -> None:
    """Give what a program wrote its name, after it is on the disk."""
    if output.is_dir():
        refuse_unsafe_output(output)
        sync_tree(output)
        make_folder(result.parent)
        shutil.rmtree(result, ignore_errors=True)
        output.rename(result)
        sync_folder(result.parent)


def _close(worker: Worker, program: Program, attempt: Attempt) -> None:
    """Record that an attempt is over, then remove its container and what nobody needs of its folder."""
    folder = JobFolder(program.step)
    write_json_atomically(_record_path(folder), attempt)
    _forget(worker, attempt, folder.attempt(attempt.number))
    with contextlib.suppress(OSError):
        shutil.rmtree(folder.attempt(attempt.number).path)


def _finished(attempt: Attempt, last_error_line: str = "") -> Finished:
    ended = attempt.ended or attempt.started
    return Finished(attempt.started, (ended - attempt.started).total_seconds(), last_error_line)
