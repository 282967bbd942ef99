"""
`reseed run` on a cluster: submits what is missing, watches, and may be gone at any time.

What it knows is read from the study folder and from one squeue; the nodes do and record the
rest. A job is submitted only when no element that Slurm holds has it and nobody has its claim.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from reseed.contracts.errors import InfrastructureError, UserError
from reseed.contracts.job import Attempt, Job, JobKind, JobRecord, JobState
from reseed.orchestration.ending import Ending
from reseed.orchestration.executors.process import log_tail
from reseed.orchestration.faults import MAX_INFRASTRUCTURE_FAULTS, jobs_failed_for_good, left_out_lines
from reseed.orchestration.outcome import Listener, Outcome
from reseed.orchestration.plan import Plan
from reseed.orchestration.slurm.claim import LEASE_S
from reseed.orchestration.slurm.client import Task, TaskId
from reseed.orchestration.slurm.pending import PendingClaims
from reseed.orchestration.slurm.settling import ending_on_disk, last_sign, settled
from reseed.orchestration.slurm.states import FORGOTTEN, UnknownState
from reseed.orchestration.slurm.submission import Submission
from reseed.orchestration.state import job_record, write_job_record
from reseed.orchestration.study_folder import StudyFolder

_TICK_S = 0.2
_PATIENCE_S = 900.0
_LOG_LINES = 20
_NO_TASK = TaskId(0, 0)


@dataclass
class SlurmRunner:
    """
    Takes a plan to its end on a cluster.

    Parameters
    ----------
    plan, study, submission, listener
        What to do, where, how it is submitted, and who is told.
    stop_requested
        Asked at every turn; once true, watching ends and the jobs go on.
    detach
        Submit, and do not watch; but stay until it is known whether what has left Slurm lives on.
    retry_failed
        Whether jobs that failed by themselves in an earlier command are tried again.
    lease_s
        How long a holder on another node must be silent before its job is taken over.
    """

    plan: Plan
    study: StudyFolder
    submission: Submission
    listener: Listener
    stop_requested: Callable[[], bool] = lambda: False
    detach: bool = False
    retry_failed: bool = False
    lease_s: float = LEASE_S
    _records: dict[str, JobRecord] = field(default_factory=dict)
    _started: set[str] = field(default_factory=set)
    _given_up: dict[str, JobRecord] = field(default_factory=dict)
    _n_faults: Counter[str] = field(default_factory=Counter)
    _pending: PendingClaims = field(init=False)
    _tasks: dict[TaskId, Task] = field(default_factory=dict)
    _silent_since: float | None = None

    def __post_init__(self) -> None:
        """Nothing is waited for yet."""
        self._pending = PendingClaims(self.study, self.listener.notice, self.lease_s)

    def run(self) -> Outcome:
        """Submit, watch and submit again until nothing is left that could be done."""
        self._records = {job.key: job_record(self.study, job) for job in self.plan.jobs}
        self._refuse_other_executors()
        self.listener.begun(self.plan, dict(self._records))
        self.submission.recover()
        self._forget_what_has_ended()
        self._leave_out_the_failed()
        while True:
            due = time.monotonic() + self.submission.cluster.settings.poll_s
            self._turn()
            if not self._is_at_work() or (self.detach and not self._pending.is_undecided()):
                break
            self._wait(due)
            if self.stop_requested():
                break
        return self._outcome()

    def _wait(self, due: float) -> None:
        """Until Slurm is to be asked again, or earlier where a job can be had that it has given up."""
        while time.monotonic() < due and not self.stop_requested():
            if self._pending.one_is_free() or (self.detach and not self._pending.is_undecided()):
                return
            self.listener.tick()
            time.sleep(_TICK_S)

    @property
    def n_held(self) -> int:
        """How many jobs of the plan wait or run in Slurm."""
        return sum(job.key in self.submission.held for job in self.plan.jobs)

    def _refuse_other_executors(self) -> None:
        for job in self.plan.jobs:
            record = self._records[job.key]
            if record.state is JobState.RUNNING and record.last and record.last.executor != "slurm":
                raise UserError(
                    f"{job.name}: is recorded as running by executor {record.last.executor!r}; let "
                    f"`reseed run --executor {record.last.executor}` take it to its end, or stop, first"
                )

    def _forget_what_has_ended(self) -> None:
        """Elements of earlier commands that Slurm is done with are no longer of interest."""
        held = self.submission.held
        tasks = self.submission.client.tasks()
        for key, task in list(held.items()):
            record = self._records.get(key)
            known = tasks.get(task)
            if record is not None and record.state.is_terminal and not (known and known.state.is_held):
                del held[key]

    def _leave_out_the_failed(self) -> None:
        """Do not submit again what would only fail again."""
        if self.retry_failed:
            return
        for job in jobs_failed_for_good(self.plan, self.study, self._records):
            if job.key not in self.submission.held:
                self._given_up[job.key] = self._records[job.key]
        for line in left_out_lines(list(self._given_up.values())):
            self.listener.notice(line)

    def _turn(self) -> None:
        try:
            self._tasks = self.submission.client.tasks()
            self._take_in()
            self._release()
            self._submit()
            self._silent_since = None
        except UnknownState:
            raise
        except InfrastructureError as error:
            # the jobs do not need us: give Slurm time to come back
            if self._silent_since is None:
                self._silent_since = time.monotonic()
            if self.detach or time.monotonic() - self._silent_since > _PATIENCE_S:
                raise InfrastructureError(f"{error}; jobs that Slurm has go on") from error

    def _is_at_work(self) -> bool:
        return self._silent_since is not None or self.n_held > 0 or bool(self._submittable())

    def _take_in(self) -> None:
        """What has become of every job that Slurm held at the last look."""
        held = self.submission.held
        jobs = [job for job in self.plan.jobs if job.key in held]
        self._pending.forget()
        forgotten = {held[job.key].array for job in jobs if held[job.key] not in self._tasks}
        known = {**self.submission.client.accounted(forgotten), **self._tasks} if forgotten else self._tasks
        for job in jobs:
            task = known.get(held[job.key])
            if task is not None and task.state.is_held:
                if task.state.is_running:
                    self._note_running(job)
                elif job.key in self._started:
                    self._note_requeued(job)
            elif self._has_ended(job, FORGOTTEN if task is None else task.state.ending or FORGOTTEN):
                del held[job.key]

    def _note_running(self, job: Job) -> None:
        if job.key not in self._started:
            record = job_record(self.study, job)
            if record.state is JobState.RUNNING:
                self._records[job.key] = record
                self._started.add(job.key)
                self.listener.started(job, adopted=False)

    def _note_requeued(self, job: Job) -> None:
        """A job that ran and waits again: its step has said why, or was killed before it could."""
        self._started.discard(job.key)
        record = job_record(self.study, job)
        last = record.last
        if last is not None and last.ended is None:
            why = last.model_copy(update={"reason": "put back into the queue by Slurm"})
            record = record.model_copy(update={"attempts": (*record.attempts[:-1], why)})
        self.listener.ended(job, record.model_copy(update={"state": JobState.QUEUED}), "")

    def _has_ended(self, job: Job, ending: Ending) -> bool:
        """Take in the end of a job that has left Slurm; False while somebody still has its claim."""
        record = job_record(self.study, job)
        batch = self.submission.batch_of[job.key]
        attempt = record.last if record.last and record.last.handle.get("batch") == batch.name else None
        if record.state is JobState.RUNNING:
            claim = self._pending.take(job, record)
            if claim is None:
                return False
            try:
                record = self._settled(job, job_record(self.study, job), ending)
            finally:
                claim.release()
        elif record.state is JobState.QUEUED and attempt is None and self._lacks_input(job):
            self._started.discard(job.key)  # blocked by a job that is tried again: submitted once more
            return True
        elif record.state is JobState.QUEUED and attempt is None:
            record = self._never_begun(job, record, ending)
        if record.state is JobState.QUEUED and batch.closed is not None:
            record = record.model_copy(update={"state": JobState.CANCELLED})
        self._end(job, record)
        return True

    def _settled(self, job: Job, record: JobRecord, ending: Ending) -> JobRecord:
        """Record how an attempt ended whose step did not: as its exit code says, else as Slurm says."""
        last = record.last
        if record.state is not JobState.RUNNING or last is None:
            return record
        on_disk, exit_code = ending_on_disk(self.study, job, last)
        document = self.submission.batch_of[job.key].document
        return settled(
            document, self.study, job, record,
            on_disk if exit_code is not None else ending,
            exit_code=exit_code, ended=last_sign(self.study, job, last),
        )  # fmt: skip

    def _lacks_input(self, job: Job) -> bool:
        return any(self._records[key].state is not JobState.SUCCEEDED for key in job.needs)

    def _never_begun(self, job: Job, record: JobRecord, ending: Ending) -> JobRecord:
        """An element that has ended before its step could begin."""
        task = self.submission.held[job.key]
        log = log_tail(self.submission.batch_of[job.key].log(task.index)).strip().splitlines()
        words = f"{ending.reason}{': ' + log[-1] if log else ''}"
        now = datetime.now(UTC)
        attempt = Attempt(
            number=max((past.number for past in record.attempts), default=0) + 1,
            executor="slurm",
            handle={"slurm_job": str(task), "batch": self.submission.batch_of[job.key].name},
            started=now,
            ended=now,
            reason=words,
            fault=ending.fault,
        )
        record = record.model_copy(update={"state": ending.state, "attempts": (*record.attempts, attempt)})
        write_job_record(self.study, record)
        return record

    def _end(self, job: Job, record: JobRecord) -> None:
        last = record.last
        if record.state is JobState.QUEUED and last is not None and last.fault == "infrastructure":
            self._n_faults[job.key] += 1
            if self._n_faults[job.key] >= MAX_INFRASTRUCTURE_FAULTS:
                record = record.model_copy(update={"state": JobState.FAILED})
                write_job_record(self.study, record)
        self._records[job.key] = record
        self._started.discard(job.key)
        if record.state in (JobState.FAILED, JobState.CANCELLED):
            self._given_up[job.key] = record
        folder = self.study.job(job.key)
        log = log_tail(folder.attempt(last.number).log) if last else ""
        self.listener.ended(job, record, "\n".join(log.splitlines()[-_LOG_LINES:]))

    def _release(self) -> None:
        """Let jobs go that wait for their array and have all they need."""
        ready = []
        for job in self.plan.jobs:
            task = self._tasks.get(self.submission.held.get(job.key, _NO_TASK))
            if task is not None and task.waits_for_others and not self._lacks_input(job):
                ready.append(self.submission.held[job.key])
        if ready:
            self.submission.client.release(ready)

    def _submittable(self) -> list[Job]:
        """Jobs that are neither done nor in Slurm, and whose needs are done, in Slurm, or among them."""
        held = self.submission.held
        coming = set(held)
        found = []
        for job in self.plan.jobs:
            record = self._records[job.key]
            if record.state is JobState.SUCCEEDED:
                coming.add(job.key)
            elif job.key not in held and job.key not in self._given_up and coming.issuperset(job.needs):
                coming.add(job.key)
                found.append(job)
        return found

    def _submit(self) -> None:
        jobs = self._submittable()
        if not jobs:
            return
        for job in jobs:
            self.study.job(job.key).blocked.unlink(missing_ok=True)
            record = self._records[job.key]
            if record.state.is_terminal:  # to be tried again: those after it must not take it for failed
                self._records[job.key] = record.model_copy(update={"state": JobState.QUEUED})
                write_job_record(self.study, self._records[job.key])
        n_taken = self.submission.submit(jobs, n_in_use=self._n_in_use())
        if n_taken == 0 and self.n_held == 0:
            raise UserError(f"Slurm refuses every job of this study: {self.submission.refusal}")

    def _n_in_use(self) -> Counter[JobKind]:
        """How many jobs of each kind the arrays that Slurm holds may run side by side."""
        held: Counter[str] = Counter(self.submission.batch_of[key].name for key in self.submission.held)
        in_use: Counter[JobKind] = Counter()
        for name, n_elements in held.items():
            document = self.submission.batches.named(name).document
            in_use[document.kind] += min(n_elements, document.throttle or n_elements)
        return in_use

    def _outcome(self) -> Outcome:
        states = {key: record.state for key, record in self._records.items()}
        succeeded = tuple(key for key, state in states.items() if state is JobState.SUCCEEDED)
        failed = tuple(key for key in states if key in self._given_up)
        blocked = tuple(key for key in states if key not in succeeded and key not in failed)
        return Outcome(succeeded, failed, blocked, interrupted=self.n_held > 0)
