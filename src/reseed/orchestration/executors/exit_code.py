"""
The exit code of a program, noted beside it by the shell that started it.

So it is found by whoever asks later: an orchestrator that was killed meanwhile, or an engine that
was, and does not remember. When it is there, what the program wrote is on the disk, too.

The program can write where its note is. What it lays there instead is no note, and is not waited for.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from reseed.contracts.job import Attempt
from reseed.orchestration.executors.executor import ProgramState, ProgramStatus

_ROOM = b" " * 32
_LONGEST_NOTE = 64
_HIGHEST_CODE = 255
_LONGEST_UPTIME_S = 100 * 365 * 86400.0
# gone, a link, a socket, somebody's own
_NO_SUCH_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EACCES)

# $0 is the file. The exit code, the machine's uptime and whether the program was told to stop go
# into a file that has its room already: the disk may be full by then.
_NOTE = (
    'sync -f "$0.tmp" 2>/dev/null; up=; [ -r /proc/uptime ] && read -r up _ </proc/uptime; '
    'printf "%-8s%-16s%-8s" "$code" "${up:--}" "$stopped" 1<>"$0.tmp" && mv "$0.tmp" "$0"; exit "$code"'
)

SHELL_OF_A_GROUP = f'trap stopped=stopped TERM INT; "$@"; code=$?; {_NOTE}'
"""Starts "$@" where a signal goes to the whole group; the trap lets the shell outlive it."""

SHELL_OF_A_CONTAINER = (
    'mv "$0.new" "$0.begun" 2>/dev/null; '
    'stopped=; "$@" & program=$!; trap \'stopped=stopped; kill -TERM "$program" 2>/dev/null\' TERM INT; '
    'wait "$program"; code=$?; '
    'while [ -n "$stopped" ] && kill -0 "$program" 2>/dev/null; do wait "$program"; code=$?; done; '
    f"{_NOTE}"
)
"""
Starts "$@" where a signal goes to the first process alone, which passes it on.

Its first act is to say that it has begun, by a new name for a file: that takes no room.
"""


def make_room_for_exit_code(path: Path) -> None:
    """Lay down the file that the exit code will be written into."""
    path.with_name(f"{path.name}.tmp").write_bytes(_ROOM)


def lay_down_sign(path: Path) -> None:
    """Lay down the file by whose other name a program's shell says that it has begun."""
    path.with_name(f"{path.name}.begun").unlink(missing_ok=True)
    path.with_name(f"{path.name}.new").touch()


def has_begun(path: Path) -> bool:
    """Whether the shell of a container has said so, whatever the engine knows of it."""
    return os.path.lexists(path.with_name(f"{path.name}.begun"))


def ended_unnoted(path: Path) -> bool:
    """Whether a program that is over has left the room for its exit code as it was."""
    return _content(path.with_name(f"{path.name}.tmp")) == _ROOM and not os.path.lexists(path)


def noted_end(path: Path, attempt: Attempt) -> ProgramStatus | None:
    """
    How a program ended, from its file; None while there is none, or something else in its place.

    Parameters
    ----------
    path
        The file.
    attempt
        With its start, from which it is known how long the program ran.
    """
    start = attempt.started_on_boot_clock
    try:
        code, *more = (_content(path) or b"").decode("ascii").split()
        exit_code = int(code)
        uptime_s = float(more[0]) if more and more[0] != "-" else None
    except ValueError:
        return None
    if not 0 <= exit_code <= _HIGHEST_CODE or not 0 <= (uptime_s or 0.0) <= _LONGEST_UPTIME_S:
        return None
    return ProgramStatus(
        ProgramState.EXITED,
        exit_code=exit_code,
        ran_s=None if uptime_s is None or start is None else max(uptime_s - start.seconds, 0.0),
        was_stopped=more[1:] == ["stopped"],
    )


def _content(path: Path) -> bytes | None:
    """What is in a small file; None when it is not there, or is anything but a small file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _NO_SUCH_FILE:
            return None
        raise
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LONGEST_NOTE:
            return None
        return os.read(descriptor, _LONGEST_NOTE)
    finally:
        os.close(descriptor)
