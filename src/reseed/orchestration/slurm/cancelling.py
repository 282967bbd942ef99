"""Ending a study's jobs on a cluster: first those that wait, then those that run, which may checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from reseed.orchestration.slurm.batch import Batches
from reseed.orchestration.slurm.client import SlurmClient, Task, TaskId
from reseed.orchestration.study_folder import StudyFolder

_LOOK_S = 1.0


@dataclass(frozen=True)
class Cancelled:
    """How many jobs waited, how many ran and ended by themselves, and how many had to be killed."""

    n_waiting: int
    n_running: int
    n_killed: int


def cancel_jobs(
    study: StudyFolder,
    client: SlurmClient,
    *,
    grace_s: float | None = None,
    tell: Callable[[str], None],
) -> Cancelled:
    """
    End every job of a study that Slurm holds.

    Batches are closed first: an element that starts all the same, or goes back into the queue,
    does nothing. Programs are then signalled, and killed only after a grace period.

    Parameters
    ----------
    study
        Whose jobs.
    client
        The cluster's commands.
    grace_s
        How long a program may take to checkpoint; the settings' `checkpoint_s` when not given.
    tell
        Is told what is waited for.
    """
    batches = Batches.of(study)
    arrays = {}
    longest_s = 0.0
    for batch in batches:
        if batch.closed is None:
            batch.close("cancelled by reseed cancel")
        array_id = batch.array_id or client.array_named(batch.name)
        if array_id is not None:
            arrays[array_id] = batch
            longest_s = max(longest_s, batch.document.settings.checkpoint_s)
    held = _held(client, set(arrays))
    waiting = [task for task, said in held.items() if not said.state.is_running]
    client.cancel(waiting)
    running = set(held) - set(waiting)
    client.cancel(running, signal="TERM")
    grace_s = longest_s if grace_s is None else grace_s
    left = running
    deadline = time.monotonic() + grace_s
    if left:
        tell(f"{len(left)} running jobs were asked to checkpoint and end, and are given {grace_s:.0f} s")
    while left and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
        left = set(_held(client, set(arrays)))
    client.cancel(left)
    return Cancelled(len(waiting), len(running), len(left))


def _held(client: SlurmClient, arrays: set[int]) -> dict[TaskId, Task]:
    return {
        task: said for task, said in client.tasks().items() if task.array in arrays and said.state.is_held
    }
