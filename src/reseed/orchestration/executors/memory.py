"""How much memory a program and its children use, looked at twice a second."""

from __future__ import annotations

import contextlib
import time

import psutil

_INTERVAL_S = 0.5
_MIB = 2**20


class MemorySamples:
    """
    The largest resident set seen of each process tree.

    Sampled: the kernel's own high-water mark counts what a child shares with the orchestrator
    between fork and exec, and so would never be lower than the orchestrator's.
    """

    def __init__(self) -> None:
        self._peak_mib: dict[int, float] = {}
        self._due: dict[int, float] = {}

    def sample(self, pid: int) -> None:
        """Look at a process tree, if it is time to."""
        now = time.monotonic()
        if now < self._due.get(pid, now):
            return
        self._due[pid] = now + _INTERVAL_S
        total = 0
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            for member in (process, *process.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    total += member.memory_info().rss
        self._peak_mib[pid] = max(self._peak_mib.get(pid, 0.0), total / _MIB)

    def peak_mib(self, pid: int) -> float | None:
        """The largest sample of a process that has ended, in MiB; None when there is none."""
        self._due.pop(pid, None)
        peak = self._peak_mib.pop(pid, None)
        return None if peak is None else round(peak, 1)
