"""What state each noun can be in, which steps are allowed, and how long each state may last."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum

from reseed.contracts.errors import ReseedError


class ForbiddenTransition(ReseedError):
    """A step that the table of transitions does not have: a mistake in the program that asked for it."""


class State(StrEnum):
    """A state of any noun; each noun has its own subclass."""

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more will happen to it."""
        return not _STEPS[type(self)][self]

    def may_become(self, other: State) -> bool:
        """Whether the step to another state is allowed."""
        return other in _STEPS[type(self)][self]


class SubmissionState(State):
    """Where a submission stands, as its participant sees it."""

    RECEIVED = "received"
    CHECKING = "checking"
    TRYING = "trying"
    RUNNING = "running"
    EVALUATED = "evaluated"
    FAILED = "failed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class RunState(State):
    """Where one retraining, or one brought model, stands."""

    QUEUED = "queued"
    TRAINING = "training"
    TRYING = "trying"
    PREDICTING = "predicting"
    EVALUATING = "evaluating"
    EVALUATED = "evaluated"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class CaseState(State):
    """Where one case of a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class EvaluationState(State):
    """Where the evaluation of a run stands; `claimed` is by an evaluator outside the service."""

    QUEUED = "queued"
    CLAIMED = "claimed"
    EXECUTING = "executing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class ArchiveState(State):
    """Where the tarball of an image or a model stands, from its upload to its use."""

    RECEIVED = "received"
    CHECKING = "checking"
    READY = "ready"
    REJECTED = "rejected"
    FAILED = "failed"
    EXPIRED = "expired"
    REMOVED = "removed"


class UploadState(State):
    """Where an upload stands."""

    OPEN = "open"
    FINISHED = "finished"
    USED = "used"
    TERMINATED = "terminated"
    EXPIRED = "expired"


class JobState(State):
    """Where a job of the worker stands."""

    QUEUED = "queued"
    LEASED = "leased"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


def _with_exits(
    steps: Mapping[State, tuple[State, ...]], exits: tuple[State, ...]
) -> dict[State, frozenset[State]]:
    """Every state that goes on can also end; the ends go nowhere."""
    whole = {state: frozenset((*onwards, *exits)) for state, onwards in steps.items()}
    for state in type(exits[0]):
        whole.setdefault(state, frozenset())
    return whole


_S, _R, _C, _E, _A, _U, _J = (
    SubmissionState,
    RunState,
    CaseState,
    EvaluationState,
    ArchiveState,
    UploadState,
    JobState,
)

_STEPS: dict[type[State], dict[State, frozenset[State]]] = {
    _S: _with_exits(
        {
            _S.RECEIVED: (_S.CHECKING, _S.REJECTED),
            _S.CHECKING: (_S.TRYING, _S.REJECTED),
            _S.TRYING: (_S.RUNNING,),
            _S.RUNNING: (_S.EVALUATED,),
        },
        (_S.FAILED, _S.CANCELLED, _S.EXPIRED),
    ),
    _R: _with_exits(
        {
            _R.QUEUED: (_R.TRAINING, _R.TRYING, _R.PREDICTING),
            _R.TRAINING: (_R.TRYING, _R.PREDICTING),
            _R.TRYING: (_R.PREDICTING,),
            _R.PREDICTING: (_R.EVALUATING,),
            _R.EVALUATING: (_R.EVALUATED,),
        },
        (_R.FAILED, _R.CANCELLED, _R.EXPIRED),
    ),
    # A case whose worker went away is queued again.
    _C: _with_exits(
        {_C.QUEUED: (_C.RUNNING,), _C.RUNNING: (_C.SUCCEEDED, _C.QUEUED)}, (_C.FAILED, _C.CANCELLED)
    ),
    # A claim that ran out is anybody's again, and so is an execution whose worker went away.
    _E: _with_exits(
        {
            _E.QUEUED: (_E.CLAIMED, _E.EXECUTING),
            _E.CLAIMED: (_E.SUCCEEDED, _E.QUEUED),
            _E.EXECUTING: (_E.SUCCEEDED, _E.QUEUED),
        },
        (_E.FAILED, _E.CANCELLED, _E.EXPIRED),
    ),
    _A: {
        **_with_exits(
            {_A.RECEIVED: (_A.CHECKING,), _A.CHECKING: (_A.READY,)}, (_A.REJECTED, _A.FAILED, _A.EXPIRED)
        ),
        _A.READY: frozenset({_A.REMOVED}),
        _A.REJECTED: frozenset({_A.REMOVED}),
        _A.FAILED: frozenset({_A.REMOVED}),
        _A.EXPIRED: frozenset({_A.REMOVED}),
    },
    _U: _with_exits({_U.OPEN: (_U.FINISHED,), _U.FINISHED: (_U.USED,)}, (_U.TERMINATED, _U.EXPIRED)),
    _J: _with_exits({_J.QUEUED: (_J.LEASED,), _J.LEASED: (_J.DONE, _J.QUEUED)}, (_J.FAILED, _J.CANCELLED)),
}

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)

# by kind first: as words, "running" of a submission and "running" of a case are one and the same
_DEADLINES: dict[type[State], dict[State, timedelta]] = {
    _S: {_S.RECEIVED: _DAY, _S.CHECKING: 6 * _HOUR, _S.TRYING: 7 * _DAY, _S.RUNNING: 30 * _DAY},
    _R: {
        _R.QUEUED: 30 * _DAY,
        _R.TRAINING: 14 * _DAY,
        _R.TRYING: _DAY,
        _R.PREDICTING: 14 * _DAY,
        _R.EVALUATING: 7 * _DAY,
    },
    _C: {_C.QUEUED: 30 * _DAY, _C.RUNNING: _DAY},
    _E: {_E.QUEUED: 30 * _DAY, _E.CLAIMED: _DAY, _E.EXECUTING: _DAY},
    _A: {_A.RECEIVED: _DAY, _A.CHECKING: 6 * _HOUR},
    _U: {_U.OPEN: 2 * _DAY, _U.FINISHED: _DAY},
    _J: {_J.QUEUED: 30 * _DAY, _J.LEASED: 14 * _DAY},
}


def steps_from(state: State) -> frozenset[State]:
    """Where a state may go next; empty for a final one."""
    return _STEPS[type(state)][state]


def longest_stay(state: State) -> timedelta | None:
    """
    How long a state may last where nobody set a shorter deadline; None when it is final.

    After that the reaper ends it, with a reason, so that nothing is ever stuck. A phase's own time
    limits give the shorter ones.
    """
    if state.is_terminal or (isinstance(state, ArchiveState) and ArchiveState.REMOVED in steps_from(state)):
        return None
    return _DEADLINES[type(state)][state]


def check_step(before: State, after: State) -> None:
    """
    Refuse a step that the table does not have.

    Raises
    ------
    ForbiddenTransition
    """
    if not before.may_become(after):
        allowed = ", ".join(sorted(steps_from(before))) or "nothing: it is final"
        raise ForbiddenTransition(
            f"a {type(before).__name__} cannot go from {before} to {after}; allowed: {allowed}"
        )
