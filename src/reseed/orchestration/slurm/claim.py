"""
Whose a job is: at most one process of the whole cluster works on a job key, whatever Slurm believes.

jobs/<key>/claims/<n> is made by a hard link, which only one of any number of processes on any
number of nodes can do. The holder of the highest number has the job and keeps the file's time
fresh. Whoever wants the job takes the next number: at once when the holder has let go or is a
dead process of this node, else once the holder has been silent for `LEASE_S`. A holder that sees
a higher number has lost the job: it kills its program and publishes nothing.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from reseed.contracts.files import write_json_atomically
from reseed.contracts.model import Contract
from reseed.documents.reading import read_json

BEAT_S = 5.0
LEASE_S = 60.0
_LONGEST_LOOK_S = 10.0


class Holder(Contract):
    """Who has a claim: a process of a node, doing a task of Slurm. `released` once it has let go."""

    token: str
    node: str
    boot: str
    pid: int
    created: float
    task: str
    released: bool = False

    @classmethod
    def here(cls, task: str) -> Holder:
        """The process that calls."""
        return cls(
            token=secrets.token_hex(8),
            node=os.uname().nodename,
            boot=_boot_id(),
            pid=os.getpid(),
            created=psutil.Process().create_time(),
            task=task,
        )

    @property
    def is_of_this_boot(self) -> bool:
        """Whether it is, or was, a process of this node since it was started."""
        return (self.node, self.boot) == (os.uname().nodename, _boot_id())

    def process(self) -> psutil.Process | None:
        """The process, when it is one of this node and alive."""
        if not self.is_of_this_boot:
            return None
        with contextlib.suppress(psutil.Error):
            found = psutil.Process(self.pid)
            if found.create_time() == self.created and found.status() != psutil.STATUS_ZOMBIE:
                return found
        return None


@dataclass
class Claims:
    """
    The claims on one job.

    Parameters
    ----------
    folder
        Where they are.
    lease_s
        How long a holder on another node must be silent before its job can be had.
    is_heard
        Whether the looks so far have found the holder alive: a process of this node, or fresh since the
        look before.
    """

    folder: Path
    lease_s: float = LEASE_S
    is_heard: bool = False
    _seen: tuple[int, int] | None = None
    _silent_since: float = 0.0
    _looked_at: float = 0.0

    def path(self, number: int) -> Path:
        """The file of a claim."""
        return self.folder / str(number)

    def latest(self) -> int:
        """The highest number; 0 when nobody has ever claimed the job."""
        if not self.folder.is_dir():
            return 0
        return max((int(path.name) for path in self.folder.iterdir() if path.name.isdigit()), default=0)

    def holder(self) -> Holder | None:
        """Who has the job; None when it is free."""
        number = self.latest()
        if number == 0:
            return None
        found = read_json(self.path(number), Holder)
        return None if found.released else found

    def last_beat(self) -> float | None:
        """When the latest holder was last heard of, by the clock of the file system."""
        number = self.latest()
        return self.path(number).stat().st_mtime if number else None

    def free_after(self) -> int | None:
        """
        The highest number when the job can be claimed, nobody having it, or a dead or long silent
        holder; None when it cannot.

        Silence is told by looking again and again: two calls at least, `lease_s` apart, by the
        caller's own clock. A look that took long, or came late, starts the count again: when the
        file system hangs, the holder cannot be heard either. Once silence has been told, only the
        holder itself can end it.
        """
        before = time.monotonic()
        number = self.latest()
        if number == 0:
            return 0
        holder = read_json(self.path(number), Holder)
        if holder.released:
            return number
        if holder.is_of_this_boot:
            self.is_heard = holder.process() is not None
            return None if self.is_heard else number
        seen = (number, self.path(number).stat().st_mtime_ns)
        now = time.monotonic()
        late = now - self._looked_at > max(_LONGEST_LOOK_S, self.lease_s / 2)
        hung = (late or now - before > _LONGEST_LOOK_S) and not self._was_silent
        if seen != self._seen or hung:
            self.is_heard = seen != self._seen and self._seen is not None
            self._seen, self._silent_since = seen, now
        self._looked_at = now
        return number if now - self._silent_since >= self.lease_s else None

    @property
    def _was_silent(self) -> bool:
        """Whether the latest look found the holder silent for long enough."""
        return self._looked_at - self._silent_since >= self.lease_s

    def take(self, holder: Holder, *, after: int, at_least: int = 1) -> Claim | None:
        """
        Claim a job that is free; None when somebody else was quicker.

        Parameters
        ----------
        holder
            This process.
        after
            As `free_after` said: so that two who saw the same silence want the same number.
        at_least
            The number wanted where it is higher: one more than the attempts of other executors,
            read before `free_after` was asked.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        number = max(after + 1, at_least)
        offered = self.folder / f".{holder.token}"
        write_json_atomically(offered, holder)
        try:
            with contextlib.suppress(FileExistsError):
                os.link(offered, self.path(number))
            # over NFS a link that was made may be reported as failed: the count of links tells
            if offered.stat().st_nlink != 2 or self.latest() != number:
                return None
        finally:
            offered.unlink()
        return Claim(self, number, holder)


@dataclass
class Claim:
    """A job that is ours, until somebody takes it over."""

    claims: Claims
    number: int
    holder: Holder
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @property
    def is_lost(self) -> bool:
        """Whether somebody has taken the job over."""
        return self.claims.latest() != self.number

    def keep(self, on_loss: Callable[[], None], *, beat_s: float = BEAT_S) -> None:
        """Keep the claim fresh in the background; `on_loss` is called, once, when it is lost."""

        def beat() -> None:
            while not self._stop.wait(beat_s):
                if self.is_lost:
                    on_loss()
                    return
                with contextlib.suppress(FileNotFoundError):
                    os.utime(self.claims.path(self.number))

        self._thread = threading.Thread(target=beat, name="claim", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Let go, so that the next need not wait."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if not self.is_lost:
            let_go = self.holder.model_copy(update={"released": True})
            write_json_atomically(self.claims.path(self.number), let_go)


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
