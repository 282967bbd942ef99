"""
How the jobs of a plan become job arrays: a pure function.

Jobs of the same depth, kind and resources share an array. An array starts once the arrays with
the jobs that it needs have ended (afterany), and each of its elements then looks for itself
whether all it needs has succeeded. Elements whose own needs are met earlier are let go one by
one: by the job that ends last, and by `reseed run` where it is alive.

Slurm's own per-element dependency, aftercorr, knows only equal indices, and decides on elements
that its controller may have forgotten by then (`correspond_after_task_cnt` in slurm.conf(5));
afterok would hold back or cancel every element for the failure of one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from reseed.contracts.job import Job, JobKind
from reseed.contracts.manifest import Resources

Group = tuple[int, JobKind, Resources, bool]


@dataclass
class JobArray:
    """
    One array: its jobs by index, and the arrays that it starts after.

    `number` counts the arrays of a submission; `after_new` are such numbers, `after_old` the
    names of batches that Slurm holds already. `awaited_by` has, for each index, the
    (array, index) of the jobs that may start early once it has succeeded.
    """

    number: int
    kind: JobKind
    resources: Resources
    has_checkpoints: bool
    jobs: list[Job] = field(default_factory=list)
    after_new: set[int] = field(default_factory=set)
    after_old: set[str] = field(default_factory=set)
    awaited_by: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    throttle: int | None = None


def job_arrays(
    jobs: Iterable[Job],
    *,
    held_by: Mapping[str, str],
    max_size: int,
    max_jobs: int | None = None,
    n_in_use: Mapping[JobKind, int] | None = None,
) -> list[JobArray]:
    """
    The arrays that do these jobs, in an order in which they can be submitted.

    Parameters
    ----------
    jobs
        To submit, each after those it needs.
    held_by
        Key of a job that waits or runs in Slurm: the batch that it is in.
    max_size
        Elements of an array at most.
    max_jobs
        Jobs of one kind side by side; arrays of a kind share it, one each at least.
    n_in_use
        How much of `max_jobs` earlier arrays of a kind may still use.
    """
    wanted = list(jobs)
    position = _grouped(wanted, held_by, max_size)
    arrays = sorted({array.number: array for array, _ in position.values()}.values(), key=lambda a: a.number)
    for job in wanted:
        _await(job, position, held_by)
    for job in wanted:
        _note_early_start(job, position)
    if max_jobs is not None:
        _share(arrays, max_jobs, n_in_use or {})
    return arrays


def _grouped(jobs: list[Job], held_by: Mapping[str, str], max_size: int) -> dict[str, tuple[JobArray, int]]:
    """The array and index of every job; arrays numbered from the shallowest up."""
    depth: dict[str, int] = {}
    groups: dict[Group, list[Job]] = {}
    for job in jobs:
        waits = [depth[key] for key in job.needs if key in depth]
        waits += [0 for key in job.needs if key in held_by]
        depth[job.key] = max(waits, default=-1) + 1
        group = (depth[job.key], job.kind, job.resources, job.has_checkpoints)
        groups.setdefault(group, []).append(job)
    position: dict[str, tuple[JobArray, int]] = {}
    number = 0
    for (_, kind, resources, has_checkpoints), members in sorted(groups.items(), key=lambda item: item[0][0]):
        for start in range(0, len(members), max_size):
            array = JobArray(number, kind, resources, has_checkpoints, members[start : start + max_size])
            position |= {job.key: (array, index) for index, job in enumerate(array.jobs)}
            number += 1
    return position


def _await(job: Job, position: Mapping[str, tuple[JobArray, int]], held_by: Mapping[str, str]) -> None:
    array, _ = position[job.key]
    for key in job.needs:
        if key in position:
            array.after_new.add(position[key][0].number)
        elif key in held_by:
            array.after_old.add(held_by[key])


def _note_early_start(job: Job, position: Mapping[str, tuple[JobArray, int]]) -> None:
    """Where a job does not need all that its array waits for, tell those that it does need."""
    array, index = position[job.key]
    pending = [key for key in job.needs if key in position]
    n_awaited = sum(len(other.jobs) for other in _distinct(position[key][0] for key in pending))
    own_arrays = {position[key][0].number for key in pending}
    if n_awaited == len(pending) and own_arrays == array.after_new and not array.after_old:
        return
    for key in pending:
        other, at = position[key]
        other.awaited_by.setdefault(at, []).append((array.number, index))


def _distinct(arrays: Iterable[JobArray]) -> Collection[JobArray]:
    return {array.number: array for array in arrays}.values()


def _share(arrays: list[JobArray], max_jobs: int, n_in_use: Mapping[JobKind, int]) -> None:
    for kind in {array.kind for array in arrays}:
        alike = [array for array in arrays if array.kind is kind]
        left = max(max_jobs - n_in_use.get(kind, 0), len(alike))
        n_jobs = sum(len(array.jobs) for array in alike)
        for rank, array in enumerate(alike):
            still = len(alike) - rank - 1
            share = max(1, min(left - still, round(left * len(array.jobs) / n_jobs)))
            array.throttle = share
            left -= share
            n_jobs -= len(array.jobs)
