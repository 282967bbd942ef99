"""
Jobs that an earlier orchestrator left running and that nobody waits for any more.

A setting was edited, or an image built anew, and the plan asks for other jobs. What runs on for the
old ones is stopped as an interrupt would stop it; its checkpoints stay, for a plan that asks again.
A folder of jobs that several studies share is left alone: they may be another's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from reseed.contracts.errors import EngineSilent, InfrastructureError, UserError
from reseed.contracts.job import Attempt, JobRecord, JobState
from reseed.documents.reading import read_json
from reseed.orchestration.attempts import with_attempt
from reseed.orchestration.clock import end_of
from reseed.orchestration.disk import is_full
from reseed.orchestration.executors.executor import Executor, ProgramState, ProgramStatus
from reseed.orchestration.plan import Plan
from reseed.orchestration.runner import GRACE_S
from reseed.orchestration.state import write_job_record
from reseed.orchestration.study_folder import JobFolder, StudyFolder
from reseed.orchestration.workspace import discard

_REASON = "the plan does not ask for it any more"
_LATER = "it is left to the next `reseed run`"
_INTERVAL_S = 0.1


def end_orphans(
    study: StudyFolder,
    plan: Plan,
    executors: Mapping[str, Executor],
    tell: Callable[[str], None],
    *,
    grace_s: float = GRACE_S,
) -> None:
    """
    Stop what still runs for jobs that a plan does not ask for, and record that it has ended.

    What cannot be stopped, or not recorded for want of room, is left to the next command.

    Parameters
    ----------
    study, plan
        Where to look; the whole plan.
    executors
        By the name that state.json calls them. Jobs of others are left alone.
    tell
        Is given one line of each job that still runs.
    grace_s
        How long a job may take to stop before it is killed, and then again before it is left.
    """
    orphans = [] if study.jobs.is_symlink() else list(_found(study, plan, executors))
    since = time.monotonic()
    try:
        while orphans := [orphan for orphan in orphans if not orphan.has_ended(since, grace_s, tell)]:
            time.sleep(_INTERVAL_S)
    except EngineSilent as error:
        tell(f"{error}; jobs that the plan does not ask for any more may run on until the next `reseed run`")


@dataclass
class _Orphan:
    study: StudyFolder
    record: JobRecord
    attempt: Attempt
    executor: Executor
    n_asked: int = 0

    @property
    def job(self) -> JobFolder:
        """Where it works."""
        return self.study.job(self.record.key)

    def has_ended(self, since: float, grace_s: float, tell: Callable[[str], None]) -> bool:
        """Look after it once; whether nothing more is to be done."""
        try:
            folder = self.job.attempt(self.attempt.number)
            status = self.executor.reconcile(self.attempt, folder)
            if status.state is not ProgramState.RUNNING:
                self._close(status)
                return True
            if self.n_asked == 0:
                tell(f"{self.record.name}: still runs and {_REASON}; it is stopped")
            if time.monotonic() - since > 2 * grace_s:
                tell(f"{self.record.name}: does not stop; {_LATER}")
                return True
            if self.n_asked == 0 or (self.n_asked == 1 and time.monotonic() - since > grace_s):
                self.executor.cancel(self.attempt, folder, force=self.n_asked == 1)
                self.n_asked += 1
        except EngineSilent:
            raise
        except (InfrastructureError, OSError) as error:
            if isinstance(error, OSError) and not is_full(error):
                raise
            tell(f"{self.record.name}: {error}; {_LATER}")
            return True
        return False

    def _close(self, status: ProgramStatus) -> None:
        """Record its end, then let go of what ran."""
        folder = self.job.attempt(self.attempt.number)
        self.executor.logs(self.attempt, folder)
        ended = self.attempt.model_copy(
            update={
                "ended": end_of(self.attempt, ran_s=status.ran_s),
                "exit_code": status.exit_code,
                "reason": _REASON,
                "fault": "interruption",
            }
        )
        write_job_record(self.study, with_attempt(self.record, JobState.QUEUED, ended))
        self.executor.release(self.attempt, folder)
        discard(self.job, folder, keep_checkpoints=True)


def _found(study: StudyFolder, plan: Plan, executors: Mapping[str, Executor]) -> Iterator[_Orphan]:
    """What is recorded as running and is not in a plan."""
    wanted = {job.key for job in plan.jobs}
    for path in sorted(study.jobs.glob("*")):
        job = study.job(path.name)
        if path.name in wanted or path.name.startswith(".") or not job.record.is_file():
            continue
        try:
            record = read_json(job.record, JobRecord)
        except UserError:
            continue  # another version's: no job of ours
        attempt = record.last
        if record.state is JobState.RUNNING and attempt is not None and attempt.executor in executors:
            yield _Orphan(study, record, attempt, executors[attempt.executor])
