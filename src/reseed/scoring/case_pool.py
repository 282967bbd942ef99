"""Cases done in parallel, with no more of them in memory than there are processes to do them."""

from __future__ import annotations

import itertools
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from reseed.contracts.errors import InfrastructureError, InvalidPrediction

Given = TypeVar("Given")
Result = TypeVar("Result")

_CGROUP_LIMIT = Path("/sys/fs/cgroup/cpu.max")
_FEW = 4
"""So few cases are done sooner than processes start."""


def results_in_order(
    function: Callable[[Given], Result], cases: Sequence[Given], *, n_processes: int | None = None
) -> Generator[Result, None, None]:
    """
    The result of every case, in their order, each as soon as those before it are done.

    One case for every process is under way and one more is waiting, so that memory does not grow with
    the number of cases. The first exception, in the order of the cases, ends it.

    Parameters
    ----------
    function
        Of a module, so that another process can import it.
    cases
        Small: what each process reads for itself.
    n_processes
        Default: one for each processor that this program may use.

    Raises
    ------
    InfrastructureError
        When a process was killed; and whatever the function raises.
    """
    n_workers = available_processors() if n_processes is None else n_processes
    attempt = _Attempt(function)
    if n_workers == 1 or (n_processes is None and len(cases) <= _FEW):
        yield from map(function, cases)
        return
    waiting = iter(cases)
    # forkserver: a fork of a program with threads may hang
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(max_workers=max(1, min(n_workers, len(cases))), mp_context=context) as pool:
        under_way: deque[Future[Result | _Refusal]] = deque(
            pool.submit(attempt, case) for case in itertools.islice(waiting, n_workers + 1)
        )
        n_done = 0
        try:
            while under_way:
                result = under_way.popleft().result()
                n_done += 1
                under_way.extend(pool.submit(attempt, case) for case in itertools.islice(waiting, 1))
                if isinstance(result, _Refusal):
                    raise InvalidPrediction(result.message, case_id=result.case_id)
                yield result
        except BrokenProcessPool:
            raise InfrastructureError(
                f"a process was killed after {n_done} of {len(cases)} cases, most likely for its memory"
            ) from None
        finally:
            for future in under_way:
                future.cancel()


@dataclass(frozen=True)
class _Refusal:
    """An InvalidPrediction on its way between processes, for which it cannot be pickled itself."""

    message: str
    case_id: str


@dataclass(frozen=True)
class _Attempt(Generic[Given, Result]):
    """A function whose refusals are results."""

    function: Callable[[Given], Result]

    def __call__(self, case: Given) -> Result | _Refusal:
        try:
            return self.function(case)
        except InvalidPrediction as error:
            return _Refusal(str(error).removeprefix(f"case {error.case_id!r}: "), error.case_id)


def available_processors() -> int:
    """The processors that this program may use, by its affinity and its container's limit."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _CGROUP_LIMIT.read_text(encoding="ascii").split()[:2]
        limit = allowed if quota == "max" else max(1, int(quota) // int(period))
    except (OSError, ValueError):
        limit = allowed
    return max(1, min(allowed, limit))
