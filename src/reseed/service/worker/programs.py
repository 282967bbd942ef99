"""Running one container to its end: started once, found again by whoever holds its job, never doubled."""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from reseed.contracts.digests import document_digest
from reseed.contracts.errors import InfrastructureError, UserError
from reseed.contracts.files import (
    make_folder,
    sync_folder,
    sync_tree,
    write_bytes_atomically,
    write_json_atomically,
)
from reseed.contracts.job import Attempt, Job, JobKind, OutputFolder
from reseed.contracts.manifest import Resources
from reseed.documents.reading import read_json
from reseed.orchestration.clock import boot_instant, end_of, seconds_since_start, utc_now
from reseed.orchestration.ending import ending_of
from reseed.orchestration.executors.executor import ProgramState, ProgramStatus
from reseed.orchestration.study_folder import AttemptFolder, JobFolder
from reseed.orchestration.workspace import (
    CHECKPOINTS_TARGET,
    CONFIG_TARGET,
    SCRATCH_TARGET,
    Launch,
    Mount,
    refuse_unsafe_output,
    write_config,
)
from reseed.service.database.jobs import Lease, LeaseLost, heartbeat
from reseed.service.worker.worker import Worker, WorkerStops

_LONGEST_REST_S = 1.0
_MAX_LINE = 500
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Program:
    """
    One container to run.

    Parameters
    ----------
    name
        As people read it.
    kind
        What it does.
    image
        Its digest, sha256:…
    step
        The folder in which its attempts work.
    result
        The folder that its output becomes, at once and as a whole.
    log
        The file that what it printed is kept in.
    outputs
        What of the result is mounted where, writable.
    resources
        At most.
    command
        After the image's entry point; empty for the image's own.
    inputs
        Mounted, read-only.
    config, settings, environment
        Files in /opt/ml/input/config, hyperparameters.json, and variables. Without `has_config`, as
        in inference, there is no such folder.
    has_checkpoints
        Whether it finds what an earlier attempt left in /opt/ml/checkpoints.
    """

    name: str
    kind: JobKind
    image: str
    step: Path
    result: Path
    log: Path
    outputs: tuple[OutputFolder, ...]
    resources: Resources
    command: str = ""
    inputs: tuple[Mount, ...] = ()
    config: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    has_config: bool = True
    has_checkpoints: bool = False


@dataclass(frozen=True)
class Finished:
    """When a program that has its result was started, how long it ran, and its last words on stderr."""

    started: datetime
    seconds: float
    last_error_line: str = ""


class ProgramFailed(UserError):
    """
    A submission's program ended without a result, by its own doing.

    Parameters
    ----------
    reason
        In words, with the last line of its standard error.
    exit_code
        When it exited.
    finished
        When it was started, how long it ran, and the last line of its standard error.
    """

    def __init__(self, reason: str, *, exit_code: int | None, finished: Finished) -> None:
        super().__init__(reason)
        self.reason = reason
        self.exit_code = exit_code
        self.finished = finished


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
    """Remove the container of an attempt that is over."""
    if attempt.handle.get("engine") == worker.programs.engine_id:
        worker.programs.release(attempt, folder)


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
    launch = _launch(worker, lease, program, folder, number)
    write_json_atomically(_record_path(folder), attempt)
    worker.programs.submit(launch)
    return attempt


def _launch(worker: Worker, lease: Lease, program: Program, folder: JobFolder, number: int) -> Launch:
    attempt = folder.attempt(number)
    shutil.rmtree(attempt.path, ignore_errors=True)
    for path in (attempt.scratch, attempt.output):
        path.mkdir(parents=True)
    job = Job(
        key=document_digest([str(program.step), number]),
        name=program.name,
        kind=program.kind,
        role=program.image,
        command=program.command,
        code=program.image.removeprefix("sha256:"),
        settings=dict(program.settings),
        environment=dict(program.environment),
        config=dict(program.config),
        outputs=program.outputs,
        has_checkpoints=program.has_checkpoints,
        resources=program.resources,
    )
    mounts = [*program.inputs]
    if program.has_config:
        attempt.config.mkdir()
        write_config(job, attempt)
        _add_channels(attempt, program.inputs)
        mounts += [
            Mount(attempt.config, CONFIG_TARGET),
            Mount(attempt.scratch, SCRATCH_TARGET, writable=True),
        ]
    for made in program.outputs:
        path = attempt.output / made.name
        path.mkdir(exist_ok=True)
        mounts.append(Mount(path, made.target, writable=True))
    if program.has_checkpoints:
        folder.checkpoints.mkdir(exist_ok=True)
        mounts.append(Mount(folder.checkpoints, CHECKPOINTS_TARGET, writable=True))
    mounts.sort(key=lambda mount: mount.target)
    gpus = worker.gpus[: program.resources.gpus]
    return Launch(job, number, attempt, tuple(mounts), gpus, worker.labels(str(lease.job_pk)))


def _add_channels(attempt: AttemptFolder, inputs: tuple[Mount, ...]) -> None:
    """inputdataconfig.json, for mounts that are no other job's output."""
    prefix = "/opt/ml/input/data/"
    channels = [mount.target.removeprefix(prefix) for mount in inputs if mount.target.startswith(prefix)]
    document = {channel: {"TrainingInputMode": "File"} for channel in channels}
    write_json_atomically(attempt.config / "inputdataconfig.json", document)


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
            if seconds_since_start(attempt) > program.resources.timeout_s:
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
        rest_s = min(rest_s * 1.3, _LONGEST_REST_S)


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
        except UserError as error:
            return _plain(str(error))
        return None
    if cancelled == "interrupted":
        raise WorkerStops("the worker was told to stop")
    if status.out_of_memory:
        return f"killed: it used more memory than its limit of {program.resources.memory_gib:g} GiB"
    job = _bare_job(program)
    ending = ending_of(job, status, folder, log=errors, cancelled=cancelled)
    if ending.fault == "infrastructure":
        raise InfrastructureError(f"{program.name}: {ending.reason}")
    return _plain(ending.reason or "failed")


def _bare_job(program: Program) -> Job:
    digest = document_digest([])
    return Job(
        key=digest, name=program.name, kind=program.kind, role=program.image, command=program.command,
        code=digest, outputs=program.outputs, resources=program.resources,
    )  # fmt: skip


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
    worker.programs.release(attempt, folder.attempt(attempt.number))
    with contextlib.suppress(OSError):
        shutil.rmtree(folder.attempt(attempt.number).path)


def _finished(attempt: Attempt, last_error_line: str = "") -> Finished:
    ended = attempt.ended or attempt.started
    return Finished(attempt.started, (ended - attempt.started).total_seconds(), last_error_line)


def last_line(text: str) -> str:
    """The last line that is not empty, as `_plain` has it."""
    lines = [line for line in text.splitlines() if line.strip()]
    return _plain(lines[-1]) if lines else ""


def _plain(line: str) -> str:
    """A line without what no page or database shows, cut to a length that fits."""
    return "".join(each for each in line if each.isprintable()).strip()[:_MAX_LINE]
