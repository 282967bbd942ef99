"""Room on the disk of a study: how much there is, what it takes to go on, and what is full."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil

from reseed.contracts.errors import InfrastructureError, NoSpaceLeft

RESERVE_BYTES = 64 * 2**20
ROOM_AGAIN = "the disk has room again; the study goes on"
_NOTHING_FITS_BYTES = 4 * 2**20
_FEW_FILES = 100
_LOOK_INTERVAL_S = 0.2
_RETRY_INTERVAL_S = 1.0
_PROBE_BYTES = 2**20

Result = TypeVar("Result")


def is_full(error: BaseException) -> bool:
    """Whether something could not be written because there is no room, or no more is allowed."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


class StudyDisk:
    """
    The file system that a study folder is on.

    A disk counts as full from the moment at which something could not be written, or less than the
    reserve is left, until there is the reserve and a file of one MiB can really be written.

    Parameters
    ----------
    folder
        The study folder; it need not be there yet.
    reserve_bytes
        What is kept free for records and logs before another job is started.
    """

    def __init__(self, folder: Path, *, reserve_bytes: int = RESERVE_BYTES) -> None:
        self._folder = folder
        self._reserve_bytes = reserve_bytes
        self._looked_at = -1.0
        self._tried_at = -1.0
        self.is_full = False
        self.free_bytes = 0
        self.largest_output_bytes = 0

    @property
    def needed_bytes(self) -> int:
        """What must be free before another job is started: the reserve, and room for its output."""
        return self._reserve_bytes + self.largest_output_bytes

    @property
    def is_exhausted(self) -> bool:
        """Whether a program that wants to write anything now cannot, not even why it fails."""
        return self.is_full and self.free_bytes < _NOTHING_FITS_BYTES

    def note_full(self) -> None:
        """Something could not be written."""
        self.is_full = True
        self._looked_at = self._tried_at = time.monotonic()
        self.free_bytes, _ = self._free()

    def look(self, *, at_once: bool = False) -> None:
        """See how much room there is, if it is time to or somebody has to know at once."""
        now = time.monotonic()
        if not at_once and now - self._looked_at < _LOOK_INTERVAL_S:
            return
        self._looked_at = now
        self.free_bytes, n_files = self._free()
        has_room = self.free_bytes >= self.needed_bytes and n_files >= _FEW_FILES
        if not has_room:
            self.is_full = True
        elif self.is_full and now - self._tried_at >= _RETRY_INTERVAL_S:
            self._tried_at = now
            self.is_full = not self._can_write()

    def note_output(self, n_bytes: int) -> None:
        """A job has left a result of that size; the next may, too."""
        self.largest_output_bytes = max(self.largest_output_bytes, n_bytes)

    def room_bytes(self) -> int:
        """What may be written before the disk counts as full."""
        return max(self._free()[0] - self._reserve_bytes, 0)

    def would_have_room(self, n_bytes: int) -> bool:
        """Whether the disk is full now, and would not be without so many bytes."""
        free_bytes, _ = self._free()
        return free_bytes < self.needed_bytes <= free_bytes + n_bytes

    def complaint(self) -> str:
        """What is full and what it takes, in one line."""
        place, free = file_system_of(self._folder), bytes_text(self.free_bytes)
        if self.free_bytes >= self.needed_bytes:
            return f"no more can be written to {place}, though {free} are free: is a quota used up? Jobs wait"
        return (
            f"the disk is full: {place} has {free} free and {bytes_text(self.needed_bytes)} are needed; "
            "jobs wait until there is room"
        )

    def when_there_is_room(
        self, write: Callable[[], Result], *, tell: Callable[[str], None], stop_requested: Callable[[], bool]
    ) -> Result:
        """
        Write something, and wait as long as the disk is full.

        Parameters
        ----------
        write
            What writes; called again after it found the disk full.
        tell
            Told that it waits.
        stop_requested
            Asked while it waits.

        Raises
        ------
        NoSpaceLeft
            When it was asked to stop while it waited.
        """
        while True:
            try:
                return write()
            except OSError as error:
                if not is_full(error):
                    raise
            self.note_full()
            tell(self.complaint())
            while self.is_full:
                if stop_requested():
                    raise NoSpaceLeft(self.complaint())
                time.sleep(_LOOK_INTERVAL_S)
                self.look()
            tell(ROOM_AGAIN)

    def _free(self) -> tuple[int, int]:
        """Bytes and files that may still be written here; a file system without a limit has many files."""
        status = os.statvfs(_existing(self._folder))
        return status.f_bavail * status.f_frsize, status.f_favail if status.f_files else _FEW_FILES

    def _can_write(self) -> bool:
        probe = _existing(self._folder) / f".room.{os.getpid()}.tmp"
        try:
            with probe.open("wb") as stream:
                stream.write(bytes(_PROBE_BYTES))
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            if is_full(error):
                return False
            raise InfrastructureError(f"{self._folder}: cannot be written: {error.strerror}") from error
        finally:
            probe.unlink(missing_ok=True)
        return True


def file_system_of(path: Path) -> str:
    """The file system that a path is on, as `df` shows it: where it is mounted, its device and type."""
    here = _existing(path).resolve()
    mounts = [part for part in psutil.disk_partitions(all=True) if here.is_relative_to(Path(part.mountpoint))]
    if not mounts:
        return str(here)
    found = max(mounts, key=lambda part: len(Path(part.mountpoint).parts))
    return f"{found.mountpoint} ({found.device}, {found.fstype})"


def bytes_text(n_bytes: float) -> str:
    """A number of bytes as one says it: 980 KiB, 1.5 GiB."""
    for unit in ("bytes", "KiB", "MiB"):
        if n_bytes < 1024:
            return f"{n_bytes:.0f} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.1f} GiB"


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
