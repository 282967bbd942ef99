"""
The exit code of a program, noted beside it by the shell that started it.

So it is found by whoever asks later: an orchestrator that was killed meanwhile, or an engine that
was, and does not remember. When it is there, what the program wrote is on the disk, too.
"""

from __future__ import annotations

from pathlib import Path

from reseed.contracts.job import Attempt
from reseed.orchestration.executors.executor import ProgramState, ProgramStatus

_ROOM = b" " * 32

# $0 is the file. The exit code, the machine's uptime and whether the program was told to stop go
# into a file that has its room already: the disk may be full by then.
_NOTE = (
    'sync -f "$0.tmp" 2>/dev/null; up=; [ -r /proc/uptime ] && read -r up _ </proc/uptime; '
    'printf "%-8s%-16s%-8s" "$code" "${up:--}" "$stopped" 1<>"$0.tmp" && mv "$0.tmp" "$0"; exit "$code"'
)

SHELL_OF_A_GROUP = f'trap stopped=stopped TERM INT; "$@"; code=$?; {_NOTE}'
"""Starts "$@" where a signal goes to the whole group; the trap lets the shell outlive it."""

SHELL_OF_A_CONTAINER = (
    'stopped=; "$@" & program=$!; trap \'stopped=stopped; kill -TERM "$program" 2>/dev/null\' TERM INT; '
    'wait "$program"; code=$?; '
    'while [ -n "$stopped" ] && kill -0 "$program" 2>/dev/null; do wait "$program"; code=$?; done; '
    f"{_NOTE}"
)
"""Starts "$@" where a signal goes to the first process alone, which passes it on."""


def make_room_for_exit_code(path: Path) -> None:
    """Lay down the file that the exit code will be written into."""
    path.with_name(f"{path.name}.tmp").write_bytes(_ROOM)


def ended_unnoted(path: Path) -> bool:
    """Whether a program that is over has left the room for its exit code as it was."""
    try:
        return path.with_name(f"{path.name}.tmp").read_bytes() == _ROOM and not path.exists()
    except (FileNotFoundError, NotADirectoryError):
        return False


def noted_end(path: Path, attempt: Attempt) -> ProgramStatus | None:
    """
    How a program ended, from its file; None while there is none.

    Parameters
    ----------
    path
        The file.
    attempt
        With its start, from which it is known how long the program ran.
    """
    try:
        code, *more = path.read_text().split()
        start = attempt.started_on_boot_clock
        uptime_s = float(more[0]) if more and more[0] != "-" else None
        return ProgramStatus(
            ProgramState.EXITED,
            exit_code=int(code),
            ran_s=None if uptime_s is None or start is None else max(uptime_s - start.seconds, 0.0),
            was_stopped=more[1:] == ["stopped"],
        )
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
