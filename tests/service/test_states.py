"""States: every one has a way to an end, and a longest stay."""

from __future__ import annotations

from datetime import timedelta

import pytest

from reseed.service.domain.states import (
    ArchiveState,
    CaseState,
    EvaluationState,
    ForbiddenTransition,
    JobState,
    RunState,
    State,
    SubmissionState,
    UploadState,
    check_step,
    longest_stay,
    steps_from,
)

KINDS = (ArchiveState, CaseState, EvaluationState, JobState, RunState, SubmissionState, UploadState)
STATES = [state for kind in KINDS for state in kind]


def _is_over(state: State) -> bool:
    return longest_stay(state) is None


@pytest.mark.parametrize("state", STATES, ids=lambda state: f"{type(state).__name__}.{state}")
def test_every_state_is_final_or_has_a_deadline_and_an_exit(state: State):
    """No submission is ever stuck: after the deadline there is a final state to go to."""
    if state.is_terminal:
        assert longest_stay(state) is None
    elif not _is_over(state):
        assert any(_is_over(after) for after in steps_from(state))


@pytest.mark.parametrize("kind", KINDS)
def test_every_state_can_be_reached_from_the_first(kind: type[State]):
    """A state that nothing leads to is a mistake in the table."""
    reached: set[State] = set()
    waiting: list[State] = [next(iter(kind))]
    while waiting:
        state = waiting.pop()
        if state not in reached:
            reached.add(state)
            waiting += steps_from(state)
    assert reached == set(kind)


def test_an_evaluated_submission_stays_so():
    """A finished result is never taken back by a later failure."""
    for state in SubmissionState:
        assert not SubmissionState.EVALUATED.may_become(state)
    with pytest.raises(ForbiddenTransition, match="SubmissionState cannot go from evaluated to failed"):
        check_step(SubmissionState.EVALUATED, SubmissionState.FAILED)


@pytest.mark.parametrize(
    ("state", "days"),
    [
        (SubmissionState.RUNNING, 30),
        (CaseState.RUNNING, 1),
        (SubmissionState.TRYING, 7),
        (RunState.TRYING, 1),
    ],
)
def test_a_word_of_two_kinds_has_two_deadlines(state: State, days: int):
    """A submission runs for weeks, a case of it for hours."""
    assert longest_stay(state) == timedelta(days=days)
