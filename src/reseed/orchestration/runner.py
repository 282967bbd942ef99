"""
The runner: takes a plan to its end, one machine, any interruption.

Everything it knows is on disk before it acts on it: a job is recorded as running before it is
started and as succeeded after its output is in place. A runner that is killed at any instant
leaves jobs that are finished, running, or not started, and the next one tells them apart.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from reseed.contracts.errors import InfrastructureError, UserError
from reseed.contracts.files import write_json_atomically
from reseed.contracts.job import Attempt, Job, JobRecord, JobState
from reseed.orchestration.ending import Ending, ending_of
from reseed.orchestration.executors.executor import Executor, ProgramState, ProgramStatus
from reseed.orchestration.plan import Plan
from reseed.orchestration.queue import JobQueue
from reseed.orchestration.slots import Slot, Slots
from reseed.orchestration.state import job_record, write_job_record
from reseed.orchestration.study_folder import AttemptFolder, StudyFolder
from reseed.orchestration.workspace import discard, prepared_launch, publish

MAX_INFRASTRUCTURE_FAULTS = 3
POLL_INTERVAL_S = 0.05
GRACE_S = 30.0
ENGINE_PATIENCE_S = 120.0


class Listener(Protocol):
    """Whoever watches a study run."""

    def begun(self, plan: Plan, records: Mapping[str, JobRecord]) -> None:
        """The plan and what earlier commands have done of it."""

    def started(self, job: Job, *, adopted: bool) -> None:
        """A job runs; adopted when an earlier orchestrator had started it."""

    def ended(self, job: Job, record: JobRecord, log_tail: str) -> None:
        """A job has succeeded, failed, or gone back to the queue."""

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


@dataclass
class _Active:
    job: Job
    record: JobRecord
    slot: Slot
    folder: AttemptFolder
    deadline: float
    cancelled_at: float | None = None
    forced: bool = False
    why_cancelled: str | None = None

    def is_overdue(self, grace_s: float) -> bool:
        """Whether it was asked to stop long ago and has not."""
        asked = self.cancelled_at
        return asked is not None and not self.forced and time.monotonic() - asked > grace_s


@dataclass
class Runner:
    """
    Runs a plan in a study folder.

    Parameters
    ----------
    plan, study, dataset
        What to do, where, and on which data.
    executor_for
        The executor of a job.
    complete
        Checks and completes the output of a job that exited with 0; raises UserError.
    slots
        The machine.
    listener
        Told of everything.
    stop_requested
        Asked at every turn; once true, running jobs are asked to checkpoint and exit.
    """

    plan: Plan
    study: StudyFolder
    dataset: Path
    executor_for: Callable[[Job], Executor]
    complete: Callable[[Job, Path], None]
    slots: Slots
    listener: Listener
    stop_requested: Callable[[], bool] = lambda: False
    grace_s: float = GRACE_S
    _records: dict[str, JobRecord] = field(default_factory=dict)
    _active: dict[str, _Active] = field(default_factory=dict)
    _n_faults: Counter[str] = field(default_factory=Counter)
    _silent_since: float | None = None

    def run(self) -> Outcome:
        """Take the plan as far as it goes."""
        self._records = {job.key: job_record(self.study, job) for job in self.plan.jobs}
        done = (key for key, record in self._records.items() if record.state is JobState.SUCCEEDED)
        self._queue = JobQueue(self.plan, done)
        self.listener.begun(self.plan, dict(self._records))
        self._take_over()
        interrupted = False
        while self._active or (self._queue and not interrupted):
            if self.stop_requested() and not interrupted:
                interrupted = True
                self._cancel_all("interrupted")
            if not interrupted:
                self._start_what_fits()
            self._poll_all()
            self.listener.tick()
            time.sleep(POLL_INTERVAL_S)
        return self._outcome(interrupted=interrupted or self.stop_requested())

    def _take_over(self) -> None:
        """Adopt what an earlier orchestrator left running; take in what ended meanwhile."""
        for job in self.plan.jobs:
            record = self._records[job.key]
            attempt = record.last
            if record.state is not JobState.RUNNING or attempt is None:
                continue
            folder = self.study.job(job.key).attempt(attempt.number)
            status = self.executor_for(job).reconcile(attempt, folder)
            if status.state is ProgramState.ABSENT:
                self._forget_attempt(job)
                continue
            active = _Active(job, record, _recorded_slot(attempt, job), folder, self._deadline(job, attempt))
            self._queue.withdraw(job)
            self.slots.occupy(active.slot)
            self._active[job.key] = active
            if status.state is ProgramState.RUNNING:
                self.listener.started(job, adopted=True)
            else:
                self._end(active, status)

    def _forget_attempt(self, job: Job) -> None:
        """Queue a job whose latest attempt was announced and never started."""
        record = self._records[job.key]
        record = record.model_copy(update={"state": JobState.QUEUED, "attempts": record.attempts[:-1]})
        write_job_record(self.study, record)
        self._records[job.key] = record

    def _start_what_fits(self) -> None:
        while self._queue:
            job = self._queue.take()
            slot = self.slots.take(job.resources)
            if slot is None:
                self._queue.put(job)
                return
            self._start(job, slot)

    def _start(self, job: Job, slot: Slot) -> None:
        number = len(self._records[job.key].attempts) + 1
        folder = self.study.job(job.key)
        executor = self.executor_for(job)
        shutil.rmtree(folder.attempt(number).path, ignore_errors=True)
        launch = prepared_launch(job, study=self.study, dataset=self.dataset, number=number, gpus=slot.gpus)
        write_json_atomically(folder.specification, job)
        gpus = ",".join(str(gpu) for gpu in slot.gpus)
        attempt = Attempt(number=number, executor=executor.name, handle={"gpus": gpus}, started=_now())
        record = self._record(job, JobState.RUNNING, attempt)
        active = _Active(job, record, slot, launch.folder, self._deadline(job, attempt))
        self._active[job.key] = active
        try:
            handle = executor.submit(launch)
        except InfrastructureError as error:
            self._settle(active, Ending(JobState.QUEUED, str(error), "infrastructure"))
            return
        attempt = attempt.model_copy(update={"handle": {**attempt.handle, **handle}})
        active.record = self._record(job, JobState.RUNNING, attempt)
        self.listener.started(job, adopted=False)

    def _poll_all(self) -> None:
        for active in list(self._active.values()):
            status = self._polled(active)
            if status.state is not ProgramState.RUNNING:
                self._end(active, status)
            elif active.cancelled_at is None and time.time() > active.deadline:
                self._cancel(active, f"timed out after {active.job.resources.timeout_s} s")
            elif active.is_overdue(self.grace_s):
                self._cancel(active, active.why_cancelled or "cancelled", force=True)

    def _polled(self, active: _Active) -> ProgramStatus:
        """A program's status; an engine that does not answer is given time to come back."""
        try:
            status = self.executor_for(active.job).poll(active.record.attempts[-1], active.folder)
        except InfrastructureError:
            if self._silent_since is None:
                self._silent_since = time.monotonic()
            if time.monotonic() - self._silent_since > ENGINE_PATIENCE_S:
                raise
            return ProgramStatus(ProgramState.RUNNING)
        self._silent_since = None
        return status

    def _cancel_all(self, why: str) -> None:
        for active in self._active.values():
            self._cancel(active, why)

    def _cancel(self, active: _Active, why: str, *, force: bool = False) -> None:
        executor = self.executor_for(active.job)
        executor.cancel(active.record.attempts[-1], active.folder, force=force)
        if active.cancelled_at is None:
            active.cancelled_at, active.why_cancelled = time.monotonic(), why
        active.forced = force

    def _end(self, active: _Active, status: ProgramStatus) -> None:
        """An attempt is over: publish its output or say why there is none."""
        folder = self.study.job(active.job.key)
        log = self.executor_for(active.job).logs(active.record.attempts[-1], active.folder)
        ending = ending_of(status, active.folder, log=log, cancelled=active.why_cancelled)
        if ending.state is JobState.SUCCEEDED:
            try:
                if active.folder.output.is_dir():
                    self.complete(active.job, active.folder.output)
                publish(folder, active.folder)
            except UserError as error:
                ending = Ending(JobState.FAILED, str(error), "job")
        self._settle(active, ending, status=status, log=log)

    def _settle(
        self, active: _Active, ending: Ending, *, status: ProgramStatus | None = None, log: str = ""
    ) -> None:
        job, attempt = active.job, active.record.attempts[-1]
        attempt = attempt.model_copy(
            update={
                "ended": _now(),
                "exit_code": status.exit_code if status else None,
                "peak_memory_mib": status.peak_memory_mib if status else None,
                "reason": ending.reason,
                "fault": ending.fault,
            }
        )
        state = ending.state
        if ending.fault == "infrastructure":
            self._n_faults[job.key] += 1
            if self._n_faults[job.key] >= MAX_INFRASTRUCTURE_FAULTS:
                state = JobState.FAILED
        record = self._record(job, state, attempt)
        self.executor_for(job).release(attempt, active.folder)
        discard(self.study.job(job.key), active.folder, keep_checkpoints=state is not JobState.SUCCEEDED)
        self.slots.give_back(active.slot)
        del self._active[job.key]
        if state is JobState.SUCCEEDED:
            self._queue.finish(job)
        elif state is JobState.QUEUED:
            self._queue.put(job)
        self.listener.ended(job, record, "\n".join(log.splitlines()[-20:]))

    def _record(self, job: Job, state: JobState, attempt: Attempt) -> JobRecord:
        earlier = tuple(past for past in self._records[job.key].attempts if past.number != attempt.number)
        record = JobRecord(key=job.key, name=job.name, state=state, attempts=(*earlier, attempt))
        write_job_record(self.study, record)
        self._records[job.key] = record
        return record

    def _deadline(self, job: Job, attempt: Attempt) -> float:
        return attempt.started.timestamp() + job.resources.timeout_s

    def _outcome(self, *, interrupted: bool) -> Outcome:
        states = {key: record.state for key, record in self._records.items()}
        succeeded = tuple(key for key, state in states.items() if state is JobState.SUCCEEDED)
        failed = tuple(key for key, state in states.items() if state is JobState.FAILED)
        blocked = tuple(key for key in states if key not in succeeded and key not in failed)
        return Outcome(succeeded, failed, blocked, interrupted=interrupted and bool(blocked or failed))


def _recorded_slot(attempt: Attempt, job: Job) -> Slot:
    gpus = tuple(int(gpu) for gpu in str(attempt.handle.get("gpus", "")).split(",") if gpu)
    return Slot(job.resources.cpus, gpus)


def _now() -> datetime:
    return datetime.now(UTC)
