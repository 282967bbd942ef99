"""What every executor can do: submit, poll, cancel, logs, reconcile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from reseed.contracts.job import Attempt
from reseed.orchestration.study_folder import AttemptFolder, StudyFolder
from reseed.orchestration.workspace import Launch

Handle = dict[str, str | int | float]


class ProgramState(StrEnum):
    """What is known of a started program."""

    RUNNING = "running"
    EXITED = "exited"
    LOST = "lost"
    ABSENT = "absent"


@dataclass(frozen=True)
class ProgramStatus:
    """
    A program's state, and how it ended.

    LOST means that it is not running and nobody saw it exit: it was killed from outside, or the
    machine stopped. It is never taken for done. ABSENT means that it was never started: the
    orchestrator was killed between saying that it would and doing it.

    `ran_s` is how long it ran, where somebody noted it: it may have ended long before anybody
    asked; `was_stopped` whether it was told to stop, by anybody. `why` says what is known of a loss.
    `timed_out` is said by executors that end programs at their time limit by themselves.
    """

    state: ProgramState
    exit_code: int | None = None
    out_of_memory: bool = False
    peak_memory_mib: float | None = None
    ran_s: float | None = None
    was_stopped: bool = False
    timed_out: bool = False
    why: str | None = None


class Programs(Protocol):
    """
    What would run, wherever it runs.

    `name` is what a study file, state.json and run.json call the executor.
    """

    name: str

    def code_digest(self, role: str) -> str:
        """Digest of the image, or of the files and packages, that a role would run."""

    def image(self, role: str) -> str | None:
        """The image of a role, pinned; None for a plain process."""


class Executor(Programs, Protocol):
    """
    Starts programs and finds them again, also after the orchestrator was killed.

    `poll_interval_s` is how long to wait before a program is polled again.

    Raises
    ------
    EngineSilent
        From every verb: the engine does not answer, and may or may not have done what it was asked.
    NoSpaceLeft
        From submit: a disk is full.
    InfrastructureError
        From submit: it was refused.
    """

    poll_interval_s: float

    def submit(self, launch: Launch) -> Handle:
        """Start a prepared attempt."""

    def poll(self, attempt: Attempt, folder: AttemptFolder) -> ProgramStatus:
        """The state of an attempt that this orchestrator started."""

    def cancel(self, attempt: Attempt, folder: AttemptFolder, *, force: bool = False) -> None:
        """Ask the program to checkpoint and exit, or end it."""

    def logs(self, attempt: Attempt, folder: AttemptFolder) -> str:
        """What the program has printed so far."""

    def reconcile(self, attempt: Attempt, folder: AttemptFolder) -> ProgramStatus:
        """The state of an attempt that an earlier orchestrator started, or was about to start."""

    def release(self, attempt: Attempt, folder: AttemptFolder) -> None:
        """Forget an attempt whose end has been recorded: reap it, remove its container."""

    def release_leftovers(
        self, study: StudyFolder, is_over: Callable[[AttemptFolder], bool], *, dry_run: bool = False
    ) -> int:
        """Remove what attempts that are over have left outside the study folder; how many had left any."""
