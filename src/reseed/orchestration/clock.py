"""
The clock that deadlines and durations are measured by: since the machine's start, sleep included.

The wall clock is for people. It jumps when a laptop finds its time server or somebody sets it, and
no job may be ended, or counted as a year long, for that.
"""

from __future__ import annotations

import functools
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from reseed.contracts.job import Attempt, BootInstant

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_seconds() -> float:
    """Seconds since this machine was started."""
    return time.clock_gettime(_BOOT_CLOCK)


@functools.cache
def boot_id() -> str:
    """Which start of which machine this is; where the kernel does not say, this process stands for it."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return f"process of {time.time_ns()}"


def boot_instant() -> BootInstant:
    """Now, on the clock that nobody sets."""
    return BootInstant(boot=boot_id(), seconds=round(boot_seconds(), 3))


def utc_now() -> datetime:
    """Now, on the wall clock."""
    return datetime.now(UTC)


def has_seen_this_boot(attempt: Attempt) -> bool:
    """Whether an attempt was started since this machine was."""
    start = attempt.started_on_boot_clock
    return start is not None and start.boot == boot_id()


def seconds_since_start(attempt: Attempt) -> float:
    """
    How long ago an attempt was started, in seconds.

    Zero when it was before the machine was started, or on another machine: nobody can say how long
    it has run, and it is given its full time rather than too little.
    """
    start = attempt.started_on_boot_clock
    return max(boot_seconds() - start.seconds, 0.0) if start and has_seen_this_boot(attempt) else 0.0


def end_of(attempt: Attempt, *, ran_s: float | None) -> datetime:
    """
    When an attempt ended.

    Parameters
    ----------
    attempt
        With its start.
    ran_s
        How long its program ran, where somebody noted it; else it ended now.
    """
    if ran_s is None and not has_seen_this_boot(attempt):
        return max(utc_now(), attempt.started)
    return attempt.started + timedelta(seconds=seconds_since_start(attempt) if ran_s is None else ran_s)
