"""The CPU time of a program and of all that it started."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

import psutil

_TICKS_PER_S = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_PROC = Path("/proc")


class CpuTimes:
    """
    CPU time of children of this process, exact once they have ended.

    The kernel adds up what a child and everything that it waited for has used, and says so once: when
    the child is reaped.
    """

    def __init__(self) -> None:
        self._final_s: dict[int, float] = {}

    def has_ended(self, child: subprocess.Popen[bytes]) -> bool:
        """As `child.poll() is not None`, and keep what the kernel says of its CPU time."""
        if child.returncode is not None:
            return True
        try:
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        except ChildProcessError:
            return child.poll() is not None
        if pid == 0:
            return False
        child.returncode = os.waitstatus_to_exitcode(status)
        self._final_s[pid] = usage.ru_utime + usage.ru_stime
        return True

    def saw_end_of(self, pid: int) -> bool:
        """Whether the time of an ended child is known."""
        return pid in self._final_s

    def seconds(self, pid: int) -> float | None:
        """So far, or in all once it has been reaped; None when nobody saw it end."""
        return self._final_s[pid] if pid in self._final_s else tree_seconds(pid)


def tree_seconds(pid: int, proc: Path = _PROC) -> float | None:
    """
    CPU time of a process, of its descendants, and of those that have been waited for; None without it.

    Read from the kernel's list of children where it has one: looking through all processes of a machine
    takes milliseconds.
    """
    own = _own_seconds(pid, proc)
    if own is None:
        return None
    children = _children(pid, proc)
    return own + sum(tree_seconds(child, proc) or 0.0 for child in children)


def _own_seconds(pid: int, proc: Path) -> float | None:
    try:
        # the name in parentheses may hold anything; times are fields 14 to 17 of the whole line
        fields = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return sum(int(ticks) for ticks in fields[11:15]) / _TICKS_PER_S
    except (OSError, ValueError):
        pass
    with contextlib.suppress(psutil.Error):
        times = psutil.Process(pid).cpu_times()
        return float(sum(times[:4]))
    return None


def _children(pid: int, proc: Path) -> list[int]:
    try:
        lists = [path.read_text() for path in (proc / str(pid) / "task").glob("*/children")]
    except OSError:
        return []
    if lists:
        return [int(child) for text in lists for child in text.split()]
    with contextlib.suppress(psutil.Error):
        return [child.pid for child in psutil.Process(pid).children()]
    return []
