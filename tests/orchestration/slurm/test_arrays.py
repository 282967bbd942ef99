"""How jobs become arrays: groups, dependencies, early starts, limits."""

from __future__ import annotations

from collections import Counter

import pytest

from reseed.contracts.digests import document_digest
from reseed.contracts.job import Job, JobKind, OutputFolder
from reseed.contracts.manifest import Resources
from reseed.orchestration.slurm.arrays import JobArray, job_arrays


def _job(name: str, kind: JobKind, needs: list[Job] | None = None, **resources: int) -> Job:
    return Job(
        key=document_digest(name),
        name=name,
        kind=kind,
        role="unet",
        command="train",
        code="0" * 64,
        outputs=(OutputFolder(target="/output", name=""),),
        needs=tuple(job.key for job in needs or []),
        resources=Resources(**resources),
        has_checkpoints=kind is JobKind.TRAIN,
    )


def _study(n_methods: int, n_runs: int, n_members: int) -> list[Job]:
    jobs, scores = [], []
    for method in range(n_methods):
        preprocess = _job(f"preprocess/{method}", JobKind.PREPROCESS)
        jobs.append(preprocess)
        for run in range(n_runs):
            members = [
                _job(f"train/{method}/{run}/{member}", JobKind.TRAIN, [preprocess], gpus=1)
                for member in range(n_members)
            ]
            predict = _job(f"predict/{method}/{run}", JobKind.PREDICT, members)
            scores.append(_job(f"score/{method}/{run}", JobKind.SCORE, [predict]))
            jobs += [*members, predict, scores[-1]]
    return [*jobs, _job("compare", JobKind.COMPARE, scores)]


def _arrays(jobs: list[Job], **options) -> list[JobArray]:
    return job_arrays(jobs, **{"held_by": {}, "max_size": 1001, **options})


def test_one_array_for_each_kind():
    """A study of two methods is five arrays, each after the one before."""
    arrays = _arrays(_study(2, 2, 3))

    assert [(array.kind.value, len(array.jobs), array.after_new) for array in arrays] == [
        ("preprocess", 2, set()),
        ("train", 12, {0}),
        ("predict", 4, {1}),
        ("score", 4, {2}),
        ("compare", 1, {3}),
    ]
    assert [array.has_checkpoints for array in arrays] == [False, True, False, False, False]


def test_every_job_is_in_one_array_after_all_that_it_needs():
    """No job twice, none left out, and arrays can be submitted in their order."""
    jobs = _study(3, 4, 2)
    arrays = _arrays(jobs, max_size=5)

    where = {job.key: array.number for array in arrays for job in array.jobs}
    assert sorted(where) == sorted(job.key for job in jobs)
    for array in arrays:
        assert len(array.jobs) <= 5
        needed = {where[key] for job in array.jobs for key in job.needs}
        assert needed == array.after_new
        assert all(number < array.number for number in needed)


def test_a_job_that_needs_less_than_its_array_waits_for_may_start_early():
    """The three members of a run let its prediction go; nobody lets the comparison go, which needs all."""
    arrays = _arrays(_study(2, 2, 3))
    train, predict, score = arrays[1:4]

    for index, job in enumerate(train.jobs):
        ((array, at),) = train.awaited_by[index]
        assert array == predict.number
        assert job.key in predict.jobs[at].needs
    assert score.awaited_by == {}


def test_one_job_that_waits_for_the_whole_array_needs_no_early_start():
    """With one run of one method every array's end is also the job's own."""
    assert all(array.awaited_by == {} for array in _arrays(_study(1, 1, 3)))


def test_other_resources_are_another_array():
    """What differs in cores, memory, time or GPUs cannot share a batch script."""
    jobs = [
        _job("a", JobKind.TRAIN, cpus=1),
        _job("b", JobKind.TRAIN, cpus=2),
        _job("c", JobKind.TRAIN, cpus=1),
    ]

    assert [[job.name for job in array.jobs] for array in _arrays(jobs)] == [["a", "c"], ["b"]]


def test_a_job_after_one_that_slurm_holds_waits_for_its_batch():
    """What is submitted again finds what was not; what waits for nothing does not wait with it."""
    first, other = _job("first", JobKind.TRAIN), _job("other", JobKind.TRAIN)
    waits, free = _job("waits", JobKind.PREDICT, [first]), _job("free", JobKind.PREDICT, [other])

    arrays = _arrays([waits, free], held_by={first.key: "batch-1"})

    assert [([job.name for job in array.jobs], array.after_old) for array in arrays] == [
        (["free"], set()),
        (["waits"], {"batch-1"}),
    ]


class TestThrottle:
    def test_without_a_limit_there_is_none(self):
        """Slurm decides."""
        assert {array.throttle for array in _arrays(_study(1, 2, 2))} == {None}

    @pytest.mark.parametrize(("max_size", "n_arrays"), [(1001, 1), (40, 3), (10, 10)])
    def test_the_arrays_of_a_kind_share_the_limit(self, max_size: int, n_arrays: int):
        """However many arrays a hundred trainings take, ten run side by side."""
        trainings = [array for array in _arrays(_study(1, 10, 10), max_size=max_size, max_jobs=10)
                     if array.kind is JobKind.TRAIN]  # fmt: skip

        assert len(trainings) == n_arrays
        assert sum(array.throttle or 0 for array in trainings) == 10

    def test_what_runs_already_counts(self):
        """A second submission gets what the first leaves, one at least."""
        jobs = [_job(str(number), JobKind.TRAIN) for number in range(20)]

        assert _arrays(jobs, max_jobs=10, n_in_use=Counter({JobKind.TRAIN: 7}))[0].throttle == 3
        assert _arrays(jobs, max_jobs=10, n_in_use=Counter({JobKind.TRAIN: 10}))[0].throttle == 1


def test_five_thousand_jobs_are_a_handful_of_arrays():
    """A thousand runs of an ensemble of three: within MaxArraySize, nine arrays in a moment."""
    jobs = _study(2, 500, 3)
    assert len(jobs) == 5003

    arrays = _arrays(jobs)

    assert len(arrays) == 1 + 3 + 1 + 1 + 1
    assert max(len(array.jobs) for array in arrays) <= 1001
