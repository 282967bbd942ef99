"""What keeps a runner from going on for a while: a full disk, an engine that is full or silent."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from reseed.contracts.errors import EngineSilent, InfrastructureError, NoSpaceLeft
from reseed.orchestration.attempts import ActiveAttempt
from reseed.orchestration.disk import ROOM_AGAIN, StudyDisk

ENGINE_PATIENCE_S = 120.0
_RETRY_INTERVAL_S = 0.5
_FULL_ENGINE_INTERVAL_S = 5.0


class Obstacles:
    """
    Says when to wait and when to go on, and tells a person once about each.

    Parameters
    ----------
    disk
        Where the study is.
    tell
        Is given one line when an obstacle appears and one when it has gone.
    patience_s
        How long an engine may be silent, or refuse what an attempt needs.
    """

    def __init__(
        self, disk: StudyDisk, tell: Callable[[str], None], *, patience_s: float = ENGINE_PATIENCE_S
    ) -> None:
        self._disk = disk
        self._tell = tell
        self._patience_s = patience_s
        self._told_of_disk = False
        self._told_of_engine = False
        self._silent_since: float | None = None
        self._ask_engine_at = 0.0
        self._start_again_at = 0.0

    @property
    def none(self) -> bool:
        """Whether another job may be started."""
        is_waiting = time.monotonic() < self._start_again_at
        return not (self._disk.is_full or self._silent_since is not None or is_waiting)

    @property
    def engine_may_be_asked(self) -> bool:
        """Whether it is time to ask an engine again that was silent."""
        return time.monotonic() >= self._ask_engine_at

    def look(self) -> None:
        """See whether the disk has filled up, or has room again."""
        self._disk.look()
        if self._disk.is_full and not self._told_of_disk:
            self._tell(self._disk.complaint())
        elif self._told_of_disk and not self._disk.is_full:
            self._tell(ROOM_AGAIN)
        self._told_of_disk = self._disk.is_full

    def disk_full(self) -> None:
        """Something could not be written."""
        self._disk.note_full()
        self.look()

    def engine_full(self, error: NoSpaceLeft) -> None:
        """The engine has no room for another job; it is asked again after a while."""
        self._start_again_at = time.monotonic() + _FULL_ENGINE_INTERVAL_S
        self._tell_of_engine(f"{error}; jobs wait until there is room")

    def engine_silent(self, error: EngineSilent) -> None:
        """
        The engine has not answered.

        Raises
        ------
        EngineSilent
            The same, when that has lasted too long.
        """
        now = time.monotonic()
        self._silent_since = now if self._silent_since is None else self._silent_since
        if now - self._silent_since > self._patience_s:
            raise error
        self._ask_engine_at = now + _RETRY_INTERVAL_S
        self._tell_of_engine(f"{error}; waiting for it")

    def engine_answers(self) -> None:
        """The engine has answered."""
        if self._silent_since is not None:
            self._silent_since = None
            self._told_of_engine = False
            self._tell("the engine answers again; the study goes on")

    def refused(self, active: ActiveAttempt, error: InfrastructureError) -> None:
        """The engine answers, and does not do what one attempt needs; the others go on."""
        self.engine_answers()
        if active.trouble.note(error):
            self._tell(f"{active.job.name}: {error}; tried again, while other jobs go on")

    def give_up_when_stuck(self, running: Collection[ActiveAttempt]) -> None:
        """
        End, when nothing runs but what the engine has refused to look at, stop or finish for too long.

        Raises
        ------
        InfrastructureError
            What it said of the first.
        """
        first = next(iter(running), None)
        if first is not None and all(active.trouble.has_lasted(self._patience_s) for active in running):
            raise InfrastructureError(f"{first.job.name}: {first.trouble.error}") from first.trouble.error

    def engine_has_room(self) -> None:
        """A job has been started."""
        self._told_of_engine = self._told_of_engine and self._silent_since is not None

    def _tell_of_engine(self, line: str) -> None:
        if not self._told_of_engine:
            self._tell(line)
        self._told_of_engine = True
