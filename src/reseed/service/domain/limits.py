"""The limits of a phase on submissions, as sentences that say what is exceeded."""

from __future__ import annotations

from datetime import datetime, timedelta

from reseed.service.domain.roles import SubmissionKind
from reseed.service.domain.states import SubmissionState

DAY = timedelta(days=1)

UNCOUNTED = frozenset({SubmissionState.REJECTED, SubmissionState.EXPIRED})
"""
Submissions in these states use up no limit: none of them has told its participant anything.

A rejected one never met a case, and one expired where the service was at fault.
"""


def window_refusal(now: datetime, opens_at: datetime | None, closes_at: datetime | None) -> str | None:
    """Why a phase takes no submission now; None when it does. Without a start it is open from the first."""
    if opens_at is not None and now < opens_at:
        return f"the phase opens at {opens_at:%Y-%m-%d %H:%M} UTC"
    if closes_at is not None and now >= closes_at:
        return f"the phase closed at {closes_at:%Y-%m-%d %H:%M} UTC"
    return None


def count_refusal(
    *, n_last_day: int, per_day: int, n_in_total: int, in_total: int | None, again_at: datetime | None
) -> str | None:
    """
    Why there may be no further submission; None when there may.

    Parameters
    ----------
    n_last_day, n_in_total
        Submissions that count, of the participant and their team, in the last 24 hours and ever.
    per_day, in_total
        What the phase allows; None is without a limit.
    again_at
        When the first of those of the last 24 hours will be older than that.
    """
    if in_total is not None and n_in_total >= in_total:
        return (
            f"the phase takes {in_total} submissions of each participant or team, you have made {n_in_total}"
        )
    if n_last_day >= per_day:
        words = f"the phase takes {per_day} submissions in 24 hours, you have made {n_last_day}"
        return (
            words
            if again_at is None or per_day == 0
            else f"{words}; the next at {again_at:%Y-%m-%d %H:%M} UTC"
        )
    return None


def runs_of(kind: SubmissionKind, *, n_runs: int, n_models: int) -> int:
    """
    How many runs a submission has: those that the service trains, or one for each model that was brought.

    An image that brings its weights itself needs no model, and is one run.

    Parameters
    ----------
    kind, n_runs
        What the phase asks for.
    n_models
        What the submission brings.

    Raises
    ------
    ValueError
        When the models do not fit the phase; its text is for the participant.
    """
    if kind is SubmissionKind.TRAINING:
        if n_models:
            raise ValueError(
                f"the phase trains every submission itself, {n_runs} times: it takes no model, got {n_models}"
            )
        return n_runs
    if n_models > n_runs:
        raise ValueError(f"the phase takes at most {n_runs} models, one for each retraining, got {n_models}")
    return max(1, n_models)


def members_refusal(n_members: int, *, at_most: int) -> str | None:
    """Why an image that trains so many ensemble members is not taken; None when it is."""
    if n_members <= at_most:
        return None
    members = "1 member" if at_most == 1 else f"{at_most} members"
    return f"its image trains {n_members} members for each run, and the phase takes at most {members}"
