"""Whether what a study will still write fits on its disk."""

from __future__ import annotations

from pathlib import Path

from reseed.contracts.job import Job, JobRecord, JobState
from reseed.orchestration.disk import StudyDisk
from reseed.orchestration.disk_forecast import DiskForecast
from reseed.orchestration.plan import Plan

GIB = 2**30


def _job(number: int, kind: str, method: str) -> Job:
    return Job(
        key=f"{number:064x}", name=f"{kind}/{number}", kind=kind, method=method, role="x", command="x",
        code="0" * 64, outputs=(),
    )  # fmt: skip


def _record(job: Job, state: JobState, n_bytes: int | None = None) -> JobRecord:
    return JobRecord(key=job.key, name=job.name, state=state, output_bytes=n_bytes)


def test_each_sort_of_job_is_expected_to_write_what_the_first_did(tmp_path: Path):
    """The warning comes as soon as it can be known, and once."""
    room = StudyDisk(tmp_path).room_bytes()
    jobs = [_job(number, "train", "large") for number in range(5)] + [
        _job(number, "train", "small") for number in range(5, 8)
    ]
    records = {job.key: _record(job, JobState.QUEUED) for job in jobs}
    records[jobs[5].key] = _record(jobs[5], JobState.SUCCEEDED, 1000)
    told: list[str] = []

    forecast = DiskForecast(Plan(tuple(jobs)), records, StudyDisk(tmp_path), told.append)
    assert forecast.bytes_to_come() == 2 * 1000
    assert told == []

    forecast.note(jobs[0], _record(jobs[0], JobState.SUCCEEDED, room))
    assert forecast.bytes_to_come() == 4 * room + 2 * 1000
    assert len(told) == 1
    assert told[0].startswith(f"about {4 * room / GIB:.1f} GiB are still to be written and ")

    forecast.note(jobs[1], _record(jobs[1], JobState.SUCCEEDED, room))
    assert len(told) == 1


def test_results_of_unknown_size_say_nothing(tmp_path: Path):
    """Records of an earlier version have none."""
    jobs = [_job(number, "train", "a") for number in range(3)]
    records = {job.key: _record(job, JobState.SUCCEEDED) for job in jobs[:2]}
    records[jobs[2].key] = _record(jobs[2], JobState.QUEUED)

    assert DiskForecast(Plan(tuple(jobs)), records, StudyDisk(tmp_path), print).bytes_to_come() == 0
