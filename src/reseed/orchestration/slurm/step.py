"""
One job of a study on a node of the cluster: `python -m reseed.orchestration.slurm.step BATCH`.

Does what the local runner does for a job, from preparing its folder to publishing its output,
with the same functions, under a claim that no other process of the cluster can have. Ends with 0
when the job has its result, and puts itself back into Slurm's queue when it is to go on later.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from reseed.contracts.errors import InfrastructureError, ReseedError, UserError
from reseed.contracts.files import write_json_atomically, write_text_atomically
from reseed.contracts.job import Attempt, Job, JobRecord, JobState
from reseed.orchestration.ending import Ending
from reseed.orchestration.slurm.batch import Batch, Batches, Element, recorded
from reseed.orchestration.slurm.claim import LEASE_S, Claim, Claims, Holder
from reseed.orchestration.slurm.client import SlurmClient
from reseed.orchestration.slurm.place import Place
from reseed.orchestration.slurm.program import NodeProgram, Stop, end_stray_programs
from reseed.orchestration.slurm.settling import ending_on_disk, last_sign, settled
from reseed.orchestration.state import job_record, write_job_record
from reseed.orchestration.study_folder import StudyFolder
from reseed.orchestration.workspace import prepared_launch

EXIT_FAILED = 1
EXIT_BLOCKED = 3
EXIT_TAKEN = 4
EXIT_CLOSED = 5
EXIT_AGAIN = 75

TIME_LIMIT = "Slurm's time limit; goes on from its checkpoint"
_KILL_BEFORE_LIMIT_S = 20.0


class Ended(Exception):
    """The step has nothing to do; with its exit code and why."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


