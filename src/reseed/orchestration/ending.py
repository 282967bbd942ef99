"""How an attempt ended, in words, and whether it is worth another."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Literal

from reseed.contracts.job import JobState
from reseed.orchestration.executors.executor import ProgramState, ProgramStatus
from reseed.orchestration.study_folder import AttemptFolder

Fault = Literal["job", "infrastructure", "interruption"]

_KILLED_FROM_OUTSIDE = {128 + signal.SIGKILL, 128 + signal.SIGTERM}


@dataclass(frozen=True)
class Ending:
    """What an attempt's end makes of its job: succeeded, failed, or queued for another attempt."""

    state: JobState
    reason: str | None = None
    fault: Fault | None = None


def ending_of(status: ProgramStatus, folder: AttemptFolder, *, log: str, cancelled: str | None) -> Ending:
    """
    What the end of a program means.

    A program that was asked to stop and finished all the same has finished. One that vanished
    without an exit code was killed from outside: the machine's fault, not its own.
    """
    if status.state is ProgramState.EXITED and status.exit_code == 0:
        return Ending(JobState.SUCCEEDED)
    if cancelled is not None:
        timed_out = cancelled.startswith("timed out")
        return Ending(JobState.FAILED, cancelled, "job") if timed_out else _again(cancelled, "interruption")
    if status.out_of_memory:
        return Ending(JobState.FAILED, "killed: it used more memory than its limit", "job")
    if status.state is ProgramState.LOST:
        return _again("vanished without an exit code: killed from outside", "infrastructure")
    if status.exit_code in _KILLED_FROM_OUTSIDE:
        return _again(f"{_exit_words(status.exit_code)} from outside", "infrastructure")
    words = _last_words(folder, log)
    return Ending(JobState.FAILED, f"{_exit_words(status.exit_code)}{': ' + words if words else ''}", "job")


def _again(reason: str, fault: Fault) -> Ending:
    return Ending(JobState.QUEUED, reason, fault)


def _exit_words(code: int | None) -> str:
    if code is not None and code > 128:
        try:
            return f"killed by {signal.Signals(code - 128).name}"
        except ValueError:
            pass
    return f"exit code {code}"


def _last_words(folder: AttemptFolder, log: str) -> str:
    """The failure file, else the last line that was printed."""
    if folder.failure.is_file():
        words = folder.failure.read_text(errors="replace").strip()
        if words:
            return words.splitlines()[-1]
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1] if lines else ""
