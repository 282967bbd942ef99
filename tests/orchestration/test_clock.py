"""Time: durations and deadlines do not move when somebody sets the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reseed.contracts.job import Attempt, BootInstant, Job, JobRecord, JobState
from reseed.contracts.manifest import Resources
from reseed.orchestration.attempts import ActiveAttempt
from reseed.orchestration.clock import boot_id, boot_seconds, end_of, seconds_since_start
from reseed.orchestration.slots import Slot
from reseed.orchestration.study_folder import AttemptFolder

JOB = Job(
    key="1" * 64, name="train/a", kind="train", role="x", command="train", code="2" * 64, outputs=(),
    resources=Resources(timeout_s=60),
)  # fmt: skip
THEN = datetime(2030, 1, 1, tzinfo=UTC)
ANOTHER_BOOT = "00000000-0000-0000-0000-000000000000"


def _attempt(started: datetime, *, ago_s: float, boot: str | None = None) -> Attempt:
    """An attempt that the wall clock says was started then, and the boot clock so long ago."""
    instant = BootInstant(boot=boot or boot_id(), seconds=boot_seconds() - ago_s)
    return Attempt(number=1, executor="process", handle={}, started=started, started_on_boot_clock=instant)


def _active(attempt: Attempt) -> ActiveAttempt:
    record = JobRecord(key=JOB.key, name=JOB.name, state=JobState.RUNNING, attempts=(attempt,))
    return ActiveAttempt(JOB, record, Slot(1), AttemptFolder(Path("/nowhere")))


@pytest.mark.parametrize("years", [-30, 0, 30])
def test_a_clock_that_is_set_ends_no_job_and_saves_none(years: int):
    """A job is out of time when it has run for so long, whatever year it is said to have started in."""
    started = datetime.now(UTC) + timedelta(days=365 * years)

    assert not _active(_attempt(started, ago_s=50)).is_out_of_time()
    assert _active(_attempt(started, ago_s=61)).is_out_of_time()


def test_a_duration_is_what_was_measured():
    """The end is the start plus the time that it took: noted by the program's shell, or up to now."""
    attempt = _attempt(THEN, ago_s=50)

    assert end_of(attempt, ran_s=7.5) == THEN + timedelta(seconds=7.5)
    assert 50 <= (end_of(attempt, ran_s=None) - THEN).total_seconds() < 80


def test_what_another_boot_has_started_gets_its_full_time():
    """Nobody can say how long it has run; it is never ended too early, and its end not before its start."""
    attempt = _attempt(THEN, ago_s=-1e6, boot=ANOTHER_BOOT)

    assert seconds_since_start(attempt) == 0
    assert not _active(attempt).is_out_of_time()
    assert end_of(attempt, ran_s=None) >= attempt.started


def test_the_time_limit_counts_from_taking_over_where_nothing_else_is_known():
    """So that an attempt of another boot does not run for ever."""
    active = _active(_attempt(THEN, ago_s=0, boot=ANOTHER_BOOT))
    active.taken_at -= 61

    assert active.is_out_of_time()
