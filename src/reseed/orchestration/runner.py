"""
The runner: takes a plan to its end, one machine, any interruption.

Everything it knows is on disk before it acts on it: a job is recorded as running before it is
started and as succeeded after its output is in place. A runner that is killed at any instant
leaves jobs that are finished, running, or not started, and the next one tells them apart.

What cannot be done now, because a disk is full or the engine does not answer, is done later: each
step of an attempt's end may be repeated.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from reseed.contracts.errors import EngineSilent, InfrastructureError, NoSpaceLeft
from reseed.contracts.files import write_json_atomically
from reseed.contracts.job import Attempt, Job, JobRecord, JobState
from reseed.orchestration.attempts import ActiveAttempt, recorded_gpus, with_attempt
from reseed.orchestration.clock import boot_instant, utc_now
from reseed.orchestration.disk import StudyDisk, is_full
from reseed.orchestration.disk_forecast import DiskForecast
from reseed.orchestration.ending import Ending
from reseed.orchestration.executors.executor import Executor, ProgramState, ProgramStatus
from reseed.orchestration.faults import BACKOFF_S, jobs_failed_for_good, left_out_lines
from reseed.orchestration.intake import Intake
from reseed.orchestration.obstacles import ENGINE_PATIENCE_S, Obstacles
from reseed.orchestration.outcome import Listener, Outcome, outcome_of
from reseed.orchestration.plan import Plan
from reseed.orchestration.queue import JobQueue
from reseed.orchestration.slots import Slot, Slots
from reseed.orchestration.state import job_record, write_job_record
from reseed.orchestration.study_folder import StudyFolder
from reseed.orchestration.workspace import Launch, discard, prepared_launch, sweep

GRACE_S = 30.0


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
    disk
        Where the study is.
    stop_requested
        Asked at every turn; once true, running jobs are asked to checkpoint and exit.
    retry_failed
        Whether jobs that failed by themselves in an earlier command are tried again.
    grace_s, backoff_s, patience_s
        How long a job may take to stop; the first wait after a fault of the machine's; how long an
        engine may be silent or refuse what an attempt needs.
    """

    plan: Plan
    study: StudyFolder
    dataset: Path
    executor_for: Callable[[Job], Executor]
    complete: Callable[[Job, Path], None]
    slots: Slots
    listener: Listener
    disk: StudyDisk
    stop_requested: Callable[[], bool] = lambda: False
    retry_failed: bool = False
    grace_s: float = GRACE_S
    backoff_s: float = BACKOFF_S
    patience_s: float = ENGINE_PATIENCE_S
    _records: dict[str, JobRecord] = field(default_factory=dict)
    _active: dict[str, ActiveAttempt] = field(default_factory=dict)
    _n_earlier: dict[str, int] = field(default_factory=dict)

    def run(self) -> Outcome:
        """Take the plan as far as it goes."""
        self._records = {job.key: job_record(self.study, job) for job in self.plan.jobs}
        done = (key for key, record in self._records.items() if record.state is JobState.SUCCEEDED)
        self._queue = JobQueue(self.plan, done)
        self._obstacles = Obstacles(self.disk, self.listener.notice, patience_s=self.patience_s)
        self._intake = Intake(self.study, self.complete, self.disk, backoff_s=self.backoff_s)
        self.disk.when_there_is_room(
            lambda: self.listener.begun(self.plan, dict(self._records)),
            tell=self.listener.notice,
            stop_requested=self.stop_requested,
        )
        self._forecast = DiskForecast(self.plan, self._records, self.disk, self.listener.notice)
        self._leave_out_the_failed()
        self._take_over()
        interrupted = False
        while self._active or (self._queue and not interrupted):
            self._obstacles.look()
            if self.stop_requested() and not interrupted:
                interrupted = True
            if not interrupted and self._obstacles.none:
                self._start_what_fits()
            self._obstacles.give_up_when_stuck(self._active.values())
            for active in list(self._active.values()):
                self._attend(active, stopping=interrupted)
            self.listener.tick()
            self._rest()
        return outcome_of(self._records, interrupted=interrupted or self.stop_requested())

    def _leave_out_the_failed(self) -> None:
        """Do not try again what would only fail again."""
        for key, record in self._records.items():
            if record.state is JobState.FAILED:
                self._n_earlier[key] = len(record.attempts)
        if self.retry_failed:
            return
        left_out = jobs_failed_for_good(self.plan, self.study, self._records)
        for job in left_out:
            self._queue.withdraw(job)
        for line in left_out_lines([self._records[job.key] for job in left_out]):
            self.listener.notice(line)

    def _take_over(self) -> None:
        """Hold what an earlier orchestrator left running, or had only announced."""
        for job in self.plan.jobs:
            record = self._records[job.key]
            attempt = record.last
            if record.state is not JobState.RUNNING or attempt is None:
                continue
            slot = self.slots.recorded(job.resources, recorded_gpus(attempt))
            folder = self.study.job(job.key).attempt(attempt.number)
            sweep(self.study.job(job.key).path)
            self._queue.withdraw(job)
            self.slots.occupy(slot)
            self._active[job.key] = ActiveAttempt(
                job, record, slot, folder, is_certain=False, was_unwatched=True
            )

    def _start_what_fits(self) -> None:
        while self._obstacles.none and (found := self._queue.take(self.slots.take)) is not None:
            self._start(*found)

    def _start(self, job: Job, slot: Slot) -> None:
        """Announce an attempt and start it; put the job back when the disk is full."""
        number = len(self._records[job.key].attempts) + 1
        folder = self.study.job(job.key).attempt(number)
        try:
            launch = self._announced(job, slot, number)
        except OSError as error:
            if not is_full(error):
                raise
            shutil.rmtree(folder.path, ignore_errors=True)
            self._obstacles.disk_full()
            self.slots.give_back(slot)
            self._queue.put(job)
            return
        self._active[job.key] = ActiveAttempt(job, self._records[job.key], slot, folder)
        self._submit(self._active[job.key], launch)

    def _announced(self, job: Job, slot: Slot, number: int) -> Launch:
        """Prepare an attempt, and record that it is running before it is."""
        folder = self.study.job(job.key)
        shutil.rmtree(folder.attempt(number).path, ignore_errors=True)
        sweep(folder.path)
        launch = prepared_launch(job, study=self.study, dataset=self.dataset, number=number, gpus=slot.gpus)
        write_json_atomically(folder.specification, job)
        attempt = Attempt(
            number=number,
            executor=self.executor_for(job).name,
            handle={"gpus": ",".join(str(gpu) for gpu in slot.gpus)},
            started=utc_now(),
            started_on_boot_clock=boot_instant(),
        )
        self._record(job, JobState.RUNNING, attempt)
        return launch

    def _submit(self, active: ActiveAttempt, launch: Launch) -> None:
        """Start an announced attempt, and record how it is found again."""
        job, attempt = active.job, active.attempt
        try:
            handle = self.executor_for(job).submit(launch)
        except InfrastructureError as error:
            # it may have been started all the same: the engine is asked before anything is concluded
            active.is_certain = False
            if isinstance(error, NoSpaceLeft):
                self._obstacles.engine_full(error)
            elif isinstance(error, EngineSilent):
                self._obstacles.engine_silent(error)
            else:
                active.refusal = str(error)
            return
        self._obstacles.engine_has_room()
        attempt = attempt.model_copy(update={"handle": {**attempt.handle, **handle}})
        try:
            active.record = self._record(job, JobState.RUNNING, attempt)
        except OSError as error:
            if not is_full(error):
                raise
            # found again by its name if need be; what it ends as is recorded when there is room
            active.record = with_attempt(active.record, JobState.RUNNING, attempt)
            self._obstacles.disk_full()
        self.listener.started(job, adopted=False)

    def _attend(self, active: ActiveAttempt, *, stopping: bool) -> None:
        """See what an attempt does, and take in its end; later, when that is not possible now."""
        active.note(self.disk)
        if active.status is not None and self.disk.is_full:
            return
        if not (self._obstacles.engine_may_be_asked and active.trouble.may_try):
            return
        try:
            self._look_after(active, stopping=stopping)
        except OSError as error:
            if not is_full(error):
                raise
            self._obstacles.disk_full()
        except EngineSilent as error:
            self._obstacles.engine_silent(error)
        except InfrastructureError as error:
            self._obstacles.refused(active, error)
        else:
            active.trouble.is_over()
            self._obstacles.engine_answers()

    def _look_after(self, active: ActiveAttempt, *, stopping: bool) -> None:
        """Ask what an attempt does; stop it when it has to, take in its end when it has one."""
        if active.status is None:
            status = self._status(active)
            if status is None:
                return
            if status.state is ProgramState.RUNNING:
                self._limit(active, stopping=stopping)
                return
            active.status = status
            # the disk may have filled up, and ended the program, since the last look
            self.disk.look(at_once=True)
            active.note(self.disk)
        self._end(active, active.status)

    def _status(self, active: ActiveAttempt) -> ProgramStatus | None:
        """What an attempt's program does; None when there is none."""
        executor = self.executor_for(active.job)
        if active.is_certain:
            return executor.poll(active.attempt, active.folder)
        status = executor.reconcile(active.attempt, active.folder)
        if status.state is ProgramState.ABSENT:
            if active.refusal is not None:
                return ProgramStatus(ProgramState.LOST, why=active.refusal)
            self._forget(active)
            return None
        active.is_certain = True
        if status.state is ProgramState.RUNNING:
            self.listener.started(active.job, adopted=True)
        return status

    def _forget(self, active: ActiveAttempt) -> None:
        """Queue a job whose latest attempt was announced and never started."""
        record = active.record
        record = record.model_copy(update={"state": JobState.QUEUED, "attempts": record.attempts[:-1]})
        write_job_record(self.study, record)
        self._records[active.job.key] = record
        self._let_go(active)
        self._queue.put(active.job)

    def _limit(self, active: ActiveAttempt, *, stopping: bool) -> None:
        """Ask a running program to stop, when it has to; end it, when it does not."""
        if stopping and active.cancelled_at is None:
            self._cancel(active, "interrupted")
        elif active.is_out_of_time():
            self._cancel(active, f"timed out after {active.job.resources.timeout_s} s")
        elif active.is_overdue(self.grace_s):
            self._cancel(active, active.why_cancelled or "cancelled", force=True)

    def _cancel(self, active: ActiveAttempt, why: str, *, force: bool = False) -> None:
        self.executor_for(active.job).cancel(active.attempt, active.folder, force=force)
        if active.cancelled_at is None:
            active.cancelled_at, active.why_cancelled = time.monotonic(), why
        active.forced = force

    def _end(self, active: ActiveAttempt, status: ProgramStatus) -> None:
        """An attempt is over: publish its output or say why there is none; every step may be repeated."""
        job, folder = active.job, self.study.job(active.job.key)
        if active.ending is None:
            active.log = self.executor_for(job).logs(active.attempt, active.folder)
            self._intake.take_in(active, status, n_not_counted=self._n_earlier.get(job.key, 0))
        ending = active.ending or Ending(JobState.FAILED)
        if ending.state is not JobState.SUCCEEDED:
            discard(folder, active.folder, keep_checkpoints=True)
        write_job_record(self.study, active.record)
        self._records[job.key] = active.record
        self._release(active)
        self.listener.ended(job, active.record, "\n".join(active.log.splitlines()[-20:]))
        discard(folder, active.folder, keep_checkpoints=ending.state is not JobState.SUCCEEDED)
        self._let_go(active)
        if ending.state is JobState.SUCCEEDED:
            self._forecast.note(job, active.record)
            self._queue.finish(job)
        elif ending.state is JobState.QUEUED:
            self._queue.put(job, delay_s=ending.delay_s)

    def _release(self, active: ActiveAttempt) -> None:
        """Forget what ran, now that its end is recorded; what the engine does not remove stays for later."""
        try:
            self.executor_for(active.job).release(active.attempt, active.folder)
        except EngineSilent:
            raise
        except InfrastructureError as error:
            self.listener.notice(f"{active.job.name}: {error}; it stays until the next `reseed run`")

    def _let_go(self, active: ActiveAttempt) -> None:
        self.slots.give_back(active.slot)
        del self._active[active.job.key]

    def _record(self, job: Job, state: JobState, attempt: Attempt) -> JobRecord:
        record = with_attempt(self._records[job.key], state, attempt)
        write_job_record(self.study, record)
        self._records[job.key] = record
        return record

    def _rest(self) -> None:
        """Sleep until something may have happened."""
        intervals = [self.executor_for(active.job).poll_interval_s for active in self._active.values()]
        time.sleep(min(intervals, default=0.05))
