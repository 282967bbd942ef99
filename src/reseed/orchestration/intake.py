"""Taking in the end of an attempt: its output is published, or it is said why there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reseed.contracts.errors import UserError
from reseed.contracts.job import Job, JobState
from reseed.orchestration.attempts import ActiveAttempt, with_attempt
from reseed.orchestration.clock import end_of
from reseed.orchestration.disk import StudyDisk
from reseed.orchestration.ending import Ending, ending_of, ending_on_a_full_disk, said_nothing
from reseed.orchestration.executors.executor import ProgramStatus
from reseed.orchestration.faults import judged
from reseed.orchestration.study_folder import StudyFolder
from reseed.orchestration.workspace import publish, tree_bytes


@dataclass(frozen=True)
class Intake:
    """
    What becomes of attempts that are over.

    Parameters
    ----------
    study, disk
        Where they worked.
    complete
        Checks and completes the output of a job that exited with 0; raises UserError.
    backoff_s
        The first wait after a fault of the machine's.
    """

    study: StudyFolder
    complete: Callable[[Job, Path], None]
    disk: StudyDisk
    backoff_s: float

    def take_in(self, active: ActiveAttempt, status: ProgramStatus, *, n_not_counted: int) -> None:
        """
        Publish the output of an attempt and note its ending, or only the latter.

        May be called again when it raised.

        Parameters
        ----------
        active
            The attempt; its ending and record are set.
        status
            How its program ended.
        n_not_counted
            How many of its job's earlier attempts say nothing any more: an earlier command gave the
            job up after them.

        Raises
        ------
        OSError
            When the disk is full.
        """
        ending = self._ending(active, status)
        earlier = active.record.attempts[n_not_counted:-1]
        ending = judged(ending, exit_code=status.exit_code, earlier=earlier, backoff_s=self.backoff_s)
        attempt = active.attempt.model_copy(
            update={
                "ended": end_of(active.attempt, ran_s=status.ran_s),
                "exit_code": status.exit_code,
                "peak_memory_mib": status.peak_memory_mib,
                "reason": ending.reason,
                "fault": ending.fault,
            }
        )
        record = with_attempt(active.record, ending.state, attempt)
        active.record = record.model_copy(update={"output_bytes": active.output_bytes})
        active.ending = ending

    def _ending(self, active: ActiveAttempt, status: ProgramStatus) -> Ending:
        """How an attempt ended by itself; when it ended well, its output is now in place."""
        job, folder = active.job, self.study.job(active.job.key)
        ending = ending_of(job, status, active.folder, log=active.log, cancelled=active.why_cancelled)
        if ending.state is JobState.SUCCEEDED:
            try:
                if active.folder.output.is_dir():
                    self.complete(job, active.folder.output)
                active.output_bytes = publish(folder, active.folder)
            except UserError as error:
                ending = _refused(active, status, error)
            else:
                self.disk.note_output(active.output_bytes)
                return ending
        if not (active.saw_full_disk or active.was_unwatched):
            return ending
        is_silent = active.was_unwatched and said_nothing(active.folder, active.log)
        written = tree_bytes(active.folder.output, active.folder.scratch)
        return ending_on_a_full_disk(
            ending,
            exit_code=status.exit_code,
            log=active.log,
            was_exhausted=active.saw_exhausted_disk or is_silent,
            is_its_own_doing=self.disk.would_have_room(written),
        )


def _refused(active: ActiveAttempt, status: ProgramStatus, error: UserError) -> Ending:
    """The ending of a program that exited with 0 and has not succeeded: it may have been told to stop."""
    cancelled = active.why_cancelled
    if cancelled is None and status.was_stopped:
        return Ending(JobState.QUEUED, "stopped from outside", "infrastructure", may_be_chance=True)
    if cancelled is None or cancelled.startswith("timed out"):
        return Ending(JobState.FAILED, cancelled or str(error), "job")
    return Ending(JobState.QUEUED, cancelled, "interruption")
