"""What a person sees while a study runs."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from reseed.contracts.job import Attempt, Job, JobRecord, JobState
from reseed.orchestration.durations import duration_text
from reseed.orchestration.plan import Plan
from reseed.orchestration.progress import StudyProgress

START = datetime(2026, 1, 1, tzinfo=UTC)


def _job(number: int, kind: str = "train") -> Job:
    return Job(
        key=f"{number:064x}",
        name=f"{kind}/{number}",
        kind=kind,
        role="x",
        command="train",
        code="0" * 64,
        outputs=(),
    )


def _record(job: Job, state: JobState, *, seconds: float = 0, reason: str | None = None) -> JobRecord:
    if state is JobState.QUEUED and reason is None:
        return JobRecord(key=job.key, name=job.name, state=state)
    attempt = Attempt(
        number=1, executor="process", handle={}, started=START,
        ended=START + timedelta(seconds=seconds), reason=reason,
    )  # fmt: skip
    return JobRecord(key=job.key, name=job.name, state=state, attempts=(attempt,))


def _progress(*, terminal: bool = False) -> tuple[StudyProgress, io.StringIO]:
    written = io.StringIO()
    console = Console(file=written, force_terminal=terminal, width=60)
    return StudyProgress(console, n_side_by_side=2), written


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (192, "3 min 12 s"), (18600, "5 h 10 min")],
)
def test_durations_read_as_one_says_them(seconds: float, words: str):
    """Seconds, then minutes, then hours."""
    assert duration_text(seconds) == words


def test_plain_lines_where_there_is_no_terminal():
    """No control codes; counts by kind, what was kept from before, and the failure's reason whole."""
    jobs = [_job(number) for number in range(4)]
    progress, written = _progress()

    progress.begun(
        Plan(tuple(jobs)),
        {job.key: _record(job, JobState.SUCCEEDED if job is jobs[0] else JobState.QUEUED) for job in jobs},
    )
    progress.started(jobs[1], adopted=True)
    progress.ended(
        jobs[1], _record(jobs[1], JobState.FAILED, reason="exit code 1: " + "long " * 30), "the [end]"
    )
    progress.close()

    lines = written.getvalue().splitlines()
    assert lines[0] == "4 jobs, 2 side by side; 1 kept from before"
    assert lines[1] == "train/1: still running from before, taken over"
    assert lines[2].startswith("train/1: failed: exit code 1: long long")
    assert lines[3] == "    the [end]"
    assert lines[4].startswith("train 1/4")
    assert "\x1b" not in written.getvalue()


def test_the_time_left_is_the_work_left_at_the_median_pace():
    """Six trainings of 10 s, two at a time, are half a minute."""
    jobs = [_job(number) for number in range(9)]
    progress, written = _progress(terminal=True)
    records = {
        job.key: _record(job, JobState.SUCCEEDED, seconds=seconds)
        for job, seconds in zip(jobs, (5, 10, 100), strict=False)
    }
    records |= {job.key: _record(job, JobState.QUEUED) for job in jobs[3:]}

    progress.begun(Plan(tuple(jobs)), records)
    progress.tick()
    progress.close()

    assert "about 30 s left" in written.getvalue()