@dataclass
class NodeStep:
    """
    Does one element of a batch.

    Parameters
    ----------
    batch, place, client
        Which batch, where in Slurm, and how to talk to it.
    patience_s
        How long an input may take to appear: file systems show a file to other nodes with delay.
    lease_s
        How long a holder on another node must be silent before its job is taken over.
    """

    batch: Batch
    place: Place
    client: SlurmClient
    patience_s: float = 60.0
    lease_s: float = LEASE_S
    stop_asked: bool = False
    _element: Element = field(init=False)

    def run(self) -> int:
        """Do the job; the exit code for Slurm."""
        self._element = self.batch.element(self.place.task.index)
        self.batch.note_array(self.place.task.array)
        _say(f"{self.job.name} as {self.place.task} on {self.place.node}")
        try:
            self._refuse_closed()
            self._wait_for_needs()
            claim = self._claimed()
            try:
                again, code = self._attempt(claim)
            finally:
                claim.release()
        except Ended as ended:
            _say(str(ended))
            return ended.code
        if again:
            self._requeue()
        elif code == 0:
            self._let_others_start()
        return code

    @property
    def job(self) -> Job:
        """The job."""
        return self._element.job

    @property
    def study(self) -> StudyFolder:
        """Where it belongs."""
        return StudyFolder(Path(self.batch.document.study_folder))

    def ask_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        """SIGTERM: the time limit comes near, another job has precedence, or somebody cancels."""
        self.stop_asked = True

    def _refuse_closed(self) -> None:
        why = self.batch.closed
        if why is not None:
            raise Ended(EXIT_CLOSED, f"not started: {why}")
        if self.stop_asked:
            raise Ended(EXIT_AGAIN, "asked to stop before it started")

    def _wait_for_needs(self) -> None:
        """All inputs must be there: that the jobs before have ended does not say how."""
        deadline = time.monotonic() + self.patience_s
        for key in self.job.needs:
            while not self._has_succeeded(key):
                if self._is_given_up(key) or time.monotonic() > deadline:
                    why = f"job {key[:12]}, which it needs, has no result"
                    write_text_atomically(self.study.job(self.job.key).blocked, f"{why}\n")
                    raise Ended(EXIT_BLOCKED, f"not started: {why}")
                self._refuse_closed()
                time.sleep(0.5)

    def _is_given_up(self, key: str) -> bool:
        failed = self._state_of(key) in (JobState.FAILED, JobState.CANCELLED)
        return failed or self.study.job(key).blocked.exists()

    def _has_succeeded(self, key: str) -> bool:
        return self._state_of(key) is JobState.SUCCEEDED and self.study.job(key).output.is_dir()

    def _state_of(self, key: str) -> JobState:
        return recorded(self.study, key).state

    def _claimed(self) -> Claim:
        """The claim on the job, once nobody else has it."""
        claims = Claims(self.study.job(self.job.key).claims, lease_s=self.lease_s)
        holder = Holder.here(str(self.place.task))
        give_up_at = time.monotonic() + 3 * self.lease_s
        said = False
        while True:
            record = job_record(self.study, self.job)
            if record.state is JobState.SUCCEEDED:
                raise Ended(0, "has been done already")
            after = claims.free_after()
            if after is not None:
                claim = claims.take(holder, after=after, at_least=_next_number(record))
                if claim is not None:
                    return claim
                continue
            other = claims.holder()
            if other is not None and not said:
                _say(f"waits for {other.task} on {other.node}, which had the job before")
                said = True
            if other is not None and other.task == holder.task:
                _end_earlier_start(other, grace_s=self.batch.document.settings.checkpoint_s)
            if time.monotonic() > give_up_at:
                raise Ended(EXIT_TAKEN, "not started: another process has the job")
            self._refuse_closed()
            time.sleep(0.5)

    def _attempt(self, claim: Claim) -> tuple[bool, int]:
        """Start the program and see it to its end; whether to go on later, and the exit code."""
        record = self._with_earlier_attempts_ended()
        if record.state in (JobState.SUCCEEDED, JobState.FAILED):
            return False, 0 if record.state is JobState.SUCCEEDED else EXIT_FAILED
        folder = self.study.job(self.job.key)
        launch = prepared_launch(
            self.job,
            study=self.study,
            dataset=Path(self.batch.document.dataset),
            number=claim.number,
            gpus=tuple(range(len(self.place.gpus.ids))),
        )
        write_json_atomically(folder.specification, self.job)
        attempt = Attempt(number=claim.number, executor="slurm", handle=self._handle(), started=_now())
        record = record.model_copy(
            update={"state": JobState.RUNNING, "attempts": (*record.attempts, attempt)}
        )
        write_job_record(self.study, record)
        program = NodeProgram(self.batch, launch, self.place)
        claim.keep(program.kill)
        try:
            program.start()
            stop = program.wait(lambda: self._stop_wanted(record, attempt), killed_with_us_s=1.0)
            ending = program.ending(stop)
            peak = program.peak_memory_mib
        except UserError as error:
            ending, peak = Ending(JobState.FAILED, str(error), "job"), None
        except InfrastructureError as error:
            ending, peak = Ending(JobState.QUEUED, str(error), "infrastructure"), None
        if claim.is_lost:
            raise Ended(EXIT_TAKEN, "another process has taken the job over")
        record = settled(
            self.batch.document, self.study, self.job, record, ending,
            exit_code=program.exit_code, peak_memory_mib=peak,
        )  # fmt: skip
        last = record.last
        _say(f"{record.state.value}{f': {last.reason}' if last and last.reason else ''}")
        if record.state is JobState.QUEUED:
            return self._is_to_go_on(last), EXIT_AGAIN
        return False, 0 if record.state is JobState.SUCCEEDED else EXIT_FAILED

    def _with_earlier_attempts_ended(self) -> JobRecord:
        """Take in how an attempt ended whose step was killed before it could say so."""
        record = job_record(self.study, self.job)
        last = record.last
        if last is not None and last.ended is None:
            end_stray_programs(self.study.job(self.job.key))
            ending, exit_code = ending_on_disk(self.study, self.job, last)
            record = settled(
                self.batch.document, self.study, self.job, record, ending,
                exit_code=exit_code, ended=last_sign(self.study, self.job, last),
            )  # fmt: skip
        return record

    def _handle(self) -> dict[str, str | int | float]:
        return {
            "gpus": ",".join(str(number) for number in range(len(self.place.gpus.ids))),
            "slurm_job": str(self.place.task),
            "node": self.place.node,
            "partition": self.place.partition,
            "batch": self.batch.name,
        }

    def _stop_wanted(self, record: JobRecord, attempt: Attempt) -> Stop | None:
        """Whether the program is to end now, and why."""
        limit_s = self.job.resources.timeout_s
        spent_s = _spent_before_s(record) + (_now() - attempt.started).total_seconds()
        if spent_s > limit_s:
            return Stop(f"timed out after {limit_s} s", kill_after_s=30.0)
        if not self.stop_asked:
            return None
        left_s = self._left_s()
        if (why := self.batch.closed) is not None:
            return Stop(why)
        if self._is_near_limit():
            if not self.job.has_checkpoints:
                return Stop(
                    f"timed out: Slurm's time limit of {self.batch.document.time_s} s", kill_after_s=20.0
                )
            return Stop(TIME_LIMIT, kill_after_s=max(left_s - _KILL_BEFORE_LIMIT_S, 0.0))
        return Stop("asked by Slurm to stop")

    def _left_s(self) -> float:
        return self.place.started_at + self.batch.document.time_s - time.monotonic()

    def _is_near_limit(self) -> bool:
        """Slurm gives its signal up to a minute early, and counts from before our start."""
        lead_s = self.batch.document.settings.checkpoint_s if self.job.has_checkpoints else 0
        return self._left_s() < lead_s + 90

    def _is_to_go_on(self, last: Attempt | None) -> bool:
        """Whether Slurm is to start this job again: not when somebody has cancelled it."""
        if self.batch.closed is not None:
            return False
        return self.stop_asked or (last is not None and last.fault in ("infrastructure", "job"))

    def _requeue(self) -> None:
        """Back into the queue, unless Slurm ends the job itself, or has started it elsewhere by now."""
        try:
            shown = self.client.shown(self.place.task)
            if shown.get("JobState") == "RUNNING" and self.place.is_start(shown):
                self.client.requeue(self.place.task)
        except ReseedError as error:
            _say(f"cannot be requeued: {error}; `reseed run` will submit it again")

    def _let_others_start(self) -> None:
        """Jobs that need this one and others: start those that have all they need."""
        batches = Batches.of(self.study)
        states: dict[str, bool] = {}
        ready = []
        for waiting in self._element.awaited_by:
            array_id = batches.named(waiting.batch).array_id
            for key in waiting.needs:
                if key not in states:
                    states[key] = self._has_succeeded(key)
            if array_id is not None and all(states[key] for key in waiting.needs):
                ready.append(type(self.place.task)(array_id, waiting.index))
        try:
            self.client.release(ready)
        except ReseedError as error:
            _say(f"{error}; the jobs after this one start when their array does")


