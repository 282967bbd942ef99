"""The one place where anything changes its state: by compare-and-set, with an event."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import CursorResult, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from reseed.contracts.errors import ReseedError
from reseed.service.database.columns import now_utc
from reseed.service.database.models import Event
from reseed.service.domain.states import State, check_step, longest_stay


class StateChanged(ReseedError):
    """Another process was faster: the row is no longer in the state that the step starts from."""


class HasState(Protocol):
    """A row with a state: a submission, run, case, evaluation, image, model, upload or job."""

    __tablename__: str
    pk: Any
    state: Any
    reason: Any
    state_since: Any
    deadline: Any


def transition(
    session: Session,
    row: HasState,
    to: State,
    *,
    reason: str = "",
    actor: UUID | None = None,
    at: datetime | None = None,
    within: timedelta | None = None,
    **values: Any,
) -> None:
    """
    Move a row to another state, and write it in the audit trail.

    Parameters
    ----------
    session
        A writing transaction (`Database.write`), whose commit makes the step real.
    row
        As it was read, in this transaction or before; it is up to date afterwards.
    to
        The state to go to.
    reason
        Why, in a sentence; what a person sees next to the state.
    actor
        The user who asked for it; None for the service itself.
    at
        The instant of the step, by default now.
    within
        How long the new state may last, where that is shorter or longer than
        `states.longest_stay`; a final state has no deadline.
    **values
        Further columns of the row to write in the same statement.

    Raises
    ------
    ForbiddenTransition
        When the step is not in the table of transitions.
    StateChanged
        When the row has left its state since it was read; nothing is written then.
    """
    before: State = row.state
    check_step(before, to)
    at = at or now_utc()
    stay = longest_stay(to)
    if stay is not None and within is not None:
        stay = within
    changes = {
        "state": to,
        "reason": reason,
        "state_since": at,
        "deadline": None if stay is None else at + stay,
        **values,
    }
    table = type(row)
    statement = (
        update(table)
        .where(table.pk == row.pk, table.state == before)
        .values(changes)
        .execution_options(synchronize_session=False)
    )
    session.flush()
    done = session.execute(statement)
    if not isinstance(done, CursorResult) or done.rowcount != 1:
        raise StateChanged(f"{row.__tablename__} {row.pk} is no longer {before}; cannot become {to}")
    record_event(session, row, "transition", actor=actor, at=at, before=before, after=to, reason=reason)
    for name, value in changes.items():
        set_committed_value(row, name, value)


def record_event(  # noqa: PLR0913  (what an event consists of)
    session: Session,
    row: Any,
    action: str,
    *,
    actor: UUID | None = None,
    at: datetime | None = None,
    before: str | None = None,
    after: str | None = None,
    reason: str = "",
    details: dict[str, Any] | None = None,
) -> None:
    """Write a line of the audit trail, in the transaction of what it tells."""
    session.add(
        Event(
            at=at or now_utc(),
            actor_pk=actor,
            noun=row.__tablename__,
            noun_pk=row.pk,
            action=action,
            before=before,
            after=after,
            reason=reason,
            details=details or {},
        )
    )


def enter(
    session: Session,
    row: HasState,
    *,
    actor: UUID | None = None,
    reason: str = "",
    within: timedelta | None = None,
) -> None:
    """
    Add a new row in its first state, with that state's deadline, and write it in the audit trail.

    Raises
    ------
    sqlalchemy.exc.IntegrityError
        When a row like it is there and may be only once.
    """
    session.add(row)
    session.flush()
    stay = within or longest_stay(row.state)
    row.deadline = None if stay is None else row.state_since + stay
    record_event(session, row, "created", actor=actor, after=row.state, reason=reason)
    session.flush()
