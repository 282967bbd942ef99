"""How an attempt ended, in words, and whose fault it is that it has no result."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass

from reseed.contracts.job import Fault, Job, JobKind, JobState
from reseed.orchestration.executors.executor import ProgramState, ProgramStatus
from reseed.orchestration.study_folder import AttemptFolder

_KILLED_FROM_OUTSIDE = {128 + signal.SIGKILL, 128 + signal.SIGTERM}
_NO_ROOM = re.compile(r"no space left|enospc|errno 28\b|quota exceeded|errno 122\b", re.IGNORECASE)
_MANIFEST_KEY = {JobKind.PREPROCESS: "preprocess", JobKind.TRAIN: "train", JobKind.PREDICT: "inference"}


@dataclass(frozen=True)
class Ending:
    """
    What an attempt's end makes of its job: succeeded, failed, or queued for another attempt.

    Parameters
    ----------
    state, reason, fault
        As they are recorded.
    may_be_chance
        Whether the same program could end differently if it were started again.
    delay_s
        How long a queued job waits before that.
    """

    state: JobState
    reason: str | None = None
    fault: Fault | None = None
    may_be_chance: bool = False
    delay_s: float = 0.0


def ending_of(
    job: Job,
    status: ProgramStatus,
    folder: AttemptFolder,
    *,
    log: str,
    cancelled: str | None,
    quotes: bool = True,
) -> Ending:
    """
    What the end of a program means; with its last words, unless they must not be quoted.

    A program that was asked to stop and finished all the same has finished. One that vanished
    without an exit code was killed from outside: the machine's fault, not its own.
    """
    if status.state is ProgramState.EXITED and status.exit_code == 0:
        return Ending(JobState.SUCCEEDED)
    if cancelled is not None:
        timed_out = cancelled.startswith("timed out")
        return Ending(JobState.FAILED, cancelled, "job") if timed_out else _again(cancelled, "interruption")
    if status.out_of_memory:
        return Ending(JobState.FAILED, _out_of_memory(job), "job")
    if status.state is ProgramState.LOST:
        return _again(status.why or "vanished without an exit code: killed from outside", "infrastructure")
    if status.exit_code in _KILLED_FROM_OUTSIDE or status.was_stopped:
        return _again(f"{_exit_words(status.exit_code)} from outside", "infrastructure")
    words = _last_words(folder, log) if quotes else ""
    reason = f"{_exit_words(status.exit_code)}{': ' + words if words else ''}"
    return Ending(JobState.FAILED, reason, "job", may_be_chance=True)


def ending_on_a_full_disk(
    ending: Ending, *, exit_code: int | None, log: str, was_exhausted: bool, is_its_own_doing: bool
) -> Ending:
    """
    What an end without a result means when the disk was, or may have been, full while the program ran.

    Parameters
    ----------
    ending, exit_code, log
        How it ended.
    was_exhausted
        Whether nothing at all could be written for a while, or may not have been for all anyone
        knows, so that its silence says nothing.
    is_its_own_doing
        Whether what this attempt has written makes the difference.
    """
    speaks_of_it = _NO_ROOM.search(f"{ending.reason} {log}") is not None
    may_be_it = ending.may_be_chance or exit_code == 0
    if ending.fault == "interruption" or not (speaks_of_it or (was_exhausted and may_be_it)):
        return ending
    if is_its_own_doing:
        return Ending(JobState.FAILED, f"it filled the disk: {ending.reason}", "job", may_be_chance=True)
    return Ending(JobState.QUEUED, f"the disk was full: {ending.reason}", "disk")


def said_nothing(folder: AttemptFolder, log: str) -> bool:
    """Whether a program has left neither a failure file nor a word in its log."""
    return not _last_words(folder, log)


def _out_of_memory(job: Job) -> str:
    limit = f"killed: it used more memory than its limit of {job.resources.memory_gib:g} GiB"
    if job.kind not in _MANIFEST_KEY:
        return limit
    return f"{limit}; raise {_MANIFEST_KEY[job.kind]}.memory_gib in the manifest of {job.role} or the study"


def _again(reason: str, fault: Fault) -> Ending:
    return Ending(JobState.QUEUED, reason, fault, may_be_chance=True)


def _exit_words(code: int | None) -> str:
    if code is not None and code > 128:
        try:
            return f"killed by {signal.Signals(code - 128).name}"
        except ValueError:
            pass
    return f"exit code {code}"


def _last_words(folder: AttemptFolder, log: str) -> str:
    """The failure file, else the last line that was printed."""
    # a link could lead to any file of this machine
    if folder.failure.is_file() and not folder.failure.is_symlink():
        words = folder.failure.read_text(errors="replace").strip()
        if words:
            return words.splitlines()[-1]
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1] if lines else ""
