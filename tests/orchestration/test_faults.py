"""Which attempts are followed by another."""

from __future__ import annotations

import pytest

from reseed.contracts.job import Attempt, Fault, JobRecord, JobState
from reseed.orchestration.clock import utc_now
from reseed.orchestration.ending import Ending
from reseed.orchestration.faults import history, judged


def _attempts(*endings: tuple[Fault, int | None, str]) -> tuple[Attempt, ...]:
    return tuple(
        Attempt(
            number=number,
            executor="process",
            handle={},
            started=utc_now(),
            exit_code=exit_code,
            reason=reason,
            fault=fault,
        )
        for number, (fault, exit_code, reason) in enumerate(endings, start=1)
    )


CRASH = Ending(JobState.FAILED, "exit code 1: CUDA error at step 17", "job", may_be_chance=True)


@pytest.mark.parametrize(
    ("earlier", "state"),
    [
        ([], JobState.QUEUED),
        ([("job", 1, "exit code 1: CUDA error at step 903")], JobState.FAILED),
        ([("job", 139, "killed by SIGSEGV")], JobState.QUEUED),
        ([("job", 139, "killed by SIGSEGV"), ("job", 1, "exit code 1: no such file")], JobState.FAILED),
        ([("infrastructure", None, "vanished"), ("disk", 1, "the disk was full")], JobState.QUEUED),
    ],
)
def test_a_failure_is_tried_once_more_unless_it_was_the_same(earlier, state):
    """Numbers in the last words do not make a failure another; three different ones are enough, too."""
    assert judged(CRASH, exit_code=1, earlier=_attempts(*earlier)).state is state


def test_what_would_only_happen_again_is_not_tried_again():
    """Out of memory, out of time, an output that is refused."""
    ending = Ending(JobState.FAILED, "timed out after 5 s", "job")

    assert judged(ending, exit_code=143, earlier=()).state is JobState.FAILED


def test_faults_of_the_machine_are_tried_again_after_longer_and_longer_waits():
    """Three attempts; full disks and stops between them do not count."""
    ending = Ending(JobState.QUEUED, "vanished", "infrastructure", may_be_chance=True)
    fault: tuple[Fault, None, str] = ("infrastructure", None, "vanished")

    first = judged(ending, exit_code=None, earlier=_attempts(("disk", 1, ""), ("interruption", 143, "")))
    second = judged(ending, exit_code=None, earlier=_attempts(fault, ("disk", 1, "")))
    third = judged(ending, exit_code=None, earlier=_attempts(fault, fault))

    assert [each.state for each in (first, second, third)] == [JobState.QUEUED] * 2 + [JobState.FAILED]
    assert 0 < first.delay_s < second.delay_s


def test_full_disks_and_stops_are_never_too_many():
    """They say nothing of the job."""
    faults: tuple[Fault, ...] = ("disk", "interruption")
    for fault in faults:
        ending = Ending(JobState.QUEUED, "…", fault)
        earlier = _attempts(*[(fault, 1, "…")] * 20)

        assert judged(ending, exit_code=1, earlier=earlier) == ending


@pytest.mark.parametrize(
    ("reasons", "words"),
    [
        (["a"], ""),
        (["exit code 1: step 3", "exit code 1: step 4"], "twice the same way"),
        (["exit code 1: b", "exit code 1: c", "exit code 1: d"], "3 times, each in another way"),
    ],
)
def test_the_history_of_a_failed_job_in_words(reasons, words):
    """What a person asks first: was it always the same?"""
    attempts = _attempts(*[("job", 1, reason) for reason in reasons])
    record = JobRecord(key="0" * 64, name="train/a", state=JobState.FAILED, attempts=attempts)

    assert history(record) == words