def _next_number(record: JobRecord) -> int:
    return max((attempt.number for attempt in record.attempts), default=0) + 1


def _spent_before_s(record: JobRecord) -> float:
    """Seconds that attempts ended by Slurm's time limit have used, since anything else went wrong."""
    spent = 0.0
    for attempt in reversed(record.attempts):
        if attempt.ended is None:
            continue
        if attempt.fault == "job":
            break
        if attempt.reason == TIME_LIMIT:
            spent += (attempt.ended - attempt.started).total_seconds()
    return spent


def _end_earlier_start(holder: Holder, *, grace_s: float) -> None:
    """End an earlier start of this very task, which Slurm believes to have ended."""
    process = holder.process()
    if process is None:
        return
    _say(f"ends its own earlier start, process {holder.pid}")
    process.terminate()
    deadline = time.monotonic() + grace_s
    while holder.process() is not None and time.monotonic() < deadline:
        time.sleep(0.2)
    if holder.process() is not None:
        process.kill()


def _now() -> datetime:
    return datetime.now(UTC)


def _say(line: str) -> None:
    sys.stdout.write(f"{_now():%Y-%m-%d %H:%M:%S} {line}\n")
    sys.stdout.flush()


def main(arguments: list[str], stop: Callable[[int], None] = sys.exit) -> None:
    """Do the element of the batch that Slurm's environment names."""
    try:
        step = NodeStep(Batch(Path(arguments[0])), Place.of(os.environ), SlurmClient())
        signal.signal(signal.SIGTERM, step.ask_to_stop)
        code = step.run()
    except ReseedError as error:
        _say(str(error))
        code = EXIT_FAILED
    stop(code)


if __name__ == "__main__":
    main(sys.argv[1:])
